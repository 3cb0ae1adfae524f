import { createEngine } from '@groundplane/agent/engine';
import { createOutbox } from '@groundplane/agent/link/outbox';
import { sealKeyOf, type GivenInvitation, type SiteMemory } from '@groundplane/agent/observe/distribution';
import { writes, type DesiredRecord } from '@groundplane/agent/store/state';
import type { Bundle, BundleLayer, Desired } from '@groundplane/protocol/bundle';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok } from '@groundplane/protocol/failure';
import type { NodeTaint } from '@groundplane/protocol/distribution/node-traits';
import type { HostEvent } from '@groundplane/protocol/observed';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeDistribution, fakeMachine, type FakeMachine, type FakeSite } from '../fake/distribution.ts';
import { fakeHost } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';
import { fakeTools } from '../fake/tools.ts';
import { blobs } from './rig.ts';

const clusterId = 'clu_00000000000000000000';
const idOf = (name: string): string => `hos_${name.padEnd(20, '0')}`;

interface Wish {
  name: string;
  role: 'control-plane' | 'worker';
  labels?: Record<string, string>;
  taints?: NodeTaint[];
}

/** Real engines on simulated machines around one simulated API server; the hub is a loop that carries what it would carry. */
export const startSite = (hosts: readonly Wish[]) => {
  const clock: VirtualClock = virtualClock();
  const cluster = fakeCluster({ clock });
  cluster.controllers({ readyMs: 1_000 });
  const site: FakeSite = { cluster, clock, servers: new Set(), tokens: new Set(), log: [] };

  const noteReads: Record<string, number> = {};
  const seenBy = (name: string): typeof cluster => ({
    ...cluster,
    get: (ref) => {
      if (ref.name === 'groundplane-node-traits') noteReads[name] = (noteReads[name] ?? 0) + 1;
      return cluster.get(ref);
    },
  });

  const boot = (name: string, store: FakeAgentStore, machine: FakeMachine) => {
    const tools = fakeTools();
    tools.connects = () => Promise.resolve(machine.isProxyDead === false);
    const host = fakeHost();
    const distribution = fakeDistribution(site, machine);
    store.commit([writes.kv('host', { host: idOf(name), tenant: 'ten_00000000000000000000', epoch: 'e' })]);
    const engine = createEngine({
      store,
      host,
      clock,
      outbox: createOutbox(store),
      random: seededRandom(name),
      onNews: () => undefined,
      blobs: fakeBlobs(blobs),
      architecture: 'x64',
      openCluster: () =>
        Promise.resolve(site.servers.size > 0 ? ok(seenBy(name)) : fail('retry', 'api-unreachable', 'Kubernetes', 'nobody made the cluster yet')),
      content: {
        fetch: (digest) => {
          const text = blobs.get(digest);
          return Promise.resolve(text === undefined ? fail('retry', 'content-missing', digest, 'not there') : ok(text));
        },
      },
      kubernetes: {
        distribution: () => distribution,
        tools,
        architecture: 'x64',
        address: () => Promise.resolve(`10.0.0.${hosts.findIndex((item) => item.name === name) + 1}`),
        programs: { digestOf: () => Promise.resolve('absent'), placed: () => Promise.resolve() },
      },
    });
    const stop = new AbortController();
    const running = engine.run(stop.signal);
    return { name, store, machine, host, engine, tools, stop, running };
  };
  const running = new Map(hosts.map(({ name }) => [name, boot(name, fakeAgentStore(), fakeMachine(name))]));
  const lost = new Map<string, ReturnType<typeof boot>>();
  let isHubUp = true;

  const carry = (): void => {
    if (isHubUp) {
      const neighbours = [...running.values()].map(({ name, engine }) => ({
        host: idOf(name),
        name,
        address: `10.0.0.${hosts.findIndex((item) => item.name === name) + 1}`,
        sealKey: sealKeyOf(engine.state).publicKey,
        isWaiting: engine.status().kubernetes.node === 'waiting',
      }));
      const given = [...running.values()].flatMap(({ engine }) => Object.values(engine.state.kv<Record<string, GivenInvitation>>('invitations') ?? {}));
      for (const { name, store } of running.values()) {
        const invitation = given.findLast((item) => item.host === idOf(name))?.sealed;
        const memory: SiteMemory = { cluster: clusterId, neighbours, ...(invitation === undefined ? {} : { invitation }) };
        store.commit([writes.kv('site', memory)]);
      }
    }
    clock.after(2_000, carry);
  };
  clock.after(2_000, carry);

  const desired = (name: string, generation: number, layers: readonly BundleLayer[], members: readonly Wish[]): DesiredRecord => {
    const bundle: Bundle = { schema: 'groundplane.dev/bundle/1', engine: 'e', profiles: [], layers: [...layers] };
    const role = members.find((item) => item.name === name)?.role;
    const what: Desired = {
      schema: 'groundplane.dev/desired/1',
      epoch: 'e',
      generation,
      tenant: 'ten_00000000000000000000',
      host: idOf(name),
      ...(role === undefined
        ? { detached: true }
        : {
            cluster: {
              id: clusterId,
              name: 'site',
              role,
              applier: role === 'control-plane',
              site: {
                members: members.map((item) => ({ host: idOf(item.name), name: item.name, role: item.role })),
                founder: name === members[0]?.name,
                endpoint: { kind: 'managed', host: 'api.site.groundplane.internal', port: 6443 },
                labels: {},
                taints: [],
                traits: members.map((item) => ({ nodes: [item.name], labels: item.labels ?? {}, taints: item.taints ?? [] })),
              },
            },
            bundle: digestOf(bundle),
          }),
    };
    return { version: { epoch: 'e', generation, digest: digestOf(what) }, desired: what, bundle: role === undefined ? undefined : bundle };
  };

  return {
    clock,
    cluster,
    site,
    host: (name: string) => running.get(name)!,
    phases: (): Record<string, string> => Object.fromEntries([...running].map(([name, { engine }]) => [name, engine.status().phase])),
    offer: (generation: number, layers: readonly BundleLayer[], members: readonly Wish[] = hosts): void => {
      for (const [name, { engine }] of running) engine.offer(desired(name, generation, layers, members), {}, undefined);
    },
    setHub: (isUp: boolean): void => void (isHubUp = isUp),
    /** The machine goes dark. What it has on disk stays. */
    kill: (name: string): void => {
      const host = running.get(name)!;
      host.stop.abort();
      host.machine.isLost = true;
      running.delete(name);
      lost.set(name, host);
    },
    /** It comes back with its disk, or as another machine with an empty one. */
    revive: (name: string, isNew = false): void => {
      const before = lost.get(name)!;
      const machine = isNew ? fakeMachine(name) : before.machine;
      machine.isLost = false;
      running.set(name, boot(name, isNew ? fakeAgentStore() : before.store, machine));
    },
    /** How often each host has read which labels and taints are ours. */
    noteReads: (): Record<string, number> => ({ ...noteReads }),
    keeper: (): string | undefined => [...running.values()].find(({ engine }) => engine.status().kubernetes.keeper === true)?.name,
    events: (name: string): HostEvent[] =>
      running
        .get(name)!
        .store.entries('outbox')
        .filter((row) => row.key.startsWith('event/'))
        .map((row) => JSON.parse(row.value) as HostEvent),
    close: async (): Promise<void> => {
      for (const { stop } of running.values()) stop.abort();
      await clock.advance(60_000);
      await Promise.all([...running.values()].map((host) => host.running));
    },
  };
};
