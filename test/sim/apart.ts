import { createState } from '@groundplane/agent/store/state';
import { dutyLease } from '@groundplane/agent/cluster/duty';
import { fail } from '@groundplane/protocol/failure';
import type { FakeCluster } from '../fake/cluster.ts';
import type { Site } from './world.ts';

/** The one cluster that the hosts of a shared world are told to be in. */
export const sharedId = 'clu_00000000000000000000';

/** Host id of whoever holds the Lease at this moment; undefined: there is none. */
export const holderOf = (cluster: FakeCluster): string | undefined => {
  const { name } = dutyLease(sharedId);
  const lease = cluster.objects().find((object) => object.kind === 'Lease' && object.metadata.name === name);
  return (lease?.['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity;
};
export const idOf = (site: Site): string | undefined => createState(site.disk).kv<{ host: string }>('host')?.host;

/** It was told to apply alone, never heard of a Lease, and has not heard since: nobody can stop it, as nobody could before there were Leases. */
const isUnaware = (site: Site): boolean => {
  const state = createState(site.disk);
  const told = state.slot('current')?.desired.cluster;
  return told?.applier === true && told.lease === undefined && state.kv('shared') === undefined;
};

const writing: readonly string[] = ['apply', 'create', 'replace', 'delete'];

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
        const holder = holderOf(target);
        if (
          writing.includes(String(name)) &&
          options?.dryRun !== true &&
          !isOurs &&
          holder !== undefined &&
          holder !== '' &&
          holder !== idOf(site) &&
          !isUnaware(site)
        )
          onIntrusion(
            `${site.name} (${String(idOf(site))}): ${String(name)} ${what} while ${holder} holds the Lease; it was told ${JSON.stringify(createState(site.disk).slot('current')?.desired.cluster)}`,
          );
        return method(...args);
      };
    },
  });
