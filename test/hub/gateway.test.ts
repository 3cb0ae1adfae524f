import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ticketMac } from '@groundplane/agent/identity/ticket';
import { limits } from '@groundplane/protocol/limits';
import { ticketText, type Hello } from '@groundplane/protocol/messages';
import { keyWords } from '@groundplane/protocol/words';
import { virtualClock } from '../fake/clock.ts';
import { fakeInfo } from '../fake/host.ts';
import {
  applyCluster,
  applyProfile,
  callHub,
  codeOf,
  enrolledHost,
  greet,
  makeDevice,
  makeHello,
  makeTicket,
  openHub,
  until,
  value,
  type HubWorld,
} from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => {
  expect(hub.log.filter((line) => line.includes('Error'))).toEqual([]);
  await hub.close();
});

const hosts = async (state?: 'lobby' | 'approved' | 'revoked') =>
  value(await hub.admin.call('listHosts', { params: { project: 'default' }, query: { limit: 500, ...(state === undefined ? {} : { state }) } })).items;
const refusal = async (line: { hear(t: 'reject'): Promise<{ failure: { code: string } }> }): Promise<string> => (await line.hear('reject')).failure.code;

describe('enrolment', () => {
  test('a ticket brings a device into the lobby, with the words that its console shows; approval lets it in', async () => {
    const device = makeDevice(await makeTicket(hub.admin));
    const lobby = await (await greet(hub, device, { name: 'edge-1' })).hear('lobby');
    expect(lobby.words).toBe(keyWords(device.key.publicKey, hub.keys.hub));
    expect((await hosts()).map((host) => [host.name, host.state])).toEqual([['edge-1', 'lobby']]);
    expect(codeOf(await hub.admin.call('approveHost', { params: { project: 'default', name: 'edge-1' }, body: { words: 'not the right words' } }))).toBe(
      'words-differ',
    );
    value(await hub.admin.call('approveHost', { params: { project: 'default', name: 'edge-1' }, body: { words: lobby.words.toUpperCase() } }));
    await (await greet(hub, device)).hear('welcome');
    expect((await hosts('approved')).map((host) => host.online)).toEqual([true]);
  });

  test.each([1, 7, 60])('of a hundred devices that use one ticket at the same moment, exactly %i get in', async (uses) => {
    const line = await makeTicket(hub.admin, { uses, autoApprove: true, name: 'shared' });
    const lines = await Promise.all(Array.from({ length: 100 }, (_, index) => greet(hub, makeDevice(line), { name: `edge-${index}` })));
    const answers = await Promise.all(
      lines.map((each) => until(() => each.heard.find((message) => message.t === 'welcome' || message.t === 'reject')?.t, 'an answer', 20_000)),
    );
    expect(answers.filter((answer) => answer === 'welcome')).toHaveLength(uses);
    expect(await hosts('approved')).toHaveLength(uses);
    const ticket = value(await hub.admin.call('listTickets', { params: { project: 'default' } })).items.find((item) => item.name === 'shared');
    expect(ticket?.usesLeft).toBe(0);
  });

  test('one device that comes a hundred times at once is one host and uses the ticket once', async () => {
    const device = makeDevice(await makeTicket(hub.admin, { uses: 5, autoApprove: true, name: 'shared' }));
    const lines = await Promise.all(Array.from({ length: 100 }, () => greet(hub, device, { name: 'edge' })));
    await Promise.all(lines.map((line) => line.hear('welcome')));
    expect(await hosts()).toHaveLength(1);
    expect(value(await hub.admin.call('listTickets', { params: { project: 'default' } })).items[0]?.usesLeft).toBe(4);
    expect(lines.filter((line) => !line.isClosed())).toHaveLength(1);
    expect(hub.core.gateway.online()).toBe(1);
  });

  test('two devices of the same name become two hosts of different names', async () => {
    const line = await makeTicket(hub.admin, { uses: 3, autoApprove: true });
    for (const name of ['edge', 'edge', 'Not A Name!']) await (await greet(hub, makeDevice(line), { name })).hear('welcome');
    const names = (await hosts()).map((host) => host.name).toSorted();
    expect(names[0]).toBe('edge');
    expect(names[1]).toMatch(/^edge-[a-z0-9]{6}$/);
    expect(names[2]).toMatch(/^host-[a-z0-9]{6}$/);
  });

  test('without a ticket, with a wrong secret, with a ticket that is withdrawn, used up or never was: refused', async () => {
    const good = await makeTicket(hub.admin, { name: 'good' });
    const { ticket } = makeDevice(good);
    const other = makeDevice(await makeTicket(hub.admin, { name: 'other' })).ticket;
    if (ticket === undefined || other === undefined) throw new Error('no ticket');
    expect(await refusal(await greet(hub, makeDevice()))).toBe('ticket-refused');
    expect(await refusal(await greet(hub, { ...makeDevice(), ticket: { ...ticket, secret: other.secret } }))).toBe('ticket-refused');
    expect(await refusal(await greet(hub, { ...makeDevice(), ticket: { ...ticket, secret: '' } }))).toBe('ticket-refused');
    expect(await refusal(await greet(hub, { ...makeDevice(), ticket: { ...ticket, id: 'tic_00000000000000000000' } }))).toBe('ticket-refused');
    value(await hub.admin.call('deleteTicket', { params: { project: 'default', name: 'other' } }));
    expect(await refusal(await greet(hub, { ...makeDevice(), ticket: other }))).toBe('ticket-refused');
    expect(await hosts()).toEqual([]);
    await (await greet(hub, makeDevice(good))).hear('lobby');
    expect(await refusal(await greet(hub, makeDevice(good)))).toBe('ticket-refused');
    expect(await hosts()).toHaveLength(1);
  });

  test('a mac of another connection, another key or another nonce is refused', async () => {
    const device = makeDevice(await makeTicket(hub.admin));
    const secret = device.ticket?.secret ?? '';
    const id = device.ticket?.id ?? '';
    const elsewhere = await callHub(hub).hear('challenge');
    for (const mac of [
      (c: { hub: string; nonce: string }) => ticketText(elsewhere, device.key.publicKey, c.nonce),
      (c: { hub: string; nonce: string }) => ticketText(c, makeDevice().key.publicKey, 'n'.repeat(24)),
    ]) {
      const line = callHub(hub);
      const challenge = await line.hear('challenge');
      line.say(makeHello(device, challenge, { ticket: { id, mac: ticketMac(secret, mac(challenge)) } }));
      expect(await refusal(line)).toBe('ticket-refused');
    }
  });

  test('the hub keeps no secret of a ticket, and no answer of the API shows it again', async () => {
    const line = await makeTicket(hub.admin, { name: 'shown-once' });
    const secret = makeDevice(line).ticket?.secret ?? 'none';
    const list = JSON.stringify(await hub.admin.call('listTickets', { params: { project: 'default' } }));
    const rows: string[] = [];
    for await (const row of hub.store.scan('ticket')) rows.push(JSON.stringify(row));
    expect(list + rows.join('')).not.toContain(secret);
  });
});

