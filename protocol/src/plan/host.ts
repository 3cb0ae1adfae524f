import { fail, type Failure } from '../failure.ts';
import { compareLayers } from '../layer.ts';
import { refKey } from '../kubernetes.ts';
import { isForHost, type Blocked, type HostFacts, type LayerRecord, type Plan, type TargetLayer } from './facts.ts';
import { kubernetesFailure } from './kubernetes.ts';
import { openAboveCodes, planDistribution, planLeave } from './distribution.ts';
import { planOsLayer, planRemoveOs } from './os.ts';
import { planOrphans, planPackLayer, planPrune, planRemovePack } from './packs.ts';
import type { LayerWork } from './reboot.ts';
import type { LayerEvent, Step } from './steps.ts';

interface LayerPlan {
  target: TargetLayer;
  steps: Step[];
  /** It is being installed, upgraded or rolled back, as opposed to being kept as it is. */
  moving: boolean;
  /** Same content, other profile or pack version. */
  isRenamed: boolean;
  /** It does not go on before this has passed. */
  wait: Failure | undefined;
}

const isPackKind = (kind: TargetLayer['layer']['kind']): boolean => !isForHost({ kind }, false);
const isPack = (target: TargetLayer): boolean => isPackKind(target.layer.kind);
const isManaged = (layer: Pick<TargetLayer['layer'], 'kubernetes'>): boolean => layer.kubernetes?.managed !== undefined;

/** Install, upgrade, roll back, or go on with what was begun before. */
const movement = (
  facts: HostFacts,
  target: TargetLayer,
  record: LayerRecord | undefined,
): { moving: boolean; begin: boolean; event: LayerEvent; revision: number } => {
  if (record === undefined) return { moving: true, begin: true, event: 'install', revision: 1 };
  if (record.digest !== target.digest || record.event === 'delete') {
    const event = facts.target.rollback ? 'rollback' : 'upgrade';
    return { moving: true, begin: true, event: record.event === 'delete' ? 'install' : event, revision: record.revision + 1 };
  }
  return { moving: record.state === 'installing', begin: false, event: record.event, revision: record.revision };
};

/** The operating system's layer, or a Kubernetes that the agent brings up itself. */
const planMachineLayer = (facts: HostFacts, target: TargetLayer, moving: boolean): LayerWork => {
  const machine = planOsLayer(facts, target.layer, moving);
  return facts.distribution === undefined || !isManaged(target.layer)
    ? machine
    : planDistribution(facts.distribution, target.layer, target.digest, machine.steps);
};

const planLayer = (facts: HostFacts, target: TargetLayer): LayerPlan => {
  const { layer, digest } = target;
  const record = facts.records.find((item) => item.name === layer.name);
  const { moving, begin, event, revision } = movement(facts, target, record);
  const change = event === 'delete' ? 'install' : event;
  const work = isPack(target) ? { steps: planPackLayer(facts, layer, change, revision, moving), wait: undefined } : planMachineLayer(facts, target, moving);
  const steps: Step[] = [...(begin ? [{ step: 'beginLayer', layer: layer.name, digest, event, revision } as const] : []), ...work.steps];
  const names = (item: TargetLayer['layer'] | undefined): string => `${item?.profile.name} ${item?.profile.version} ${item?.pack.version}`;
  return { target, steps, moving, isRenamed: !moving && names(record?.layer) !== names(layer), wait: work.wait };
};

const upToReboot = (steps: readonly Step[]): Step[] => steps.slice(0, steps.findIndex((step) => step.step === 'rebootHost') + 1);

/** Layers that start together: same kind and same priority. */
const groups = (layers: readonly TargetLayer[]): TargetLayer[][] => {
  const sorted = layers.toSorted((a, b) => compareLayers(a.layer, b.layer));
  const result: TargetLayer[][] = [];
  for (const target of sorted) {
    const last = result.at(-1);
    const first = last?.[0];
    if (last !== undefined && first !== undefined && first.layer.kind === target.layer.kind && first.layer.priority === target.layer.priority)
      last.push(target);
    else result.push([target]);
  }
  return result;
};

