import { traitsToSet, type GivenTraits, type NodeTaint, type NodeTraits, type TraitsNow } from '@groundplane/protocol/distribution/node-traits';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { z } from 'zod';
import type { Cluster } from '../port/cluster.ts';

/**
 * Which labels and taints of nodes are ours, one line a node. Not on the node itself: its kubelet may write there, and could have us take away the taint
 * that keeps workloads off it (what the admission plugin NodeRestriction is there to prevent).
 */
const noteRef = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'kube-system', name: 'groundplane-node-traits' };
const lineSchema = z.object({ labels: z.array(z.string()), taints: z.array(z.string()) });

const dataOf = (note: KubeObject): Record<string, string> => (note['data'] ?? {}) as Record<string, string>;

const parseLine = (text: string | undefined): GivenTraits | undefined => {
  try {
    return lineSchema.parse(JSON.parse(text ?? ''));
  } catch {
    // Somebody wrote it by hand: as if nothing were noted, so that nothing of others is taken away.
    return undefined;
  }
};

/** What is on a node. `given`: which of it is ours, as far as whoever looks knows. */
export const traitsNow = (node: KubeObject, given: GivenTraits | undefined): TraitsNow => ({
  labels: node.metadata.labels ?? {},
  taints: (node['spec'] as { taints?: NodeTaint[] } | undefined)?.taints ?? [],
  given,
});

export const givenTraits = async (cluster: Cluster): Promise<Result<Map<string, GivenTraits>>> => {
  const note = await cluster.get(noteRef);
  if (!note.ok) return note.failure.code === 'not-found' ? ok(new Map()) : note;
  const lines = Object.entries(dataOf(note.value)).map(([node, text]) => [node, parseLine(text)] as const);
  return ok(new Map(lines.filter((line): line is [string, GivenTraits] => line[1] !== undefined)));
};

/** Writes one line, or takes it out; only if nobody wrote meanwhile. */
const note = async (cluster: Cluster, node: string, given: GivenTraits | undefined): Promise<Result<void>> => {
  const found = await cluster.get(noteRef);
  if (!found.ok && found.failure.code !== 'not-found') return found;
  const { [node]: before, ...others } = found.ok ? dataOf(found.value) : {};
  const line = given === undefined ? undefined : JSON.stringify(given);
  if (before === line) return ok(undefined);
  const data = { ...others, ...(line === undefined ? {} : { [node]: line }) };
  const { name, namespace, apiVersion, kind } = noteRef;
  const done = found.ok ? await cluster.replace({ ...found.value, data }) : await cluster.create({ apiVersion, kind, metadata: { name, namespace }, data });
  return done.ok ? ok(undefined) : done;
};

export const forgetTraits = (cluster: Cluster, node: string): Promise<Result<void>> => note(cluster, node, undefined);

const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])].toSorted();

/**
 * Puts labels and taints on a node that is there. What it will get is noted before, and what it lost after, so that nothing of ours is ever taken for somebody
 * else's. The list of taints is one field, which the API server's own controllers write too: the whole object is replaced, and only if nobody changed it
 * meanwhile. Failure `conflict` (retry).
 */
export const setTraits = async (cluster: Cluster, node: string, want: NodeTraits): Promise<Result<void>> => {
  const live = await cluster.get({ apiVersion: 'v1', kind: 'Node', name: node });
  if (!live.ok) return live;
  const known = await givenTraits(cluster);
  if (!known.ok) return known;
  const given = known.value.get(node);
  const next = traitsToSet(traitsNow(live.value, given), want);
  if (next === undefined) return ok(undefined);
  const both = { labels: union(given?.labels ?? [], next.given.labels), taints: union(given?.taints ?? [], next.given.taints) };
  const noted = await note(cluster, node, both);
  if (!noted.ok) return noted;
  const done = await cluster.replace({
    ...live.value,
    metadata: { ...live.value.metadata, labels: { ...next.labels } },
    spec: { ...(live.value['spec'] as object | undefined), taints: [...next.taints] },
  });
  if (!done.ok) return done.failure.code === 'object-invalid' ? fail('blocked', 'traits-refused', `node ${node}`, done.failure.message) : done;
  return note(cluster, node, next.given.labels.length + next.given.taints.length === 0 ? undefined : next.given);
};
