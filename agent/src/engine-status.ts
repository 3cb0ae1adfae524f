import type { Failure } from '@groundplane/protocol/failure';
import { refKey, type ObjectRef } from '@groundplane/protocol/kubernetes';
import type { HostPhase, HostStatus, LayerState, LayerStatus } from '@groundplane/protocol/observed';
import { isWaitingToJoin, waitingCodes } from '@groundplane/protocol/plan/distribution';
import { isForHost, type HostFacts, type Plan, type TargetLayer } from '@groundplane/protocol/plan/facts';
import type { Step } from '@groundplane/protocol/plan/steps';
import type { Readiness } from '@groundplane/protocol/readiness';
import type { LayerRow, Poison } from './store/state.ts';

/** What the engine knows when it describes itself. */
export interface StatusFacts {
  facts: HostFacts | undefined;
  plan: Plan | undefined;
  /** The step being done right now. */
  step: Step | undefined;
  rows: readonly LayerRow[];
  failure: Failure | undefined;
  failedLayer: string | undefined;
  poison: Poison | undefined;
  staging: HostStatus['version'];
  /** How far its large content has come. */
  progress: HostStatus['staging'];
  committed: HostStatus['committed'];
  /** How ready an object is right now; newer than the facts, which are of the beginning of the round. */
  readiness: ((ref: ObjectRef) => Readiness) | undefined;
  /** Whether the failed version was replaced by an earlier good one. */
  rolledBack: boolean;
}

const unready = (input: StatusFacts, row: LayerRow): { total: number; ready: number; message: string | undefined } => {
  let message: string | undefined;
  let ready = 0;
  for (const { ref } of row.layer.objects) {
    const now = input.readiness?.(ref) ?? input.facts?.objects.get(refKey(ref))?.ready ?? { state: 'progressing', message: 'is not known yet' };
    if (now.state === 'ready') ready += 1;
    else message ??= `${ref.kind} ${ref.name}: ${now.message}`;
  }
  return { total: row.layer.objects.length, ready, message };
};

const stateOf = (input: StatusFacts, row: LayerRow, isReady: boolean): LayerState => {
  // A failure that may pass is no failure of the layer yet; its message shows beside the state.
  if (input.failedLayer === row.name && input.failure !== undefined && input.failure.kind !== 'retry')
    return input.failure.kind === 'blocked' ? 'blocked' : 'failed';
  if (row.event === 'delete') return 'removing';
  if (input.plan?.blocked.some((item) => item.layer === row.name) === true) return 'blocked';
  if (row.state === 'installing') return input.step?.step === 'awaitReady' && input.step.layers.includes(row.name) ? 'waiting' : 'applying';
  return isReady ? 'ready' : 'degraded';
};

const rowStatus = (input: StatusFacts, row: LayerRow): LayerStatus => {
  const { total, ready, message } = unready(input, row);
  const known = input.facts?.kubernetes.state === 'reachable' || total === 0;
  const state = stateOf(input, row, !known || ready === total);
  const why =
    input.failedLayer === row.name
      ? input.failure?.message
      : state === 'ready'
        ? undefined
        : (input.plan?.blocked.find((item) => item.layer === row.name)?.failure.message ?? message);
  return {
    name: row.name,
    kind: row.layer.kind,
    pack: { name: row.layer.pack.name, version: row.layer.pack.version },
    digest: row.digest,
    state,
    ...(why === undefined ? {} : { message: why.slice(0, 1024) }),
    objects: { total, ready: known ? ready : 0 },
    drift: { healed: row.healed, ...(row.healedLast === undefined ? {} : { lastAtMs: row.healedLast.atMs, last: row.healedLast.text.slice(0, 512) }) },
  };
};

