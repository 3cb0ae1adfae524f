import { createHash } from 'node:crypto';
import type { CloudOptions } from '@groundplane/hub/cloud/open';
import { parseTicket } from '@groundplane/agent/identity/ticket';
import { gatherRoots } from '@groundplane/hub/reconcile/collect';
import type { ImportView } from '@groundplane/protocol/api/cloud-views';
import { readOnlyRules } from '@groundplane/protocol/inside/names';
import { fail } from '@groundplane/protocol/failure';
import { expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { applyProfile, codeOf, greet, makeDevice, openHub, until, value, type Device, type HubWorld } from './world.ts';

const params = { project: 'default', name: 'theirs' };
const cloud: CloudOptions = {
  table: { machines: {}, managed: {} },
  httpFor: () => () => Promise.resolve(fail('blocked', 'cloud-unreachable', 'test', 'there is none')),
  addresses: () => ({ links: ['ws://hub.test/link'], content: 'http://hub.test' }),
  egress: { private: [] },
};

const open = async (ca?: string): Promise<{ hub: HubWorld; clock: VirtualClock; put: (text: string) => Promise<`sha256:${string}`> }> => {
  const clock = virtualClock({ wallStartMs: Date.UTC(2026, 0, 1) });
  const hub = await openHub({ clock, cloud: { ...cloud, addresses: () => ({ links: ['wss://hub.test/link'], content: 'http://hub.test', ca }) } });
  onTestFinished(() => hub.close());
  await hub.core.cloud.start();
  const put = async (text: string): Promise<`sha256:${string}`> => {
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}` as const;
    const sent = await hub.fetch(`/api/v1/content/${digest}`, { method: 'PUT', body: text, headers: { authorization: `Bearer ${hub.admin.key}` } });
    expect(sent.status).toBe(204);
    return digest;
  };
  return { hub, clock, put };
};

const give = async (hub: HubWorld, version: string, digest: `sha256:${string}`): Promise<void> => {
  value(await hub.admin.call('setInsideAgent', { body: { version, packages: { x64: { digest, size: 3 } } } }));
};
const invite = async (hub: HubWorld, body: { mode?: 'full' | 'read-only'; image?: string; ttlSeconds?: number } = {}): Promise<ImportView> =>
  value(await hub.admin.call('importCluster', { params, body }));
const ticketIn = (manifest: string): string => /ticket: (gpt1\.\S+)/.exec(manifest)?.[1] ?? '';
const packagesIn = (manifest: string): string => /value: (http:\S+\/inside\/\S+)/.exec(manifest)?.[1] ?? '';
/** What a device is told that is not let in; the hub takes its time with those. */
const refusalOf = async (hub: HubWorld, clock: VirtualClock, device: Device): Promise<string> => {
  const line = await greet(hub, device);
  return until(async () => {
    await clock.advance(100);
    return JSON.stringify(line.heard.find((message) => message.t === 'reject'));
  }, 'refused');
};
const statusOf = async (hub: HubWorld, url: string): Promise<number> => (await hub.fetch(url)).status;

test('only what was uploaded can be the agent, and only those who manage accounts choose it', async () => {
  const { hub, put } = await open();
  const body = { version: '1.0.0', packages: { x64: { digest: `sha256:${'0'.repeat(64)}` as const, size: 3 } } };
  expect(codeOf(await hub.admin.call('setInsideAgent', { body }))).toBe('content-missing');
  const viewer = await hub.client([{ role: 'Viewer' }]);
  expect(codeOf(await viewer.call('setInsideAgent', { body: { ...body, packages: { x64: { digest: await put('one'), size: 3 } } } }))).toBe('denied');
  expect(codeOf(await viewer.call('importCluster', { params, body: {} }))).toBe('denied');
  expect(codeOf(await hub.admin.call('importCluster', { params, body: {} }))).toBe('agent-package-missing');
  expect(value(await hub.admin.call('listClusters', { params: { project: 'default' } })).items).toEqual([]);
});

test('an address lets one agent in: until it has come, for its time, and until another one is asked for', async () => {
  const { hub, clock, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  const first = await invite(hub, { ttlSeconds: 60 });
  const answer = await hub.fetch(first.url);
  expect([answer.status, answer.headers.get('cache-control'), await answer.text()]).toEqual([200, 'no-store', first.manifest]);
  expect(await statusOf(hub, `${first.url}x`)).toBe(404);
  // Who asked for it is told, and nothing that lets anybody in.
  const { items } = value(await hub.admin.call('listEvents', { params: { project: 'default' }, query: {} }));
  const invited = items.find((event) => event.reason === 'AgentInvited');
  expect([invited?.cluster, invited?.actor, invited?.message]).toEqual(['theirs', expect.stringMatching(/./), expect.stringContaining('2026-01-01T00:01:00')]);
  expect(JSON.stringify(items)).not.toMatch(/gpt1|\/import\//);
  expect(await statusOf(hub, `${first.url.slice(0, first.url.lastIndexOf('.'))}.${'A'.repeat(43)}`)).toBe(404);
  const second = await invite(hub, { ttlSeconds: 60 });
  expect([await statusOf(hub, first.url), await statusOf(hub, second.url)]).toEqual([404, 200]);
  expect(await refusalOf(hub, clock, makeDevice(ticketIn(first.manifest)))).toContain('there is no such ticket');
  await clock.advance(61_000);
  expect(await statusOf(hub, second.url)).toBe(404);
  const third = await invite(hub);
  const line = await greet(hub, makeDevice(ticketIn(third.manifest)));
  await line.hear('welcome');
  expect(await statusOf(hub, third.url)).toBe(404);
});

test('whoever comes with a newer ticket takes the place of the agent before; the old key is nobody', async () => {
  const { hub, clock, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  const before = makeDevice(ticketIn((await invite(hub)).manifest));
  const former = await greet(hub, before);
  const old = await former.hear('welcome');
  const [{ digest }] = [value(await hub.admin.call('getInsideAgent', {})).agent?.packages.x64 ?? { digest: '' }];
  const fetched = (): Promise<number> =>
    hub.fetch(`/api/v1/content/${digest}`, { headers: { authorization: `Bearer ${old.contentToken}` } }).then((answer) => answer.status);
  const mayAsk = await fetched();
  const line = await greet(hub, makeDevice(ticketIn((await invite(hub)).manifest)));
  const now = await line.hear('welcome');
  expect(now.host).not.toBe(old.host);
  const { items } = value(await hub.admin.call('listHosts', { params: { project: 'default' } }));
  expect(items.map((host) => [host.id, host.name])).toEqual([[now.host, 'theirs-agent']]);
  // Nor does it stay on the line, or fetch anything with what it was given there.
  expect((await former.hear('goodbye')).reason).toContain('no longer known');
  expect([mayAsk, await fetched()]).toEqual([404, 401]);
  expect(await hub.store.get('presence', hub.tenant, old.host)).toBeUndefined();
  expect(await refusalOf(hub, clock, { ...before, ticket: undefined })).toContain('this key is unknown');
});

test('a key that was revoked stays revoked, when another agent comes in its place', async () => {
  const { hub, clock, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  const stolen = makeDevice(ticketIn((await invite(hub)).manifest));
  await (await greet(hub, stolen)).hear('welcome');
  value(await hub.admin.call('revokeHost', { params: { project: 'default', name: 'theirs-agent' } }));
  const now = await (await greet(hub, makeDevice(ticketIn((await invite(hub)).manifest)))).hear('welcome');
  expect(hub.core.fleet.hostOfMachine([...hub.core.fleet.clusters()].flatMap((cluster) => hub.core.fleet.machinesOf(cluster.id))[0] ?? '')?.id).toBe(now.host);
  const ticket = ticketIn((await invite(hub)).manifest);
  expect(await refusalOf(hub, clock, { ...stolen, ticket: value(parseTicket(ticket)) })).toContain('host-revoked');
});

test('a pod fetches the package that it is told, or one of the five before, and nothing else', async () => {
  const { hub, put } = await open();
  const [one, two, three, other] = [await put('one'), await put('two'), await put('three'), await put('other')];
  await give(hub, '1.0.0', one);
  const base = packagesIn((await invite(hub)).manifest);
  const all = async (): Promise<number[]> => Promise.all([one, two, three, other].map((digest) => statusOf(hub, `${base}/${digest}`)));
  expect(await all()).toEqual([200, 404, 404, 404]);
  await give(hub, '2.0.0', two);
  await give(hub, '2.0.0', two);
  expect(await all()).toEqual([200, 200, 404, 404]);
  await give(hub, '3.0.0', three);
  // The one that was healthy, when two in a row were not.
  expect(await all()).toEqual([200, 200, 200, 404]);
  for (const text of ['four', 'five', 'six']) await give(hub, `4.0.0-${text}`, await put(text));
  expect(await all()).toEqual([200, 200, 200, 404]);
  await give(hub, '7.0.0', await put('seven'));
  expect(await all()).toEqual([404, 200, 200, 404]);
  expect(await (await hub.fetch(`${base}/${three}`)).text()).toBe('three');
  expect(await statusOf(hub, `${base.slice(0, -2)}xx/${three}`)).toBe(404);
  expect(await statusOf(hub, `${base}/sha256:x`)).toBe(404);
  // What a pod may come back for is not thrown away, however long ago it was uploaded.
  const { roots } = await gatherRoots({
    store: hub.store,
    content: hub.content as never,
    fleet: hub.core.fleet,
    forget: () => undefined,
    clock: virtualClock({ wallStartMs: Date.UTC(2030, 0, 1) }),
    log: () => undefined,
  });
  expect([roots.has(one), roots.has(two), roots.has(three)]).toEqual([false, true, true]);
  value(await hub.admin.call('deleteCluster', { params, query: {} }));
  await until(async () => (await statusOf(hub, `${base}/${three}`)) === 404, 'the address ends with the cluster');
});

test('the manifest: restricted, mirrored, and no more rights than the mode needs', async () => {
  const { hub, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  const { manifest } = await invite(hub, { image: 'mirror.example/node:24-slim' });
  const objects = parseAllDocuments(manifest).map(
    (document) => document.toJS() as { kind: string; metadata: { name: string; labels?: object }; [key: string]: unknown },
  );
  expect(objects.map((object) => object.kind)).toEqual([
    'Namespace',
    'ServiceAccount',
    'ClusterRole',
    'ClusterRoleBinding',
    'Role',
    'RoleBinding',
    'Secret',
    'ConfigMap',
    'Deployment',
  ]);
  expect(objects[0]?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  expect(objects[2]?.['rules']).toEqual(readOnlyRules);
  const reads = new Set(['get', 'list', 'watch']);
  const changes = readOnlyRules.filter((rule) => rule.verbs.some((verb) => !reads.has(verb)));
  // Only its own namespace and its own role and binding, by name.
  expect(changes.flatMap((rule) => rule.resourceNames ?? ['anything'])).toEqual(['groundplane-agent', 'groundplane-agent']);
  expect(readOnlyRules.some((rule) => rule.resources?.includes('secrets'))).toBe(false);
  expect(manifest).toContain('image: mirror.example/node:24-slim');
  // Changing it later keeps what was said before.
  expect((await invite(hub)).manifest).toContain('image: mirror.example/node:24-slim');
});

test('full needs profiles; read-only has none; a cluster that is there in another way stays as it is', async () => {
  const { hub, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  expect(codeOf(await hub.admin.call('importCluster', { params, body: { mode: 'full' } }))).toBe('request-invalid');
  await applyProfile(hub.admin, 'shop', '1.0.0');
  const full = value(await hub.admin.call('importCluster', { params, body: { mode: 'full', profiles: [{ name: 'shop', version: '1.0.0' }] } }));
  expect(full.manifest).toContain('groundplane.dev/mode: full');
  const spec = { profiles: [{ name: 'shop', version: '1.0.0' }], hosts: [] };
  value(await hub.admin.call('applyCluster', { params: { ...params, name: 'mine' }, body: { spec } }));
  expect(codeOf(await hub.admin.call('importCluster', { params: { ...params, name: 'mine' }, body: {} }))).toBe('cluster-exists');
  const odd = { ...params, name: 'odd' };
  expect(codeOf(await hub.admin.call('importCluster', { params: odd, body: { storage: 'lots' } }))).toBe('request-invalid');
  expect(codeOf(await hub.admin.call('importCluster', { params: odd, body: { proxy: { https: 'http://p:1/$(HOME)' } } }))).toBe('request-invalid');
});

test('the ticket in the manifest carries the private authority of the hub', async () => {
  const { hub, put } = await open('pem');
  await give(hub, '1.0.0', await put('one'));
  expect(value(parseTicket(ticketIn((await invite(hub)).manifest))).caPem).toBe('pem');
});

/** As kubectl reads it. */
const read11 = (manifest: string) =>
  parseAllDocuments(manifest, { version: '1.1' }).map(
    (document) => document.toJS() as { kind: string; metadata: { annotations?: object }; spec?: { template?: unknown } },
  );

test('kubectl, which reads YAML 1.1, takes every name for a name', async () => {
  const { hub, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  const { manifest } = value(await hub.admin.call('importCluster', { params: { ...params, name: 'no' }, body: {} }));
  expect(read11(manifest).at(-1)?.metadata.annotations).toEqual({ 'groundplane.dev/cluster': 'no' });
});

test('a new ticket starts the pod anew, which has read the one before; the same manifest does not', async () => {
  const { hub, put } = await open();
  await give(hub, '1.0.0', await put('one'));
  const templateOf = (manifest: string): string => JSON.stringify(read11(manifest).at(-1)?.spec?.template ?? '');
  const [first, second] = [await invite(hub), await invite(hub)];
  expect(templateOf(second.manifest)).not.toBe(templateOf(first.manifest));
  expect(templateOf(await (await hub.fetch(second.url)).text())).toBe(templateOf(second.manifest));
  expect(templateOf(second.manifest)).not.toContain('gpt1.');
});
