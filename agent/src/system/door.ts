import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface DoorOptions {
  port: number;
  /** `127.0.0.1` for this machine only. */
  address: string;
  connectionsMax: number;
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

export interface Door {
  port: number;
  close: () => Promise<void>;
}

/** A small HTTP server that bad company cannot keep busy: few connections, short waits, and whatever goes wrong ends one connection only. */
export const openDoor = async (options: DoorOptions): Promise<Door> => {
  const server: Server = createServer({ headersTimeout: 10_000, requestTimeout: 0, keepAliveTimeout: 30_000, maxHeaderSize: 8 * 1024 }, (request, response) => {
    void options.answer(request, response).catch(() => response.destroy());
  });
  server.maxConnections = options.connectionsMax;
  // Half a minute without a byte in either direction: also for somebody who reads an answer too slowly to be alive.
  server.setTimeout(30_000);
  server.on('clientError', (_, socket) => socket.destroy());
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(options.port, options.address, listening.resolve);
  await listening.promise;
  server.on('error', () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
};
