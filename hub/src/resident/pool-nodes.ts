import type { Cluster } from '@groundplane/agent/port/cluster';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';

/** What it sets is its own: what a person cordoned stays cordoned when we take ours back. */
const manager = 'groundplane-pool';
/** In one look; the rest is for the next one. */
export const cordonsPerLook = 200;
const atOnce = 8;

const isCordoned = (node: KubeObject): boolean => (node['spec'] as { unschedulable?: boolean } | undefined)?.unschedulable === true;
const isByUs = (node: KubeObject): boolean => node.metadata.managedFields?.some((entry) => entry.manager === manager) === true;

const set = async (cluster: Cluster, { metadata }: KubeObject, cordon: boolean): Promise<Result<void>> => {
  const { name, uid } = metadata;
  // With its uid: a node that went meanwhile is not made anew by an apply.
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...(name === undefined ? {} : { name }), ...(uid === undefined ? {} : { uid }) },
    ...(cordon ? { spec: { unschedulable: true } } : {}),
  };
  const done = await cluster.apply(object, { fieldManager: manager, force: true });
  return done.ok || ['conflict', 'not-found', 'immutable-field'].includes(done.failure.code) ? ok(undefined) : done;
};

/**
 * Tells the nodes of a pool to take no new pods (`cordon`), or takes that back. `left`: how many are still to be told. Failures: those of the `Cluster` port, and
 * `selector-missing` (blocked).
 */
export const cordonNodes = async (cluster: Cluster, selector: string, cordon: boolean): Promise<Result<{ nodes: number; left: number }>> => {
  // Without it, every node of the cluster would be meant.
  if (!/^[^=,!\s]+=[^=,!\s]+$/.test(selector)) return fail('blocked', 'selector-missing', 'nodes of a pool', `"${selector}" names no nodes`);
  const listed = await cluster.list({ apiVersion: 'v1', kind: 'Node', labelSelector: selector });
  if (!listed.ok) return listed;
  const nodes = listed.value.items;
  const waiting = nodes.filter((node) => (cordon ? !isCordoned(node) : isByUs(node)));
  const now = waiting.slice(0, cordonsPerLook);
  for (let at = 0; at < now.length; at += atOnce) {
    const done = await Promise.all(now.slice(at, at + atOnce).map((node) => set(cluster, node, cordon)));
    const failed = done.find((result) => !result.ok);
    if (failed !== undefined && !failed.ok) return failed;
  }
  return ok({ nodes: nodes.length, left: waiting.length - now.length });
};
