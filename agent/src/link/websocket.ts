import WebSocket from 'ws';
import { limits } from '@groundplane/protocol/limits';
import type { Link } from '../port/link.ts';
import { hubAgents, type ProxyEnv } from './hub-agents.ts';

/** WebSocket carrier. No compression (it costs memory per connection, and a hostile peer could use it before it is known), frames capped by the library. */
export const webSocketLink = (url: string, options: { caPem?: string | undefined; proxy?: () => ProxyEnv }): Link => {
  const agent = hubAgents(options);
  return {
    connect: (events) => {
      const socket = new WebSocket(url, 'groundplane.1', {
        perMessageDeflate: false,
        maxPayload: limits.frameBytes,
        handshakeTimeout: limits.handshakeMs,
        followRedirects: false,
        ...(options.caPem === undefined ? {} : { ca: options.caPem }),
        ...(url.startsWith('wss:') ? { agent: agent() } : {}),
      });
      let closed = false;
      let problem = '';
      const close = (reason: string): void => {
        if (closed) return;
        closed = true;
        events.onClose(reason);
      };
      socket.on('open', () => events.onOpen());
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) return socket.terminate();
        return closed ? undefined : events.onFrame(data.toString('utf8'));
      });
      socket.on('error', (error) => (problem = error.message));
      socket.on('close', (code) => close(problem === '' ? `the connection closed (${code})` : problem));
      return {
        send: (text) => (socket.readyState === WebSocket.OPEN ? socket.send(text) : undefined),
        close: () => {
          closed = true;
          if (socket.readyState === WebSocket.OPEN) socket.close(1000);
          else socket.terminate();
        },
      };
    },
  };
};
