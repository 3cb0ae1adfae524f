import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import type { Pool } from '@groundplane/protocol/environment/pool';
import { isAutoscaled, managedWant, nextVersion, poolOrder } from '../plan/managed.ts';
import type { ManagedClusterFacts, ManagedClusterProvider, ManagedPoolFacts } from '../port/provider.ts';
import { managedConnection, type AskCredentials } from '../resident/access.ts';
import { ensureResident } from '../resident/ensure.ts';
import { leavingThings } from '../resident/leaving.ts';
import type { Residents } from '../resident/residents.ts';
import { afterFailure, again, dropStep, note, noteFailure } from './steps.ts';
import type { InfrastructureStep } from './state.ts';
import type { Turn } from './turn.ts';

export interface ManagedTurn extends Turn {
  provider: ManagedClusterProvider;
  residents: Residents | undefined;
}

/** The version that the profile's Kubernetes layer says. */
const wantedVersion = async ({ deps, row, spec }: ManagedTurn): Promise<Result<string>> => {
  const input = await deps.inputs.ofRow(row);
  if (!input.ok) return input;
  const layer = input.value.profiles.flatMap((profile) => profile.spec.layers).find((item) => item.kubernetes !== undefined);
  const kubernetes = layer?.kubernetes;
  if (kubernetes !== undefined && kubernetes.distribution === spec.environment && kubernetes.version !== undefined) return ok(kubernetes.version);
  return fail(
    'blocked',
    'version-missing',
    `cluster ${row.name}`,
    `its profiles have no Kubernetes layer for ${spec.environment}. Add one: kubernetes: {distribution: ${spec.environment}, version: "1.34"}`,
  );
};

const failed = (turn: ManagedTurn, name: InfrastructureStep['name'], result: { ok: false; failure: Parameters<typeof noteFailure>[2] }): number => {
  noteFailure(turn.infra, name, result.failure, turn.nowMs);
  return afterFailure(result.failure);
};

/** Answers when to come again, or undefined to go on. */
const controlPlane = async (turn: ManagedTurn, facts: ManagedClusterFacts, version: string): Promise<number | undefined> => {
  const { provider, scope, infra, nowMs, spec } = turn;
  const [first] = spec.pools;
  const made = await provider.ensureCluster(
    scope,
    facts.version ?? version,
    first === undefined ? undefined : managedWant(first, infra.scale[first.name], undefined),
  );
  if (!made.ok) return failed(turn, 'control-plane', made);
  if (made.value.state === 'pending') {
    note(infra, 'control-plane', 'doing', made.value.what, nowMs);
    return made.value.afterMs ?? again.retryMs;
  }
  infra.version = made.value.value.version;
  infra.server = made.value.value.server;
  note(infra, 'control-plane', 'done', `Kubernetes ${made.value.value.version ?? ''}`, nowMs);
  return undefined;
};

const upgrade = async (turn: ManagedTurn, current: string, wanted: string): Promise<number | undefined> => {
  const { provider, scope, infra, nowMs } = turn;
  const step = nextVersion(current, wanted);
  if (step.kind === 'stay') {
    dropStep(infra, 'upgrade');
    return undefined;
  }
  if (step.kind === 'blocked') {
    note(infra, 'upgrade', 'failed', step.why, nowMs);
    return undefined;
  }
  const asked = await provider.upgrade(scope, step.version);
  if (!asked.ok) return failed(turn, 'upgrade', asked);
  if (asked.value.state === 'pending') note(infra, 'upgrade', 'doing', asked.value.what, nowMs);
  return asked.value.state === 'pending' ? (asked.value.afterMs ?? again.retryMs) : again.soonMs;
};

const notePool = (turn: ManagedTurn, pool: Pool, facts: ManagedPoolFacts | undefined, waits: string[]): void => {
  const wanted = isAutoscaled(pool) ? (facts?.count ?? pool.count) : managedWant(pool, turn.infra.scale[pool.name], undefined).count;
  turn.infra.pools[pool.name] = {
    wanted,
    total: facts?.count ?? 0,
    ready: facts?.state === 'ready' ? facts.count : 0,
    outdated: 0,
    generation: '',
    needsApproval: false,
    waits,
    ...(facts?.version === undefined ? {} : { version: facts.version }),
    ...(facts?.message === undefined ? {} : { message: facts.message }),
  };
};

