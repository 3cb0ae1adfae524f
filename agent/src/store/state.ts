import type { Bundle, BundleLayer, Desired, Version } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import type { Failure, Result } from '@groundplane/protocol/failure';
import { refKey, type FieldsV1, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { limits } from '@groundplane/protocol/limits';
import type { LayerRecord, OwnedObject, OwnedOs } from '@groundplane/protocol/plan/facts';
import type { AccountState, FileOnDisk, ModuleState, PackageState, UnitState } from '../port/host.ts';
import type { AgentStore, AgentWrite } from '../port/store.ts';

/** A verified desired state with its bundle, as it lies in a slot. */
export interface DesiredRecord {
  version: Version;
  desired: Desired;
  bundle: Bundle | undefined;
}

/** `candidate`: verified, content not complete. `current`: what this host steers to. `good`: the last one that held. */
export type Slot = 'candidate' | 'current' | 'good';

/** An owned object with what is needed to see that somebody changed it. */
export interface ObjectRecord extends OwnedObject {
  uid: string;
  /** The fields we own in it, as the API server wrote them down when we applied. */
  fields: FieldsV1;
  /** Digest of those fields' values right after we applied. */
  projection: Digest;
}

/**
 * What is written before an object is made. An agent that dies in between, and is told of other layers then, would leave it behind: no bundle names it any more.
 */
export const intendedRecord = ({ ref, layer, digest, keep }: Pick<ObjectRecord, 'ref' | 'layer' | 'digest' | 'keep'>): ObjectRecord => ({
  ref,
  layer,
  digest,
  adopted: false,
  keep,
  uid: '',
  fields: {},
  projection: digest,
});
/** Whether it was made, and by whom, only the API server knows. */
export const isIntended = (record: ObjectRecord): boolean => record.uid === '';

/** What was there before us, to be put back. */
export type Before =
  | { file: FileOnDisk | 'absent' }
  | { sysctl: string | 'absent' }
  | { unit: UnitState | 'absent' }
  | { package: PackageState | 'absent' }
  | { module: ModuleState }
  | { user: AccountState | 'absent' }
  /** Never anything but nothing: what somebody else put there is left alone. */
  | { extension: 'absent' };
export type OsRecord = OwnedOs & { before: Before };

export interface Poison {
  version: Version;
  failure: Failure;
}

export interface LayerRow extends LayerRecord {
  /** Changes by others that were healed since it was installed. */
  healed: number;
  healedLast?: { atMs: number; text: string };
}

const parse = <T>(text: string | undefined): T | undefined => (text === undefined ? undefined : (JSON.parse(text) as T));
const put = (table: AgentWrite['table'], key: string, value: unknown): AgentWrite => ({ table, key, value: JSON.stringify(value) });
const drop = (table: AgentWrite['table'], key: string): AgentWrite => ({ table, key, value: null });

const osKey = (item: Pick<OwnedOs, 'layer' | 'kind' | 'key'>): string => `${item.layer}/${item.kind}/${item.key}`;

/** Rows that change together are written together: everything below returns writes, and one `commit` makes them true. */
export const writes = {
  /** The bundle lies beside the blobs under its own digest, once, however many slots name it. */
  slot: (slot: Slot, record: DesiredRecord | undefined): AgentWrite[] =>
    record === undefined
      ? [drop('desired', slot)]
      : [
          put('desired', slot, { version: record.version, desired: record.desired }),
          ...(slot === 'candidate' && record.bundle !== undefined && record.desired.bundle !== undefined
            ? [put('content', record.desired.bundle, record.bundle)]
            : []),
        ],
  layer: (row: LayerRow): AgentWrite => put('layers', row.name, row),
  noLayer: (name: string): AgentWrite => drop('layers', name),
  object: (record: ObjectRecord): AgentWrite => put('objects', refKey(record.ref), record),
  noObject: (ref: ObjectRef): AgentWrite => drop('objects', refKey(ref)),
  os: (record: OsRecord): AgentWrite => put('os', osKey(record), record),
  noOs: (item: Pick<OwnedOs, 'layer' | 'kind' | 'key'>): AgentWrite => drop('os', osKey(item)),
  hookDone: (key: string): AgentWrite => put('hooks', key, true),
  noHook: (key: string): AgentWrite => drop('hooks', key),
  poison: (poison: Poison): AgentWrite => put('poison', String(poison.version.generation).padStart(16, '0'), poison),
  noPoison: (generation: number): AgentWrite => drop('poison', String(generation).padStart(16, '0')),
  content: (digest: Digest, text: string): AgentWrite => ({ table: 'content', key: digest, value: text }),
  noContent: (digest: string): AgentWrite => drop('content', digest),
  kv: (key: string, value: unknown): AgentWrite => put('kv', key, value),
  trust: (key: string, value: unknown): AgentWrite => put('trust', key, value),
};

/** Typed view of the store. Rows were written by this code, so they are trusted, not parsed again. */
export const createState = (store: AgentStore) => {
  /** What a row's text meant the last time: rows are read in each round and change rarely. Parsed rows are never changed in place. */
  const memo = new Map<string, { text: string; value: unknown }>();
  const read = <T>(table: AgentWrite['table'], key: string, text: string | undefined): T | undefined => {
    const name = `${table}/${key}`;
    if (text === undefined) {
      memo.delete(name);
      return undefined;
    }
    const known = memo.get(name);
    if (known?.text === text) return known.value as T;
    const value = JSON.parse(text) as T;
    memo.set(name, { text, value });
    return value;
  };
  const all = <T>(table: AgentWrite['table']): T[] => {
    const entries = store.entries(table);
    if (memo.size > 4 * entries.length + 1_000) memo.clear();
    return entries.map((row) => read<T>(table, row.key, row.value) as T);
  };
  const bundles = new Map<string, Bundle>();
  const bundleAt = (digest: string | undefined): Bundle | undefined => {
    if (digest === undefined) return undefined;
    const known = bundles.get(digest) ?? parse<Bundle>(store.get('content', digest));
    if (bundles.size > 3) bundles.clear();
    if (known !== undefined) bundles.set(digest, known);
    return known;
  };
  return {
    slot: (slot: Slot): DesiredRecord | undefined => {
      const record = read<Omit<DesiredRecord, 'bundle'>>('desired', slot, store.get('desired', slot));
      return record === undefined ? undefined : { ...record, bundle: bundleAt(record.desired.bundle) };
    },
    layers: (): LayerRow[] => all('layers'),
    layer: (name: string): LayerRow | undefined => read('layers', name, store.get('layers', name)),
    objects: (): ObjectRecord[] => all('objects'),
    object: (ref: ObjectRef): ObjectRecord | undefined => read('objects', refKey(ref), store.get('objects', refKey(ref))),
    os: (): OsRecord[] => all('os'),
    osItem: (item: Pick<OwnedOs, 'layer' | 'kind' | 'key'>): OsRecord | undefined => parse(store.get('os', osKey(item))),
    hooksDone: (): Set<string> => new Set(store.keys('hooks')),
    poison: (): Poison[] => all('poison'),
    hasContent: (digest: Digest): boolean => store.get('content', digest) !== undefined,
    content: (digest: string): string | undefined => store.get('content', digest),
    contentKeys: (): string[] => store.keys('content'),
    kv: <T>(key: string): T | undefined => parse<T>(store.get('kv', key)),
    trust: <T>(key: string): T | undefined => parse<T>(store.get('trust', key)),
    journal: (): JournalRow[] => all('journal'),
    commit: (list: readonly AgentWrite[]): Result<void> => store.commit(list),
  };
};
export type State = ReturnType<typeof createState>;

/** One step of one plan: written before the effect (`intent`), and again after it (`done`, `failed`). */
export interface JournalRow {
  seq: number;
  generation: number;
  layer: string | undefined;
  step: string;
  text: string;
  state: 'intent' | 'done' | 'failed';
  atMs: number;
  failure?: Failure;
}

const journalKey = (seq: number): string => String(seq).padStart(16, '0');

/** The journal keeps its newest rows; older ones have served their purpose. */
export const createJournal = (store: AgentStore) => {
  const keys = store.keys('journal');
  let next = Number(keys.at(-1) ?? 0) + 1;
  let oldest = Number(keys[0] ?? next);
  return {
    begin: (row: Omit<JournalRow, 'seq' | 'state'>): { seq: number; writes: AgentWrite[] } => {
      const seq = next;
      next += 1;
      const list = [put('journal', journalKey(seq), { ...row, seq, state: 'intent' })];
      if (seq - oldest >= limits.journalRows) {
        list.push(drop('journal', journalKey(oldest)));
        oldest += 1;
      }
      return { seq, writes: list };
    },
    end: (row: JournalRow): AgentWrite => put('journal', journalKey(row.seq), row),
  };
};
export type Journal = ReturnType<typeof createJournal>;

/** Layers whose blobs must not be collected: those of the slots, and what installed layers need to be removed again. */
export const neededLayers = (state: State): BundleLayer[] => [
  ...slots.flatMap((slot) => state.slot(slot)?.bundle?.layers ?? []),
  ...state.layers().map((row) => row.layer),
];

/** The bundles that the slots name. */
export const neededBundles = (state: State): string[] => slots.map((slot) => state.slot(slot)?.desired.bundle).filter((digest) => digest !== undefined);

const slots = ['candidate', 'current', 'good'] as const;
