import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fail, type Failure, type Result } from '@groundplane/protocol/failure';
import { openDoor, type Door } from '../system/door.ts';
import { logUnits, type Control } from './control.ts';
import { isOwnHost, isOwnOrigin, type Caller } from './guard.ts';
import { htmlPage, pageHeaders } from './html.ts';
import { overviewBody, type LocalStatus } from './overview.ts';

export type { LocalStatus } from './overview.ts';

/** Loaded by the first who logs in: an idle agent has no use for it. */
const forms = () => import('./forms.ts');

const formBytesMax = 16 * 1024;
const connectionsMax = 32;

/** Reads a form to its end; undefined when it is none or too large. */
const readForm = async (request: IncomingMessage): Promise<URLSearchParams | undefined> => {
  if (!(request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')) return undefined;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > formBytesMax) return undefined;
    pieces.push(piece);
  }
  return new URLSearchParams(Buffer.concat(pieces).toString('utf8'));
};

const statusOf = (failure: Failure): number =>
  failure.code === 'login-blocked'
    ? 429
    : failure.code === 'upload-foreign'
      ? 403
      : failure.code === 'media-busy' || failure.code === 'network-busy'
        ? 409
        : 400;

const navOf = (local: LocalStatus, caller: Caller | undefined): { href: string; text: string }[] =>
  local.control === undefined
    ? []
    : [
        { href: '/', text: 'Overview' },
        ...(caller === undefined
          ? [{ href: '/login', text: 'Log in' }]
          : [
              { href: '/media', text: 'Media' },
              { href: '/network', text: 'Network' },
              { href: '/logs', text: 'Logs' },
            ]),
      ];

/**
 * Serves the local page and `status.json` on loopback. Reading the overview needs nothing; everything else needs the password, or the token that root reads from its
 * file. Only names of this machine are answered, so that no web page elsewhere can read it by DNS tricks. It works without scripts, and none may run.
 */
const createAnswer = (local: LocalStatus) => {
  const html = async (response: ServerResponse, status: number, body: string, caller: Caller | undefined, refreshSeconds?: number): Promise<void> => {
    const nonce = randomUUID();
    const page = htmlPage({
      title: local.name,
      body: caller?.kind === 'person' ? `${body}${(await forms()).logoutForm(caller)}` : body,
      nonce,
      nav: navOf(local, caller),
      ...(refreshSeconds === undefined ? {} : { refreshSeconds }),
    });
    response.writeHead(status, { ...pageHeaders(nonce), 'content-type': 'text/html; charset=utf-8' }).end(page);
  };
  const json = (response: ServerResponse, status: number, value: unknown): void =>
    void response.writeHead(status, { ...pageHeaders(randomUUID()), 'content-type': 'application/json' }).end(JSON.stringify(value));
  const redirect = (response: ServerResponse, to: string, headers: Record<string, string> = {}): void =>
    void response.writeHead(303, { ...pageHeaders(randomUUID()), location: to, ...headers }).end();

  const show = async (url: URL, control: Control | undefined, caller: Caller | undefined, response: ServerResponse): Promise<void> => {
    if (url.pathname === '/') return html(response, 200, await overviewBody(local), caller, 5);
    if (control === undefined) return void response.writeHead(404, pageHeaders(randomUUID())).end();
    if (url.pathname === '/login') return html(response, 200, (await forms()).loginBody(undefined), caller);
    if (!['/media', '/media/receipt', '/network', '/logs'].includes(url.pathname)) return void response.writeHead(404, pageHeaders(randomUUID())).end();
    if (caller === undefined) return redirect(response, '/login');
    if (url.pathname === '/media/receipt') return sendReceipt(control, response);
    if (url.pathname === '/media')
      return html(
        response,
        200,
        await (await forms()).mediaBody(control, caller, undefined),
        caller,
        control.importer.status().state === 'running' || control.uploads.status().state === 'receiving' ? 5 : undefined,
      );
    if (url.pathname === '/network')
      return html(
        response,
        200,
        (await forms()).networkBody(control, caller, undefined),
        caller,
        control.network.status().trying === undefined ? undefined : 5,
      );
    const unit = logUnits.find((name) => name === (url.searchParams.get('unit') ?? logUnits[0]));
    return unit === undefined
      ? void response.writeHead(404, pageHeaders(randomUUID())).end()
      : html(response, 200, await (await forms()).logsBody(control, unit), caller);
  };

  const login = async (request: IncomingMessage, form: URLSearchParams, control: Control, response: ServerResponse): Promise<void> => {
    if (!isOwnOrigin(request)) return void response.writeHead(403, pageHeaders(randomUUID())).end();
    const session = await control.guard.login(form.get('password') ?? '');
    if (session.ok) return redirect(response, '/', { 'set-cookie': control.guard.cookie(session.value) });
    return html(response, statusOf(session.failure) === 429 ? 429 : 401, (await forms()).loginBody(session.failure.message), undefined);
  };

  /** An action ends with a page for people and with JSON for root's commands. */
  const end = async (response: ServerResponse, caller: Caller, done: Result<unknown>, back: '/media' | '/network', control: Control): Promise<void> => {
    if (caller.kind === 'root')
      return json(response, done.ok ? 200 : statusOf(done.failure), done.ok ? { ok: true, value: done.value } : { ok: false, failure: done.failure });
    if (done.ok) return redirect(response, back);
    const message = `${done.failure.element}: ${done.failure.message}`;
    return html(
      response,
      statusOf(done.failure),
      back === '/media' ? await (await forms()).mediaBody(control, caller, message) : (await forms()).networkBody(control, caller, message),
      caller,
    );
  };

  const act = async (path: string, form: URLSearchParams, control: Control, caller: Caller, response: ServerResponse): Promise<void> => {
    switch (path) {
      case '/logout':
        if (caller.kind === 'person') control.guard.logout(caller.session);
        return redirect(response, '/', { 'set-cookie': control.guard.noCookie });
      case '/media': {
        const folder = form.get('path') ?? '';
        // A medium of many GiB takes longer than a browser waits; the page says how it goes.
        const running = control.importer.run(folder);
        const early = caller.kind === 'person' && control.importer.status().state === 'running' ? { ok: true as const, value: undefined } : await running;
        return end(response, caller, early, '/media', control);
      }
      case '/receipt':
        return end(response, caller, await control.importer.report(form.get('path') ?? ''), '/media', control);
      case '/network': {
        const settings = (await import('./network-settings.ts')).parseNetworkForm(form);
        return end(response, caller, settings.ok ? await control.network.apply(settings.value) : settings, '/network', control);
      }
      case '/network/proxy': {
        const settings = (await import('./proxy-settings.ts')).parseProxyForm(form);
        return end(response, caller, settings.ok ? control.proxy.write(settings.value) : settings, '/network', control);
      }
      case '/network/confirm':
        control.network.confirm();
        return end(response, caller, { ok: true, value: undefined }, '/network', control);
      default:
        return end(response, caller, fail('fatal', 'not-found', path, 'there is no such action'), '/media', control);
    }
  };

  const upload = async (request: IncomingMessage, control: Control, caller: Caller | undefined, response: ServerResponse): Promise<void> => {
    // What is still on its way is not read; the connection ends with the answer.
    response.setHeader('connection', 'close');
    if (caller === undefined) return redirect(response, '/login');
    const { readUpload } = await import('./multipart.ts');
    const done = await readUpload(request, (csrf) => control.guard.isMeant(request, caller, csrf), control.uploads.take);
    return end(response, caller, done, '/media', control);
  };

  const sendReceipt = async (control: Control, response: ServerResponse): Promise<void> => {
    const now = control.importer.status();
    const file = now.state === 'done' ? now.result.receipt : undefined;
    const bytes = file === undefined ? undefined : await readFile(file).catch(() => undefined);
    if (file === undefined || bytes === undefined) return void response.writeHead(404, pageHeaders(randomUUID())).end();
    const headers = { 'content-type': 'application/json', 'content-disposition': `attachment; filename="${basename(file)}"` };
    response.writeHead(200, { ...pageHeaders(randomUUID()), ...headers }).end(bytes);
  };

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { control } = local;
    const url = URL.parse(request.url ?? '', 'http://local');
    if (!isOwnHost(request)) return void response.writeHead(403).end('ask for this page as 127.0.0.1');
    if (url === null) return void response.writeHead(404).end();
    const caller = control?.guard.caller(request);
    if (caller === undefined && request.headers.authorization !== undefined)
      return json(response, 401, fail('fatal', 'unauthenticated', 'local page', 'this is not the token of the agent that runs now'));
    if (request.method === 'GET') {
      if (url.pathname === '/status.json')
        return json(response, 200, { name: local.name, simulated: local.simulated, link: local.session(), status: local.engine.status() });
      return show(url, control, caller, response);
    }
    if (request.method !== 'POST' || control === undefined) return void response.writeHead(405).end();
    if (url.pathname === '/media/upload') return upload(request, control, caller, response);
    const form = await readForm(request);
    if (form === undefined) return void response.writeHead(413, { ...pageHeaders(randomUUID()), connection: 'close' }).end();
    if (url.pathname === '/login') return login(request, form, control, response);
    if (caller === undefined) return redirect(response, '/login');
    if (!control.guard.isMeant(request, caller, form.get('csrf') ?? ''))
      return void response.writeHead(403, pageHeaders(randomUUID())).end('this form is not of this page; go back and try again');
    return act(url.pathname, form, control, caller, response);
  };
};

export const startLocalPage = (local: LocalStatus, port: number, address = '127.0.0.1'): Promise<Door> =>
  openDoor({ port, address, connectionsMax, answer: createAnswer(local) });
