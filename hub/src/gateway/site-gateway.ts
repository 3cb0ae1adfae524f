import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import {
  gatewayAnswerBytes,
  gatewayCallMs,
  gatewayCallsOpen,
  gatewayPartSchema,
  gatewayPath,
  type GatewayCall,
  type GatewayPart,
} from '@groundplane/protocol/site-gateway';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Clock } from '../port/clock.ts';
import type { Http, HttpResponse } from '../port/http.ts';

/** The host whose agent makes the calls. `id`: undefined where there is none of this name, or where nobody has let it in. */
export interface GatewayHost {
  id: string | undefined;
  name: string;
}

interface Waiting {
  socket: WebSocket;
  name: string;
  parts: Buffer[];
  bytes: number;
  status: number;
  headers: Record<string, string>;
  settle(result: Result<HttpResponse>): void;
}

export interface Tls {
  ca?: string | undefined;
  insecure?: boolean | undefined;
}

/** The hub's end of site gateways: calls go out on connections that agents opened. */
export const createSiteGateways = (deps: { clock: Clock; hostByToken: (token: string) => string | undefined }) => {
  const sockets = new Map<string, WebSocket>();
  const waiting = new Map<number, Waiting>();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: limits.frameBytes, handleProtocols: () => 'groundplane.1' });
  let lastId = 0;

  const onPart = (socket: WebSocket, part: GatewayPart): void => {
    const call = waiting.get(part.id);
    if (call === undefined || call.socket !== socket) return;
    if (part.failure !== undefined) return call.settle({ ok: false, failure: part.failure });
    if (part.status !== undefined) call.status = part.status;
    if (part.headers !== undefined) call.headers = part.headers;
    const data = Buffer.from(part.data ?? '', 'base64');
    call.bytes += data.length;
    if (call.bytes > gatewayAnswerBytes)
      return call.settle(fail('fatal', 'answer-too-large', `gateway ${call.name}`, `the answer has more than ${gatewayAnswerBytes} bytes`));
    call.parts.push(data);
    if (part.last) call.settle(ok({ status: call.status, headers: call.headers, body: Buffer.concat(call.parts) }));
  };

  const onSocket = (host: string, socket: WebSocket): void => {
    sockets.get(host)?.terminate();
    sockets.set(host, socket);
    socket.on('message', (data: Buffer, isBinary) => {
      const parsed = isBinary ? undefined : gatewayPartSchema.safeParse(jsonOf(data.toString('utf8')));
      if (parsed?.success !== true) return socket.terminate();
      onPart(socket, parsed.data);
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      if (sockets.get(host) === socket) sockets.delete(host);
      for (const call of waiting.values())
        if (call.socket === socket)
          call.settle(fail('retry', 'cloud-unreachable', `gateway ${call.name}`, 'its connection broke; what was asked for may have been done'));
    });
  };

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if ((request.url ?? '').split('?')[0] !== gatewayPath) return;
    const host = deps.hostByToken((request.headers.authorization ?? '').replace(/^Bearer /, ''));
    if (host === undefined || request.headers.origin !== undefined) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    server.handleUpgrade(request, socket, head, (client) => onSocket(host, client));
  };

  const call = (host: GatewayHost, tls: Tls, { method, url, headers, body }: Parameters<Http>[0]): Promise<Result<HttpResponse>> => {
    const element = `gateway ${host.name}`;
    const away = (message: string): Promise<Result<HttpResponse>> => Promise.resolve(fail('retry', 'cloud-unreachable', element, message));
    if (host.id === undefined) return away('is no approved host of this project. Let it in, or name another one in the account: gp get hosts');
    const socket = sockets.get(host.id);
    if (socket === undefined) return away('is not connected. Its agent has to run with --gateway HOST:PORT');
    const open = [...waiting.values()].filter((other) => other.socket === socket).length;
    if (open >= gatewayCallsOpen) return away('has too many calls open');
    const { promise, resolve } = Promise.withResolvers<Result<HttpResponse>>();
    lastId += 1;
    const id = lastId;
    const settle = (result: Result<HttpResponse>): void => {
      cancel();
      waiting.delete(id);
      resolve(result);
    };
    const cancel = deps.clock.after(gatewayCallMs, () => settle(fail('retry', 'cloud-unreachable', element, `no answer within ${gatewayCallMs / 1000} s`)));
    waiting.set(id, { socket, name: host.name, parts: [], bytes: 0, status: 502, headers: {}, settle });
    const message: GatewayCall = {
      t: 'call',
      id,
      method,
      url,
      headers,
      ...(body === undefined ? {} : { body: Buffer.from(body as Uint8Array).toString('base64') }),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.insecure === true ? { insecure: true } : {}),
    };
    socket.send(JSON.stringify(message));
    return promise;
  };

  return {
    attach: (http: Server): void => void http.on('upgrade', onUpgrade),
    /** The way out through the gateway on this host. */
    httpThrough:
      (host: GatewayHost, tls: Tls): Http =>
      (request) =>
        call(host, tls, request),
    close: (): void => {
      for (const socket of sockets.values()) socket.terminate();
      server.close();
    },
  };
};
export type SiteGateways = ReturnType<typeof createSiteGateways>;

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
