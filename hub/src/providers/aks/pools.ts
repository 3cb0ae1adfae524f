import type { AgentPool } from '@azure/arm-containerservice';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type ManagedPoolFacts, type ManagedPoolWant, type Progress } from '../../port/provider.ts';
import { workState } from '../azure/ensure.ts';
import { azureWaits } from '../azure/limits.ts';
import { baseName, groupOf, isOurs, tagName } from '../azure/names.ts';
import type { Cloud } from '../azure/network.ts';
import { collect, find, submit } from '../azure/session.ts';
import { elementOf, findCluster, isVersion, subnetOf, type AksScope } from './cluster.ts';
import { changed, fixedDifferences, isAsWanted, poolBody, poolName } from './pool-body.ts';

const stateOf = (pool: AgentPool): ManagedPoolFacts['state'] => {
  const state = workState(pool);
  if (state === 'done') return 'ready';
  if (state === 'failed' || state === 'going') return state;
  return pool.provisioningState === 'Creating' ? 'making' : 'changing';
};

const wordsOf = (pool: AgentPool): string => pool.status?.provisioningError?.message ?? 'AKS could not finish its last operation';

/** Of our document. Before pools could be replaced the tag of the pool was that of the name, and names that AKS allows need none. */
const poolOf = (pool: AgentPool): string => pool.tags?.[tagName('pool')] ?? pool.name ?? '';
const nameOf = (pool: AgentPool): string => pool.tags?.[tagName('name')] ?? poolOf(pool);

const isOld = (pool: AgentPool, want: ManagedPoolWant): boolean =>
  want.version !== undefined && !isVersion(pool.currentOrchestratorVersion ?? pool.orchestratorVersion, want.version);

const factsOf = (pool: AgentPool, wants: readonly ManagedPoolWant[]): ManagedPoolFacts => {
  const want = wants.find((item) => item.pool === poolOf(pool));
  return {
    name: nameOf(pool),
    pool: poolOf(pool),
    generation: pool.tags?.[tagName('generation')],
    state: stateOf(pool),
    count: pool.count ?? 0,
    nodes: `kubernetes.azure.com/agentpool=${pool.name ?? ''}`,
    version: pool.currentOrchestratorVersion ?? pool.orchestratorVersion,
    ...(want === undefined ? {} : { settled: workState(pool) === 'done' && !isOld(pool, want) && isAsWanted(pool, want) }),
    differs: want === undefined ? [] : fixedDifferences(pool, want),
    ...(stateOf(pool) === 'failed' ? { message: wordsOf(pool) } : {}),
  };
};

/** All pools of a cluster that is ours; of one that is not there, none. */
const allPools = async (cloud: Cloud, scope: AksScope): Promise<Result<AgentPool[]>> => {
  const cluster = await findCluster(cloud, scope);
  if (!cluster.ok) return cluster;
  if (cluster.value === undefined) return ok([]);
  return collect(`pools of ${elementOf(scope)}`, () => cloud.containers.agentPools.list(groupOf(scope), baseName(scope)));
};

/** What somebody else put into the cluster is theirs, whatever its name. */
export const listPools = async (cloud: Cloud, scope: AksScope, wants: readonly ManagedPoolWant[]): Promise<Result<ManagedPoolFacts[]>> => {
  const pools = await allPools(cloud, scope);
  if (!pools.ok) return pools;
  return ok(pools.value.filter((pool) => isOurs(scope, pool)).map((pool) => factsOf(pool, wants)));
};

const notOurPool = (element: string, name: string) =>
  fail(
    'blocked',
    'not-ours',
    element,
    `${name} is there without the tag of this cluster; somebody else made it. Delete it in AKS, or give the pool another name`,
  );

const put = async (cloud: Cloud, scope: AksScope, name: string, body: AgentPool): Promise<Result<void>> =>
  submit(`AKS pool ${name}`, () => cloud.containers.agentPools.createOrUpdate(groupOf(scope), baseName(scope), name, body));

/** One operation at a time in a whole cluster: whoever comes in between waits. */
const sentOrWaiting = (sent: Result<void>, what: string): Result<Progress<void>> => {
  if (sent.ok || sent.failure.code === 'cloud-conflict') return pending(what, azureWaits.cluster);
  return sent;
};

