import { createHash } from 'node:crypto';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok } from '@groundplane/protocol/failure';
import { createAgent, type Agent } from '@groundplane/agent/agent';
import type { EnrolmentTicket } from '@groundplane/agent/identity/ticket';
import type { Link } from '@groundplane/agent/port/link';
import { createCore, type Core } from '@groundplane/hub/core';
import type { PeerEvents } from '@groundplane/hub/port/carrier';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster, type FakeCluster } from '../fake/cluster.ts';
import { fakeContent } from '../fake/content.ts';
import { emptyHostState, fakeHost, type FakeHost } from '../fake/host.ts';
import { copyDisk, emptyHubDisk, fakeHubStore, type FakeHubDisk } from '../fake/hub-store.ts';
import { seededRandom } from '../fake/random.ts';
import { seenFrom } from './apart.ts';
import { Crashed, newLife, noHelm, type Life } from './crash.ts';
import { simDeviceKey, simHubKeys, simVerify } from './keys.ts';
import { agentPackage, simSpec, versionCount, versionName } from './profiles.ts';

export const tenant = 'ten_00000000000000000000';
export const project = 'prj_00000000000000000000';
const epochMs = Date.UTC(2026, 0, 1);

/** A simulated machine: its disk, its host and its Kubernetes outlive the agents that run on it. */
export interface Site {
  name: string;
  disk: FakeAgentStore;
  host: FakeHost;
  /** Large content on its disk. */
  large: Map<string, Buffer>;
  cluster: FakeCluster;
  wallOffsetMs: number;
  isConnected: boolean;
  /** Its way to the API server is cut; that of other hosts of the same cluster is not. */
  isApart: boolean;
  /** The machine stands still, as a suspended one does: answers come when it goes on. */
  frozen: Promise<void> | undefined;
  life: Life | undefined;
  agent: Agent | undefined;
  stop: AbortController;
  boots: number;
}

export interface WorldOptions {
  seed: number;
  sites: number;
  /** The sites are hosts of one Kubernetes. */
  isShared?: boolean;
}

const settle = (): Promise<void> => {
  const turn = Promise.withResolvers<void>();
  setImmediate(turn.resolve);
  return turn.promise;
};

/**
 * A hub and some sites in one thread: the real hub core, gateway, agents, engine, planner and executors; virtual time, network, disks and clusters.
 * A seed replays exactly.
 */
