import { Readable } from 'node:stream';
import { isAllowed } from '@groundplane/protocol/access';
import { isDigest } from '@groundplane/protocol/digest';
import { fail } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { apiBase } from '@groundplane/protocol/api/routes';
import type { Context, Hono } from 'hono';
import { patchType } from '@groundplane/protocol/delta';
import { bootMac } from '../cloud/machine-rows.ts';
import { paced } from '../content/throttle.ts';
import { createPatcher, type Patcher } from '../content/delta.ts';
import { chunkListType } from '@groundplane/protocol/chunk/list';
import { createChunkLists, type ChunkLists } from '../content/chunks.ts';
import type { Delivery } from '../gateway/delivery.ts';
import { isSameText } from '../trust/same-text.ts';
import { invalid, notFound } from './errors.ts';
import type { ApiDeps } from './handler.ts';
import { isInMedia } from './media.ts';
import { authenticate, failureResponse } from './router.ts';
import { mountMediaExport } from './media-export.ts';
import { mountUploads } from './upload.ts';

/** One range of RFC 9110, section 14; anything else is answered with the whole blob, as the RFC allows. */
const parseRange = (header: string | undefined, size: number): { start: number; end: number } | 'whole' | 'unsatisfiable' => {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole';
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
};

/** Hosts read what their own bundle names; people read what their tenant uploaded. */
const mayRead = async (context: Context, digest: `sha256:${string}`, deps: ApiDeps, delivery: Delivery): Promise<boolean | undefined> => {
  const bearer = context.req.header('authorization')?.replace(/^Bearer /, '');
  const host = bearer === undefined ? undefined : deps.gateway.hostByToken(bearer);
  if (host !== undefined) return delivery.mayRead(deps.fleet.host(host)?.bundle, digest);
  const principal = await authenticate(context, deps);
  if (principal === undefined) return undefined;
  const [projectName, cluster, profile] = [context.req.query('project'), context.req.query('cluster'), context.req.query('profile')];
  const subject = cluster !== undefined ? { cluster } : profile !== undefined ? { profile } : undefined;
  if (projectName !== undefined && subject !== undefined) {
    const project = await deps.store.byName('project', principal.tenant, '', projectName);
    return (
      project !== undefined && isAllowed(principal.grants, 'content.get', project.id) && (await isInMedia(deps, principal.tenant, project.id, subject, digest))
    );
  }
  if (!isAllowed(principal.grants, 'content.get', undefined)) return false;
  return (await deps.store.get('blob', principal.tenant, digest)) !== undefined;
};

/**
 * Whether the caller holds the old blob anyway, so that a patch against it tells nothing new. People may read it; a host names the bundle that it had before,
 * which must name the blob and be of the same profiles as the one it has now.
 */
const mayPatchFrom = async (context: Context, from: `sha256:${string}`, deps: ApiDeps, delivery: Delivery): Promise<boolean> => {
  if ((await mayRead(context, from, deps, delivery)) === true) return true;
  const host = deps.gateway.hostByToken(context.req.header('authorization')?.replace(/^Bearer /, '') ?? '');
  const now = host === undefined ? undefined : deps.fleet.host(host)?.bundle;
  const claimed = context.req.query('bundle') ?? '';
  // The host names it, and it may name anything: no bundle is large, and what is none is none.
  if (now === undefined || !isDigest(claimed) || ((await deps.content.size(claimed)) ?? Number.POSITIVE_INFINITY) > limits.apiBodyBytes) return false;
  const [earlier, current] = [await deps.bundler.load(claimed).catch(() => undefined), await deps.bundler.load(now)];
  if (earlier === undefined || current === undefined || !earlier.blobs.has(from)) return false;
  const names = new Set(current.bundle.profiles.map((profile) => profile.name));
  return earlier.bundle.profiles.some((profile) => names.has(profile.name));
};

const patchFor = async (context: Context, digest: `sha256:${string}`, deps: ApiDeps, delivery: Delivery, patcher: Patcher): Promise<Buffer | undefined> => {
  const from = context.req.query('from') ?? '';
  if (!isDigest(from) || from === digest || context.req.header('range') !== undefined || context.req.method === 'HEAD') return undefined;
  return (await mayPatchFrom(context, from, deps, delivery)) ? patcher.patch(from, digest) : undefined;
};

