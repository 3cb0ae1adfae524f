import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostPhases, layerStates } from '@groundplane/protocol/observed';
import { stepText } from '@groundplane/protocol/plan/steps';
import type { Engine } from '../engine.ts';
import type { SessionState } from '../link/session.ts';
import { approvalCode } from './approval.ts';

const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
const row = (...cells: string[]): string => `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;

const linkText = (session: SessionState): string => {
  switch (session.state) {
    case 'online':
      return 'connected to the hub';
    case 'lobby':
      return `waiting for approval; the words of this device are: ${session.words}`;
    case 'offline':
      return `not connected${session.failure === undefined ? '' : `: ${session.failure.element} ${session.failure.message}`}. The device goes on by itself`;
    case 'connecting':
    case 'greeting':
      return 'connecting';
    default:
      return session satisfies never;
  }
};

/** What somebody who stands before the device wants to know: what should run, what does, what happens next. Read-only. */
export interface LocalStatus {
  name: string;
  simulated: boolean;
  engine: Engine;
  session: () => SessionState;
  /** Where a person with a phone lets this device in; absent: there is no such address. */
  approval?: string | undefined;
}

const styles =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}code{font-family:ui-monospace,monospace}figure{margin:1rem 0}figure svg{width:min(16rem,100%);height:auto}figcaption{overflow-wrap:anywhere}.note{border:1px solid;padding:.5rem}';

const page = (local: LocalStatus, code: string): string => {
  const status = local.engine.status();
  const plan = local.engine.lastPlan();
  const journal = local.engine.state.journal().slice(-50).toReversed();
  const layers = status.layers.map((layer) =>
    row(
      layer.name,
      layer.kind,
      `${layer.pack.name} ${layer.pack.version}`,
      layer.state,
      layer.message ?? layerStates[layer.state],
      `${layer.objects.ready}/${layer.objects.total}`,
      String(layer.drift.healed),
    ),
  );
  const steps = (plan?.steps ?? []).map((step) => `<li>${escapeHtml(stepText(step))}</li>`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><meta name="viewport" content="width=device-width"><title>${escapeHtml(local.name)} – Groundplane</title><style nonce="NONCE">${styles}</style>
<h1>${escapeHtml(local.name)}</h1>${local.simulated ? '<p class="note"><strong>simulated</strong>: this host and its Kubernetes are a simulation</p>' : ''}
<p>${escapeHtml(linkText(local.session()))}</p>${code}
<p><strong>${escapeHtml(status.phase)}</strong>: ${escapeHtml(hostPhases[status.phase])}${status.failure === undefined ? '' : ` ${escapeHtml(`${status.failure.element}: ${status.failure.message}`)}`}</p>
<p>Generation ${status.version?.generation ?? 0}, last good ${status.committed?.generation ?? 0}; Kubernetes ${escapeHtml(status.kubernetes.version ?? status.kubernetes.state)}</p>
${status.poisoned === undefined ? '' : `<p class="note">Generation ${status.poisoned.version.generation} failed and is not tried again: ${escapeHtml(status.poisoned.failure.message)}</p>`}
<h2>Layers</h2><table><thead><tr><th>Layer<th>Kind<th>Pack<th>State<th>What it means<th>Ready<th>Drift healed</thead><tbody>${layers.join('')}</tbody></table>
<h2>What happens next</h2>${steps.length === 0 ? '<p>Nothing: everything is as desired.</p>' : `<ol>${steps.join('')}</ol>`}
<h2>Journal</h2><table><tbody>${journal.map((item) => row(new Date(item.atMs).toISOString(), item.text, item.state, item.failure?.message ?? '')).join('')}</tbody></table></html>`;
};

/** While it waits: the hub's page for this device, for a phone. */
const codeOf = async (local: LocalStatus): Promise<string> => {
  if (local.session().state !== 'lobby' || local.approval === undefined) return '';
  const svg = await approvalCode(local.approval);
  return `<figure>${svg}<figcaption>Read this with a phone to approve the device: <code>${escapeHtml(local.approval)}</code></figcaption></figure>`;
};

/** Serves the local page and `status.json` on loopback. Only names of this machine are answered, so that no web page elsewhere can read it by DNS tricks. */
export const startLocalPage = async (local: LocalStatus, port: number): Promise<{ port: number; close: () => Promise<void> }> => {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(host)) return void response.writeHead(403).end('ask for this page as 127.0.0.1');
    if (request.method !== 'GET') return void response.writeHead(405).end();
    const nonce = globalThis.crypto.randomUUID();
    const headers = {
      'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; frame-ancestors 'none'; base-uri 'none'`,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    };
    if (request.url === '/status.json')
      return void response
        .writeHead(200, { ...headers, 'content-type': 'application/json' })
        .end(JSON.stringify({ name: local.name, simulated: local.simulated, link: local.session(), status: local.engine.status() }));
    if (request.url === '/')
      return void response
        .writeHead(200, { ...headers, 'content-type': 'text/html; charset=utf-8' })
        .end(page(local, await codeOf(local)).replace('NONCE', nonce));
    return void response.writeHead(404, headers).end();
  };
  const server: Server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(port, '127.0.0.1', listening.resolve);
  await listening.promise;
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
