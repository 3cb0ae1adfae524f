import { parseTicket } from '@groundplane/agent/identity/ticket';
import { createCore, type Core } from '@groundplane/hub/core';
import type { Http } from '@groundplane/hub/port/http';
import type { Row, Store } from '@groundplane/hub/port/store';
import { digestOf } from '@groundplane/protocol/digest';
import { makeId } from '@groundplane/protocol/ids';
import { clusterSpecSchema, profileSpecSchema } from '@groundplane/protocol/profile';
import { parse } from 'yaml';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { fakeCloud, type FakeCloud } from '../fake/cloud.ts';
import { fakeContent } from '../fake/content.ts';
import { emptyHubDisk, fakeHubStore, type FakeHubDisk } from '../fake/hub-store.ts';
import { fakeMachineProvider } from '../fake/machine-provider.ts';
import { seededRandom } from '../fake/random.ts';
import { noHelm } from '../sim/crash.ts';
import { simHubKeys } from '../sim/keys.ts';

export const tenant = 'ten_00000000000000000000';
export const project = 'prj_00000000000000000000';
export const clusterId = 'clu_00000000000000000000';
const at = { tenant, project };

const profile = profileSpecSchema.parse({ type: 'full', layers: [{ name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing' } }] });

export const poolsOf = (...pools: object[]): object[] => [{ name: 'servers', role: 'control-plane', count: 1, size: 'small' }, ...pools];

/** The real hub core over an invented cloud, with virtual time. Its hosts are as simple as can be: they come with their ticket, and do what they are told at once. */
export const createCloudWorld = async (options: { seed?: number; quota?: number } = {}) => {
  const clock: VirtualClock = virtualClock({ wallStartMs: Date.UTC(2026, 0, 1) });
  const random = seededRandom(options.seed ?? 1);
  const keys = simHubKeys('hub-cloud');
  const cloud: FakeCloud = fakeCloud(options.quota === undefined ? {} : { quota: options.quota });
  const content = fakeContent();
  const disk: FakeHubDisk = emptyHubDisk();
  let life: { dead: boolean; calls: number; dieAt: number | undefined; after: boolean } = { dead: false, calls: 0, dieAt: undefined, after: false };
  let store!: Store;
  let core!: Core;
  /** Hosts that do not answer any more. */
  const silent = new Set<string>();
  const callTimes: number[] = [];
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

  /** Calls of this life; the chosen one is the last. */
  const mortal =
    (self: typeof life): Http =>
    async (request) => {
      if (self.dead) return never();
      self.calls += 1;
      callTimes.push(clock.monotonicMs());
      if (self.calls === self.dieAt) {
        self.dead = true;
        if (self.after) await cloud.http(request);
        return never();
      }
      return cloud.http(request);
    };

  const start = async (): Promise<void> => {
    const self = { dead: false, calls: 0, dieAt: undefined, after: false };
    life = self;
    const inner = fakeHubStore(clock, disk);
    // The world goes on when the hub dies: what it writes is kept, what the dead hub would write is not.
    store = inner;
    const itsStore: Store = { ...inner, commit: (writes, given) => (self.dead ? never() : inner.commit(writes, given)) };
    core = await createCore({
      systemTenant: tenant,
      store: itsStore,
      content,
      helm: noHelm,
      keys,
      epoch: 'e1',
      secret: 's',
      engine: 'sim',
      clock: { ...clock, after: (delayMs, callback) => clock.after(delayMs, () => (self.dead ? undefined : callback())) },
      random,
      log: (text) => void logged.push(text),
      cloud: {
        table: { machines: { vsphere: async (deps) => fakeMachineProvider(deps.http) }, managed: {} },
        httpFor: () => mortal(self),
        egress: { private: 'all' },
        addresses: () => ({ links: ['sim://hub'], content: 'http://hub.test' }),
      },
    });
    await core.cloud.start();
  };
  const logged: string[] = [];

  const first = fakeHubStore(clock, disk);
  await first.commit([
    { op: 'put', kind: 'tenant', tenant, id: tenant, project: '', name: 'default', lookup: 'default', value: { trustMode: 'hub' } },
    { op: 'put', kind: 'project', tenant, id: project, project: '', name: 'default', value: {} },
  ]);
  const digest = digestOf(profile);
  const release = keys.sign('release', {
    schema: 'groundplane.dev/release/1' as const,
    tenant,
    profile: 'site',
    version: '1.0.0',
    digest,
    settable: [] as string[],
  });
  await first.commit([
    {
      op: 'put',
      kind: 'profile',
      ...at,
      id: 'prv_1',
      name: 'site@1.0.0',
      value: { profile: 'site', version: '1.0.0', labels: {}, spec: profile, state: 'released', digest, release },
    },
  ]);
  await start();
  await store.commit([
    {
      op: 'put',
      kind: 'account',
      tenant,
      project: '',
      id: makeId('account', (length) => random.bytes(length)),
      name: 'dc',
      value: {
        kind: 'vsphere',
        settings: { url: 'https://cloud.test' },
        sealed: core.sealers(tenant).seal(JSON.stringify({ type: 'password', username: 'u', password: 'p' })),
        checked: { atMs: 0 },
      },
    },
  ]);

  const apply = async (pools: object[], fields: object = {}, { id, name } = { id: clusterId, name: 'shop' }): Promise<void> => {
    const before = await store.get('cluster', tenant, id);
    const spec = clusterSpecSchema.parse({
      profiles: [{ name: 'site', version: '1.0.0' }],
      infrastructure: { environment: 'vsphere', account: 'dc', placement: { datacenter: 'd', vip: '10.0.0.2', boot: 'groundplane' }, pools, ...fields },
    });
    await store.commit([{ op: 'put', kind: 'cluster', ...at, id, name, value: { labels: {}, spec, deleting: before?.value.deleting ?? false } }]);
  };

  const hostRows = async (): Promise<Row<'host'>[]> => store.list('host', tenant, { project, limit: 10_000 });
  const machineRows = async (): Promise<Row<'machine'>[]> => store.list('machine', tenant, { project, limit: 10_000 });

  /** What is booted comes with its ticket; who is there does what it is told. */
  const beHosts = async (): Promise<void> => {
    if (life.dead) return;
    const running = cloud.instances().filter((item) => item.state === 'running');
    const known = new Map((await hostRows()).map((row) => [row.name, row]));
    for (const item of running) {
      if (known.has(item.name)) continue;
      const document = parse(item.userData) as { write_files: { path: string; content: string }[] };
      const ticket = parseTicket(document.write_files[0]?.content ?? '');
      if (!ticket.ok) throw new Error('user data without a ticket');
      const row = await store.byLookup('ticket', ticket.value.id);
      if (row?.value.machine === undefined || row.value.usesLeft < 1) continue;
      const id = makeId('host', (length) => random.bytes(length));
      await store.commit([
        { op: 'put', kind: 'ticket', ...at, id: row.id, name: row.name, lookup: row.id, value: { ...row.value, usesLeft: 0 }, expect: row.version },
        {
          op: 'put',
          kind: 'host',
          ...at,
          id,
          name: item.name,
          lookup: `key ${item.id}`,
          value: { key: `key ${item.id}`, state: 'approved', labels: {}, bootId: 'b', machine: row.value.machine.id },
        },
      ]);
    }
    for (const row of await hostRows()) {
      const isThere = running.some((item) => item.name === row.name) && !silent.has(row.name);
      if (core.fleet.host(row.id)?.online !== isThere) core.fleet.setOnline(row.id, isThere, clock.wallMs());
      if (!isThere) continue;
      const desired = await store.get('desired', tenant, row.id);
      const observed = await store.get('observed', tenant, row.id);
      if (desired === undefined || observed?.value.status.version?.digest === desired.value.version.digest) continue;
      await store.commit([
        {
          op: 'put',
          kind: 'observed',
          tenant,
          project: '',
          id: row.id,
          name: row.id,
          value: {
            reportedAtMs: clock.wallMs(),
            status: { phase: 'converged', version: desired.value.version, layers: [], kubernetes: { state: 'reachable' } },
          },
        },
      ]);
    }
  };

  const run = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      await clock.advance(1_000);
      await beHosts();
      if (life.dead) await restart();
    }
    await clock.advance(1);
    if (life.dead) await restart();
  };

  const restart = async (): Promise<void> => {
    life.dead = true;
    await start();
  };

  return {
    cloud,
    clock,
    logged,
    apply,
    run,
    restart,
    hostRows,
    machineRows,
    silent,
    store: () => store,
    core: () => core,
    calls: () => life.calls,
    /** When each call went out, on the virtual clock's monotonic scale. */
    callTimes,
    /** This life ends at its n-th call, before it goes out or after it was done. */
    dieAt: (call: number, after: boolean): void => {
      life.dieAt = life.calls + call;
      life.after = after;
    },
    infrastructure: async () => (await store.get('infrastructure', tenant, clusterId))?.value,
    remove: async (forced = false): Promise<void> => {
      const row = await store.get('cluster', tenant, clusterId);
      if (row === undefined) return;
      await store.commit([
        { op: 'put', kind: 'cluster', ...at, id: row.id, name: row.name, value: { ...row.value, deleting: true, ...(forced ? { forced } : {}) } },
      ]);
    },
    cluster: async () => store.get('cluster', tenant, clusterId),
    close: async (): Promise<void> => {
      if (life.dead) await restart();
      let isClosed = false;
      const closing = core.close().then(() => (isClosed = true));
      // Turns that wait for their account's next call go on in virtual time.
      while (!isClosed) await clock.advance(1_000);
      await closing;
    },
  };
};
export type CloudWorld = Awaited<ReturnType<typeof createCloudWorld>>;
