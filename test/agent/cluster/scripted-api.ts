import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fixedToken, type Connection, type TokenSource } from '@groundplane/agent/cluster/connection';

export interface Asked {
  method: string;
  path: string;
  token: string | undefined;
  body: string;
  contentType: string | undefined;
}

export interface ScriptedApi {
  asked: Asked[];
  connection: (token?: TokenSource) => Connection;
  close(): Promise<void>;
}

export type Script = (asked: Asked, response: ServerResponse, count: number) => void;

const readAll = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};

export const answer = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

export const coreResources = {
  kind: 'APIResourceList',
  groupVersion: 'v1',
  resources: [
    { name: 'configmaps', kind: 'ConfigMap', namespaced: true, verbs: ['get', 'list'] },
    { name: 'pods', kind: 'Pod', namespaced: true, verbs: ['get'] },
    { name: 'pods/log', kind: 'Pod', namespaced: true, verbs: ['get'] },
  ],
};

/** An HTTP server that answers as the script says; `/api/v1` is answered by itself, with `more` besides pods and ConfigMaps. `count` numbers the scripted requests from 0. */
export const scriptedApi = async (script: Script, more: readonly object[] = []): Promise<ScriptedApi> => {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const { method = '', url: path = '', headers } = request;
      const one = { method, path, body, token: headers.authorization?.replace('Bearer ', ''), contentType: headers['content-type'] };
      if (path === '/api/v1') answer(response, 200, { ...coreResources, resources: [...coreResources.resources, ...more] });
      else script(one, response, asked.push(one) - 1);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    connection: (token = fixedToken('the-token')) => ({ server: `http://127.0.0.1:${port}`, insecure: false, token }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
};
