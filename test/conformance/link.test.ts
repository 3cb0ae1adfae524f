import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectMqtt, type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { mqttLink } from '@groundplane/agent/link/mqtt';
import { webSocketLink } from '@groundplane/agent/link/websocket';
import { mqttCarrier } from '@groundplane/hub/gateway/mqtt';
import { linkPath, webSocketCarrier } from '@groundplane/hub/gateway/websocket';
import type { AcceptPeer } from '@groundplane/hub/port/carrier';
import { eventually } from './cluster-objects.ts';
import { echoGateway, linkConformance, type LinkUnderTest } from './link.ts';

const makeWebSocket = async (accept: AcceptPeer): Promise<LinkUnderTest> => {
  const server = createServer((_, response) => void response.writeHead(200).end());
  const carrier = webSocketCarrier(server, accept);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    link: (port) => webSocketLink(`ws://127.0.0.1:${port}${linkPath}`, {}),
    nonsense: [
      '\u0000\u0001\u0002',
      'GET /link HTTP/1.1\r\n\r\n',
      'GET /link HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'GET /link HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n',
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
    ],
    close: async () => {
      await carrier.close();
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
};

const makeMqtt = async (accept: AcceptPeer): Promise<LinkUnderTest> => {
  const carrier = await mqttCarrier({ host: '127.0.0.1', port: 0 }, accept);
  return {
    port: carrier.port,
    link: (port) => mqttLink(`mqtt://127.0.0.1:${port}`, {}),
    nonsense: [
      '\u0000\u0001\u0002',
      'GET / HTTP/1.1\r\n\r\n',
      '\u0010\u0000',
      '\u0010\u00ff\u00ff\u00ff\u00ff',
      '\u0030\u000a\u0000\u0003a/bxxxxx',
      '\u0082\u0008\u0000\u0001\u0000\u0003a/b\u0000',
    ],
    close: () => carrier.close(),
  };
};

linkConformance('WebSocket', makeWebSocket);
linkConformance('MQTT', makeMqtt);

describe('WebSocket alone', () => {
  let hub: ReturnType<typeof echoGateway>;
  let under: LinkUnderTest;
  beforeEach(async () => {
    hub = echoGateway();
    under = await makeWebSocket(hub.accept);
  });
  afterEach(() => under.close());
  const open = (path: string, options: WebSocket.ClientOptions = {}): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${under.port}${path}`, 'groundplane.1', options);
      socket.on('open', () => (resolve(`open ${socket.extensions}`), socket.terminate()));
      socket.on('error', (error) => resolve(error.message));
    });

  test('browsers have no business here, nor has anybody elsewhere', async () => {
    expect(await open(linkPath, { origin: 'http://127.0.0.1' })).toContain('404');
    for (const path of ['/', '/link/', '/links', '/api/v1/stream']) expect(await open(path)).toContain('404');
    expect(await open(`${linkPath}?a=b`)).toBe('open ');
    expect(hub.peers).toHaveLength(1);
  });

  test('compression is not agreed to, so that a small frame cannot become a large one', async () => {
    expect(await open(linkPath, { perMessageDeflate: true })).toBe('open ');
  });

  test('binary frames end the connection', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${under.port}${linkPath}`, 'groundplane.1');
    const closed = new Promise<void>((resolve) => void socket.on('close', () => resolve()));
    socket.on('open', () => socket.send(Buffer.from('bytes')));
    await closed;
    expect(hub.peers[0]?.frames).toEqual([]);
    await eventually(() => expect(hub.peers[0]?.closed).toBe(1));
  });
});

