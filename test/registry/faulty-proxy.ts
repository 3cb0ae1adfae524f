import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  method: string;
  path: string;
  authorization: string | undefined;
  range: string | undefined;
}

/** What the proxy does with a request: `undefined` passes it on untouched. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => 'handled' | { cutAfter: number } | undefined;

export interface FaultyProxy {
  host: string;
  seen: Seen[];
  /** Asked for each request, until replaced. */
  fault: Fault;
  close(): Promise<void>;
}

const listen = async (handle: (incoming: IncomingMessage, response: ServerResponse) => void): Promise<{ host: string; close: () => Promise<void> }> => {
  const server = createServer(handle);
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
};

/** A server that stands before a real registry and breaks what it is told to break. Without target it only answers faults. */
export const faultyProxy = async (target?: string): Promise<FaultyProxy> => {
  const seen: Seen[] = [];
  const proxy: FaultyProxy = { host: '', seen, fault: () => undefined, close: () => Promise.resolve() };
  const { host, close } = await listen((incoming, response) => {
    seen.push({ method: incoming.method ?? '', path: incoming.url ?? '', authorization: incoming.headers.authorization, range: incoming.headers.range });
    const fault = proxy.fault(incoming, response);
    if (fault === 'handled') return void incoming.resume();
    if (target === undefined) return void response.writeHead(404).end();
    const [hostname, port] = target.split(':');
    const forwarded = request({ hostname, port, method: incoming.method, path: incoming.url, headers: { ...incoming.headers, host: target } }, (answer) => {
      const headers = { ...answer.headers };
      if (typeof headers.location === 'string') headers.location = headers.location.replace(target, host);
      response.writeHead(answer.statusCode ?? 500, headers);
      let sent = 0;
      answer.on('data', (chunk: Buffer) => {
        if (fault !== undefined && sent + chunk.length >= fault.cutAfter) {
          response.write(chunk.subarray(0, fault.cutAfter - sent), () => response.destroy());
          answer.destroy();
          return;
        }
        sent += chunk.length;
        response.write(chunk);
      });
      answer.on('end', () => response.end());
      answer.on('error', () => response.destroy());
    });
    forwarded.on('error', () => response.destroy());
    incoming.pipe(forwarded);
  });
  proxy.host = host;
  proxy.close = close;
  return proxy;
};

/** Answers JSON. */
export const answer = (response: ServerResponse, status: number, body: string | Buffer, headers: Record<string, string> = {}): 'handled' => {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...headers }).end(body);
  return 'handled';
};
