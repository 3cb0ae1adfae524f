import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyCluster, applyProfile, codeOf, greet, makeDevice, makeTenant, makeTicket, openHub, value, type HubWorld } from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => {
  expect(hub.log.filter((line) => line.includes('Error'))).toEqual([]);
  await hub.close();
});

const at = (name: string) => ({ project: 'default', name });
const hosts = async () => value(await hub.admin.call('listHosts', { params: { project: 'default' } })).items.map((host) => [host.name, host.state]);
const reasons = async () => value(await hub.admin.call('listEvents', { params: { project: 'default' } })).items.map((event) => event.reason);

describe('tickets for listed devices', () => {
  test('only they come in, under the names of the list, and without waiting when the ticket says so', async () => {
    const ticket = await makeTicket(hub.admin, { uses: 10, autoApprove: true, serials: { 'SN-1': 'till-1', 'SN-2': '' } });
    await (await greet(hub, makeDevice(ticket), { name: 'whatever', serial: 'SN-1' })).hear('welcome');
    await (await greet(hub, makeDevice(ticket), { name: 'wished', serial: 'SN-2' })).hear('welcome');
    const stranger = await (await greet(hub, makeDevice(ticket), { name: 'x', serial: 'SN-3' })).hear('reject');
    expect(stranger.failure.message).toContain('says SN-3');
    expect((await (await greet(hub, makeDevice(ticket), { serial: '__proto__' })).hear('reject')).failure.code).toBe('ticket-refused');
    expect((await (await greet(hub, makeDevice(ticket))).hear('reject')).failure.message).toContain('no serial number');
    expect(await hosts()).toEqual([
      ['till-1', 'approved'],
      ['wished', 'approved'],
    ]);
    const [listed] = value(await hub.admin.call('listTickets', { params: { project: 'default' } })).items;
    expect(listed).toMatchObject({ serials: 2, usesLeft: 8, serialsToCome: 0 });
  });

  test('a ticket says how many of its list are still to come; a device that comes twice counts once', async () => {
    const ticket = await makeTicket(hub.admin, { uses: 10, autoApprove: true, serials: { 'SN-1': 'till-1', 'SN-2': '', 'SN-3': '' } });
    const toCome = async () => value(await hub.admin.call('listTickets', { params: { project: 'default' } })).items.map((item) => item.serialsToCome);
    expect(await toCome()).toEqual([3]);
    await (await greet(hub, makeDevice(ticket), { name: 'a', serial: 'SN-1' })).hear('welcome');
    await (await greet(hub, makeDevice(ticket), { name: 'a', serial: 'SN-1' })).hear('lobby');
    expect(await toCome()).toEqual([2]);
  });

  test('a list that names nobody or says no name is refused', async () => {
    const create = (serials: Record<string, string>) => hub.admin.call('createTicket', { params: { project: 'default' }, body: { name: 'x', serials } });
    expect(codeOf(await create({}))).toBe('request-invalid');
    expect(codeOf(await create({ 'SN-1': 'Not A Name' }))).toBe('request-invalid');
  });
});

describe('a device in the place of another', () => {
  test('the same serial number waits for a person, whatever the ticket says, and takes over name, labels and cluster', async () => {
    const ticket = await makeTicket(hub.admin, { uses: 10, autoApprove: true });
    const old = makeDevice(ticket);
    const line = await greet(hub, old, { name: 'till-1', serial: 'SN-1' });
    await line.hear('welcome');
    await applyProfile(hub.admin, 'shop', '1.0.0');
    await applyCluster(hub.admin, 'store', 'shop', '1.0.0', ['till-1']);
    await line.hear('desired');
    const fresh = makeDevice(ticket);
    await (await greet(hub, fresh, { name: 'till-1', serial: 'SN-1' })).hear('lobby');
    const [waiting] = (await hosts()).filter(([, state]) => state === 'lobby');
    expect(value(await hub.admin.call('getHost', { params: at(waiting?.[0] ?? '') }))).toMatchObject({
      serial: 'SN-1',
      replaces: 'till-1',
      question: 'replaces',
    });
    expect(
      value(await hub.admin.call('listHosts', { params: { project: 'default' }, query: { state: 'lobby' } })).items.map(({ question }) => question),
    ).toEqual(['replaces']);
    const taken = value(await hub.admin.call('approveHost', { params: at(waiting?.[0] ?? ''), body: { replace: true } }));
    expect(taken).toMatchObject({ name: 'till-1', state: 'approved', key: fresh.key.publicKey });
    expect(await hosts()).toEqual([['till-1', 'approved']]);
    expect(line.isClosed()).toBe(true);
    const back = await greet(hub, fresh);
    await back.hear('welcome');
    expect((await back.hear('desired')).desired).toMatchObject({ cluster: { name: 'store' } });
    // The old key is a stranger again: it may ask, and has to wait.
    await (await greet(hub, old, { name: 'till-1', serial: 'SN-1' })).hear('lobby');
    expect(await reasons()).toContain('HostReplaced');
  });

  test('only where there is one to replace', async () => {
    const ticket = await makeTicket(hub.admin, { uses: 2 });
    await (await greet(hub, makeDevice(ticket), { name: 'a', serial: 'SN-9' })).hear('lobby');
    expect(codeOf(await hub.admin.call('approveHost', { params: at('a'), body: { replace: true } }))).toBe('nothing-replaced');
  });
});

