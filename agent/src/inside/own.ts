import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject, ObjectRef } from '@groundplane/protocol/kubernetes';
import type { InsideView } from '@groundplane/protocol/inside/agent';
import { insideModeLabel, insideNames, readOnlyRules, type InsideMode } from '@groundplane/protocol/inside/names';
import { keyFromText, makeKeyText, type DeviceKey } from '../identity/key.ts';
import { lookAtCluster } from '../cluster/look.ts';
import type { Cluster } from '../port/cluster.ts';

/** What an agent inside of a cluster does with its own objects there. */
const { namespace, agent: name } = insideNames;
const rbac = 'rbac.authorization.k8s.io/v1';
const roleRef: ObjectRef = { apiVersion: rbac, kind: 'ClusterRole', name };
const bindingRef: ObjectRef = { apiVersion: rbac, kind: 'ClusterRoleBinding', name };
const keyRef: ObjectRef = { apiVersion: 'v1', kind: 'Secret', namespace, name: insideNames.key };
const deploymentRef: ObjectRef = { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name };
const namespaceRef: ObjectRef = { apiVersion: 'v1', kind: 'Namespace', name: namespace };

export const insideLease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name };

const readKey = (secret: KubeObject): Result<DeviceKey> => {
  const data = secret['data'] as Record<string, string> | undefined;
  return keyFromText(Buffer.from(data?.['device.key'] ?? '', 'base64').toString('utf8'), `Secret ${namespace}/${insideNames.key}`);
};

/** The key lies in the cluster, so that a pod on another node is the same agent. Made once, by whoever holds the Lease. */
export const clusterKey = async (cluster: Cluster): Promise<Result<DeviceKey>> => {
  const there = await cluster.get(keyRef);
  if (there.ok) return readKey(there.value);
  if (there.failure.code !== 'not-found') return there;
  const made = await cluster.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: insideNames.key },
    type: 'Opaque',
    data: { 'device.key': Buffer.from(makeKeyText()).toString('base64') },
  });
  if (made.ok) return readKey(made.value);
  if (made.failure.code !== 'exists') return made;
  const other = await cluster.get(keyRef);
  return other.ok ? readKey(other.value) : other;
};

/** Which rights it was given, as the manifest says and as it reduced them itself. */
export const insideMode = async (cluster: Cluster): Promise<Result<InsideMode>> => {
  const role = await cluster.get(roleRef);
  return role.ok ? ok(role.value.metadata.labels?.[insideModeLabel] === 'full' ? 'full' : 'read-only') : role;
};

/** A look that changes nothing. */
export const insideView = async (cluster: Cluster, { running, manifest }: { running: string; manifest: string }): Promise<Result<InsideView>> => {
  const mode = await insideMode(cluster);
  if (!mode.ok) return mode;
  const seen = await lookAtCluster(cluster);
  return seen.ok ? ok({ ...seen.value, mode: mode.value, manifest, ...(running === '' ? {} : { agent: running }) }) : seen;
};

/** The cluster is only looked at from now on: what nobody needs any more is given back. */
export const reduceRights = async (cluster: Cluster): Promise<Result<unknown>> => {
  const role = await cluster.get(roleRef);
  if (!role.ok || role.value.metadata.labels?.[insideModeLabel] === 'read-only') return role;
  const { metadata } = role.value;
  return cluster.replace({ ...role.value, metadata: { ...metadata, labels: { ...metadata.labels, [insideModeLabel]: 'read-only' } }, rules: readOnlyRules });
};

interface Variable {
  name: string;
  value?: string;
}

/** Another package for the next pod, which the deployment starts at once; and the one to go back to. True when there was something to change. */
export const changePackage = async (cluster: Cluster, wanted: string, before: string | undefined): Promise<Result<boolean>> => {
  const found = await cluster.get(deploymentRef);
  if (!found.ok) return found;
  const object = structuredClone(found.value);
  const spec = object['spec'] as { template: { spec: { containers: { name: string; env?: Variable[] }[] } } };
  const [agent] = spec.template.spec.containers;
  const set = (key: string, value: string | undefined): void => {
    if (agent === undefined) return;
    agent.env = [...(agent.env ?? []).filter((item) => item.name !== key), ...(value === undefined ? [] : [{ name: key, value }])];
  };
  if (agent?.env?.some((item) => item.name === 'GROUNDPLANE_PACKAGE' && item.value === wanted) !== false) return ok(false);
  set('GROUNDPLANE_PACKAGE', wanted);
  set('GROUNDPLANE_PACKAGE_BEFORE', before);
  const done = await cluster.replace(object);
  return done.ok ? ok(true) : done;
};

/**
 * Takes the agent itself out of the cluster. Its role and binding become the namespace's, so that Kubernetes removes them after everything in the namespace,
 * this pod among it: until then it may still do what it has begun. Doing it twice does no harm.
 */
export const leaveCluster = async (cluster: Cluster): Promise<Result<void>> => {
  const home = await cluster.get(namespaceRef);
  if (!home.ok) return home.failure.code === 'not-found' ? ok(undefined) : home;
  const owner = { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid: home.value.metadata.uid };
  for (const ref of [bindingRef, roleRef]) {
    const found = await cluster.get(ref);
    if (!found.ok && found.failure.code === 'not-found') continue;
    if (!found.ok) return found;
    const done = await cluster.replace({ ...found.value, metadata: { ...found.value.metadata, ownerReferences: [owner] } });
    if (!done.ok) return done;
  }
  return cluster.delete(namespaceRef, { propagation: 'Background' });
};
