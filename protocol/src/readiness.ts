import type { ReadyCheck } from './bundle.ts';
import type { KubeObject } from './kubernetes.ts';

/** How far an object is. `failed` will not become ready by waiting. */
export type Readiness = { state: 'ready' } | { state: 'progressing'; message: string } | { state: 'failed'; message: string };

const ready: Readiness = { state: 'ready' };
const progressing = (message: string): Readiness => ({ state: 'progressing', message });

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
const count = (value: unknown, otherwise = 0): number => (typeof value === 'number' ? value : otherwise);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const conditions = (object: KubeObject): Condition[] => {
  const list = record(object['status'])['conditions'];
  return Array.isArray(list)
    ? list.map(record).map((c) => ({ type: text(c['type']), status: text(c['status']), reason: text(c['reason']), message: text(c['message']) }))
    : [];
};

const deployment = (object: KubeObject): Readiness => {
  const spec = record(object['spec']);
  const status = record(object['status']);
  const want = count(spec['replicas'], 1);
  const stalled = conditions(object).find((c) => c.type === 'Progressing' && c.status === 'False' && c.reason === 'ProgressDeadlineExceeded');
  if (stalled !== undefined) return { state: 'failed', message: stalled.message || 'progress deadline exceeded' };
  if (count(status['updatedReplicas']) < want) return progressing(`${count(status['updatedReplicas'])} of ${want} pods updated`);
  if (count(status['replicas']) > count(status['updatedReplicas']))
    return progressing(`${count(status['replicas']) - count(status['updatedReplicas'])} old pods are going`);
  if (count(status['availableReplicas']) < want) return progressing(`${count(status['availableReplicas'])} of ${want} pods available`);
  return ready;
};

const statefulSet = (object: KubeObject): Readiness => {
  const spec = record(object['spec']);
  const status = record(object['status']);
  const want = count(spec['replicas'], 1);
  const strategy = record(spec['updateStrategy']);
  const partition = count(record(strategy['rollingUpdate'])['partition']);
  if (count(status['readyReplicas']) < want) return progressing(`${count(status['readyReplicas'])} of ${want} pods ready`);
  if (
    text(strategy['type']) !== 'OnDelete' &&
    text(status['updateRevision']) !== text(status['currentRevision']) &&
    count(status['updatedReplicas']) < want - partition
  ) {
    return progressing(`${count(status['updatedReplicas'])} of ${want - partition} pods updated`);
  }
  return ready;
};

const daemonSet = (object: KubeObject): Readiness => {
  const status = record(object['status']);
  const want = count(status['desiredNumberScheduled']);
  if (record(object['status'])['observedGeneration'] === undefined) return progressing('not yet seen by its controller');
  const onDelete = text(record(record(object['spec'])['updateStrategy'])['type']) === 'OnDelete';
  if (!onDelete && count(status['updatedNumberScheduled']) < want) return progressing(`${count(status['updatedNumberScheduled'])} of ${want} pods updated`);
  if (count(status['numberAvailable']) < want) return progressing(`${count(status['numberAvailable'])} of ${want} pods available`);
  return ready;
};

const replicaSet = (object: KubeObject): Readiness => {
  const want = count(record(object['spec'])['replicas'], 1);
  const have = count(record(object['status'])['availableReplicas']);
  return have < want ? progressing(`${have} of ${want} pods available`) : ready;
};

const job = (object: KubeObject): Readiness => {
  const failed = conditions(object).find((c) => c.type === 'Failed' && c.status === 'True');
  if (failed !== undefined) return { state: 'failed', message: failed.message || failed.reason || 'job failed' };
  const done = conditions(object).some((c) => (c.type === 'Complete' || c.type === 'SuccessCriteriaMet') && c.status === 'True');
  if (done || record(object['spec'])['suspend'] === true) return ready;
  return progressing('job is running');
};

const pod = (object: KubeObject): Readiness => {
  const phase = text(record(object['status'])['phase']);
  if (phase === 'Succeeded') return ready;
  if (phase === 'Failed') return { state: 'failed', message: text(record(object['status'])['message']) || 'pod failed' };
  if (conditions(object).some((c) => c.type === 'Ready' && c.status === 'True')) return ready;
  const waiting = podWaiting(object);
  return progressing(waiting ?? `pod is ${phase || 'pending'}`);
};