describe('an expired ticket', () => {
  test('is refused from the second after its end', async () => {
    await hub.close();
    const clock = virtualClock();
    hub = await openHub({ clock });
    const line = await makeTicket(hub.admin, { ttlSeconds: 60, uses: 5 });
    await (await greet(hub, makeDevice(line))).hear('lobby');
    clock.setWall(clock.wallMs() + 60_001);
    expect(await refusal(await greet(hub, makeDevice(line)))).toBe('ticket-refused');
  });
});

describe('greeting', () => {
  test('a recorded hello opens nothing on another connection, nor a second time on its own', async () => {
    const { device, line } = await enrolledHost(hub, 'edge');
    line.hangUp();
    const first = callHub(hub);
    const recorded = makeHello(device, await first.hear('challenge'));
    const second = callHub(hub);
    await second.hear('challenge');
    second.say(recorded);
    expect(await refusal(second)).toBe('key-unproven');
    first.say(recorded);
    await first.hear('welcome');
    first.say(recorded);
    await until(() => first.isClosed(), 'the second hello closes the connection');
  });

  test('every claim of a hello is signed', async () => {
    const { device } = await enrolledHost(hub, 'edge');
    const changes: Partial<Hello>[] = [
      { v: 2 },
      { key: makeDevice().key.publicKey },
      { nonce: 'x'.repeat(24) },
      { bootId: 'other' },
      { capabilities: [] },
      { name: 'other' },
      { serial: 'other' },
      { resume: { version: { epoch: 'e', generation: 99, digest: `sha256:${'a'.repeat(64)}` } } },
      { resume: { bundle: `sha256:${'a'.repeat(64)}` } },
      { resume: { poisoned: { epoch: 'e', generation: 99, digest: `sha256:${'a'.repeat(64)}` } } },
      { proof: '' },
      { proof: 'x'.repeat(86) },
    ];
    for (const change of changes) {
      const line = callHub(hub);
      line.say({ ...makeHello(device, await line.hear('challenge')), ...change });
      const answer = await until(() => line.heard.find((message) => message.t !== 'challenge'), `an answer to ${JSON.stringify(change)}`);
      expect(answer.t === 'reject' ? answer.failure.code : answer.t, JSON.stringify(change)).toBe('key-unproven');
    }
  });

  test('only versions around ours are spoken to', async () => {
    const { device } = await enrolledHost(hub, 'edge');
    for (const v of [-1, 0, 1, 2]) await (await greet(hub, device, { v })).hear('welcome');
    for (const v of [-2, 3, 1_000]) expect(await refusal(await greet(hub, device, { v }))).toBe('version-unknown');
  });

  test('before the hello nothing else is heard, and nothing large', async () => {
    const { line: known } = await enrolledHost(hub, 'edge');
    known.hangUp();
    for (const text of ['{"t":"ping"}', '{"t":"report","seq":1}', '{"t":"refetch","generation":1,"reason":""}']) {
      const line = callHub(hub);
      await line.hear('challenge');
      line.sayText(text);
      await until(() => line.isClosed(), text);
      expect(line.heard.map((message) => message.t)).toEqual(['challenge']);
    }
    const large = callHub(hub);
    large.sayText(' '.repeat(limits.frameBytesBeforeAuth + 1));
    expect(await refusal(large)).toBe('frame-too-large');
    for (const text of ['', '[', 'null', '{"t":"hello"}', '\u0000']) {
      const line = callHub(hub);
      line.sayText(text);
      await until(() => line.isClosed(), JSON.stringify(text));
    }
  });

  test('a peer that runs far ahead is cut', async () => {
    const { line } = await enrolledHost(hub, 'edge');
    for (let index = 0; index < 200; index += 1) line.say({ t: 'ping' });
    await until(() => line.isClosed(), 'the connection is cut');
  });

  test('a later connection of the same key replaces the earlier one, whose end does not take the host offline', async () => {
    const { device, line, id } = await enrolledHost(hub, 'edge');
    const later = await greet(hub, device);
    await later.hear('welcome');
    await line.hear('goodbye');
    expect(line.isClosed()).toBe(true);
    expect(hub.core.fleet.host(id)?.online).toBe(true);
    expect(hub.core.gateway.online()).toBe(1);
    later.hangUp();
    expect(hub.core.fleet.host(id)?.online).toBe(false);
  });

  test('a revoked host is thrown out at once, its content token with it, and its key opens nothing any more', async () => {
    const { device, line, id } = await enrolledHost(hub, 'edge');
    const token = (await line.hear('welcome')).contentToken;
    expect(hub.core.gateway.hostByToken(token)).toBe(id);
    value(await hub.admin.call('revokeHost', { params: { project: 'default', name: 'edge' } }));
    await line.hear('goodbye');
    expect(line.isClosed()).toBe(true);
    expect(hub.core.gateway.hostByToken(token)).toBeUndefined();
    expect(await refusal(await greet(hub, device))).toBe('host-revoked');
    const withTicket = { ...device, ticket: makeDevice(await makeTicket(hub.admin, { autoApprove: true })).ticket };
    expect(await refusal(await greet(hub, withTicket))).toBe('host-revoked');
    expect(['host-revoked', 'not-found']).toContain(codeOf(await hub.admin.call('approveHost', { params: { project: 'default', name: 'edge' }, body: {} })));
  });

  test('what an agent tells of itself never undoes what somebody decided at the same moment', async () => {
    const { line, id } = await enrolledHost(hub, 'edge');
    for (let seq = 1; seq <= 5; seq += 1) {
      const row = await hub.store.get('host', hub.tenant, id);
      if (row === undefined) throw new Error('no host');
      const { kind, tenant, project, name } = row;
      // Not on disk yet when the report comes.
      const decided = hub.store.commit([
        { op: 'put', kind, tenant, id, project, name, lookup: row.value.key, value: { ...row.value, labels: { decided: String(seq) } } },
      ]);
      line.say({ t: 'report', seq, info: { ...fakeInfo, memoryBytes: seq } });
      await decided;
      await until(() => line.heard.some((message) => message.t === 'ack' && message.seq === seq), 'kept');
      const now = await hub.store.get('host', hub.tenant, id);
      expect([now?.value.labels, now?.value.info?.memoryBytes]).toEqual([{ decided: String(seq) }, seq]);
    }
  });

  test('an agent whose report cannot be kept is sent away, so that it says it again', async () => {
    const { line } = await enrolledHost(hub, 'edge');
    const database = new Database(join(hub.folder, 'hub.db'));
    database.exec("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no space left'); END");
    database.close();
    line.say({ t: 'report', seq: 1, events: [{ atMs: 1, type: 'normal', reason: 'LayerReady', message: 'said once' }] });
    await until(() => line.isClosed(), 'closed');
    expect(line.heard.map((message) => message.t).filter((type) => type === 'ack' || type === 'goodbye')).toEqual(['goodbye']);
    expect(hub.log.join('\n')).toContain('a report of edge could not be kept');
  });

  test('a device in the lobby gets no token, no desired state, and no answer to reports', async () => {
    const line = await greet(hub, makeDevice(await makeTicket(hub.admin)));
    await line.hear('lobby');
    line.say({ t: 'report', seq: 1 });
    await until(() => line.isClosed(), 'closed');
    expect(line.heard.map((message) => message.t)).toEqual(['challenge', 'lobby']);
  });
});