export const ensurePool = async (cloud: Cloud, scope: AksScope, want: ManagedPoolWant): Promise<Result<Progress<void>>> => {
  const name = poolName(want.name);
  const element = `AKS pool ${want.name}`;
  const found = await find(element, () => cloud.containers.agentPools.get(groupOf(scope), baseName(scope), name));
  if (!found.ok) return found;
  const pool = found.value;
  if (pool === undefined) {
    const pools = await allPools(cloud, scope);
    if (!pools.ok) return pools;
    // Somebody has to run AKS' own parts.
    const mode = want.spot || pools.value.some((item) => item.mode === 'System') ? 'User' : 'System';
    const sent = await put(cloud, scope, name, poolBody(want, { version: want.version, subnet: subnetOf(cloud, scope), mode, scope }));
    return sentOrWaiting(sent, `pool ${want.name} is being made`);
  }
  if (!isOurs(scope, pool)) return notOurPool(element, name);
  const state = workState(pool);
  if (state === 'working' || state === 'going') return pending(`pool ${want.name} is ${pool.provisioningState ?? 'at work'}`, azureWaits.cluster);
  if (nameOf(pool) !== want.name && pool.tags?.[tagName('pool')] !== undefined)
    return fail('blocked', 'not-ours', element, `AKS' name for it, ${name}, is taken by pool ${nameOf(pool)}. Give one of the two another name`);
  if (state === 'done' && !isOld(pool, want) && isAsWanted(pool, want)) return ready(undefined);
  const sent = await put(cloud, scope, name, changed(pool, want, isOld(pool, want) ? want.version : undefined));
  // The same again is AKS' own way to mend a pool.
  if (sent.ok && state === 'failed') return fail('retry', 'cloud-failed', element, `${wordsOf(pool)}; AKS was asked to try again`);
  return sentOrWaiting(sent, `pool ${want.name} is being changed`);
};

/** The last pool that runs AKS' own parts cannot go: another one takes them over first. */
const promoteAnother = async (cloud: Cloud, scope: AksScope, leaving: AgentPool): Promise<Result<Progress<void> | undefined>> => {
  const pools = await allPools(cloud, scope);
  if (!pools.ok) return pools;
  const others = pools.value.filter((pool) => pool.name !== leaving.name && workState(pool) !== 'going');
  if (others.some((pool) => pool.mode === 'System')) return ok(undefined);
  const heir = others.find((pool) => pool.scaleSetPriority !== 'Spot' && isOurs(scope, pool));
  const element = `AKS pool ${leaving.name ?? ''}`;
  if (heir?.name === undefined)
    return fail(
      'blocked',
      'pool-last',
      element,
      "it runs AKS' own parts, and no other pool of this cluster without spot machines could. Add one first, or delete the cluster",
    );
  const { nodeImageVersion: _image, ...body } = heir;
  const sent = sentOrWaiting(await put(cloud, scope, heir.name, { ...body, mode: 'System' }), `pool ${heir.name} takes over AKS' own parts`);
  return sent;
};

export const deletePool = async (cloud: Cloud, scope: AksScope, wanted: string): Promise<Result<Progress<void>>> => {
  const name = poolName(wanted);
  const element = `AKS pool ${wanted}`;
  const found = await find(element, () => cloud.containers.agentPools.get(groupOf(scope), baseName(scope), name));
  if (!found.ok) return found;
  const pool = found.value;
  if (pool === undefined) return ready(undefined);
  if (!isOurs(scope, pool)) return notOurPool(element, name);
  const state = workState(pool);
  if (state === 'working' || state === 'going') return pending(`pool ${wanted} is ${pool.provisioningState ?? 'at work'}`, azureWaits.cluster);
  if (pool.mode === 'System') {
    const waiting = await promoteAnother(cloud, scope, pool);
    if (!waiting.ok) return waiting;
    if (waiting.value !== undefined) return ok(waiting.value);
  }
  const sent = await submit(element, () => cloud.containers.agentPools.delete(groupOf(scope), baseName(scope), name));
  return sentOrWaiting(sent, `pool ${wanted} is being deleted`);
};
