import { gunzipSync, gzipSync } from 'node:zlib';
import { digestBytes } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import { refKey } from '@groundplane/protocol/kubernetes';
import { isForHost } from '@groundplane/protocol/plan/facts';
import type { Cluster } from '../port/cluster.ts';
import type { AgentWrite } from '../port/store.ts';
import { intendedRecord, writes, type LayerRow, type ObjectRecord, type State } from '../store/state.ts';

/** What is known of one layer of the cluster: enough for another agent to go on with it. */
interface LayerInventory {
  row: LayerRow;
  objects: ObjectRecord[];
  hooks: string[];
}

/** Where it lies. `of`: whose it is, where several look after one Kubernetes and know nothing of each other. */
export interface InventoryPlace {
  namespace: string;
  of?: string;
}

/** Where the keeper of a cluster that agents brought up has it. */
const keeperPlace: InventoryPlace = { namespace: 'kube-system' };
const label = 'groundplane.dev/inventory';
const fieldManager = 'groundplane-keeper';
const nameOf = ({ of }: InventoryPlace, layer: string): string => ['groundplane-layer', ...(of === undefined ? [] : [of]), layer].join('-');
const labelOf = ({ of }: InventoryPlace): string => of ?? 'layer';
/** etcd takes 1.5 MB in one request, and base64 adds a third. */
const packedBytesMax = 900 * 1024;
const unpackedBytesMax = 64 * 1024 * 1024;

const isPack = (row: LayerRow): boolean => !isForHost({ kind: row.layer.kind }, false);

const inventoryOf = (state: State, row: LayerRow): LayerInventory => ({
  row,
  objects: state.objects().filter((record) => record.layer === row.name),
  hooks: [...state.hooksDone()].filter((key) => key.startsWith(`${row.name}/`)).toSorted(),
});

/**
 * Keeps in the cluster itself what its keeper knows of the layers in it, so that the next keeper goes on where this one stopped, also without a hub: which objects
 * are owned, by which incarnation, and which hooks have run. Only what changed is written. Answers how many layers were too large, which happens to nobody.
 */
export const saveInventory = async (cluster: Cluster, state: State, place = keeperPlace): Promise<Result<void>> => {
  const { namespace } = place;
  const before = state.kv<Record<string, string>>('inventory') ?? {};
  const now: Record<string, string> = {};
  for (const row of state.layers().filter(isPack)) {
    const text = JSON.stringify(inventoryOf(state, row));
    const digest = digestBytes(text);
    now[row.name] = digest;
    if (before[row.name] === digest) continue;
    const packed = gzipSync(text);
    if (packed.length > packedBytesMax) continue;
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: nameOf(place, row.name), namespace, labels: { [label]: labelOf(place) } },
      binaryData: { record: packed.toString('base64') },
    };
    const done = await cluster.apply(object, { fieldManager, force: true });
    if (!done.ok) return done;
  }
  for (const layer of Object.keys(before).filter((name) => now[name] === undefined)) {
    const gone = await cluster.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: nameOf(place, layer) }, { propagation: 'Background' });
    if (!gone.ok) return gone;
  }
  return JSON.stringify(before) === JSON.stringify(now) ? ok(undefined) : state.commit([writes.kv('inventory', now)]);
};

const unpacked = (text: unknown): LayerInventory | undefined => {
  try {
    return JSON.parse(gunzipSync(Buffer.from(String(text), 'base64'), { maxOutputLength: unpackedBytesMax }).toString('utf8')) as LayerInventory;
  } catch {
    return undefined;
  }
};

/** Asks whether it may be written and read here, and changes nothing. */
export const tryInventory = async (cluster: Cluster, { namespace, of = '' }: InventoryPlace): Promise<Result<unknown>> => {
  const list = await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: `${label}=${of}` });
  if (!list.ok) return list;
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `groundplane-layer-${of}`, namespace } };
  return cluster.apply(object, { fieldManager, force: true, dryRun: true });
};

/** Whether anything is laid down here. */
export const hasInventory = async (cluster: Cluster, place: InventoryPlace): Promise<Result<boolean>> => {
  const list = await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace: place.namespace, labelSelector: `${label}=${labelOf(place)}` });
  return list.ok ? ok(list.value.items.length > 0) : list;
};

/** Layers in the cluster are no longer this host's to know of. */
export const forgetPacks = (state: State): AgentWrite[] => {
  const rows = state.layers().filter(isPack);
  const mine = new Set(rows.map((row) => row.name));
  return [
    ...rows.map((row) => writes.noLayer(row.name)),
    ...state
      .objects()
      .filter((record) => mine.has(record.layer))
      .map((record) => writes.noObject(record.ref)),
    ...[...state.hooksDone()].map((key) => writes.noHook(key)),
  ];
};

/** What may have been made by one that died before it was noted: only the API server knows, and it is asked when the object's turn comes. */
const unnoted = ({ row, objects }: LayerInventory): ObjectRecord[] => {
  const known = new Set(objects.map((record) => refKey(record.ref)));
  if (row.state !== 'installing' || row.event === 'delete') return [];
  return row.layer.objects
    .filter((object) => !known.has(refKey(object.ref)))
    .map(({ ref, digest, keep, crd }) => intendedRecord({ ref, layer: row.name, digest, keep: keep === true || crd !== undefined }));
};

/** Takes over what the keeper before knew, in place of whatever this host remembers from an earlier time of its own. */
export const loadInventory = async (cluster: Cluster, state: State, place = keeperPlace): Promise<Result<void>> => {
  const list = await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace: place.namespace, labelSelector: `${label}=${labelOf(place)}` });
  if (!list.ok) return list;
  const found = list.value.items.flatMap((item) => unpacked((item['binaryData'] as Record<string, string> | undefined)?.['record']) ?? []);
  const changes: AgentWrite[] = [
    ...forgetPacks(state),
    ...found.flatMap((item) => [
      writes.layer(item.row),
      ...[...item.objects, ...unnoted(item)].map((record) => writes.object(record)),
      ...item.hooks.map((key) => writes.hookDone(key)),
    ]),
    writes.kv('inventory', Object.fromEntries(found.map((item) => [item.row.name, digestBytes(JSON.stringify(item))]))),
  ];
  return state.commit(changes);
};
