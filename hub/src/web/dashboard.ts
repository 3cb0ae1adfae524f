import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { apiBase } from '@groundplane/protocol/api/routes';
import { Hono, type Context } from 'hono';
import { manifestFile, manifestSchema, nonceMark, pageFile, type Manifest } from '../../dashboard/manifest.ts';
import { contentPolicy, safetyHeaders } from './headers.ts';

export interface DashboardOptions {
  /** Folder of a finished build. Called at once, and again after it failed; while it is pending a "building" page is served. */
  assetsDir: () => Promise<string>;
  /** Bytes for nonces; the system's generator by default. */
  random?: (length: number) => Uint8Array;
}

interface Loaded {
  dir: string;
  manifest: Manifest;
  /** The page cut at the places of the nonce. */
  page: string[];
  bodies: Map<string, Uint8Array<ArrayBuffer>>;
}

type Assets = { state: 'pending' } | { state: 'ready'; loaded: Loaded } | { state: 'failed'; message: string };

const load = async (dir: string): Promise<Loaded> => {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(dir, manifestFile), 'utf8')));
  return { dir, manifest, page: (await readFile(join(dir, pageFile), 'utf8')).split(nonceMark), bodies: new Map() };
};

const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const plainPage = (title: string, text: string, retrySeconds: number): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="${retrySeconds}"><meta name="color-scheme" content="light dark">` +
  `<title>${title}</title><h1>${title}</h1><pre>${escapeHtml(text)}</pre></html>`;

const notFound = (context: Context, path: string): Response =>
  context.json(
    {
      error: {
        kind: 'fatal',
        code: 'not-found',
        element: path.slice(0, 512),
        message: 'is not a path of this hub. The API is described at /api/v1/openapi.json',
      },
    },
    404,
  );

/** Best encoding that both sides know. `identity` when the browser names neither. */
const encodingFor = (accepted: string): { suffix: '' | '.br' | '.gz'; name: string | undefined } => {
  const offers = accepted.split(',').map((offer) => offer.trim().toLowerCase());
  const takes = (name: string): boolean => offers.some((offer) => offer.split(';')[0]?.trim() === name && !/;\s*q=0(\.0*)?$/.test(offer));
  if (takes('br')) return { suffix: '.br', name: 'br' };
  if (takes('gzip')) return { suffix: '.gz', name: 'gzip' };
  return { suffix: '', name: undefined };
};

const serveAsset = async (context: Context, loaded: Loaded, path: string): Promise<Response> => {
  const file = loaded.manifest.files[path];
  if (file === undefined || !Object.hasOwn(loaded.manifest.files, path)) return notFound(context, path);
  const encoding = encodingFor(context.req.header('accept-encoding') ?? '');
  const etag = `"${loaded.manifest.digest}-${path.slice('/assets/'.length)}${encoding.suffix}"`;
  const headers: Record<string, string> = {
    ...safetyHeaders,
    'content-type': file.type,
    // The name changes with the content.
    'cache-control': 'public, max-age=31536000, immutable',
    etag,
    vary: 'accept-encoding',
    ...(encoding.name === undefined ? {} : { 'content-encoding': encoding.name }),
  };
  if (context.req.header('if-none-match') === etag) return context.body(null, 304, headers);
  const key = path + encoding.suffix;
  const body = loaded.bodies.get(key) ?? new Uint8Array(await readFile(join(loaded.dir, key)));
  loaded.bodies.set(key, body);
  return context.body(body, 200, headers);
};

/**
 * The dashboard: mount on `/` after the API. Assets of the build with long caching, and the page with a fresh nonce for every other GET, since the page's
 * own router reads the path. Unknown API and asset paths are answered with 404, never with the page.
 */
export const dashboardApp = (options: DashboardOptions): Hono => {
  const random = options.random ?? ((length: number): Uint8Array => randomBytes(length));
  let assets: Assets = { state: 'pending' };
  const begin = (): void => {
    assets = { state: 'pending' };
    options
      .assetsDir()
      .then(load)
      .then((loaded) => void (assets = { state: 'ready', loaded }))
      .catch((error: unknown) => void (assets = { state: 'failed', message: error instanceof Error ? error.message : String(error) }));
  };
  const html = (context: Context, text: string, status: 200 | 500 | 503, nonce: string): Response =>
    context.html(text, status, { ...safetyHeaders, 'content-security-policy': contentPolicy(nonce), 'cache-control': 'no-store' });

  begin();
  const app = new Hono();
  app.get('/*', async (context) => {
    const path = context.req.path;
    if (path === apiBase || path.startsWith('/api/')) return notFound(context, path);
    const nonce = Buffer.from(random(18)).toString('base64');
    const current: Assets = assets;
    if (current.state === 'failed') {
      begin();
      return html(context, plainPage('The dashboard could not be built', current.message, 5), 500, nonce);
    }
    if (current.state !== 'ready') {
      context.header('retry-after', '1');
      return html(context, plainPage('Building the dashboard', 'It is ready in a moment; this page tries again by itself.', 1), 503, nonce);
    }
    if (path.startsWith('/assets/')) return serveAsset(context, current.loaded, path);
    return html(context, current.loaded.page.join(nonce), 200, nonce);
  });
  app.all('/*', (context) => {
    if (context.req.path.startsWith('/api/')) return notFound(context, context.req.path);
    return context.json({ error: { kind: 'fatal', code: 'method-not-allowed', element: context.req.path.slice(0, 512), message: 'takes GET only' } }, 405, {
      allow: 'GET, HEAD',
    });
  });
  return app;
};
