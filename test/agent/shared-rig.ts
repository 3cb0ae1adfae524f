import { dutyLease } from '@groundplane/agent/cluster/duty';
import { createEngine } from '@groundplane/agent/engine';
import { createOutbox } from '@groundplane/agent/link/outbox';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { writes, type DesiredRecord } from '@groundplane/agent/store/state';
import type { Bundle, BundleLayer, Desired } from '@groundplane/protocol/bundle';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { HostEvent, HostStatus } from '@groundplane/protocol/observed';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeHost } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';
import { blobs } from './rig.ts';

export const sharedCluster = 'clu_00000000000000000000';
export const hostId = (name: string): string => `hos_${name.padEnd(20, '0')}`;

/** How a host reaches the API server. */
type Way = 'open' | 'cut' | 'none' | 'viewer';

export interface Order {
  /** Hosts that share the duty; absent: `alone` applies. */
  hosts?: readonly string[];
  from?: string;
  sinceMs?: number;
  alone?: string;
  /** Left the cluster, which goes on. */
  gone?: readonly string[];
}

/** Real engines of several hosts that use one Kubernetes. Each write to it is held against who holds the Lease at that moment. */
export const startShared = (names: readonly string[]) => {
  const clock = virtualClock();
  const cluster = fakeCluster({ clock });
  cluster.controllers({ readyMs: 1_000 });
  const way: Record<string, Way> = {};
  const ways: Record<string, Way | undefined> = {};
  let cutOnceHeld: string | undefined;
  const log: string[] = [];
  const intruders: string[] = [];
  /** Stands still at its n-th question about this object, as a machine that is suspended. */
  const standstill: { name: string; what: string; count: number; until: Promise<void> | undefined } = { name: '', what: '', count: 0, until: undefined };
  const thaw = Promise.withResolvers<void>();
  const lease = dutyLease(sharedCluster);
  const holder = (): string | undefined => {
    const spec = cluster.objects().find((object) => object.kind === 'Lease' && object.metadata.name === lease.name)?.['spec'];
    const by = (spec as { holderIdentity?: string } | undefined)?.holderIdentity;
    return names.find((name) => hostId(name) === by);
  };

  /** Looked at anew with each call, so that the line can be cut under an open connection. */
  const seenBy = (name: string): Cluster => {
    const noted = (verb: string, object: { kind: string; metadata?: { name?: string }; name?: string }): void => {
      const what = object.metadata?.name ?? object.name ?? '';
      if (object.kind === 'Lease' || what.startsWith('groundplane-layer-')) return;
      log.push(`${name}: ${verb} ${what}`);
      if (holder() !== undefined && holder() !== name) intruders.push(`${name}: ${verb} ${what} while ${String(holder())} holds the Lease`);
    };
    const call = (key: keyof Cluster, args: readonly unknown[]): unknown => {
      if (way[name] === 'cut' && key !== 'close' && key !== 'watch') return Promise.resolve(fail('retry', 'api-unreachable', 'Kubernetes', 'the line is cut'));
      const [first, options] = args as [{ kind: string }, { dryRun?: boolean } | undefined];
      if (['apply', 'create', 'replace', 'delete'].includes(key) && options?.dryRun !== true) noted(key, first);
      if (name === standstill.name && key === 'get' && (first as { name?: string }).name === standstill.what && (standstill.count -= 1) === 0)
        standstill.until = thaw.promise;
      const later = (): unknown => (Reflect.get(cluster, key) as (...list: unknown[]) => unknown)(...args);
      if (name === standstill.name && standstill.until !== undefined && key !== 'watch') return standstill.until.then(later);
      if (name === cutOnceHeld && key === 'create' && first.kind === 'Lease') return (later() as Promise<unknown>).then((made) => ((way[name] = 'cut'), made));
      return (Reflect.get(way[name] === 'viewer' ? cluster.as('viewer') : cluster, key) as (...list: unknown[]) => unknown)(...args);
    };
    const keys = Object.keys(cluster.as('admin')) as (keyof Cluster)[];
    return Object.fromEntries(keys.map((key) => [key, (...args: unknown[]) => call(key, args)])) as unknown as Cluster;
  };

  const boot = (name: string, store: FakeAgentStore) => {
    const host = fakeHost();
    store.commit([writes.kv('host', { host: hostId(name), tenant: 'ten_00000000000000000000', epoch: 'e' })]);
    const engine = createEngine({
      store,
      host,
      clock,
      outbox: createOutbox(store),
      random: seededRandom(name),
      onNews: () => undefined,
      blobs: fakeBlobs(blobs),
      architecture: 'x64',
      openCluster: () => {
        const calls = seenBy(name);
        return Promise.resolve(way[name] === 'none' ? fail('blocked', 'kubeconfig-invalid', 'kubeconfig', 'the file cannot be read: ENOENT') : ok(calls));
      },
      content: {
        fetch: (digest) => {
          const text = blobs.get(digest);
          return Promise.resolve(text === undefined ? fail('retry', 'content-missing', digest, 'not there') : ok(text));
        },
      },
    });
    const stop = new AbortController();
    return { name, store, host, engine, stop, running: engine.run(stop.signal) };
  };
  const running = new Map(names.map((name) => [name, boot(name, fakeAgentStore())]));
  const stores = new Map([...running].map(([name, { store }]) => [name, store]));
  const ended: Promise<void>[] = [];

  const desired = (name: string, generation: number, layers: readonly BundleLayer[] | undefined, order: Order): DesiredRecord => {
    const bundle: Bundle | undefined =
      layers === undefined ? undefined : { schema: 'groundplane.dev/bundle/1', engine: 'e', profiles: [], layers: [...layers] };
    const isGone = order.gone?.includes(name) === true;
    const lease =
      order.hosts?.includes(name) === true
        ? {
            lease: {
              hosts: order.hosts.map(hostId).toSorted(),
              sinceMs: order.sinceMs ?? 1,
              ...(order.from === undefined ? {} : { from: hostId(order.from) }),
            },
          }
        : {};
    const what: Desired = {
      schema: 'groundplane.dev/desired/1',
      epoch: 'e',
      generation,
      tenant: 'ten_00000000000000000000',
      host: hostId(name),
      ...(isGone ? { detached: true } : {}),
      ...(isGone || bundle === undefined
        ? {}
        : { cluster: { id: sharedCluster, name: 'shop', role: 'control-plane', applier: order.alone === name, ...lease }, bundle: digestOf(bundle) }),
    };
    return { version: { epoch: 'e', generation, digest: digestOf(what) }, desired: what, bundle: isGone ? undefined : bundle };
  };

  return {
    clock,
    cluster,
    way,
    log,
    intruders,
    holder,
    host: (name: string) => running.get(name)!,
    status: (name: string): HostStatus => running.get(name)!.engine.status(),
    phases: (): Record<string, string> => Object.fromEntries([...running].map(([name, { engine }]) => [name, engine.status().phase])),
    appliers: (): Record<string, string | undefined> =>
      Object.fromEntries([...running].map(([name, { engine }]) => [name, engine.status().kubernetes.applier])),
    offer: (generation: number, layers: readonly BundleLayer[] | undefined, order: Order, to: readonly string[] = names): void => {
      for (const name of to) running.get(name)?.engine.offer(desired(name, generation, layers, order), {}, undefined);
    },
    freezeAt: (name: string, what: string, count: number): void => void Object.assign(standstill, { name, what, count }),
    thaw: (): void => thaw.resolve(),
    /** The power goes: nothing that it still does arrives anywhere. */
    kill: (name: string): void => {
      ways[name] = way[name];
      way[name] = 'cut';
      const { stop, running: end } = running.get(name)!;
      stop.abort();
      ended.push(end);
      running.delete(name);
    },
    /** Its power goes in the moment in which it has made the Lease. */
    cutOnceHeld: (name: string): void => void (cutOnceHeld = name),
    revive: (name: string): void => {
      way[name] = ways[name] ?? 'open';
      running.set(name, boot(name, stores.get(name)!));
    },
    live: (name: string): KubeObject | undefined => cluster.objects().find((object) => object.kind !== 'Namespace' && object.metadata.name === name),
    inventory: (): string[] =>
      cluster
        .objects()
        .filter((object) => object.metadata.labels?.['groundplane.dev/inventory'] !== undefined)
        .map((object) => object.metadata.name ?? ''),
    events: (name: string): HostEvent[] =>
      stores
        .get(name)!
        .entries('outbox')
        .filter((row) => row.key.startsWith('event/'))
        .map((row) => JSON.parse(row.value) as HostEvent),
    close: async (): Promise<void> => {
      for (const { stop } of running.values()) stop.abort();
      await clock.advance(60_000);
      await Promise.all([...ended, ...[...running.values()].map((host) => host.running)]);
    },
  };
};
