import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HostInfo } from '@groundplane/protocol/observed';
import { applyCluster, applyProfile, codeOf, enrolledHost, greet, makeDevice, openHub, until, value, type HubWorld } from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => {
  expect(hub.log.filter((line) => line.includes('Error'))).toEqual([]);
  await hub.close();
});

const params = { project: 'default' };
const list = async (query: { after?: string; limit?: number } = {}) => value(await hub.admin.call('listSites', { params, query }));
const info: HostInfo = {
  hostname: 'h',
  os: 'o',
  kernel: 'k',
  arch: 'x64',
  cpus: 1,
  memoryBytes: 1,
  agentVersion: '1',
  privileged: true,
  simulated: false,
  addresses: ['10.0.0.7'],
  blobPort: 5082,
};

/** A host from a ticket with labels; connected. */
const labelled = async (name: string, labels: Record<string, string>, autoApprove = true) => {
  const ticket = value(await hub.admin.call('createTicket', { params, body: { name: `t-${name}`, labels, autoApprove } })).ticket;
  const line = await greet(hub, makeDevice(ticket), { name });
  await line.hear(autoApprove ? 'welcome' : 'lobby');
  return line;
};

describe('sites', () => {
  test('by label, else by cluster; with who waits in the lobby, who is away, and who shares content', async () => {
    await applyProfile(hub.admin, 'shop', '1.0.0');
    const line = await labelled('till-1', { site: 'zurich' });
    const second = await labelled('till-2', { site: 'zurich' });
    await labelled('till-3', { site: 'zurich' }, false);
    await enrolledHost(hub, 'lone');
    await enrolledHost(hub, 'nowhere');
    await applyCluster(hub.admin, 'shop-zrh', 'shop', '1.0.0', ['till-1', 'till-2']);
    await applyCluster(hub.admin, 'lone-cluster', 'shop', '1.0.0', ['lone']);
    line.say({ t: 'report', seq: 1, info });
    await line.hear('ack');
    second.hangUp();
    const sites = await list();
    expect(sites.elsewhere).toBe(1);
    expect(sites.items).toMatchObject([
      { name: 'lone-cluster', by: 'cluster', hosts: 1, online: 1, lobby: 0, sharing: 0, clusters: [{ name: 'lone-cluster' }] },
      { name: 'zurich', by: 'label', hosts: 2, online: 1, lobby: 1, sharing: 1, clusters: [{ name: 'shop-zrh' }] },
    ]);
    expect(sites.items[0]?.offlineSinceMs).toBeUndefined();
    expect(sites.items[1]?.offlineSinceMs).toBeGreaterThan(0);
    const zurich = value(await hub.admin.call('getSite', { params: { ...params, name: 'zurich' } }));
    expect(zurich.members.map((host) => [host.name, host.state, host.online, host.shares])).toEqual([
      ['till-1', 'approved', true, { addresses: ['10.0.0.7'], port: 5082 }],
      ['till-2', 'approved', false, undefined],
      ['till-3', 'lobby', false, undefined],
    ]);
    expect(codeOf(await hub.admin.call('getSite', { params: { ...params, name: 'bern' } }))).toBe('not-found');
  });

  test('the label of a cluster holds for its hosts without one; a host that says otherwise is elsewhere', async () => {
    await applyProfile(hub.admin, 'shop', '1.0.0');
    await enrolledHost(hub, 'a');
    await labelled('b', { site: 'annex' });
    await labelled('empty', { site: '' });
    const spec = { profiles: [{ name: 'shop', version: '1.0.0' }], hosts: ['a', 'b'] };
    value(await hub.admin.call('applyCluster', { params: { ...params, name: 'main' }, body: { labels: { site: 'hall' }, spec } }));
    await until(async () => (await list()).items.length === 2, 'two sites');
    expect((await list()).items.map((site) => [site.name, site.by, site.hosts])).toEqual([
      ['annex', 'label', 1],
      ['hall', 'label', 1],
    ]);
    expect((await list()).elsewhere, 'an empty label says nothing').toBe(1);
    value(await hub.admin.call('applyCluster', { params: { ...params, name: 'main' }, body: { labels: {}, spec } }));
    expect((await list()).items.map((site) => [site.name, site.by])).toEqual([
      ['annex', 'label'],
      ['main', 'cluster'],
    ]);
  });

  test('pages follow each other without a gap, and another project has its own', async () => {
    for (const name of ['a', 'b', 'c']) await labelled(name, { site: `s-${name}` });
    const first = await list({ limit: 2 });
    expect([first.items.map((site) => site.name), first.next]).toEqual([['s-a', 's-b'], 's-b']);
    const second = await list({ limit: 2, after: 's-b' });
    expect([second.items.map((site) => site.name), second.next]).toEqual([['s-c'], undefined]);
    value(await hub.admin.call('createProject', { body: { name: 'other' } }));
    expect(value(await hub.admin.call('listSites', { params: { project: 'other' } }))).toEqual({ items: [], elsewhere: 0 });
    const foreign = await hub.client([{ role: 'Viewer', project: 'prj_00000000000000000000' }]);
    expect(codeOf(await foreign.call('listSites', { params }))).toBe('not-found');
  });
});
