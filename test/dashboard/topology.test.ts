import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { clusterSpecSchema } from '@groundplane/protocol/profile';
import { environmentTopology, siteTopology, type Topology } from '@groundplane/hub/dashboard/src/model/topology';
import { describe, expect, test } from 'vitest';
import { isBrowserRequired, logIn, openPage, useDashboard, whyNoBrowser } from './browser.ts';
import { startFixture } from './fixture-server.ts';
import { makeHost } from './fixture-data.ts';

type Machine = InfrastructureView['machines'][number];
type Pool = InfrastructureView['pools'][number];

const machine = (name: string, fields: Partial<Machine> = {}): Machine => ({
  name,
  pool: 'workers',
  phase: 'made',
  sinceMs: 0,
  size: 's',
  reason: '',
  addresses: [],
  outdated: false,
  health: 'healthy',
  ...fields,
});
const pool = (name: string, fields: Partial<Pool> = {}): Pool => ({
  name,
  role: 'worker',
  size: 's',
  wanted: 1,
  total: 1,
  ready: 1,
  outdated: 0,
  needsApproval: false,
  waits: [],
  ...fields,
});
const view = (pools: Pool[], machines: Machine[], fields: Partial<InfrastructureView> = {}): InfrastructureView => ({
  environment: 'aws',
  account: 'a',
  steps: [],
  pools,
  machines,
  protected: false,
  notices: [],
  ...fields,
});
const clusterWith = (infrastructure: object | undefined, hosts: ClusterView['hosts'] = []): Pick<ClusterView, 'hosts' | 'spec'> => ({
  hosts,
  spec: clusterSpecSchema.parse({ profiles: [{ name: 'p', version: '1.0.0' }], ...(infrastructure === undefined ? {} : { infrastructure }) }),
});
const servers = { name: 'servers', role: 'control-plane', count: 1, size: 's' };
const inAws = clusterWith({ environment: 'aws', account: 'a', placement: { region: 'eu-central-1' }, pools: [servers] });
const drawnIn = (topology: Topology): number => topology.zones.flatMap((zone) => zone.pools).reduce((sum, item) => sum + item.members.length, 0);