describe('MQTT alone', () => {
  let hub: ReturnType<typeof echoGateway>;
  let under: LinkUnderTest;
  const clients: MqttClient[] = [];
  beforeEach(async () => {
    hub = echoGateway();
    under = await makeMqtt(hub.accept);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.end(true);
    await under.close();
  });

  const newId = (): string => `gp-${randomUUID()}`;
  interface Guest {
    client: MqttClient;
    id: string;
    heard: { topic: string; text: string; retain: boolean }[];
    events: string[];
  }
  const guest = (options: IClientOptions = {}): Guest => {
    const id = options.clientId ?? newId();
    const client = connectMqtt(`mqtt://127.0.0.1:${under.port}`, {
      clientId: id,
      protocolVersion: 5,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: 3_000,
      ...options,
    });
    clients.push(client);
    const made: Guest = { client, id, heard: [], events: [] };
    client.on('message', (topic, payload, packet) => void made.heard.push({ topic, text: payload.toString(), retain: packet.retain }));
    for (const event of ['connect', 'close', 'error'] as const) client.on(event, () => void made.events.push(event));
    return made;
  };
  const connected = async (options: IClientOptions = {}): Promise<Guest> => {
    const made = guest(options);
    await eventually(() => expect(made.events).toContain('connect'));
    return made;
  };
  const joined = async (options: IClientOptions = {}): Promise<Guest> => {
    const made = await connected(options);
    await made.client.subscribeAsync(`gp/${made.id}/down`, { qos: 1 });
    await eventually(() => expect(made.heard).toHaveLength(1));
    return made;
  };
  const isRefused = async (options: IClientOptions): Promise<void> => {
    const made = guest(options);
    await eventually(() => expect(made.events.some((event) => event === 'close' || event === 'error')).toBe(true));
    expect(made.events).not.toContain('connect');
  };

  test('nobody hears what is for somebody else: neither by name nor by wildcard nor by sharing', async () => {
    const victim = await joined();
    const spy = await joined();
    const topics = [
      `gp/${victim.id}/down`,
      `gp/${victim.id}/up`,
      'gp/+/down',
      'gp/#',
      '#',
      '+/+/+',
      `$share/g/gp/${victim.id}/down`,
      `$share/g/gp/${spy.id}/down`,
      '$SYS/#',
      `gp/${spy.id}/up`,
      `gp/${spy.id}/down/`,
      `GP/${spy.id}/down`,
    ];
    for (const topic of topics) await spy.client.subscribeAsync(topic, { qos: 1 }).catch(() => undefined);
    victim.client.publish(`gp/${victim.id}/up`, 'secret', { qos: 1 });
    await eventually(() => expect(victim.heard.map((item) => item.text)).toContain('secret'));
    hub.peers[0]?.peer.send('for the victim');
    await eventually(() => expect(victim.heard.map((item) => item.text)).toContain('for the victim'));
    await delay(100);
    expect(spy.heard.map((item) => item.text)).toEqual(['welcome']);
  });

  test('nobody speaks for somebody else: publishing elsewhere ends the connection and arrives nowhere', async () => {
    const victim = await joined();
    for (const topic of [`gp/${victim.id}/up`, `gp/${victim.id}/down`, 'gp/up', '$SYS/x', `gp/${victim.id}/up/x`]) {
      const intruder = await joined();
      intruder.client.publish(topic, 'forged', { qos: 0 });
      await eventually(() => expect(intruder.events).toContain('close'));
    }
    const own = await joined();
    own.client.publish(`gp/${own.id}/down`, 'to myself', { qos: 0 });
    await eventually(() => expect(own.events).toContain('close'));
    await delay(100);
    expect(hub.peers.flatMap((seen) => seen.frames)).toEqual([]);
    expect(victim.heard.map((item) => item.text)).toEqual(['welcome']);
  });

  test('nothing is retained, and no will is taken', async () => {
    const keeper = await joined();
    keeper.client.publish(`gp/${keeper.id}/up`, 'kept', { qos: 1, retain: true });
    await eventually(() => expect(keeper.events).toContain('close'));
    await isRefused({ will: { topic: 'gp/x/down', payload: Buffer.from('last'), qos: 0, retain: false } });
    const later = await joined();
    expect(later.heard.every((item) => !item.retain)).toBe(true);
    expect(hub.peers.flatMap((seen) => seen.frames)).toEqual([]);
  });

  test('sessions do not outlive their connection, and client ids have one form', async () => {
    await isRefused({ clean: false });
    for (const clientId of ['', 'a', 'gp-', `gp-${'x'.repeat(36)}`, `gp-${randomUUID()}-more`, '+', 'gp/../x', `${newId()}\n`])
      await isRefused({ clientId: clientId === '' ? ' ' : clientId });
  });

  test('somebody who takes the client id of another pushes nobody off and hears nothing of theirs', async () => {
    const victim = await joined();
    const thief = guest({ clientId: victim.id });
    await delay(200);
    hub.peers[0]?.peer.send('still for the victim');
    await eventually(() => expect(victim.heard.map((item) => item.text)).toContain('still for the victim'));
    expect(victim.events).not.toContain('close');
    expect(thief.heard).toEqual([]);
    expect(hub.peers).toHaveLength(1);
    victim.client.end(true);
    await eventually(() => expect(hub.peers[0]?.closed).toBe(1));
    expect((await joined({ clientId: victim.id })).heard.map((item) => item.text)).toEqual(['welcome']);
  });

  test('a client of MQTT 3.1.1 is welcome', async () => {
    const old = await joined({ protocolVersion: 4 });
    old.client.publish(`gp/${old.id}/up`, 'hello from 2014', { qos: 1 });
    await eventually(() => expect(old.heard.map((item) => item.text)).toEqual(['welcome', 'hello from 2014']));
    const spy = await joined({ protocolVersion: 4 });
    await spy.client.subscribeAsync('#').catch(() => undefined);
    old.client.publish(`gp/${old.id}/up`, 'more', { qos: 1 });
    await eventually(() => expect(old.heard).toHaveLength(3));
    expect(spy.heard).toHaveLength(1);
  });

  test('subscribing twice is one peer, and frames before subscribing reach nobody', async () => {
    const eager = await connected();
    eager.client.publish(`gp/${eager.id}/up`, 'too early', { qos: 0 });
    await delay(100);
    expect(hub.peers).toEqual([]);
    await eager.client.subscribeAsync(`gp/${eager.id}/down`, { qos: 1 });
    await eager.client.subscribeAsync(`gp/${eager.id}/down`, { qos: 0 });
    await eventually(() => expect(eager.heard).toHaveLength(1));
    await delay(50);
    expect(hub.peers).toHaveLength(1);
    expect(hub.peers[0]?.frames).toEqual([]);
  });
});
