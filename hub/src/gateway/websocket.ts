import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { limits } from '@groundplane/protocol/limits';
import { gatewayPath } from '@groundplane/protocol/site-gateway';
import { WebSocketServer } from 'ws';
import type { AcceptPeer, Carrier } from '../port/carrier.ts';

/** Where agents connect. */
export const linkPath = '/link';

/** WebSocket carrier on the hub's own HTTP server. Browsers send an Origin and have no business here. */
export const webSocketCarrier = (server: Server, accept: AcceptPeer): Carrier => {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: limits.frameBytes,
    clientTracking: true,
    handleProtocols: () => 'groundplane.1',
  });
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const path = (request.url ?? '').split('?')[0];
    // Somebody else's door on the same server.
    if (path === gatewayPath) return;
    if (path !== linkPath || request.headers.origin !== undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      const events = accept({
        send: (text) => (client.readyState === client.OPEN ? client.send(text) : undefined),
        backlogBytes: () => client.bufferedAmount,
        close: () => client.close(1000),
      });
      client.on('message', (data: Buffer, isBinary) => (isBinary ? client.terminate() : events.onFrame(data.toString('utf8'))));
      client.on('error', () => client.terminate());
      client.on('close', () => events.onClose());
    });
  };
  server.on('upgrade', onUpgrade);
  return {
    name: 'websocket',
    close: async () => {
      server.off('upgrade', onUpgrade);
      for (const client of sockets.clients) client.terminate();
      sockets.close();
    },
  };
};
