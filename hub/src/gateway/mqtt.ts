import { createServer, type AddressInfo, type Socket } from 'node:net';
import { limits } from '@groundplane/protocol/limits';
import { Aedes, type Client } from 'aedes';
import type { AcceptPeer, Carrier, PeerEvents } from '../port/carrier.ts';

const upTopic = (client: string): string => `gp/${client}/up`;
const downTopic = (client: string): string => `gp/${client}/down`;
const keepaliveSecondsMax = 900;

interface Connected {
  events: PeerEvents | undefined;
  backlogBytes: number;
}

/** Who may connect, and what a client may say and hear: its own two topics and nothing else. */
const guard = (broker: Aedes, clients: ReadonlyMap<Client, Connected>): void => {
  /** Ids of whoever is connected. An agent takes a new one for each connection, so who comes with one that is in use wants to push somebody off. */
  const taken = new Set<string>();
  broker.on('client', (client) => taken.add(client.id));
  broker.on('clientDisconnect', (client) => taken.delete(client.id));
  broker.preConnect = (_, packet, done) => {
    const isPlain = packet.will === undefined && packet.clean !== false && /^gp-[0-9a-f-]{36}$/.test(packet.clientId) && !taken.has(packet.clientId);
    // Without an error the broker would leave the socket of whoever was refused open for ever.
    done(isPlain ? null : new Error('not allowed'), isPlain);
  };
  broker.authorizeSubscribe = (client, subscription, done) => {
    done(null, subscription.topic === downTopic(client.id) ? subscription : null);
  };
  broker.authorizePublish = (client, packet, done) => {
    if (client === null) return done(null);
    const size = packet.payload.length;
    if (packet.topic !== upTopic(client.id) || packet.retain || size > limits.frameBytes) {
      client.close();
      return done(new Error('not allowed'));
    }
    clients.get(client)?.events?.onFrame(packet.payload.toString());
    done(null);
  };
  // Frames were handed over above; nobody subscribes to them, and nothing is forwarded between clients.
  broker.authorizeForward = (client, packet) => (packet.topic === downTopic(client.id) ? packet : null);
};

/**
 * MQTT 5 carrier with a broker inside (3.1.1 clients are welcome too). The broker is only a pipe: a client may publish to its own `up` topic and subscribe to its own `down`
 * topic, without wildcards, retained messages, shared subscriptions or a will; everything a client says goes to the gateway and to nobody else.
 */
export const mqttCarrier = async (options: { host: string; port: number }, accept: AcceptPeer): Promise<Carrier & { port: number }> => {
  const clients = new Map<Client, Connected>();
  const broker = await Aedes.createBroker({
    heartbeatInterval: 60_000,
    connectTimeout: limits.handshakeMs,
    keepaliveLimit: keepaliveSecondsMax,
    maxClientsIdLength: 64,
    queueLimit: 64,
    sessionExpiryIntervalLimit: 1,
    pendingSessionsLimit: 1,
    maximumPacketSize: limits.frameBytes + 1024,
  });

  guard(broker, clients);

  const start = (client: Client): void => {
    if (clients.has(client)) return;
    const connected: Connected = { events: undefined, backlogBytes: 0 };
    clients.set(client, connected);
    connected.events = accept({
      send: (text) => {
        const payload = Buffer.from(text);
        connected.backlogBytes += payload.length;
        client.publish(
          { cmd: 'publish', topic: downTopic(client.id), payload, qos: 1, retain: false, dup: false },
          () => (connected.backlogBytes -= payload.length),
        );
      },
      backlogBytes: () => connected.backlogBytes,
      close: () => client.close(),
    });
  };
  // The hub speaks first, as soon as the client listens.
  broker.on('subscribe', (subscriptions, client) => {
    if (subscriptions.some((item) => item.topic === downTopic(client.id))) start(client);
  });
  broker.on('clientDisconnect', (client) => {
    clients.get(client)?.events?.onClose();
    clients.delete(client);
  });

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    broker.handle(socket);
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(options.port, options.host, listening.resolve);
  await listening.promise;
  return {
    name: 'mqtt',
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      const ended = Promise.withResolvers<void>();
      broker.close(() => ended.resolve());
      await ended.promise;
      for (const socket of sockets) socket.destroy();
      await closed.promise;
    },
  };
};
