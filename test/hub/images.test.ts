import { expect, test } from 'vitest';
import { pinImages } from '@groundplane/hub/cloud/images';
import { generationOf } from '@groundplane/hub/cloud/machine-rows';
import { noteSupport, noteUpstreamSupport } from '@groundplane/hub/cloud/support';
import { freshInfrastructure, scopeOf, type CloudDeps } from '@groundplane/hub/cloud/turn';
import type { ImageChoice } from '@groundplane/hub/port/provider';
import type { Row } from '@groundplane/hub/port/store';
import { infrastructureSchema, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';
import { fail, ok } from '@groundplane/protocol/failure';

const hourMs = 3_600_000;
const row = { kind: 'cluster', tenant: 't', project: 'p', id: 'clu_1', name: 'shop' } as Row<'cluster'>;
const specOf = (fields: object = {}): Infrastructure =>
  infrastructureSchema.parse({
    environment: 'aws',
    account: 'a',
    placement: { region: 'r' },
    pools: [{ name: 'servers', role: 'control-plane', count: 1, size: 'm5.large', image: 'debian-13', ...fields }],
  });

const world = () => {
  let newest = 'ami-1';
  let isAway = false;
  const asked: string[] = [];
  const events: string[] = [];
  let catalogue: string | undefined;
  const store = {
    get: async () => (catalogue === undefined ? undefined : { value: { value: catalogue } }),
    commit: async (writes: { event?: { reason: string } }[]) => (events.push(...writes.flatMap((write) => write.event?.reason ?? [])), ok(1)),
  };
  const infra = freshInfrastructure(specOf());
  const provider = {
    resolveImage: async (_scope: unknown, size: string, choice: ImageChoice) => {
      asked.push(`${size} ${choice.amd64}`);
      return isAway ? fail('retry', 'cloud-unreachable', 'aws', 'away') : ok({ exact: newest });
    },
  };
  const turnAt = (hours: number, spec: Infrastructure) => ({
    deps: { store, clock: { wallMs: () => 0 } } as unknown as CloudDeps,
    row,
    spec,
    infra,
    scope: scopeOf(row, spec),
    nowMs: hours * hourMs,
    provider,
  });
  return {
    infra,
    asked,
    events,
    publish: (exact: string) => void (newest = exact),
    replaceCatalogue: (text: string) => void (catalogue = text),
    goAway: (away: boolean) => void (isAway = away),
    look: async (hours: number, spec = specOf()) => {
      const turn = turnAt(hours, spec);
      const failures = await pinImages(turn);
      const [pool] = spec.pools;
      return { failures, image: infra.images?.['servers'], generation: pool === undefined ? '' : generationOf(turn, pool) };
    },
  };
};

test('a name of the catalogue is found out once; a newer image is told, and taken when somebody says so', async () => {
  const { infra, asked, events, publish, look } = world();
  const before = await look(0, specOf({ image: undefined }));
  expect(before.image).toBeUndefined();
  const first = await look(0);
  expect(first.image).toMatchObject({ name: 'debian-13', exact: 'ami-1' });
  expect(asked).toEqual(['m5.large /aws/service/debian/release/13/latest/amd64']);
  publish('ami-2');
  expect((await look(5)).image?.newer).toBeUndefined();
  const later = await look(6);
  expect(later.image).toMatchObject({ exact: 'ami-1', newer: 'ami-2' });
  // Nothing rolls by itself.
  expect(later.generation).toBe(first.generation);
  publish('ami-3');
  infra.approvedImages = { servers: 'ami-2' };
  const taken = await look(7);
  expect(taken.image).toMatchObject({ exact: 'ami-2', isChosen: true });
  expect(taken.generation).not.toBe(first.generation);
  // The one that came in between is told anew; the word for the one before does not count for it.
  const last = await look(13);
  expect(last).toMatchObject({ image: { exact: 'ami-2', newer: 'ami-3' }, generation: taken.generation });
  expect(events).toEqual(['ImageAvailable', 'ImageTaken', 'ImageAvailable']);
  expect((await look(14)).generation).toBe(taken.generation);
});

test('another image or size means the newest; what is no name of the catalogue is left as it is', async () => {
  const { publish, look, asked } = world();
  await look(0);
  publish('ami-2');
  expect((await look(1, specOf({ size: 'm7g.large' }))).image).toMatchObject({ exact: 'ami-2', size: 'm7g.large' });
  expect((await look(2, specOf({ image: 'ubuntu-24.04' }))).image).toMatchObject({ name: 'ubuntu-24.04', exact: 'ami-2' });
  asked.length = 0;
  expect(await look(3, specOf({ image: 'ami-0abc' }))).toMatchObject({ image: undefined, failures: new Map() });
  expect(asked).toEqual([]);
});

test('a catalogue that has the name no more takes no image from a pool that has one', async () => {
  const { infra, publish, look, replaceCatalogue } = world();
  await look(0);
  publish('ami-2');
  await look(6);
  infra.approvedImages = { servers: 'ami-2' };
  const taken = await look(7);
  replaceCatalogue(JSON.stringify({ source: 'ours', images: {}, kubernetes: {} }));
  // At once, and when it would be looked up again.
  for (const hours of [8, 30, 31])
    expect(await look(hours)).toMatchObject({ image: { exact: 'ami-2', isChosen: true }, generation: taken.generation, failures: new Map() });
  expect((await look(32, specOf({ image: 'ami-0abc' }))).image).toBeUndefined();
});

test('an environment that is away changes nothing that is known, and what is not known cannot be made', async () => {
  const { goAway, look, asked } = world();
  goAway(true);
  expect((await look(0)).failures.get('servers')).toMatchObject({ code: 'cloud-unreachable' });
  goAway(false);
  await look(1);
  goAway(true);
  expect(await look(8)).toMatchObject({ image: { exact: 'ami-1' }, failures: new Map() });
  asked.length = 0;
  await look(8.1);
  expect(asked).toEqual([]);
  await look(8.3);
  expect(asked).toHaveLength(1);
});

test('where images are kept new under one name, that name is taken', async () => {
  const spec = infrastructureSchema.parse({
    environment: 'maas',
    account: 'a',
    placement: { vip: '10.0.0.2' },
    pools: [{ name: 'servers', role: 'control-plane', count: 1, size: '2x4', image: 'ubuntu-24.04' }],
  });
  const infra = freshInfrastructure(spec);
  const deps = { store: { get: async () => undefined } } as unknown as CloudDeps;
  await pinImages({ deps, row, spec, infra, scope: scopeOf(row, spec), nowMs: 0, provider: {} });
  expect(infra.images).toMatchObject({ servers: { exact: 'ubuntu/noble' } });
});

test('the end of support of a managed version is looked up once a day and told once', async () => {
  const spec = infrastructureSchema.parse({ environment: 'eks', account: 'a', placement: { region: 'r' }, pools: [] });
  const infra = freshInfrastructure(spec);
  const events: string[] = [];
  let looks = 0;
  const store = {
    get: async () => undefined,
    commit: async (writes: { event?: { message: string } }[]) => (events.push(...writes.flatMap((write) => write.event?.message ?? [])), ok(1)),
  };
  const note = async (day: string, version: string): Promise<void> =>
    noteSupport(
      {
        deps: { store, clock: { wallMs: () => 0 } } as unknown as CloudDeps,
        row,
        spec,
        infra,
        scope: scopeOf(row, spec),
        nowMs: Date.parse(`${day}T00:00:00Z`),
        provider: { versions: async () => ((looks += 1), ok([{ name: '1.34', endOfSupport: '2026-12-24' }])) } as never,
      },
      version,
    );
  await note('2026-10-01', '1.34');
  expect(infra.support).toMatchObject({ ends: '2026-12-24' });
  expect(infra.support?.notice).toBeUndefined();
  await note('2026-10-01', '1.34');
  expect(looks).toBe(1);
  await note('2026-11-01', '1.34');
  await note('2026-11-03', '1.34');
  expect(infra.support?.notice).toMatch(/until 2026-12-24, 51 more days/);
  expect(events).toHaveLength(1);
  await note('2026-11-03', '1.35');
  expect(infra.support).toMatchObject({ version: '1.35', ends: '2027-03-27' });
  expect(infra.support?.notice).toBeUndefined();
});

test('a cluster of machines is warned of the end of the patches of its minor version, by its profile and the catalogue', async () => {
  const spec = specOf();
  const infra = freshInfrastructure(spec);
  const events: string[] = [];
  let reads = 0;
  let kubernetes: object | undefined = { distribution: 'kubeadm', version: '1.34.2' };
  const held: { catalogue?: string } = {};
  const store = {
    get: async () => (held.catalogue === undefined ? undefined : { value: { value: held.catalogue } }),
    commit: async (writes: { event?: { message: string } }[]) => (events.push(...writes.flatMap((write) => write.event?.message ?? [])), ok(1)),
  };
  let isBroken = false;
  const inputs = {
    ofRow: async () => ((reads += 1), isBroken ? fail('blocked', 'profile-missing', 'x', 'x') : ok({ profiles: [{ spec: { layers: [{}, { kubernetes }] } }] })),
  };
  const look = async (day: string, version = 1): Promise<string | undefined> => {
    const deps = { store, inputs, clock: { wallMs: () => 0 } } as unknown as CloudDeps;
    await noteUpstreamSupport({ deps, row: { ...row, version }, infra, nowMs: Date.parse(`${day}T00:00:00Z`) });
    return infra.support?.notice;
  };
  expect(await look('2026-08-01')).toBeUndefined();
  expect(infra.support).toMatchObject({ version: '1.34.2', ends: '2026-10-27' });
  await look('2026-08-01');
  expect(reads).toBe(1);
  expect(await look('2026-10-20')).toMatch(/until 2026-10-27, 7 more days/);
  expect(await look('2026-10-28')).toMatch(/since 2026-10-27/);
  expect(events, 'one for a version').toHaveLength(1);
  isBroken = true;
  expect(await look('2026-10-29'), 'profiles that cannot be read change nothing').toMatch(/since 2026-10-27/);
  isBroken = false;
  kubernetes = { distribution: 'k3s', version: '1.35.1' };
  expect(await look('2026-10-28', 2), 'another document counts at once').toBeUndefined();
  held.catalogue = JSON.stringify({ source: 'ours', images: {}, kubernetes: { upstream: { '1.35': '2026-11-01' } } });
  expect(await look('2026-10-30', 2)).toMatch(/until 2026-11-01, 2 more days/);
  for (const other of [undefined, { distribution: 'existing', version: '>=1.30' }]) {
    kubernetes = other;
    expect(await look('2026-10-30', reads + 10)).toBeUndefined();
  }
  expect(events).toHaveLength(2);
});

test('an environment that does not tell its versions is asked once an hour, and the catalogue counts meanwhile', async () => {
  const spec = infrastructureSchema.parse({ environment: 'eks', account: 'a', placement: { region: 'r' }, pools: [] });
  const infra = freshInfrastructure(spec);
  let looks = 0;
  let isAway = true;
  const note = async (time: string, version: string): Promise<void> =>
    noteSupport(
      {
        deps: { store: { get: async () => undefined, commit: async () => ok(1) }, clock: { wallMs: () => 0 } } as unknown as CloudDeps,
        row,
        spec,
        infra,
        scope: scopeOf(row, spec),
        nowMs: Date.parse(time),
        provider: {
          versions: async () => (
            (looks += 1),
            isAway ? fail('blocked', 'permission-missing', 'eks', 'eks:DescribeClusterVersions') : ok([{ name: '1.34', endOfSupport: '2027-01-24' }])
          ),
        } as never,
      },
      version,
    );
  await note('2026-11-01T00:00:00Z', '1.34');
  expect(infra.support).toMatchObject({ ends: '2026-12-02', notice: expect.stringContaining('until 2026-12-02') });
  await note('2026-11-01T00:59:00Z', '1.34');
  expect(looks).toBe(1);
  isAway = false;
  await note('2026-11-01T01:00:00Z', '1.34');
  expect(infra.support).toMatchObject({ ends: '2027-01-24' });
  isAway = true;
  await note('2026-11-03T00:00:00Z', '1.34');
  expect(looks).toBe(3);
  expect(infra.support).toMatchObject({ ends: '2027-01-24' });
});
