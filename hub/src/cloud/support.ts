import { managedDistributions } from '@groundplane/protocol/distribution/spec';
import { supportEnd, supportNotice } from '../plan/catalogue.ts';
import { catalogueOf } from './catalogue.ts';
import type { InfrastructureValue } from './state.ts';
import type { PoolsTurn } from './managed-pools.ts';
import { event, type Turn } from './turn.ts';

const dayMs = 86_400_000;
/** After a look that failed: a permission that is missing is not asked for at every look of every cluster. */
const againMs = 3_600_000;

/**
 * Once a day: until when the version of the control plane has standard support. Told from two months before. An environment that does not answer changes nothing
 * that is known of this version; of another one the catalogue counts meanwhile.
 */
export const noteSupport = async (turn: PoolsTurn, version: string): Promise<void> => {
  const { infra, provider, scope, nowMs, deps, row, spec } = turn;
  const before = infra.support;
  if (before?.version === version && nowMs - before.lookedMs < dayMs) return;
  const told = await provider.versions?.(scope.placement as never);
  const isAway = told?.ok === false;
  const known = isAway && before?.version === version ? before.ends : undefined;
  const ends = known ?? supportEnd(await catalogueOf(deps.store, row.tenant), spec.environment, version, told?.ok === true ? told.value : []);
  const notice = ends === undefined ? undefined : supportNotice(version, ends, nowMs);
  await keep(turn, { version, lookedMs: isAway ? nowMs - dayMs + againMs : nowMs, ends, notice });
};

/** It is told as an event once for a version, and shown as long as it holds. */
const keep = async ({ deps, row, infra }: Pick<Turn, 'deps' | 'row' | 'infra'>, support: NonNullable<InfrastructureValue['support']>): Promise<void> => {
  const { version, notice } = support;
  const before = infra.support;
  infra.support = support;
  const isNew = notice !== undefined && (before?.version !== version || before.notice === undefined);
  if (isNew) await deps.store.commit([event({ deps, row }, 'warning', 'SupportEnds', notice)]);
};

/**
 * Once a day, and when the cluster's document changed: until when the Kubernetes project patches the minor version of its profile. No environment tells that of
 * clusters of machines, so that the catalogue counts.
 */
export const noteUpstreamSupport = async (turn: Pick<Turn, 'deps' | 'row' | 'infra' | 'nowMs'>): Promise<void> => {
  const { infra, nowMs, deps, row } = turn;
  const before = infra.support;
  // A clock that went back counts as another day.
  if (before !== undefined && before.row === row.version && nowMs >= before.lookedMs && nowMs - before.lookedMs < dayMs) return;
  const input = await deps.inputs.ofRow(row);
  // What is wrong with its profiles is told where they are rendered.
  if (!input.ok) return;
  const kubernetes = input.value.profiles.flatMap((profile) => profile.spec.layers).find((layer) => layer.kubernetes !== undefined)?.kubernetes;
  const version = isManagedDistribution(kubernetes?.distribution) ? (kubernetes?.version ?? '') : '';
  const ends = supportEnd(await catalogueOf(deps.store, row.tenant), 'upstream', version);
  const notice = ends === undefined ? undefined : supportNotice(version, ends, nowMs, 'upstream');
  await keep(turn, { version, row: row.version, lookedMs: nowMs, ends, notice });
};

/** Kubernetes that an agent brings up: its versions are the project's. */
const isManagedDistribution = (name: string | undefined): boolean => (managedDistributions as readonly (string | undefined)[]).includes(name);
