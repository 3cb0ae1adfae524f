import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterView } from '@groundplane/protocol/api/views';
import type { Http } from '@groundplane/hub/port/http';
import { providerTable } from '@groundplane/hub/providers/table';
import { systemClock } from '@groundplane/hub/system/clock';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingForMoto } from '../counterparts/aws/start.ts';
import { makeAdminCertificate, missingForCertificates } from '../counterparts/client-certificate.ts';
import { startTokenReviews, type ControlPlane, type TokenReviews } from '../counterparts/control-plane.ts';
import { aksCloud, eksCloud, gkeCloud, type ManagedCloud } from '../counterparts/managed-clouds.ts';
import { fail } from '@groundplane/protocol/failure';
import { openHub, value, type HubWorld } from '../hub/world.ts';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { startSilent } from './silent.ts';
import { until } from './site.ts';

/**
 * Managed clusters end to end: the counterparts of EKS, AKS and GKE make a cluster and hand out a real API server, which asks them about every token; the hub
 * makes it, puts a profile's layers into it, changes and removes them, and has the cluster deleted.
 */
const missing = [...(await missingForLab()), ...missingForCertificates()];
const cannot = missing.length > 0 && !isRequired('go');
const noMoto = await missingForMoto();
const noEks = noMoto.length > 0 && !isRequired('moto');

const project = { project: 'default' };
/** What the tests' clock is ahead of the machine's. */
let laterMs = 0;
const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + laterMs };

let folder: string;
let light: LightCluster;
let reviews: TokenReviews;
let plane: ControlPlane;
let hub: HubWorld;
/** The cloud that the hub's calls go to. */
let cloud: ManagedCloud;
/** Tokens that the API server does not take any more. */
const revoked = new Set<string>();

const started = async (opened: Promise<HubWorld>): Promise<HubWorld> => {
  const world = await opened;
  await world.core.cloud.start();
  return world;
};
const hubOver = (http: () => Http): Promise<HubWorld> =>
  started(
    openHub({
      clock,
      cloud: (data) => ({
        table: providerTable,
        httpFor: () => (request) => http()(request),
        addresses: () => ({ links: ['ws://hub.test/link'], content: 'http://hub.test' }),
        egress: { private: ['127.0.0.0/8'] },
        residents: { data: join(data, 'resident'), version: 'test' },
      }),
    }),
  );

const names = async (...args: string[]): Promise<string[]> => {
  const result = await light.kubectl(['get', ...args, '-o', 'name']);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value.trim().split('\n').filter(Boolean).toSorted();
};
const color = async (namespace: string): Promise<string> =>
  value(await light.kubectl(['get', '-n', namespace, 'configmap', 'paint', '-o', 'jsonpath={.data.color}']));

const profileOf = (environment: string, version: string, namespace: string, shade: string) => ({
  spec: {
    type: 'full' as const,
    layers: [
      { name: 'kubernetes', kind: 'kubernetes' as const, kubernetes: { distribution: environment as 'eks', version } },
      {
        name: 'paint',
        kind: 'addon' as const,
        namespace,
        manifests: [
          { name: 'map', content: `{apiVersion: v1, kind: ConfigMap, metadata: {name: paint}, data: {color: ${shade}}}` },
          {
            name: 'web',
            content: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "registry.example/web:1"}]}}}}`,
          },
        ],
      },
    ],
  },
});
const applyProfile = async (name: string, version: string, body: ReturnType<typeof profileOf>): Promise<void> =>
  void value(await hub.admin.call('applyProfile', { params: { ...project, name, version }, body }));
const applyCluster = async (name: string, profile: string, version: string, of: ManagedCloud, size: string = of.size): Promise<void> => {
  const pools = [{ name: 'first', role: 'worker' as const, count: 1, size }];
  const infrastructure = { environment: of.environment, account: of.environment, placement: of.placement, pools };
  value(await hub.admin.call('applyCluster', { params: { ...project, name }, body: { spec: { profiles: [{ name: profile, version }], hosts: [], infrastructure } } })); // prettier-ignore
};
const setAccount = async (of: ManagedCloud, name: string = of.environment) =>
  value(await hub.admin.call('setAccount', { params: { ...project, name }, query: {}, body: of.account }));

const clusterOf = async (name: string): Promise<ClusterView> => value(await hub.admin.call('getCluster', { params: { ...project, name } }));
/** The clouds' time goes by with calls, so the hub is asked to look as often as we do. */
const kick = async (): Promise<void> => {
  for (const cluster of hub.core.fleet.clusters()) hub.core.cloud.driver?.kick(cluster.id);
};
const told = async (name: string): Promise<string> => {
  const params = { ...project, name };
  const [infra, view, host] = await Promise.all([
    hub.admin.call('getInfrastructure', { params }),
    hub.admin.call('getCluster', { params }),
    hub.admin.call('getHost', { params: { ...project, name: `${name}-hub` } }),
  ]);
  return JSON.stringify({ infra, view, host, log: hub.log, reviews: reviews.said.slice(-5) }, undefined, 1);
};
const reach = (what: string, name: string, is: (view: ClusterView) => boolean | Promise<boolean>, timeoutMs = 90_000): Promise<ClusterView> =>
  until(
    what,
    async () => {
      await kick();
      const view = await clusterOf(name);
      return (await is(view)) ? view : undefined;
    },
    timeoutMs,
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await told(name)}`);
  });