describe('a place that is not to be had any more', () => {
  test('is not offered', async () => {
    const ticket = await makeTicket(hub.admin, { uses: 10, autoApprove: true });
    await (await greet(hub, makeDevice(ticket), { name: 'till-1', serial: 'SN-1' })).hear('welcome');
    await (await greet(hub, makeDevice(ticket), { name: 'second', serial: 'SN-1' })).hear('lobby');
    expect(value(await hub.admin.call('getHost', { params: at('second') })).replaces).toBe('till-1');
    value(await hub.admin.call('revokeHost', { params: at('till-1') }));
    expect(value(await hub.admin.call('getHost', { params: at('second') })).replaces).toBeUndefined();
  });
});

describe('a host by its key', () => {
  test('is found in its project by those who may see it, and nowhere else', async () => {
    const device = makeDevice(await makeTicket(hub.admin));
    await (await greet(hub, device, { name: 'till-1' })).hear('lobby');
    value(await hub.admin.call('createProject', { body: { name: 'other' } }));
    const find = async (project: string, key: string) =>
      value(await hub.admin.call('listHosts', { params: { project }, query: { key } })).items.map((host) => host.name);
    expect(await find('default', device.key.publicKey)).toEqual(['till-1']);
    expect(await find('other', device.key.publicKey)).toEqual([]);
    expect(await find('default', makeDevice().key.publicKey)).toEqual([]);
    const stranger = await hub.client([{ role: 'TenantAdmin' }], await makeTenant(hub.store, 'foreign'));
    expect(value(await stranger.call('listHosts', { params: { project: 'default' }, query: { key: device.key.publicKey } })).items).toEqual([]);
  });
});

describe('two machines with one key', () => {
  test('a boot that comes back after another one sends the host to the lobby, both are told so, and approval begins anew', async () => {
    const device = makeDevice(await makeTicket(hub.admin, { autoApprove: true }));
    const first = await greet(hub, device, { name: 'till', bootId: 'boot-a' });
    await first.hear('welcome');
    const second = await greet(hub, device, { bootId: 'boot-b' });
    await second.hear('welcome');
    expect(await hosts()).toEqual([['till', 'approved']]);
    await (await greet(hub, device, { bootId: 'boot-a' })).hear('lobby');
    expect(second.isClosed()).toBe(true);
    await (await greet(hub, device, { bootId: 'boot-b' })).hear('lobby');
    expect(await hosts()).toEqual([['till', 'lobby']]);
    expect((await reasons()).filter((reason) => reason === 'CloneSuspected')).toHaveLength(1);
    const suspected = value(await hub.admin.call('getHost', { params: at('till') })).suspected;
    expect(suspected?.message).toContain('remove /var/lib/groundplane on the copy');
    expect(value(await hub.admin.call('approveHost', { params: at('till'), body: {} })).suspected).toBeUndefined();
    await (await greet(hub, device, { bootId: 'boot-b' })).hear('welcome');
  });

  test('a device that starts often, or connects often, is no copy', async () => {
    const device = makeDevice(await makeTicket(hub.admin, { autoApprove: true }));
    for (const bootId of ['a', 'a', 'b', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'j'])
      await (await greet(hub, device, { name: 'till', bootId })).hear('welcome');
    expect(await hosts()).toEqual([['till', 'approved']]);
  });
});
