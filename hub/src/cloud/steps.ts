import type { Failure } from '@groundplane/protocol/failure';
import type { InfrastructureStep, InfrastructureValue } from './state.ts';

const order: readonly InfrastructureStep['name'][] = ['account', 'network', 'endpoint', 'control-plane', 'machines', 'pools', 'upgrade', 'layers', 'deletion'];

/** Writes one line of progress; its time changes only when what it says does. */
export const note = (
  infra: InfrastructureValue,
  name: InfrastructureStep['name'],
  state: InfrastructureStep['state'],
  message: string,
  nowMs: number,
): void => {
  const before = infra.steps.find((step) => step.name === name);
  if (before?.state === state && before.message === message) return;
  const step = { name, state, message, sinceMs: before?.state === state ? before.sinceMs : nowMs };
  infra.steps = [...infra.steps.filter((item) => item.name !== name), step].toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
};

export const noteFailure = (infra: InfrastructureValue, name: InfrastructureStep['name'], failure: Failure, nowMs: number): void =>
  note(infra, name, failure.kind === 'retry' ? 'waiting' : 'failed', `${failure.element}: ${failure.message}`.slice(0, 1_000), nowMs);

export const dropStep = (infra: InfrastructureValue, name: InfrastructureStep['name']): void =>
  void (infra.steps = infra.steps.filter((step) => step.name !== name));

/** When to look again, in milliseconds. */
export const again = { soonMs: 3_000, retryMs: 15_000, blockedMs: 60_000, quietMs: 60_000, driftMs: 600_000 } as const;

export const afterFailure = (failure: Failure): number =>
  failure.code === 'machine-being-made' ? again.soonMs : failure.kind === 'retry' ? again.retryMs : again.blockedMs;