const isAt =
  (profile: string, version: string) =>
  (view: ClusterView): boolean =>
    view.state === 'ready' &&
    view.layers.length === 2 &&
    view.layers.every((layer) => layer.isCurrent && layer.profile?.name === profile && layer.profile.version === version);
const gone = (name: string): Promise<true> =>
  until(
    `${name} deleted`,
    async () => {
      await kick();
      return (await hub.admin.call('getCluster', { params: { ...project, name } })).ok ? undefined : true;
    },
    90_000,
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await told(name)}`);
  });

beforeAll(async () => {
  if (cannot) return;
  expect(missing, 'the light Kubernetes is required here').toEqual([]);
  folder = mkdtempSync(join(tmpdir(), 'gp-managed-'));
  reviews = await startTokenReviews();
  reviews.add((token) => (revoked.has(token) ? { error: 'revoked' } : undefined));
  reviews.add((token) => cloud.review?.(token));
  const { authority, ...admin } = makeAdminCertificate(folder);
  const lab = await startLight({
    dir: join(folder, 'kubernetes'),
    controllers: true,
    kwokNodes: 1,
    admits: { tokenReview: reviews.url, clientCa: authority },
  });
  if (!lab.ok) throw new Error(lab.failure.message);
  light = lab.value;
  plane = { server: light.server, ca: light.caPem, admin };
}, 2_400_000);

afterAll(async () => {
  if (cannot) return;
  await light.stop();
  await reviews.close();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

interface Way {
  title: string;
  open: () => Promise<ManagedCloud>;
  /** Its tokens come to their end, or nearly. */
  age?: () => void;
}
/** Short, so that one ends while we look; and long against the pauses of a loaded machine. */
const tokenSeconds = 16;
/** The API server takes a token for ten seconds without asking again. */
const cachedMs = 10_500;
const ways: Way[] = [
  ...(noEks
    ? []
    : [
        {
          title: 'EKS, by presigned calls to STS',
          open: () =>
            eksCloud(
              () => plane,
              () => laterMs,
            ),
          age: () => void (laterMs += 16 * 60_000),
        },
      ]),
  { title: 'AKS, by the certificate of its local account', open: () => aksCloud(() => plane, 'local', 3_599) },
  { title: "AKS without local accounts, by Entra's tokens", open: () => aksCloud(() => plane, 'entra', tokenSeconds), age: () => undefined },
  { title: "GKE, by Google's tokens", open: () => gkeCloud(() => plane, tokenSeconds), age: () => undefined },
];

if (noEks) test.skip(`a managed cluster of EKS (missing: ${noMoto.join('; ')})`, () => undefined);

describe.skipIf(cannot).each(ways)(`a managed cluster of $title${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, ({ open, age }) => {
  beforeAll(async () => {
    cloud = await open();
    hub = await hubOver(() => async (request) => (isHeld && cloud.deletesPool(request) ? held : cloud.http(request)));
  }, 120_000);
  afterAll(async () => {
    await hub.close();
    await cloud.close();
  }, 60_000);

  const [name, profile] = ['shop', 'extras'];
  /** Pools cannot be deleted just now. */
  let isHeld = false;
  const held = fail('retry', 'cloud-unreachable', 'pool', 'no answer');
  const tokens = (): string[] => [...new Set(reviews.said.flatMap((item) => ('username' in item.reviewed && item.reviewed.username === cloud.username ? item.token : [])))]; // prettier-ignore

  test('is made, and its layers are put into it', async () => {
    reviews.said.length = 0;
    const account = await setAccount(cloud);
    expect(account.checked.facts?.identity).not.toBe('');
    await applyProfile(profile, '1.0.0', profileOf(cloud.environment, cloud.versions[0], 'paint', 'red'));
    await applyCluster(name, profile, '1.0.0', cloud);
    const view = await reach('1.0.0 ready', name, isAt(profile, '1.0.0'));
    expect(await color('paint')).toBe('red');
    expect(await names('-n', 'paint', 'deployment,configmap', '-l', 'groundplane.dev/managed=true')).toEqual(['configmap/paint', 'deployment.apps/web']);
    expect(view.layers.find((layer) => layer.name === 'paint')?.observed).toMatchObject({
      pack: { name: 'paint', version: '1.0.0' },
      state: 'ready',
      objects: { ready: 2, total: 2 },
    });
    expect(view.hosts.map((host) => host.name)).toEqual(['shop-hub']);
    // Never by the lab's own door, and never refused.
    expect(reviews.said.filter((item) => 'error' in item.reviewed)).toEqual([]);
    expect(tokens().length > 0).toBe(cloud.review !== undefined);
  }, 120_000);

  const change = async (version: string, shade: string): Promise<void> => {
    await applyProfile(profile, version, profileOf(cloud.environment, cloud.versions[0], 'paint', shade));
    await applyCluster(name, profile, version, cloud);
    await reach(`${version} ready`, name, isAt(profile, version));
    expect(await color('paint')).toBe(shade);
  };

  test.runIf(age !== undefined)('a token is renewed before its end, so that nobody is ever refused', { timeout: 120_000 }, async () => {
    const before = new Set(tokens());
    age?.();
    let endedMs: number | undefined;
    await until('the end of its tokens, for the API server too', async () => {
      const reviewed = await Promise.all([...before].map(async (token) => await cloud.review?.(token)));
      if (reviewed.every((item) => item !== undefined && 'error' in item)) endedMs ??= performance.now();
      return endedMs !== undefined && performance.now() - endedMs > cachedMs ? true : undefined;
    });
    await change('1.1.0', 'green');
    expect(tokens().filter((token) => !before.has(token)).length).toBeGreaterThan(0);
    expect(reviews.said.filter((item) => 'error' in item.reviewed)).toEqual([]);
  });

  test.runIf(age !== undefined)("a token that is refused before its end is forgotten, also by the cloud's own client", { timeout: 120_000 }, async () => {
    for (const token of tokens()) revoked.add(token);
    // The API server takes one for ten seconds without asking.
    await until('refusals', async () => {
      const entered = await Promise.all([...revoked].map((token) => light.kubectl(['--token', token, 'get', '--raw', '/version'])));
      return entered.every((answer) => !answer.ok) ? true : undefined;
    });
    await change('1.2.0', 'yellow');
    expect(tokens().filter((token) => !revoked.has(token)).length).toBeGreaterThan(0);
  });

  test('a new version of the profile changes the control plane and the objects, also after the hub was started anew', async () => {
    hub = await started(hub.restart());
    await applyProfile(profile, '2.0.0', profileOf(cloud.environment, cloud.versions[1], 'paint', 'blue'));
    await applyCluster(name, profile, '2.0.0', cloud);
    await reach('2.0.0 ready', name, isAt(profile, '2.0.0'));
    expect(await color('paint')).toBe('blue');
    await reach('upgraded', name, async () => {
      const infra = value(await hub.admin.call('getInfrastructure', { params: { ...project, name } }));
      return infra.version?.startsWith(cloud.versions[1]) === true && infra.steps.every((step) => step.state === 'done');
    });
  }, 120_000);

  test('the nodes of a pool that is replaced take no new pods before it goes; when it stays after all they do again, and what a person cordoned stays so', async () => {
    const pools = { 'old-a': 'first', 'old-b': 'first', 'by-hand': 'first', 'new-a': 'first-2', 'other-a': 'second' };
    const objects = Object.entries(pools).map(([node, pool]) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: node, labels: cloud.nodeLabels(pool) } }));
    value(await light.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })));
    value(await light.kubectl(['cordon', 'by-hand']));
    const cordoned = async (): Promise<string[]> =>
      value(await light.kubectl(['get', 'nodes', '-o', 'jsonpath={range .items[?(@.spec.unschedulable==true)]}{.metadata.name}{" "}{end}']))
        .trim()
        .split(' ')
        .toSorted();
    const areCordoned = (what: string, ...nodes: string[]): Promise<ClusterView> =>
      reach(what, name, async () => JSON.stringify(await cordoned()) === JSON.stringify(nodes.toSorted()));
    isHeld = true;
    try {
      await applyCluster(name, profile, '2.0.0', cloud, cloud.otherSize);
      await areCordoned('the old ones', 'by-hand', 'old-a', 'old-b');
      await applyCluster(name, profile, '2.0.0', cloud);
      await areCordoned('the new ones', 'by-hand', 'new-a');
      isHeld = false;
      await reach('one pool', name, async () => {
        const infra = value(await hub.admin.call('getInfrastructure', { params: { ...project, name } }));
        return infra.steps.every((step) => step.state === 'done') && infra.pools.every((pool) => pool.parts === undefined);
      });
      expect(await cordoned()).toEqual(['by-hand', 'new-a']);
    } finally {
      isHeld = false;
      await light.kubectl(['delete', 'node', ...Object.keys(pools)]);
    }
  }, 120_000);

  test('its deletion takes the objects and everything in the cloud', async () => {
    // A load balancer on its way out, whose controller is not done with it.
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'front', namespace: 'default', finalizers: ['example.dev/balancer'] }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } }; // prettier-ignore
    value(await light.kubectl(['apply', '-f', '-'], JSON.stringify(service)));
    value(await light.kubectl(['delete', 'service', 'front', '--wait=false']));
    value(await hub.admin.call('deleteCluster', { params: { ...project, name }, query: {} }));
    await reach('waits for the load balancer', name, async () => {
      const { steps } = value(await hub.admin.call('getInfrastructure', { params: { ...project, name } }));
      return steps.some((step) => step.name === 'layers' && step.state === 'doing' && step.message.includes('Service default/front'));
    });
    expect(await cloud.inventory()).not.toEqual([]);
    value(await light.kubectl(['patch', 'service', 'front', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']));
    await gone(name);
    await expect.poll(() => names('namespaces'), { timeout: 30_000 }).not.toContain('namespace/paint');
    expect(await names('-A', 'configmap,secret,deployment,role,rolebinding,serviceaccount', '-l', 'groundplane.dev/managed=true')).toEqual([]);
    expect(await cloud.inventory()).toEqual([]);
    expect(value(await hub.admin.call('listHosts', { params: project, query: {} })).items).toEqual([]);
    expect(hub.log).toEqual([]);
  }, 120_000);
});