const removalOf = (facts: HostFacts, record: LayerRecord, wanted: ReadonlySet<string>): Step[] => {
  if (record.layer.kind === 'os') return planRemoveOs(facts, record.name);
  if (isManaged(record.layer)) return planLeave(facts.distribution, record.name, planRemoveOs(facts, record.name));
  return planRemovePack(facts, record, wanted);
};

const removeLayer = (facts: HostFacts, record: LayerRecord, wanted: ReadonlySet<string>): Step[] => {
  const begin: Step[] =
    record.event === 'delete' ? [] : [{ step: 'beginLayer', layer: record.name, digest: record.digest, event: 'delete', revision: record.revision + 1 }];
  const work = removalOf(facts, record, wanted);
  return [...begin, ...work, { step: 'forgetLayer', layer: record.name }];
};

const groupSteps = (
  facts: HostFacts,
  group: readonly TargetLayer[],
  wanted: ReadonlySet<string>,
  leaving: Map<string, LayerRecord>,
): { steps: Step[]; blocked: Blocked[] } => {
  const steps: Step[] = [];
  for (const target of group) {
    const replaced = target.layer.replaces === undefined ? undefined : leaving.get(target.layer.replaces);
    if (replaced === undefined) continue;
    leaving.delete(replaced.name);
    steps.push(...removeLayer(facts, replaced, wanted));
  }
  const plans = group.map((target) => planLayer(facts, target));
  steps.push(...plans.flatMap((plan) => plan.steps));
  const waiting = plans.filter((plan) => plan.moving && isPack(plan.target));
  if (waiting.length > 0) {
    const timeoutMs = Math.max(...waiting.map((plan) => plan.target.layer.readinessTimeoutMs));
    steps.push({ step: 'awaitReady', layers: waiting.map((plan) => plan.target.layer.name), timeoutMs });
  }
  for (const plan of plans) {
    steps.push(...planPrune(facts, plan.target.layer.name, wanted));
    if (plan.wait !== undefined) continue;
    if (plan.moving) steps.push({ step: 'finishLayer', layer: plan.target.layer.name, digest: plan.target.digest });
    else if (plan.isRenamed) steps.push({ step: 'relabelLayer', layer: plan.target.layer.name, version: plan.target.layer.pack.version });
  }
  return { steps, blocked: plans.flatMap(({ target, wait }) => (wait === undefined ? [] : [{ layer: target.layer.name, failure: wait }])) };
};

/** Above a machine that waits for its reboot, what is in place is kept in shape, and nothing new begins. */
const waitingAbove = (facts: HostFacts, group: readonly TargetLayer[], below: Blocked | undefined): Blocked[] => {
  if (below === undefined) return [];
  const moving = group.filter(
    (target) =>
      movement(
        facts,
        target,
        facts.records.find((item) => item.name === target.layer.name),
      ).moving,
  );
  const message = `waits for layer ${below.layer}: ${below.failure.message}`;
  return moving.map(({ layer }) => ({ layer: layer.name, failure: fail('retry', 'layer-below', `layer ${layer.name}`, message).failure }));
};

/** Whether something of a leaving layer is left to do in Kubernetes. What was all done before the agent was killed needs no API server any more. */
const needsKubernetes = (facts: HostFacts, record: LayerRecord): boolean =>
  facts.ownedObjects.some((object) => object.layer === record.name) ||
  record.layer.hooks.some((hook) => hook.events.includes('pre-delete') || hook.events.includes('post-delete'));

