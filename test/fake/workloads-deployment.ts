import { refKey, type KubeObject } from '@groundplane/protocol/kubernetes';
import { refOf } from './object-store.ts';
import { childrenOf, createPod, isPodReady, nowText, record, templateHash, type WorkloadWorld } from './workload-world.ts';

const defaultDeadlineSeconds = 600;

const replicasOf = (object: KubeObject): number => {
  const { replicas } = record(object['spec']);
  return typeof replicas === 'number' ? replicas : 1;
};

const deploymentName = (deployment: KubeObject): string => deployment.metadata.name ?? '';

const ensureReplicaSet = (world: WorkloadWorld, deployment: KubeObject, hash: string): KubeObject | undefined => {
  const name = `${deploymentName(deployment)}-${hash}`;
  const existing = childrenOf(world, deployment, 'ReplicaSet').find((set) => set.metadata.name === name);
  if (existing !== undefined) return existing;
  const spec = record(deployment['spec']);
  const template = record(spec['template']);
  const labels = { ...(record(template['metadata'])['labels'] as Record<string, string> | undefined), 'pod-template-hash': hash };
  const created = world.writes.create(
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name,
        ...(deployment.metadata.namespace === undefined ? {} : { namespace: deployment.metadata.namespace }),
        labels,
        ownerReferences: [
          {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            name: deploymentName(deployment),
            uid: deployment.metadata.uid ?? '',
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      spec: {
        replicas: replicasOf(deployment),
        selector: { matchLabels: labels },
        template: { ...template, metadata: { ...record(template['metadata']), labels } },
      },
    },
    'kube-controller-manager',
  );
  return created.ok ? created.value : undefined;
};

const scale = (world: WorkloadWorld, set: KubeObject, wanted: number): KubeObject[] => {
  const pods = childrenOf(world, set, 'Pod');
  for (const pod of pods.slice(wanted)) world.writes.delete(refOf(pod), { propagation: 'Background' });
  const taken = new Set(pods.map((pod) => pod.metadata.name));
  for (let index = 0, missing = wanted - pods.length; missing > 0; index += 1) {
    const name = `${set.metadata.name ?? ''}-${templateHash(index).slice(0, 5)}`;
    if (taken.has(name)) continue;
    createPod(world, set, name, {}, `fake-${(index % 3) + 1}`);
    missing -= 1;
  }
  return childrenOf(world, set, 'Pod');
};

/** Milliseconds spent on the current generation. */
const elapsedMs = (world: WorkloadWorld, deployment: KubeObject, deadlineMs: number): number => {
  const key = refKey(refOf(deployment));
  const generation = deployment.metadata.generation ?? 0;
  const known = world.startedMs.get(key);
  if (known?.generation === generation) return world.clock.monotonicMs() - known.atMs;
  world.startedMs.set(key, { generation, atMs: world.clock.monotonicMs() });
  // Looked at again by itself when the deadline has passed, since nothing else will change then.
  world.later(deadlineMs, () => {
    const now = world.store.read(refOf(deployment));
    if (now !== undefined) reconcileDeployment(world, now);
  });
  return 0;
};

type ConditionText = [status: string, reason: string];

const progress = (world: WorkloadWorld, deployment: KubeObject, isComplete: boolean): ConditionText => {
  const seconds = record(deployment['spec'])['progressDeadlineSeconds'];
  const deadlineMs = (typeof seconds === 'number' ? seconds : defaultDeadlineSeconds) * 1000;
  const elapsed = elapsedMs(world, deployment, deadlineMs);
  if (isComplete) return ['True', 'NewReplicaSetAvailable'];
  return elapsed >= deadlineMs ? ['False', 'ProgressDeadlineExceeded'] : ['True', 'ReplicaSetUpdated'];
};

const condition = (world: WorkloadWorld, deployment: KubeObject, type: string, [status, reason]: ConditionText): object => {
  const before = ((record(deployment['status'])['conditions'] as Record<string, unknown>[] | undefined) ?? []).find((one) => one['type'] === type);
  if (before !== undefined && before['status'] === status && before['reason'] === reason) return before;
  const at = nowText(world.clock);
  return { type, status, reason, lastUpdateTime: at, lastTransitionTime: before?.['status'] === status ? before['lastTransitionTime'] : at };
};

/** Surges to all new pods at once, and lets the old ones go when every new one is ready; a broken image therefore leaves the old pods at work. */
export const reconcileDeployment = (world: WorkloadWorld, deployment: KubeObject): void => {
  const wanted = replicasOf(deployment);
  const hash = templateHash(record(deployment['spec'])['template']);
  const current = ensureReplicaSet(world, deployment, hash);
  if (current === undefined) return;
  const fresh = scale(world, current, wanted);
  const isAllReady = fresh.filter(isPodReady).length >= wanted;
  const sets = childrenOf(world, deployment, 'ReplicaSet').filter((set) => set.metadata.uid !== current.metadata.uid);
  const old = sets.flatMap((set) => (isAllReady ? scale(world, set, 0) : childrenOf(world, set, 'Pod')));
  for (const set of [current, ...sets]) {
    const pods = childrenOf(world, set, 'Pod');
    const ready = pods.filter(isPodReady).length;
    world.writes.writeStatus(refOf(set), {
      replicas: pods.length,
      fullyLabeledReplicas: pods.length,
      readyReplicas: ready,
      availableReplicas: ready,
      observedGeneration: set.metadata.generation,
    });
  }
  const ready = [...fresh, ...old].filter(isPodReady).length;
  const isComplete = isAllReady && old.length === 0;
  world.writes.writeStatus(refOf(deployment), {
    observedGeneration: deployment.metadata.generation,
    replicas: fresh.length + old.length,
    updatedReplicas: fresh.length,
    readyReplicas: ready,
    availableReplicas: ready,
    unavailableReplicas: fresh.length + old.length - ready,
    conditions: [
      condition(world, deployment, 'Progressing', progress(world, deployment, isComplete)),
      condition(world, deployment, 'Available', ready >= wanted ? ['True', 'MinimumReplicasAvailable'] : ['False', 'MinimumReplicasUnavailable']),
    ],
  });
};
