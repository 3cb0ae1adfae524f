import type { Clock } from '@groundplane/agent/port/clock';
import { refKey, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { refOf, type ObjectStore } from './object-store.ts';
import { childrenOf, createPod, nowText, record, templateHash, type WorkloadWorld } from './workload-world.ts';
import { reconcileDeployment } from './workloads-deployment.ts';
import { reconcileDaemonSet, reconcileStatefulSet } from './workloads-ordered.ts';
import { startPod } from './workloads-pod.ts';
import { ownersOf, type Writes } from './writes.ts';

export interface WorkloadOptions {
  /** From the creation of a pod until it is ready, and from ready until a Job's pod is done; default 1000. */
  readyMs?: number;
}

const finishJob = (world: WorkloadWorld, job: KubeObject): void => {
  const phases = childrenOf(world, job, 'Pod').map((pod) => record(pod['status'])['phase']);
  if (phases.length === 0) {
    createPod(
      world,
      job,
      `${job.metadata.name ?? ''}-${templateHash(job.metadata.uid).slice(0, 5)}`,
      { 'batch.kubernetes.io/job-name': job.metadata.name ?? '', 'job-name': job.metadata.name ?? '' },
      'fake-1',
    );
    return;
  }
  const succeeded = phases.filter((phase) => phase === 'Succeeded').length;
  const failed = phases.filter((phase) => phase === 'Failed').length;
  const at = nowText(world.clock);
  const done = (type: string, reason?: string): object => ({
    type,
    status: 'True',
    lastProbeTime: at,
    lastTransitionTime: at,
    ...(reason === undefined ? {} : { reason, message: 'Job has reached the specified backoff limit' }),
  });
  const status = record(job['status']);
  if (Array.isArray(status['conditions'])) return;
  if (succeeded > 0)
    world.writes.writeStatus(refOf(job), { ...status, active: 0, succeeded, completionTime: at, conditions: [done('SuccessCriteriaMet'), done('Complete')] });
  else if (failed > 0)
    world.writes.writeStatus(refOf(job), {
      ...status,
      active: 0,
      failed,
      conditions: [done('FailureTarget', 'BackoffLimitExceeded'), done('Failed', 'BackoffLimitExceeded')],
    });
  else if (status['active'] !== 1) world.writes.writeStatus(refOf(job), { ...status, active: 1, startTime: at });
};

const bindClaim = (world: WorkloadWorld, claim: KubeObject): void => {
  if (record(claim['status'])['phase'] !== 'Bound') world.writes.writeStatus(refOf(claim), { phase: 'Bound' });
};

const controllers: Record<string, (world: WorkloadWorld, object: KubeObject) => void> = {
  Deployment: reconcileDeployment,
  StatefulSet: reconcileStatefulSet,
  DaemonSet: reconcileDaemonSet,
  Job: finishJob,
  Pod: startPod,
  PersistentVolumeClaim: bindClaim,
};

/** Deployments, StatefulSets, DaemonSets, Jobs and pods come alive: each change of an object or of what it owns runs its controller once more. */
export const workloads = (deps: { store: ObjectStore; writes: Writes; clock: Clock }, options: WorkloadOptions): { stop(): void } => {
  const cancels = new Set<() => void>();
  const queued = new Set<string>();
  let isStopped = false;
  const later = (delayMs: number, work: () => void): void => {
    const cancel = deps.clock.after(delayMs, () => {
      cancels.delete(cancel);
      if (!isStopped) work();
    });
    cancels.add(cancel);
  };
  const world: WorkloadWorld = { ...deps, readyMs: options.readyMs ?? 1000, later, startedMs: new Map() };
  const enqueue = (ref: ObjectRef): void => {
    const key = refKey(ref);
    const controller = controllers[ref.kind];
    if (controller === undefined || queued.has(key)) return;
    queued.add(key);
    later(0, () => {
      queued.delete(key);
      const object = deps.store.read(ref);
      if (object !== undefined && object.metadata.deletionTimestamp === undefined) controller(world, object);
    });
  };
  const enqueueWithOwners = (object: KubeObject): void => {
    enqueue(refOf(object));
    for (const owner of ownersOf(object)) {
      const ref = {
        apiVersion: owner.apiVersion,
        kind: owner.kind,
        name: owner.name,
        ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
      };
      enqueue(ref);
      const parent = deps.store.read(ref);
      if (parent?.kind === 'ReplicaSet') enqueueWithOwners(parent);
    }
  };
  const unsubscribe = deps.store.subscribe((change) => enqueueWithOwners(change.object));
  for (const object of deps.store.all()) enqueue(refOf(object));
  return {
    stop: () => {
      isStopped = true;
      unsubscribe();
      for (const cancel of cancels) cancel();
      cancels.clear();
    },
  };
};
