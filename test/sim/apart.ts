import { createState } from '@groundplane/agent/store/state';
import { dutyLease } from '@groundplane/agent/cluster/duty';
import { fail } from '@groundplane/protocol/failure';
import type { FakeCluster } from '../fake/cluster.ts';
import type { Site } from './world.ts';

/** The one cluster that the hosts of a shared world are told to be in. */
export const sharedId = 'clu_00000000000000000000';

const leaseOf = (cluster: FakeCluster): { holderIdentity?: string; leaseTransitions?: number } | undefined => {
  const { name } = dutyLease(sharedId);
  const lease = cluster.objects().find((object) => object.kind === 'Lease' && object.metadata.name === name);
  return lease?.['spec'] as { holderIdentity?: string; leaseTransitions?: number } | undefined;
};

/** Host id of whoever holds the Lease at this moment; undefined: there is none. */
export const holderOf = (cluster: FakeCluster): string | undefined => leaseOf(cluster)?.holderIdentity;
export const idOf = (site: Site): string | undefined => createState(site.disk).kv<{ host: string }>('host')?.host;

/** It was told to apply alone, never heard of a Lease, and has not heard since: nobody can stop it, as nobody could before there were Leases. */
const isUnaware = (site: Site): boolean => {
  const state = createState(site.disk);
  const told = state.slot('current')?.desired.cluster;
  return told?.applier === true && told.lease === undefined && state.kv('shared') === undefined;
};

const writing: readonly string[] = ['apply', 'create', 'replace', 'delete'];

/** The holding of the Lease under which something was written last, by cluster. */
const acted = new WeakMap<FakeCluster, string>();

/** Why this write must not be: another host holds the Lease, and has begun to act. One that was taken from alive may not know yet; its successor waits for that. */
const intrusion = (site: Site, what: string): string | undefined => {
  const lease = leaseOf(site.cluster);
  const holder = lease?.holderIdentity ?? '';
  if (holder === '') return undefined;
  const term = `${holder} ${lease?.leaseTransitions ?? 0}`;
  if (holder === idOf(site)) acted.set(site.cluster, term);
  else if (acted.get(site.cluster) === term && !isUnaware(site))
    return `${site.name}: ${what} while ${holder} holds the Lease; it was told ${JSON.stringify(createState(site.disk).slot('current')?.desired.cluster)}`;
  return undefined;
};

/**
 * A Kubernetes as one of several hosts sees it: its way there may be cut, and nothing that it writes may fall into the time of another one that holds the Lease.
 * Leases and what is laid down for the next holder are not held against it: the API server's own guard is for those.
 */
export const seenFrom = (site: Site, onIntrusion: (text: string) => void): FakeCluster =>
  new Proxy(site.cluster, {
    get: (target, name, receiver): unknown => {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== 'function' || name === 'close' || name === 'watch') return member;
      const method = member.bind(target) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        if (site.isApart) return Promise.resolve(fail('retry', 'api-unreachable', 'Kubernetes', 'the line is cut'));
        const [first, options] = args as [{ kind: string; name?: string; metadata?: { name?: string } }, { dryRun?: boolean } | undefined];
        const what = first?.metadata?.name ?? first?.name ?? '';
        const isOurs = first?.kind === 'Lease' || what.startsWith('groundplane-layer-');
        const isWrite = writing.includes(String(name)) && options?.dryRun !== true && !isOurs;
        const wrong = isWrite ? intrusion(site, `${String(name)} ${what}`) : undefined;
        if (wrong !== undefined) onIntrusion(wrong);
        // What was sent before it stood still has arrived; what it asked is answered late, and what it renews is sent late.
        return site.frozen === undefined || isWrite ? method(...args) : site.frozen.then(() => method(...args));
      };
    },
  });