/** Why a pod's container does not start (`ImagePullBackOff: …`), when Kubernetes says so. */
export const podWaiting = (object: KubeObject): string | undefined => {
  const status = record(object['status']);
  for (const list of [status['initContainerStatuses'], status['containerStatuses']]) {
    for (const container of Array.isArray(list) ? list.map(record) : []) {
      const waiting = record(record(container['state'])['waiting']);
      const reason = text(waiting['reason']);
      if (reason !== '' && reason !== 'ContainerCreating' && reason !== 'PodInitializing') {
        const message = text(waiting['message']);
        return `container ${text(container['name'])}: ${reason}${message === '' ? '' : ` (${message})`}`;
      }
    }
  }
  const scheduled = conditions(object).find((c) => c.type === 'PodScheduled' && c.status === 'False');
  return scheduled === undefined ? undefined : `not scheduled: ${scheduled.message ?? ''}`;
};

const customResourceDefinition = (object: KubeObject): Readiness => {
  const all = conditions(object);
  const rejected = all.find((c) => c.type === 'NamesAccepted' && c.status === 'False');
  if (rejected !== undefined) return { state: 'failed', message: rejected.message ?? 'names not accepted' };
  return all.some((c) => c.type === 'Established' && c.status === 'True') ? ready : progressing('not established yet');
};

const service = (object: KubeObject): Readiness => {
  const spec = record(object['spec']);
  if (text(spec['type']) !== 'LoadBalancer') return ready;
  const ingress = record(record(object['status'])['loadBalancer'])['ingress'];
  return Array.isArray(ingress) && ingress.length > 0 ? ready : progressing('load balancer has no address yet');
};

const phaseIs =
  (wanted: readonly string[]) =>
  (object: KubeObject): Readiness => {
    const phase = text(record(object['status'])['phase']);
    return wanted.includes(phase) ? ready : progressing(`phase is ${phase || 'not set'}`);
  };

/** Anything else, custom resources too: observedGeneration and a condition Ready or Available, when they exist; otherwise existing is being ready. */
const generic = (object: KubeObject): Readiness => {
  const all = conditions(object);
  const stalled = all.find((c) => c.type === 'Stalled' && c.status === 'True');
  if (stalled !== undefined) return { state: 'failed', message: stalled.message || 'stalled' };
  const condition = all.find((c) => c.type === 'Ready') ?? all.find((c) => c.type === 'Available');
  if (condition === undefined || condition.status === 'True') return ready;
  return progressing(condition.message || condition.reason || `condition ${condition.type} is ${condition.status}`);
};

const rules: Record<string, (object: KubeObject) => Readiness> = {
  'apps/Deployment': deployment,
  'apps/StatefulSet': statefulSet,
  'apps/DaemonSet': daemonSet,
  'apps/ReplicaSet': replicaSet,
  'batch/Job': job,
  '/Pod': pod,
  '/Service': service,
  '/Namespace': phaseIs(['Active']),
  /** A claim may wait for its first consumer, so Pending is no reason to hold the layer back. */
  '/PersistentVolumeClaim': (object) => (text(record(object['status'])['phase']) === 'Lost' ? { state: 'failed', message: 'volume is lost' } : ready),
  'apiextensions.k8s.io/CustomResourceDefinition': customResourceDefinition,
};

/** The text of a field by dotted path; lists by index. Undefined where there is none. */
const fieldText = (object: KubeObject, path: string): string | undefined => {
  let at: unknown = object;
  for (const key of path.replace(/^\./, '').split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return typeof at === 'string' ? at : typeof at === 'number' || typeof at === 'boolean' ? String(at) : undefined;
};

const checkReady = (object: KubeObject, check: ReadyCheck): Readiness => {
  if (check.condition !== undefined) {
    const { type, status } = check.condition;
    const found = conditions(object).find((c) => c.type === type);
    if (found?.status !== status) return progressing(`condition ${type} is ${found?.status ?? 'not set'}, and the pack waits for ${status}`);
  }
  if (check.field !== undefined) {
    const { path, value } = check.field;
    const found = fieldText(object, path);
    if (found !== value) return progressing(`${path} is ${found ?? 'not set'}, and the pack waits for ${value}`);
  }
  return ready;
};

/**
 * Judges one live object by Kubernetes' own conventions (API conventions on status, kstatus' rules, `kubectl rollout status`).
 * A status that speaks of an older generation than the object's is never believed.
 */
export const readinessOf = (object: KubeObject, checks: readonly ReadyCheck[] = []): Readiness => {
  if (object.metadata.deletionTimestamp !== undefined) return progressing('is being deleted');
  const observed = record(object['status'])['observedGeneration'];
  if (typeof observed === 'number' && object.metadata.generation !== undefined && observed < object.metadata.generation) {
    return progressing('the controller has not seen the latest change');
  }
  const slash = object.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : object.apiVersion.slice(0, slash);
  const usual = (rules[`${group}/${object.kind}`] ?? generic)(object);
  if (usual.state !== 'ready') return usual;
  return checks.map((check) => checkReady(object, check)).find((item) => item.state !== 'ready') ?? usual;
};