export const createWorld = async (options: WorldOptions) => {
  const random = seededRandom(options.seed);
  const clock = virtualClock({ settle, wallStartMs: epochMs });
  const keys = simHubKeys('hub-sim');
  const blobs = new Map<string, Buffer>();
  const content = fakeContent(blobs);
  let disk: FakeHubDisk = emptyHubDisk();
  let hub: { core: Core; store: ReturnType<typeof fakeHubStore>; peers: Set<() => void> } | undefined;
  let hubLives = 0;
  const secret = 'ticket-secret';
  const ticket: EnrolmentTicket = { hubs: ['sim://hub'], content: 'sim://hub', hub: keys.hub, root: keys.rootDigest, id: 'tic_00000000000000000000', secret };
  const faults: string[] = [];

  const startHub = async (): Promise<void> => {
    hubLives += 1;
    const store = fakeHubStore(clock, disk);
    const core = await createCore({
      systemTenant: tenant,
      store,
      content,
      helm: noHelm,
      keys,
      epoch: 'epoch-1',
      secret: 's',
      engine: 'sim',
      clock,
      random: random.fork(`hub ${hubLives}`),
      log: (text) => void faults.push(text),
      verify: simVerify,
    });
    hub = { core, store, peers: new Set() };
  };

  const seedHub = async (): Promise<void> => {
    const store = fakeHubStore(clock, disk);
    await store.commit([
      { op: 'put', kind: 'tenant', tenant, id: tenant, project: '', name: 'default', lookup: 'default', value: { trustMode: 'hub' } },
      { op: 'put', kind: 'project', tenant, id: project, project: '', name: 'default', value: {} },
      {
        op: 'put',
        kind: 'ticket',
        tenant,
        id: ticket.id,
        project,
        name: 'all',
        lookup: ticket.id,
        value: { keyHash: createHash('sha256').update(secret).digest('hex'), expiresAtMs: epochMs * 2, usesLeft: 1_000, labels: {}, autoApprove: true },
      },
    ]);
    for (let version = 1; version <= versionCount; version += 1) {
      await content.put(agentPackage(version));
      const spec = simSpec(version);
      const digest = digestOf(spec);
      const release = keys.sign('release', {
        schema: 'groundplane.dev/release/1' as const,
        tenant,
        profile: 'site',
        version: versionName(version),
        digest,
        settable: [] as string[],
      });
      await store.commit([
        {
          op: 'put',
          kind: 'profile',
          tenant,
          id: `prv_${version}`,
          project,
          name: `site@${versionName(version)}`,
          value: { profile: 'site', version: versionName(version), labels: {}, spec, state: 'released', digest, release },
        },
      ]);
    }
  };

  /** A wire with delay, which a partition or a death at either end cuts. Frames keep their order. */
  const link = (site: Site, life: Life): Link => ({
    connect: (events) => {
      let open = true;
      let remote: PeerEvents | undefined;
      const server = hub;
      let toHubMs = 0;
      let toSiteMs = 0;
      const cut = (): void => {
        if (!open) return;
        open = false;
        server?.peers.delete(cut);
        remote?.onClose();
        clock.after(1, () => life.enter(() => events.onClose('cut')));
      };
      const later = (side: 'hub' | 'site', run: () => void): void => {
        const base = side === 'hub' ? toHubMs : toSiteMs;
        const atMs = Math.max(base, clock.monotonicMs() + 1 + random.fraction() * 200);
        if (side === 'hub') toHubMs = atMs;
        else toSiteMs = atMs;
        clock.after(atMs - clock.monotonicMs(), run);
      };
      later('hub', () => {
        if (!site.isConnected || server === undefined || server !== hub || life.isDead()) return cut();
        server.peers.add(cut);
        remote = server.core.gateway.accept({
          send: (text) => {
            const old = random.fraction() < staleChance ? said.get(site)?.at(random.integer(said.get(site)?.length ?? 1)) : undefined;
            if (text.startsWith('{"t":"desired"')) said.set(site, [...(said.get(site) ?? []), text].slice(-20));
            for (const frame of old === undefined ? [text] : [text, old]) {
              later('site', () => (!open || life.isDead() ? undefined : random.fraction() < dropChance ? cut() : life.enter(() => events.onFrame(frame))));
            }
          },
          backlogBytes: () => 0,
          close: () => later('site', cut),
        });
      });
      cuts.set(site, cut);
      return {
        send: (text) => later('hub', () => (!open || server !== hub ? undefined : random.fraction() < dropChance ? cut() : remote?.onFrame(text))),
        close: cut,
      };
    },
  });
  const cuts = new Map<Site, () => void>();
  const dropChance = 0.04;
  /** A stale replica of the hub speaks up: everything it ever said to a site is validly signed. */
  const staleChance = 0.02;
  const said = new Map<Site, string[]>();

  const boot = (site: Site): void => {
    site.boots += 1;
    const life = newLife(() => {
      cuts.get(site)?.();
      site.stop.abort();
      site.agent = undefined;
    });
    site.life = life;
    site.stop = new AbortController();
    const cluster = life.wrap(options.isShared === true ? seenFrom(site, (text) => void faults.push(text)) : site.cluster);
    const agent = createAgent({
      store: life.store(site.disk.reopen()),
      host: life.wrap(site.host),
      openCluster: () => Promise.resolve(ok(cluster)),
      links: [link(site, life)],
      content: () => ({
        fetch: (digest) =>
          Promise.resolve(
            !site.isConnected || hub === undefined
              ? fail('retry', 'content-unreachable', digest, 'cut')
              : blobs.has(digest)
                ? ok(String(blobs.get(digest)))
                : fail('retry', 'content-missing', digest, 'not there'),
          ),
      }),
      blobs: () => life.wrap(fakeBlobs(blobs, { held: site.large, isReachable: () => site.isConnected && hub !== undefined })),
      architecture: 'x64',
      key: simDeviceKey(site.name),
      ticket,
      clock: life.clock({ ...clock, wallMs: () => clock.wallMs() + site.wallOffsetMs }),
      random: random.fork(`${site.name} ${site.boots}`),
      bootId: `${site.name}-${site.boots}`,
      name: site.name,
      verify: simVerify,
      // Every second site is an older build without the optional abilities.
      ...(site.name.endsWith('1') ? { capabilities: [] } : {}),
    });
    site.agent = agent;
    agent.run(site.stop.signal).catch((error: unknown) => {
      if (!(error instanceof Crashed)) faults.push(`${site.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    });
  };

  const makeCluster = (): FakeCluster => {
    const cluster = fakeCluster({ clock });
    cluster.controllers({ readyMs: 500 });
    return cluster;
  };
  const common = makeCluster();
  const makeSite = (index: number): Site => {
    const cluster = options.isShared === true ? common : makeCluster();
    return {
      name: `site-${index}`,
      disk: fakeAgentStore(),
      host: fakeHost(emptyHostState()),
      large: new Map(),
      cluster,
      wallOffsetMs: 0,
      isConnected: true,
      isApart: false,
      frozen: undefined,
      life: undefined,
      agent: undefined,
      stop: new AbortController(),
      boots: 0,
    };
  };

  await seedHub();
  await startHub();
  const sites = Array.from({ length: options.sites }, (_, index) => makeSite(index));
  for (const site of sites) {
    await site.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'foreign' } }, { fieldManager: 'somebody', force: false });
    await site.cluster.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'precious', namespace: 'foreign' }, data: { keep: 'me' } },
      { fieldManager: 'somebody', force: false },
    );
    boot(site);
  }

  return {
    random,
    clock,
    sites,
    faults,
    hub: (): { core: Core; store: ReturnType<typeof fakeHubStore> } | undefined => hub,
    disk: (): FakeHubDisk => disk,
    boot,
    crash: (site: Site): void => {
      site.life?.die();
      site.stop.abort();
    },
    setConnected: (site: Site, isConnected: boolean): void => {
      site.isConnected = isConnected;
      if (!isConnected) cuts.get(site)?.();
    },
    crashHub: (): void => {
      const dying = hub;
      hub = undefined;
      disk = copyDisk(disk);
      for (const cut of dying?.peers ?? []) cut();
      void dying?.core.runner.stop();
    },
    startHub,
    backup: (): FakeHubDisk => copyDisk(disk),
    /** The hub wakes up with an older memory. */
    restore: (backup: FakeHubDisk): void => {
      disk = copyDisk(backup);
    },
  };
};
export type World = Awaited<ReturnType<typeof createWorld>>;
