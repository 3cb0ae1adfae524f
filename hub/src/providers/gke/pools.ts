import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type ManagedPoolFacts, type ManagedPoolWant, type Progress } from '../../port/provider.ts';
import { googleWaits } from '../google/limits.ts';
import { clusterLabel, labelName } from '../google/names.ts';
import type { Session } from '../google/session.ts';
import { findCluster, sentOrWaiting, zonesFor } from './cluster.ts';
import { clusterPath, elementOf, isVersion, poolPath, type GkeScope } from './names.ts';
import { fixedDifferences, nextChange, poolBody, poolSchema, roundingNote, type NodePool } from './pool-body.ts';

const states: Readonly<Record<string, ManagedPoolFacts['state']>> = {
  PROVISIONING: 'making',
  RUNNING: 'ready',
  RUNNING_WITH_ERROR: 'ready',
  RECONCILING: 'changing',
  STOPPING: 'going',
  ERROR: 'failed',
};
const stateOf = (pool: NodePool): ManagedPoolFacts['state'] => states[pool.status] ?? 'changing';

const groupSchema = z.looseObject({ targetSize: z.number().default(0) });

/** A pool tells how many nodes it began with; how many it should have now stands with the groups of its zones. */
const countOf = async (session: Session, pool: NodePool): Promise<Result<number>> => {
  let count = 0;
  for (const url of pool.instanceGroupUrls) {
    const path = /\/projects\/.+$/.exec(url)?.[0];
    if (path === undefined) continue;
    const group = await session.find('compute', path, groupSchema);
    if (!group.ok) return group;
    count += group.value?.targetSize ?? 0;
  }
  return ok(pool.instanceGroupUrls.length === 0 ? (pool.initialNodeCount ?? 0) : count);
};

const poolOf = (pool: NodePool): string => pool.config.resourceLabels[labelName('pool')] ?? pool.name;
const nameOf = (pool: NodePool): string => pool.config.resourceLabels[labelName('name')] ?? poolOf(pool);
const isOurs = (scope: GkeScope, pool: NodePool): boolean => pool.config.resourceLabels[clusterLabel] === scope.id;

const isOld = (pool: NodePool, want: ManagedPoolWant): boolean => want.version !== undefined && !isVersion(pool.version, want.version);

const factsOf = (pool: NodePool, count: number, want: ManagedPoolWant | undefined, zones: readonly string[]): ManagedPoolFacts => {
  const more = want === undefined ? undefined : roundingNote(want, zones);
  const differs = want === undefined ? [] : fixedDifferences(pool, want);
  const settled = want !== undefined && stateOf(pool) === 'ready' && nextChange(pool, want, isOld(pool, want), count, zones) === undefined;
  // Zones are added in place, so that what it was made from says nothing of them.
  const generation = differs.includes('zones') ? undefined : pool.config.resourceLabels[labelName('generation')];
  const words = [pool.statusMessage, more].filter((text) => text !== undefined).join('; ');
  return {
    name: nameOf(pool),
    pool: poolOf(pool),
    state: stateOf(pool),
    count,
    nodes: `cloud.google.com/gke-nodepool=${pool.name}`,
    version: pool.version,
    differs,
    settled,
    ...(generation === undefined ? {} : { generation }),
    ...(words === '' ? {} : { message: words }),
  };
};

/** What somebody else put into the cluster is theirs, whatever its name. */
export const listPools = async (session: Session, scope: GkeScope, wants: readonly ManagedPoolWant[]): Promise<Result<ManagedPoolFacts[]>> => {
  const cluster = await findCluster(session, scope);
  if (!cluster.ok) return cluster;
  if (cluster.value === undefined) return ok([]);
  const pools: ManagedPoolFacts[] = [];
  for (const pool of cluster.value.nodePools) {
    const want = wants.find((item) => item.pool === poolOf(pool));
    if (!isOurs(scope, pool)) continue;
    const count = await countOf(session, pool);
    if (!count.ok) return count;
    const facts = factsOf(pool, count.value, want, zonesFor(scope, want, cluster.value));
    // Nobody asks any more how what was begun for it ended.
    if (facts.settled === true) session.forgetStarted(`pool ${facts.name}`);
    pools.push(facts);
  }
  return ok(pools);
};

const makePool = async (session: Session, scope: GkeScope, want: ManagedPoolWant, zones: readonly string[]): Promise<Result<Progress<void>>> => {
  const body = { nodePool: poolBody(scope, want, zones) };
  const sent = await session.start({ service: 'container', method: 'POST', path: `${clusterPath(scope)}/nodePools`, body }, `pool ${want.name}`);
  return sentOrWaiting(sent, `pool ${want.name} is being made`);
};

const notOurPool = (element: string) =>
  fail('blocked', 'not-ours', element, 'is there without the label of this cluster; somebody else made it. Delete it in GKE, or give the pool another name');

export const ensurePool = async (session: Session, scope: GkeScope, want: ManagedPoolWant): Promise<Result<Progress<void>>> => {
  const element = `GKE pool ${want.name}`;
  const cluster = await findCluster(session, scope);
  if (!cluster.ok) return cluster;
  if (cluster.value === undefined) return fail('retry', 'cluster-missing', elementOf(scope), 'it is not there (any more); it is made first');
  const zones = zonesFor(scope, want, cluster.value);
  const found = await session.find('container', poolPath(scope, want.name), poolSchema);
  if (!found.ok) return found;
  // Why something never came to be stands in its operation only.
  const before = await session.outcome('container', `pool ${want.name}`);
  if (!before.ok) return before;
  if (before.value === 'running') return pending(`pool ${want.name} is being changed`, googleWaits.cluster);
  const pool = found.value;
  if (pool === undefined) return makePool(session, scope, want, zones);
  if (!isOurs(scope, pool)) return notOurPool(element);
  if (nameOf(pool) !== want.name && pool.config.resourceLabels[labelName('pool')] !== undefined)
    return fail('blocked', 'not-ours', element, `GKE's name for it, ${pool.name}, is taken by pool ${nameOf(pool)}. Give one of the two another name`);
  if (stateOf(pool) === 'failed')
    return fail('blocked', 'pool-failed', element, `${pool.statusMessage ?? 'GKE could not make it'}. Take it out, and add it anew`);
  if (stateOf(pool) !== 'ready') return pending(`pool ${want.name} is ${pool.status}`, googleWaits.cluster);
  const count = await countOf(session, pool);
  if (!count.ok) return count;
  const change = nextChange(pool, want, isOld(pool, want), count.value, zones);
  if (change === undefined) return ready(undefined);
  const path = `${poolPath(scope, want.name)}${change.act}`;
  const sent = await session.start({ service: 'container', method: change.method, path, body: change.body }, `pool ${want.name}`);
  return sentOrWaiting(sent, `pool ${want.name} ${change.what}`);
};

export const deletePool = async (session: Session, scope: GkeScope, name: string): Promise<Result<Progress<void>>> => {
  const cluster = await findCluster(session, scope);
  if (!cluster.ok) return cluster;
  if (cluster.value === undefined) return ready(undefined);
  const found = await session.find('container', poolPath(scope, name), poolSchema);
  if (!found.ok) return found;
  if (found.value === undefined) return ready(undefined);
  if (!isOurs(scope, found.value)) return notOurPool(`GKE pool ${name}`);
  if (stateOf(found.value) === 'going') return pending(`pool ${name} is being deleted`, googleWaits.cluster);
  const sent = await session.start({ service: 'container', method: 'DELETE', path: poolPath(scope, name) }, `deletion of pool ${name}`);
  return sentOrWaiting(sent, `pool ${name} is being deleted`);
};
