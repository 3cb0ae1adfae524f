import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import { nextVersion } from '../plan/managed.ts';
import { managedConnection, type AskCredentials } from '../resident/access.ts';
import { ensureResident } from '../resident/ensure.ts';
import { leavingThings } from '../resident/leaving.ts';
import { cordonNodes } from '../resident/pool-nodes.ts';
import type { Residents } from '../resident/residents.ts';
import { throughConnection } from '../resident/through.ts';
import { managedPools, poolWant, type PoolsTurn } from './managed-pools.ts';
import { afterFailure, again, dropStep, note, noteFailure } from './steps.ts';
import type { InfrastructureStep } from './state.ts';
import { noteSupport } from './support.ts';

export interface ManagedTurn extends PoolsTurn {
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
const controlPlane = async (turn: ManagedTurn, version: string): Promise<number | undefined> => {
  const { provider, scope, infra, nowMs, spec } = turn;
  const [first] = spec.pools;
  const made = await provider.ensureCluster(scope, version, first === undefined ? undefined : poolWant(turn, first, undefined));
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

/** Through the cluster's API server. */
export const cordonManaged =
  (turn: Pick<ManagedTurn, 'row' | 'spec' | 'scope' | 'deps'>): NonNullable<ManagedTurn['cordon']> =>
  async (selector, cordon) => {
    const connection = await managedConnection(credentialsOf(turn), turn.deps.clock, turn.deps.egress);
    if (!connection.ok) return connection;
    return await throughConnection(connection.value, turn.deps, async (cluster) => await cordonNodes(cluster, selector, cordon));
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
  const waiting = await controlPlane(turn, version.value);
  if (waiting !== undefined) return waiting;
  await keepManaged(turn);
  if (turn.infra.version !== undefined) await noteSupport(turn, turn.infra.version);
  const current = turn.infra.version;
  const upgrading = current === undefined ? undefined : await upgrade(turn, current, version.value);
  if (upgrading !== undefined) return upgrading;
  return (await managedPools(turn, current)) ?? again.quietMs;
};
