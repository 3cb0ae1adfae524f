import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { refOf } from './object-store.ts';
import { childrenOf, createPod, isPodReady, record, templateHash, type WorkloadWorld } from './workload-world.ts';

const revisionLabel = 'controller-revision-hash';

interface Slot {
  pod: string;
  node: string;
}

interface Outcome {
  pods: KubeObject[];
  revision: string;
  updated: number;
  ready: number;
}

/**
 * Fills one slot after the other and replaces outdated pods one at a time; it stops at the first pod that is not ready, as StatefulSet and DaemonSet do, so a
 * broken image breaks one pod only.
 */
const fillSlots = (world: WorkloadWorld, owner: KubeObject, slots: readonly Slot[], isStrict: boolean): Outcome => {
  const revision = templateHash(record(owner['spec'])['template']);
  const names = new Set(slots.map((slot) => slot.pod));
  for (const pod of childrenOf(world, owner, 'Pod')) if (!names.has(pod.metadata.name ?? '')) world.writes.delete(refOf(pod), { propagation: 'Background' });
  const existing = new Map(childrenOf(world, owner, 'Pod').map((pod) => [pod.metadata.name, pod]));
  const isCurrent = (pod: KubeObject): boolean => pod.metadata.labels?.[revisionLabel] === revision;
  let isBlocked = false;
  for (const { pod: name, node } of slots) {
    const pod = existing.get(name);
    if (isBlocked) continue;
    if (pod === undefined) createPod(world, owner, name, { [revisionLabel]: revision }, node);
    isBlocked = isStrict && (pod === undefined || (isCurrent(pod) && !isPodReady(pod)));
  }
  const outdated = [...slots]
    .reverse()
    .map((slot) => existing.get(slot.pod))
    .filter((pod) => pod !== undefined && !isCurrent(pod));
  const isSettled = [...existing.values()].filter(isCurrent).every(isPodReady) && existing.size === slots.length;
  const next = outdated[0];
  if (next !== undefined && (isSettled || !isPodReady(next))) {
    world.writes.delete(refOf(next), { propagation: 'Background' });
    const slot = slots.find((one) => one.pod === next.metadata.name);
    if (slot !== undefined) createPod(world, owner, slot.pod, { [revisionLabel]: revision }, slot.node);
  }
  const pods = childrenOf(world, owner, 'Pod');
  return { pods, revision, updated: pods.filter(isCurrent).length, ready: pods.filter(isPodReady).length };
};

export const reconcileStatefulSet = (world: WorkloadWorld, set: KubeObject): void => {
  const { replicas, podManagementPolicy } = record(set['spec']);
  const wanted = typeof replicas === 'number' ? replicas : 1;
  const slots = Array.from({ length: wanted }, (_unused, index) => ({ pod: `${set.metadata.name ?? ''}-${index}`, node: `fake-${(index % 3) + 1}` }));
  const { pods, revision, updated, ready } = fillSlots(world, set, slots, podManagementPolicy !== 'Parallel');
  const before = record(set['status']);
  const isComplete = updated === wanted && ready === wanted;
  world.writes.writeStatus(refOf(set), {
    observedGeneration: set.metadata.generation,
    replicas: pods.length,
    readyReplicas: ready,
    availableReplicas: ready,
    updatedReplicas: updated,
    currentReplicas: isComplete ? updated : pods.length - updated,
    updateRevision: revision,
    currentRevision: isComplete ? revision : (before['currentRevision'] ?? revision),
    collisionCount: 0,
  });
};

export const reconcileDaemonSet = (world: WorkloadWorld, set: KubeObject): void => {
  const nodes = world.store
    .all()
    .filter((object) => object.kind === 'Node')
    .map((node) => node.metadata.name ?? '');
  // A simulated cluster without nodes counts as one machine.
  const slots = (nodes.length === 0 ? ['fake-1'] : nodes.sort()).map((node) => ({ pod: `${set.metadata.name ?? ''}-${templateHash(node).slice(0, 5)}`, node }));
  const { pods, updated, ready } = fillSlots(world, set, slots, false);
  world.writes.writeStatus(refOf(set), {
    observedGeneration: set.metadata.generation,
    desiredNumberScheduled: slots.length,
    currentNumberScheduled: pods.length,
    updatedNumberScheduled: updated,
    numberReady: ready,
    numberAvailable: ready,
    numberUnavailable: slots.length - ready,
    numberMisscheduled: 0,
  });
};