const blockedFor = (facts: HostFacts, layers: readonly TargetLayer[], leaving: ReadonlyMap<string, LayerRecord>): Blocked[] => {
  const kubernetes = layers.find((target) => target.layer.kind === 'kubernetes')?.layer;
  // When Kubernetes itself goes, what cannot be taken out of it first goes with it.
  const isGoing = [...leaving.values()].some((record) => isManaged(record.layer));
  // Where another host applies, it is of no concern to this one whether the API server answers here.
  const isOthers = facts.duty !== undefined && !facts.target.applier;
  const needed = [
    ...layers.filter((target) => !isOthers && target.layer.kind !== 'os' && !isManaged(target.layer)).map((target) => target.layer),
    ...[...leaving.values()].filter((record) => !isGoing && needsKubernetes(facts, record)).map((record) => record.layer),
  ];
  if (needed.length === 0) return [];
  const failure = kubernetesFailure(facts, kubernetes);
  return failure === undefined ? [] : needed.map((layer) => ({ layer: layer.name, failure }));
};

/** Layers that leave and that nothing can be done for: their Kubernetes goes, and does not answer. They are forgotten with it. */
const isLost = (facts: HostFacts, record: LayerRecord, leaving: ReadonlyMap<string, LayerRecord>): boolean =>
  isPackKind(record.layer.kind) &&
  facts.kubernetes.state !== 'reachable' &&
  [...leaving.values()].some((item) => isManaged(item.layer)) &&
  needsKubernetes(facts, record);

/**
 * Decides what a host does next, whole: install and upgrade in order (kind, priority), each group ready before the next, then prune what left a layer, then
 * remove what left the profile in reverse order, then commit. Layers above an API server that does not answer wait (`blocked`); the OS layer never does.
 * Pure and total: an empty plan with nothing blocked means converged.
 */
export const planHost = (facts: HostFacts): Plan => {
  const { target } = facts;
  const layers = target.layers.filter((item) => isForHost(item.layer, target.applier));
  const names = new Set(layers.map((item) => item.layer.name));
  // A host that hands its cluster's add-ons to another one takes none of them away: they are still wanted, and the other one looks after them.
  const mine = facts.records.filter((record) => !names.has(record.name) && isForHost(record.layer, target.applier));
  const leaving = new Map(mine.toSorted((a, b) => compareLayers(b.layer, a.layer)).map((record) => [record.name, record]));
  const wanted = new Set(
    layers.flatMap(({ layer }) => [
      ...layer.objects.map((object) => refKey(object.ref)),
      ...(layer.namespace === undefined ? [] : [refKey({ apiVersion: 'v1', kind: 'Namespace', name: layer.namespace })]),
    ]),
  );
  const blocked = blockedFor(facts, layers, leaving);
  const steps: Step[] = [];
  const waiting: Blocked[] = [];
  const stuck = new Set(blocked.map((item) => item.layer));
  for (const group of groups(layers)) {
    const free = group.filter((item) => !stuck.has(item.layer.name));
    const above = waitingAbove(
      facts,
      free,
      waiting.find((item) => !openAboveCodes.includes(item.failure.code)),
    );
    const work = groupSteps(
      facts,
      free.filter((item) => !above.some(({ layer }) => layer === item.layer.name)),
      wanted,
      leaving,
    );
    steps.push(...work.steps);
    waiting.push(...above, ...work.blocked);
    // What follows a reboot is planned after it.
    if (work.steps.some((step) => step.step === 'rebootHost')) return { version: target.version, parent: target.parent, steps: upToReboot(steps), blocked };
  }
  blocked.unshift(...waiting);
  const isFree = (record: LayerRecord): boolean => waiting.length === 0 && !stuck.has(record.name) && !isLost(facts, record, leaving);
  for (const record of leaving.values()) if (isFree(record)) steps.push(...removeLayer(facts, record, wanted));
  if (target.applier && facts.kubernetes.state === 'reachable') steps.push(...planOrphans(facts, wanted));
  const committed = facts.committed;
  const holds = committed?.generation === target.version.generation && committed.digest === target.version.digest && committed.epoch === target.version.epoch;
  if (!holds && blocked.length === 0) steps.push({ step: 'commit', version: target.version });
  return { version: target.version, parent: target.parent, steps, blocked };
};