const pendingStatus = (input: StatusFacts, target: TargetLayer): LayerStatus => {
  const blocked = input.plan?.blocked.find((item) => item.layer === target.layer.name);
  const failed = input.failedLayer === target.layer.name ? input.failure : undefined;
  const message = failed?.message ?? blocked?.failure.message;
  return {
    name: target.layer.name,
    kind: target.layer.kind,
    pack: { name: target.layer.pack.name, version: target.layer.pack.version },
    digest: '',
    state: failed?.kind === 'fatal' ? 'failed' : failed?.kind === 'blocked' || blocked !== undefined ? 'blocked' : 'pending',
    ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
    objects: { total: target.layer.objects.length, ready: 0 },
    drift: { healed: 0 },
  };
};

const nodeStatus = (facts: HostFacts | undefined): Pick<HostStatus['kubernetes'], 'node' | 'keeper'> => {
  const seen = facts?.distribution;
  if (seen === undefined) return {};
  const isWaiting = isWaitingToJoin(seen);
  return { node: isWaiting ? 'waiting' : seen.local.member === 'joined' ? 'joined' : 'none', ...(seen.isKeeper ? { keeper: true } : {}) };
};

const dutyStatus = (facts: HostFacts | undefined): Pick<HostStatus['kubernetes'], 'applier' | 'why'> => {
  const duty = facts?.duty;
  if (duty === undefined) return {};
  const why = duty.state === 'holds' ? undefined : duty.state === 'waits' ? duty.why : `${duty.failure.element}: ${duty.failure.message}`;
  return { applier: duty.state, ...(why === undefined ? {} : { why: why.slice(0, 1024) }) };
};

const phaseOf = (input: StatusFacts, layers: readonly LayerStatus[]): HostPhase => {
  if (input.poison !== undefined) return input.rolledBack ? 'rolled-back' : 'failed';
  if (input.staging !== undefined) return 'staging';
  const { plan } = input;
  if (plan === undefined || input.facts === undefined) return input.failure === undefined ? 'idle' : 'blocked';
  // Others act first, and then it goes on by itself.
  if (plan.blocked.length > 0 && plan.blocked.every((item) => waitingCodes.includes(item.failure.code))) return 'applying';
  if (plan.blocked.length > 0 || input.failure?.kind === 'blocked') return 'blocked';
  const committed = input.committed;
  if (committed === undefined || committed.generation !== plan.version.generation || committed.digest !== plan.version.digest) return 'applying';
  if (input.failure !== undefined) return 'degraded';
  return layers.every((layer) => layer.state === 'ready')
    ? 'converged'
    : layers.some((layer) => layer.state === 'degraded' || layer.state === 'failed')
      ? 'degraded'
      : 'applying';
};

/** Describes a host in the words of the protocol. The version is always the newest one it was told, also when that one failed. */
export const hostStatus = (input: StatusFacts): HostStatus => {
  const targets = input.facts?.target.layers ?? [];
  const known = new Set(input.rows.map((row) => row.name));
  const order = new Map(targets.map((target, index) => [target.layer.name, index]));
  const rows = input.rows.toSorted((a, b) => (order.get(a.name) ?? 1e6) - (order.get(b.name) ?? 1e6));
  const applier = input.facts?.target.applier ?? true;
  const layers = [
    ...rows.map((row) => rowStatus(input, row)),
    ...targets.filter((target) => !known.has(target.layer.name) && isForHost(target.layer, applier)).map((target) => pendingStatus(input, target)),
  ];
  const kubernetes = input.facts?.kubernetes ?? { state: 'unknown' as const };
  const version = input.poison?.version ?? input.staging ?? input.plan?.version ?? input.committed;
  return {
    ...(version === undefined ? {} : { version }),
    ...(input.committed === undefined ? {} : { committed: input.committed }),
    phase: phaseOf(input, layers),
    ...(input.progress === undefined ? {} : { staging: input.progress }),
    layers,
    kubernetes: {
      state: kubernetes.state,
      ...(kubernetes.state === 'reachable' ? { version: kubernetes.version } : {}),
      ...nodeStatus(input.facts),
      ...dutyStatus(input.facts),
    },
    ...(input.failure === undefined ? {} : { failure: input.failure }),
    ...(input.poison === undefined ? {} : { poisoned: input.poison }),
  };
};
