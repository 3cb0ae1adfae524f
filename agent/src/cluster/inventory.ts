import { gunzipSync, gzipSync } from 'node:zlib';
import { digestBytes } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import { isForHost } from '@groundplane/protocol/plan/facts';
import type { Cluster } from '../port/cluster.ts';
import type { AgentWrite } from '../port/store.ts';
import { writes, type LayerRow, type ObjectRecord, type State } from '../store/state.ts';

/** What is known of one layer of the cluster: enough for another agent to go on with it. */
interface LayerInventory {
  row: LayerRow;
  objects: ObjectRecord[];
  hooks: string[];
}

/** Where the keeper of a cluster that agents brought up has it. */
const keeperNamespace = 'kube-system';
const label = 'groundplane.dev/inventory';
const fieldManager = 'groundplane-keeper';
const nameOf = (layer: string): string => `groundplane-layer-${layer}`;
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
export const saveInventory = async (cluster: Cluster, state: State, namespace = keeperNamespace): Promise<Result<void>> => {
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
      metadata: { name: nameOf(row.name), namespace, labels: { [label]: 'layer' } },
      binaryData: { record: packed.toString('base64') },
    };
    const done = await cluster.apply(object, { fieldManager, force: true });
    if (!done.ok) return done;
  }
  for (const layer of Object.keys(before).filter((name) => now[name] === undefined)) {
    const gone = await cluster.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: nameOf(layer) }, { propagation: 'Background' });
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

/** Takes over what the keeper before knew, in place of whatever this host remembers from an earlier time of its own. */
export const loadInventory = async (cluster: Cluster, state: State, namespace = keeperNamespace): Promise<Result<void>> => {
  const list = await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap', namespace, labelSelector: `${label}=layer` });
  if (!list.ok) return list;
  const found = list.value.items.flatMap((item) => unpacked((item['binaryData'] as Record<string, string> | undefined)?.['record']) ?? []);
  const rows = state.layers().filter(isPack);
  const mine = new Set(rows.map((row) => row.name));
  const changes: AgentWrite[] = [
    ...rows.map((row) => writes.noLayer(row.name)),
    ...state
      .objects()
      .filter((record) => mine.has(record.layer))
      .map((record) => writes.noObject(record.ref)),
    ...[...state.hooksDone()].map((key) => writes.noHook(key)),
    ...found.flatMap(({ row, objects, hooks }) => [
      writes.layer(row),
      ...objects.map((record) => writes.object(record)),
      ...hooks.map((key) => writes.hookDone(key)),
    ]),
    writes.kv('inventory', Object.fromEntries(found.map((item) => [item.row.name, digestBytes(JSON.stringify(item))]))),
  ];
  return state.commit(changes);
};