describe('what the topology shows', () => {
  test('one machine: its region, zone, pool, state and host', () => {
    const one = environmentTopology(
      view([pool('servers', { role: 'control-plane' })], [machine('m', { pool: 'servers', zone: 'a', host: 'h' })], {
        endpoint: { kind: 'external', host: 'api.example', port: 6443 },
        gateway: 'door',
      }),
      inAws,
    );
    expect(one).toEqual({
      environment: 'AWS EC2',
      place: 'eu-central-1',
      facts: [
        ['API server', 'api.example:6443'],
        ['Site gateway', 'door'],
      ],
      zones: [
        {
          name: 'a',
          pools: [
            {
              name: 'servers',
              role: 'control planes',
              total: 1,
              tallies: [{ tone: 'good', state: 'healthy', count: 1 }],
              members: [{ name: 'm', host: 'h', tone: 'good', state: 'healthy' }],
              folded: 0,
            },
          ],
        },
      ],
    });
  });

  test('500 machines: all are counted, those that are not well are drawn, and a small pool is whole', () => {
    const many = Array.from({ length: 500 }, (_, index) =>
      machine(`w-${String(index).padStart(3, '0')}`, { zone: index % 2 === 0 ? 'a' : 'b', ...(index < 7 ? { health: 'lost' } : {}) }),
    );
    const topology = environmentTopology(view([pool('workers'), pool('small')], [...many, machine('s', { pool: 'small', zone: 'a' })]), inAws);
    const [a, b] = topology.zones;
    expect([a?.name, b?.name]).toEqual(['a', 'b']);
    expect(a?.pools.map((item) => [item.name, item.total, item.members.length, item.folded])).toEqual([
      ['small', 1, 1, 0],
      ['workers', 250, 4, 246],
    ]);
    expect(a?.pools[1]?.tallies).toEqual([
      { tone: 'bad', state: 'lost', count: 4 },
      { tone: 'good', state: 'healthy', count: 246 },
    ]);
  });

  test('however bad it is, at most 300 are drawn, and no pool takes the room of all', () => {
    const pools = Array.from({ length: 40 }, (_, index) => `p${index}`);
    const machines = pools.flatMap((name) => Array.from({ length: 50 }, (_, index) => machine(`${name}-${index}`, { pool: name, health: 'failed' })));
    const topology = environmentTopology(
      view(
        pools.map((name) => pool(name)),
        machines,
      ),
      inAws,
    );
    expect(drawnIn(topology)).toBe(300);
    expect(topology.zones[0]?.pools.reduce((sum, item) => sum + item.total, 0)).toBe(2_000);
  });

  test('machines that come and go say so; pools of a service are numbers', () => {
    const topology = environmentTopology(
      view(
        [pool('workers'), pool('nodes', { wanted: 5, total: 4, ready: 3 })],
        [machine('a', { phase: 'wanted', health: undefined }), machine('b', { phase: 'leaving' }), machine('c', { health: undefined })],
      ),
      inAws,
    );
    const [nodes, workers] = topology.zones[0]?.pools ?? [];
    expect(nodes).toMatchObject({
      total: 5,
      members: [],
      tallies: [
        { state: 'on their way', count: 2 },
        { state: 'ready', count: 3 },
      ],
    });
    expect(workers?.members.map((item) => [item.name, item.state])).toEqual([
      ['a', 'being made'],
      ['c', 'not known yet'],
      ['b', 'leaving'],
    ]);
  });

  test('an agent inside, and hosts that came by themselves', () => {
    const host = makeHost(1, 0);
    const inside = environmentTopology(
      view([], [], { environment: 'existing' }),
      clusterWith({ environment: 'existing', placement: { agent: 'inside' } }, [host]),
    );
    expect(inside.zones[0]?.pools.map((item) => [item.name, item.members.map((member) => member.host)])).toEqual([
      ['agent inside of the cluster', [host.name]],
    ]);
    const edge = siteTopology(clusterWith(undefined, [host, { ...host, name: 'gone', online: false }]));
    expect(edge.environment).toBe('Edge site');
    expect(edge.zones[0]?.pools.flatMap((item) => item.members).map((member) => member.state)).toContain('offline');
    expect(siteTopology(clusterWith(undefined)).zones).toEqual([]);
  });
});

const reason = isBrowserRequired() ? undefined : whyNoBrowser();

describe.skipIf(reason !== undefined)(`topology in Chromium${reason === undefined ? '' : `, skipped: ${reason}`}`, () => {
  const dashboard = useDashboard('topology');

  test('zones, pools and machines are lists that link to their hosts, without a complaint of the policy', { timeout: 120_000 }, async () => {
    const server = await startFixture({ hosts: 60, assetsDir: dashboard.assetsDir() });
    const { context, page, complaints } = await openPage(dashboard.browser(), server.url);
    await logIn(page, server.credentials);
    await page.goto('/p/retail/clusters/store-000');
    const zones = page.getByRole('list', { name: 'Zones and pools' });
    await zones.waitFor();
    const members = zones.getByRole('list', { name: 'Members of workers' });
    expect(await members.first().getByRole('listitem').count()).toBe(1);
    expect(await zones.innerText()).toMatch(/eu-central-1a[\s\S]*workers, 1|workers/);
    expect(await page.getByText('1 unhealthy').count()).toBe(1);
    await members.getByRole('link', { name: /store-000-workers-abc123 healthy/ }).click();
    await page.waitForURL(/\/hosts\//);
    // A site: hosts in their roles.
    await page.goto('/p/retail/clusters/store-001');
    await page.getByRole('list', { name: 'Zones and pools' }).waitFor();
    expect(complaints).toEqual([]);
    await context.close();
    await server.close();
  });
});