describe.skipIf(cannot)(`clusters that nobody can reach${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, () => {
  test('hold up no other: made, changed and deleted beside a silent API server, a certificate of somebody else, and a cloud that never answers', async () => {
    const silent = await startSilent();
    const stuck = Promise.withResolvers<void>();
    const planes: Record<string, ControlPlane> = { silent: { ...plane, server: silent.url }, untrusted: { ...plane, ca: plane.admin?.certificate ?? '' } };
    cloud = await gkeCloud((name) => planes[name.split('-')[0] ?? ''] ?? plane, 3_599);
    const other = await aksCloud(() => plane, 'local', 3_599);
    let stuckCalls = 0;
    hub = await hubOver(() => async (request) => {
      if (!/azure|microsoft/.test(request.url)) return cloud.http(request);
      stuckCalls += 1;
      await stuck.promise;
      return fail('retry', 'cloud-unreachable', request.url, 'no answer');
    });
    try {
      await setAccount(cloud);
      value(await hub.admin.call('setAccount', { params: { ...project, name: 'aks' }, query: { validate: 'false' }, body: other.account }));
      await applyProfile('gke', '1.0.0', profileOf('gke', '1.33', 'other', 'red'));
      await applyProfile('aks', '1.0.0', profileOf('aks', '1.33', 'other', 'red'));
      for (const name of ['silent', 'untrusted']) await applyCluster(name, 'gke', '1.0.0', cloud);
      for (const name of ['stuck-1', 'stuck-2']) await applyCluster(name, 'aks', '1.0.0', other);
      await until('the others are at work', async () => {
        await kick();
        const phases = await Promise.all(['silent', 'untrusted'].map(async (name) => (await clusterOf(name)).hosts[0]?.online));
        return silent.heard() > 0 && stuckCalls > 0 && phases.every((online) => online === true) ? true : undefined;
      });
      const begunMs = performance.now();
      await applyProfile('good', '1.0.0', profileOf('gke', '1.33', 'paint', 'red'));
      await applyCluster('good', 'good', '1.0.0', cloud);
      await reach('good ready', 'good', isAt('good', '1.0.0'), 30_000);
      expect(await color('paint')).toBe('red');
      await applyProfile('good', '1.1.0', profileOf('gke', '1.33', 'paint', 'blue'));
      await applyCluster('good', 'good', '1.1.0', cloud);
      await reach('good changed', 'good', isAt('good', '1.1.0'), 30_000);
      expect(await color('paint')).toBe('blue');
      value(await hub.admin.call('deleteCluster', { params: { ...project, name: 'good' }, query: {} }));
      await gone('good');
      // A silent one is given up after thirty seconds; nobody waited for that.
      expect(performance.now() - begunMs).toBeLessThan(30_000);
      await reach('the certificate is told', 'untrusted', (view) => view.state === 'blocked' && /certificate/.test(view.message), 30_000);
      await reach('the silence is told', 'silent', (view) => view.state === 'blocked' && /did not answer/.test(view.message), 60_000);
      // Their layers cannot be taken off, and by force nobody waits for it.
      for (const name of ['silent', 'untrusted']) {
        value(await hub.admin.call('deleteCluster', { params: { ...project, name }, query: { force: 'true' } }));
        await gone(name);
      }
      expect(await cloud.inventory()).toEqual([]);
      expect(hub.log).toEqual([]);
    } finally {
      stuck.resolve();
      await hub.close();
      silent.close();
      await cloud.close();
    }
  }, 200_000);
});
