import type { BundleLayer } from '../bundle.ts';
import type { Digest } from '../digest.ts';
import type { ManagedKubernetes } from '../distribution/spec.ts';
import { traitsToSet, type NodeTraits } from '../distribution/node-traits.ts';
import type { NodeState } from '../distribution/state.ts';
import type { Failure } from '../failure.ts';
import type { DistributionFacts, DistributionPlan } from './distribution.ts';
import type { Step } from './steps.ts';

const isDone = (node: NodeState, digest: Digest): boolean => node.applied === digest && node.isReady;

/** Members that no longer belong to the cluster, and those whose machine was replaced: the node of the old one would keep the new one out. */
const planRemovals = (facts: DistributionFacts, layer: string): Step[] => {
  const members = new Map(facts.members.map((member) => [member.name, member]));
  return (facts.cluster?.nodes ?? []).flatMap((node): Step[] => {
    if (!node.isOurs || node.name === facts.self.name) return [];
    const member = members.get(node.name);
    const neighbour = facts.neighbours.find((item) => item.name === node.name);
    const isGone = member === undefined || (neighbour?.isWaiting === true && !node.isReady);
    return isGone ? [{ step: 'removeNode', layer, node: node.name, role: node.role }] : [];
  });
};

const planInvitations = (facts: DistributionFacts, layer: string): Step[] =>
  facts.members.flatMap((member): Step[] => {
    const neighbour = facts.neighbours.find((item) => item.host === member.host);
    if (neighbour?.isWaiting !== true || neighbour.sealKey === undefined || facts.invited.has(member.host) || member.host === facts.self.host) return [];
    return [{ step: 'inviteHost', layer, host: member.host, name: member.name, role: member.role, sealKey: neighbour.sealKey }];
  });

const bare: NodeTraits = { labels: {}, taints: [] };

const planTraits = (facts: DistributionFacts, layer: string, ours: readonly NodeState[]): Step[] => {
  const { traits } = facts;
  if (traits === undefined) return [];
  return ours.flatMap((node): Step[] => {
    const want = traits.get(node.name) ?? bare;
    return traitsToSet(node.traits, want) === undefined ? [] : [{ step: 'setNodeTraits', layer, node: node.name, labels: want.labels, taints: want.taints }];
  });
};

const oursAmong = (facts: DistributionFacts): NodeState[] => {
  const members = new Set(facts.members.map((member) => member.name));
  return (facts.cluster?.nodes ?? []).filter((node) => members.has(node.name) && node.isOurs);
};

const planTurns = (facts: DistributionFacts, layer: BundleLayer, spec: ManagedKubernetes, digest: Digest): DistributionPlan => {
  const steps: Step[] = [...planRemovals(facts, layer.name), ...planInvitations(facts, layer.name)];
  const ours = oursAmong(facts);
  for (const node of ours)
    if (node.turn !== undefined && (node.turn !== digest || isDone(node, digest))) steps.push({ step: 'endTurn', layer: layer.name, node: node.name });
  // A node without a mark is still arriving, and a worker that is away changes when it is back; nobody waits for them.
  const left = ours.filter(
    (node) => node.applied !== undefined && node.applied !== digest && (node.role === 'control-plane' || node.isReady || node.turn === digest),
  );
  if (left.length === 0) return { steps, wait: undefined };
  const busy = ours.filter((node) => node.turn === digest && !isDone(node, digest));
  const servers = left.filter((node) => node.role === 'control-plane');
  const waiting = (code: string, message: string): Failure => ({ kind: 'retry', code, element: `layer ${layer.name}`, message });
  const isFirst = (node: NodeState): boolean => node.name === facts.self.name;
  const next = servers.toSorted((a, b) => Number(isFirst(b)) - Number(isFirst(a)) || (a.name < b.name ? -1 : 1));
  const queue = servers.length > 0 ? next.slice(0, 1) : left.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const room = (servers.length > 0 ? 1 : spec.upgrade.workersAtOnce) - busy.length;
  const chosen = queue.filter((node) => node.turn !== digest).slice(0, Math.max(0, room));
  if (servers.length > 0 && chosen.length > 0) {
    const unready = ours.find((node) => node.role === 'control-plane' && !node.isReady && !chosen.includes(node));
    if (unready !== undefined)
      return { steps, wait: waiting('quorum-waiting', `control plane ${unready.name} is not ready; while it is away, no other one is changed`) };
  }
  const others = ours.filter((node) => node.isReady && !node.isCordoned);
  for (const node of chosen)
    steps.push({
      step: 'giveTurn',
      layer: layer.name,
      node: node.name,
      digest,
      drain: spec.upgrade.drain && others.some((other) => other.name !== node.name),
      timeoutMs: spec.upgrade.drainTimeoutSeconds * 1000,
    });
  return { steps, wait: waiting('turn-waiting', `${left.length} of ${ours.length} hosts are still to be changed`) };
};

/**
 * What the holder of the Lease does for the whole cluster: invite hosts, remove those that left, give turns, and put labels on. One control plane changes at a time, and only
 * while all others are ready, so that the datastore keeps its majority; workers follow when every control plane is done.
 */
export const planKeeper = (facts: DistributionFacts, layer: BundleLayer, spec: ManagedKubernetes, digest: Digest): DistributionPlan => {
  const { steps, wait } = planTurns(facts, layer, spec, digest);
  // Last: a cluster that refuses a label (by an admission webhook) still has its hosts changed.
  return { steps: [...steps, ...planTraits(facts, layer.name, oursAmong(facts))], wait };
};