test('more handshakes than the hub admits in a second are told when to return', async () => {
  const lines = Array.from({ length: limits.handshakesPerSecond + 200 }, () => callHub(hub));
  const told = lines.filter((line) => line.heard[0]?.t === 'goodbye');
  expect(told.length).toBeGreaterThan(100);
  expect(told.length).toBeLessThanOrEqual(200);
  for (const line of told) {
    const first = line.heard[0];
    expect(first?.t === 'goodbye' ? first.retryMs : 0).toBeGreaterThanOrEqual(1_000);
    expect(line.isClosed()).toBe(true);
  }
  for (const line of lines) line.hangUp();
});

test('a host is told what it should be as soon as it is decided, and only what is its own', async () => {
  const one = await enrolledHost(hub, 'one');
  const two = await enrolledHost(hub, 'two');
  await applyProfile(hub.admin, 'web', '1.0.0');
  await applyCluster(hub.admin, 'shop', 'web', '1.0.0', ['one']);
  const desired = await one.line.hear('desired');
  expect(desired.desired).toMatchObject({ host: one.id, generation: 1, cluster: { name: 'shop', applier: true } });
  expect(two.line.heard.some((message) => message.t === 'desired')).toBe(false);
  one.line.hangUp();
  const unchanged = await greet(hub, one.device, {
    resume: {
      version: {
        epoch: hub.epoch,
        generation: 1,
        digest: (await hub.store.get('desired', hub.tenant, one.id))?.value.version.digest ?? `sha256:${'0'.repeat(64)}`,
      },
    },
  });
  expect((await unchanged.hear('welcome')).resume).toBe('unchanged');
  expect(unchanged.heard.some((message) => message.t === 'desired')).toBe(false);
  expect(unchanged.texts.join('').length).toBeLessThan(1_500);
});
