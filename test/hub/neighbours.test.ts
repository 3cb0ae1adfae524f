import { afterAll, beforeAll, expect, test } from 'vitest';
import { gatherRoots } from '@groundplane/hub/reconcile/collect';
import { neighboursOf } from '@groundplane/hub/gateway/neighbours';
import type { HostEntry } from '@groundplane/hub/fleet/index';
import type { Bundle } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { limits } from '@groundplane/protocol/limits';
import { capabilities, type HubMessage, type Neighbours } from '@groundplane/protocol/messages';
import { packLayer } from '../agent/rig.ts';
import { fakeClock } from '../fake/clock.ts';
import { fakeInfo } from '../fake/host.ts';
import { applyCluster, applyProfile, greet, makeDevice, makeTicket, openHub, until, value, type HubWorld, type Line } from './world.ts';

let hub: HubWorld;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(async () => hub.close());

const enrol = async (name: string, address: string | undefined, able = true): Promise<{ line: Line; id: string }> => {
  const device = makeDevice(await makeTicket(hub.admin, { autoApprove: true }));
  const line = await greet(hub, device, { name, capabilities: able ? [...capabilities] : ['attach'] });
  const { host } = await line.hear('welcome');
  line.say({ t: 'report', seq: 1, info: { ...fakeInfo, ...(address === undefined ? {} : { addresses: [address], blobPort: 5082 }) } });
  await line.hear('ack');
  return { line, id: host };
};
const last = (line: Line): Neighbours | undefined =>
  line.heard.findLast((message): message is Extract<HubMessage, { t: 'neighbours' }> => message.t === 'neighbours');

test('hosts of one cluster are told where the others are, when one comes or moves, and nobody else is', async () => {
  await applyProfile(hub.admin, 'shop', '1.0.0');
  const [one, two, old, stranger] = [
    await enrol('one', '10.0.0.1'),
    await enrol('two', '10.0.0.2'),
    await enrol('old', '10.0.0.9', false),
    await enrol('stranger', '10.0.0.3'),
  ];
  await applyCluster(hub.admin, 'site', 'shop', '1.0.0', ['one', 'two', 'old']);
  await applyCluster(hub.admin, 'other', 'shop', '1.0.0', ['stranger']);
  await until(() => last(one.line)?.hosts.length === 2, 'one knows two and old');
  expect(
    last(one.line)
      ?.hosts.map((item) => item.addresses[0])
      .toSorted(),
  ).toEqual(['10.0.0.2', '10.0.0.9']);
  expect(last(two.line)?.secret).toBe(last(one.line)?.secret);
  await until(() => last(stranger.line) !== undefined, 'the stranger has a cluster too');
  expect(last(stranger.line)?.hosts).toEqual([]);
  expect(last(stranger.line)?.secret).not.toBe(last(one.line)?.secret);
  expect(last(old.line), 'an agent that does not know the message never gets it').toBeUndefined();
  two.line.say({ t: 'report', seq: 2, info: { ...fakeInfo, addresses: ['10.0.0.77'], blobPort: 5082 } });
  await until(() => last(one.line)?.hosts.some((item) => item.addresses[0] === '10.0.0.77'), 'two moved');
  const before = one.line.heard.length;
  two.line.say({ t: 'report', seq: 3, info: { ...fakeInfo, memoryBytes: 1, addresses: ['10.0.0.77'], blobPort: 5082 } });
  await until(() => two.line.heard.some((message) => message.t === 'ack' && message.seq === 3), 'acknowledged');
  expect(one.line.heard.length, 'what is no news is not told').toBe(before);
  expect(hub.log).toEqual([]);
});

test('a host that lies about its address sends nobody to the services of others', () => {
  const entry = (id: number, addresses: string[], port = 5082): HostEntry =>
    ({
      id: `hos_${String(id).padStart(20, '0')}`,
      name: `h${id}`,
      tenant: 't',
      project: 'p',
      state: 'approved',
      cluster: 'clu',
      blobs: { addresses, port },
    }) as unknown as HostEntry;
  const hosts = [
    entry(1, ['10.0.0.1']),
    entry(2, ['127.0.0.1', '169.254.169.254', '0.0.0.0', '224.0.0.1', '::1', 'fe80::1', '::ffff:127.0.0.1']),
    entry(3, ['10.0.0.3'], 80),
    entry(4, ['169.254.1.1', '2001:db8::4', '192.168.1.4']),
  ];
  const fleet = {
    hostByName: (_t: string, _p: string, name: string) => hosts.find((host) => host.name === name),
    cluster: () => ({ id: 'clu', tenant: 't', project: 'p', hosts: hosts.map((host) => host.name) }),
  };
  const told = neighboursOf({ fleet: fleet as never, secret: 's' }, hosts[0] as HostEntry);
  expect(told?.hosts).toEqual([{ host: hosts[3]?.id, addresses: ['2001:db8::4', '192.168.1.4'], port: 5082 }]);
  const many = Array.from({ length: limits.neighbours + 20 }, (_, index) => entry(index, [`10.1.${index % 250}.1`]));
  const crowd = {
    ...fleet,
    hostByName: (_t: string, _p: string, name: string) => many.find((host) => host.name === name),
    cluster: () => ({ id: 'clu', tenant: 't', project: 'p', hosts: many.map((host) => host.name) }),
  };
  expect(neighboursOf({ fleet: crowd as never, secret: 's' }, many[10] as HostEntry)?.hosts.length).toBe(limits.neighbours);
  expect(neighboursOf({ fleet: crowd as never, secret: 's' }, many[10] as HostEntry)?.hosts[0]?.host).toBe(many[11]?.id);
});

test('the large content of a bundle may be read by its hosts and is not collected', async () => {
  const large = await hub.content.put('a root image');
  const loose = await hub.content.put('nobody names it');
  const bundle: Bundle = {
    schema: 'groundplane.dev/bundle/1',
    engine: 'e',
    profiles: [],
    layers: [packLayer('os', [], { blobs: [{ digest: large, size: 12, name: 'root' }] })],
  };
  const digest = await hub.content.put(canonicalJson(bundle));
  expect([
    await hub.core.delivery.mayRead(digest, large),
    await hub.core.delivery.mayRead(digest, loose),
    await hub.core.delivery.mayRead(undefined, large),
  ]).toEqual([true, false, false]);
  const deps = {
    store: hub.store,
    content: hub.content as never,
    fleet: { clusters: () => [{ bundle: digest }] } as never,
    forget: () => undefined,
    clock: fakeClock(),
    log: () => undefined,
  };
  const { refs } = await gatherRoots(deps);
  expect(refs.get(digest)).toContain(large);
});

test('a transfer setting of a cluster reaches its hosts in the desired state', async () => {
  const host = await enrol('slow', undefined);
  const transfer = { bytesPerSecond: 100_000, windows: [{ from: '22:00', to: '06:00' }] };
  value(
    await hub.admin.call('applyCluster', {
      params: { project: 'default', name: 'night' },
      body: { spec: { profiles: [{ name: 'shop', version: '1.0.0' }], hosts: ['slow'], transfer } },
    }),
  );
  expect((await host.line.hear('desired')).desired.cluster?.transfer).toEqual(transfer);
});
