import { supportEnd, supportNotice } from '../plan/catalogue.ts';
import { catalogueOf } from './catalogue.ts';
import type { PoolsTurn } from './managed-pools.ts';
import { event } from './turn.ts';

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
  infra.support = {
    version,
    lookedMs: isAway ? nowMs - dayMs + againMs : nowMs,
    ...(ends === undefined ? {} : { ends }),
    ...(notice === undefined ? {} : { notice }),
  };
  const isNew = notice !== undefined && (before?.version !== version || before.notice === undefined);
  if (isNew) await deps.store.commit([event(turn, 'warning', 'SupportEnds', notice)]);
};