const pools = async (turn: ManagedTurn, version: string | undefined): Promise<number | undefined> => {
  const { provider, scope, spec, infra, nowMs } = turn;
  const listed = await provider.listPools(scope);
  if (!listed.ok) return failed(turn, 'pools', listed);
  const facts = new Map(listed.value.map((pool) => [pool.name, pool]));
  const { ensure, remove } = poolOrder(spec.pools, listed.value);
  const waits: string[] = [];
  for (const pool of spec.pools) {
    const differs = facts.get(pool.name)?.differs ?? [];
    const own =
      differs.length === 0 ? [] : [`pool ${pool.name}: ${differs.join(', ')} cannot be changed in place. Add a pool of another name, and take this one out`];
    notePool(turn, pool, facts.get(pool.name), own);
    waits.push(...own);
  }
  for (const name of Object.keys(infra.pools)) if (!spec.pools.some((pool) => pool.name === name)) delete infra.pools[name];
  for (const pool of ensure) {
    if ((facts.get(pool.name)?.differs ?? []).length > 0) continue;
    const done = await provider.ensurePool(scope, managedWant(pool, infra.scale[pool.name], version));
    if (!done.ok && done.failure.code === 'pool-differs') {
      // It needs a person; the other pools need not wait for them.
      const text = `${done.failure.element}: ${done.failure.message}`.slice(0, 1_000);
      notePool(turn, pool, facts.get(pool.name), [text]);
      waits.push(text);
      continue;
    }
    if (!done.ok) return failed(turn, 'pools', done);
    if (done.value.state === 'pending') {
      note(infra, 'pools', 'doing', done.value.what, nowMs);
      return done.value.afterMs ?? again.retryMs;
    }
  }
  for (const name of remove) {
    const gone = await provider.deletePool(scope, name);
    if (!gone.ok) return failed(turn, 'pools', gone);
    if (gone.value.state === 'pending') {
      note(infra, 'pools', 'doing', gone.value.what, nowMs);
      return gone.value.afterMs ?? again.retryMs;
    }
  }
  note(infra, 'pools', waits.length === 0 ? 'done' : 'waiting', waits.length === 0 ? `${spec.pools.length} as wanted` : waits.join('; '), nowMs);
  return undefined;
};

/** Of the account as it is then: somebody may have given it other keys. */
const credentialsOf =
  ({ row, spec, scope, deps }: Pick<ManagedTurn, 'row' | 'spec' | 'scope' | 'deps'>): AskCredentials =>
  async (refused) => {
    const provider = await deps.accounts.managed({ tenant: row.tenant, project: row.project }, spec.environment as ManagedEnvironment, spec.account);
    return provider.ok ? provider.value.credentials(scope, refused) : provider;
  };

/** The agent that looks after its layers, with a token that is renewed in time. */
export const keepManaged = async (turn: ManagedTurn): Promise<void> => {
  const { residents, deps } = turn;
  if (residents === undefined) return;
  const ask = credentialsOf(turn);
  await ensureResident(turn, residents, () => managedConnection(ask, deps.clock, deps.egress));
};

/** What its layers made in the cloud and are giving back just now. One that cannot be asked may be doing so. */
export const leavingOf = async (turn: ManagedTurn): Promise<string[]> => {
  const { deps } = turn;
  const connection = await managedConnection(credentialsOf(turn), deps.clock, deps.egress);
  const found = connection.ok ? await leavingThings(connection.value, deps) : connection;
  if (found.ok) return found.value;
  return ['api-unreachable', 'cloud-unreachable', 'throttled'].includes(found.failure.code) ? [`whatever it has: ${found.failure.message}`] : [];
};

/** Brings a managed cluster one step on: control plane, its version, then pools one after the other. Answers when to look again. */
export const managedTurn = async (turn: ManagedTurn): Promise<number> => {
  dropStep(turn.infra, 'account');
  const version = await wantedVersion(turn);
  if (!version.ok) return failed(turn, 'control-plane', version);
  const facts = await turn.provider.observe(turn.scope);
  if (!facts.ok) return failed(turn, 'control-plane', facts);
  const waiting = await controlPlane(turn, facts.value, version.value);
  if (waiting !== undefined) return waiting;
  await keepManaged(turn);
  const current = turn.infra.version;
  const upgrading = current === undefined ? undefined : await upgrade(turn, current, version.value);
  if (upgrading !== undefined) return upgrading;
  return (await pools(turn, current)) ?? again.quietMs;
};