const download = async (context: Context, deps: ApiDeps, delivery: Delivery, patcher: Patcher): Promise<Response> => {
  const digest = context.req.param('digest') ?? '';
  if (!isDigest(digest)) return failureResponse(context, invalid('digest', 'must be sha256: and 64 hex digits').failure);
  const allowed = await mayRead(context, digest, deps, delivery);
  if (allowed === undefined) return failureResponse(context, fail('fatal', 'unauthenticated', 'content', 'needs a session of a host, or an API key').failure);
  const size = allowed ? await deps.content.size(digest) : undefined;
  if (size === undefined) return failureResponse(context, notFound(`content ${digest}`, '').failure);
  const patch = await patchFor(context, digest, deps, delivery, patcher);
  if (patch !== undefined)
    return context.body(new Uint8Array(patch), 200, {
      'content-type': patchType,
      'content-length': String(patch.length),
      'cache-control': 'private',
      'x-content-type-options': 'nosniff',
    });
  const range = parseRange(context.req.header('range'), size);
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
    'cache-control': 'private, immutable',
    'x-content-type-options': 'nosniff',
  };
  if (range === 'unsatisfiable') return context.body(null, 416, { ...headers, 'content-range': `bytes */${size}` });
  const { start, end } = range === 'whole' ? { start: 0, end: size - 1 } : range;
  const length = size === 0 ? 0 : end - start + 1;
  const partial = range === 'whole' ? {} : { 'content-range': `bytes ${start}-${end}/${size}` };
  const all = { ...headers, ...partial, 'content-length': String(length) };
  const status = range === 'whole' ? 200 : 206;
  if (length === 0 || context.req.method === 'HEAD') return context.body(null, status, all);
  return context.body(
    Readable.toWeb(paced(deps.content.stream(digest, start, end), deps.transfers.throttle)) as ReadableStream<Uint8Array<ArrayBuffer>>,
    status,
    all,
  );
};

/**
 * A new machine's way to the agent's package, before it has a session: whoever holds the ticket has the code for exactly the digests that its user data names.
 * What it is told is no secret of anybody; the code keeps strangers from loading the line.
 */
const boot = async (context: Context, deps: ApiDeps): Promise<Response> => {
  const [ticket, digest, mac] = [context.req.param('ticket') ?? '', context.req.param('digest') ?? '', context.req.query('mac') ?? ''];
  const row = isDigest(digest) ? await deps.store.byLookup('ticket', ticket) : undefined;
  const expected = row?.value.machine === undefined || row.value.expiresAtMs < deps.clock.wallMs() ? undefined : bootMac(row.value.keyHash, digest);
  const size = expected !== undefined && isSameText(mac, expected) ? await deps.content.size(digest) : undefined;
  if (size === undefined) return failureResponse(context, notFound('package', '').failure);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size), 'cache-control': 'no-store' };
  if (context.req.method === 'HEAD') return context.body(null, 200, headers);
  const stream = paced(deps.content.stream(digest, 0, size - 1), deps.transfers.throttle);
  return context.body(Readable.toWeb(stream) as ReadableStream<Uint8Array<ArrayBuffer>>, 200, headers);
};

/** A list that takes longer than this to make is asked for again. */
const chunksWaitMs = 20_000;

const downloadChunks = async (context: Context, deps: ApiDeps, delivery: Delivery, lists: ChunkLists): Promise<Response> => {
  const digest = context.req.param('digest') ?? '';
  if (!isDigest(digest)) return failureResponse(context, invalid('digest', 'must be sha256: and 64 hex digits').failure);
  const allowed = await mayRead(context, digest, deps, delivery);
  if (allowed === undefined) return failureResponse(context, fail('fatal', 'unauthenticated', 'content', 'needs a session of a host, or an API key').failure);
  const size = allowed ? await deps.content.size(digest) : undefined;
  if (size === undefined) return failureResponse(context, notFound(`content ${digest}`, '').failure);
  const late = Promise.withResolvers<'late'>();
  const cancel = deps.clock.after(chunksWaitMs, () => late.resolve('late'));
  const list = await Promise.race([lists.of(digest, size), late.promise]);
  cancel();
  if (list === 'late') {
    context.header('Retry-After', '30');
    return failureResponse(context, fail('retry', 'chunks-pending', `content ${digest}`, 'its list of chunks is being made; ask again').failure);
  }
  if (!list.ok) return failureResponse(context, list.failure);
  return context.body(new Uint8Array(list.value), 200, {
    'content-type': chunkListType,
    'content-length': String(list.value.length),
    'cache-control': 'private, immutable',
    'x-content-type-options': 'nosniff',
  });
};

/** Content is outside of the route table, since its bodies are bytes. */
export const mountContent = (app: Hono, deps: ApiDeps, delivery: Delivery): void => {
  const patcher = createPatcher(deps.content);
  const lists = createChunkLists(deps.content);
  app.get(`${apiBase}/content/:digest/chunks`, (context) => downloadChunks(context, deps, delivery, lists));
  app.get(`${apiBase}/content/:digest`, (context) => download(context, deps, delivery, patcher));
  mountMediaExport(app, deps);
  app.get(`${apiBase}/boot/:ticket/:digest`, (context) => boot(context, deps));
  mountUploads(app, deps);
};
