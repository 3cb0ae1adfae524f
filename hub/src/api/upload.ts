import { Readable } from 'node:stream';
import { isAllowed } from '@groundplane/protocol/access';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { apiBase } from '@groundplane/protocol/api/routes';
import type { Context, Hono } from 'hono';
import type { Principal } from './auth.ts';
import { invalid } from './errors.ts';
import type { ApiDeps } from './handler.ts';
import { authenticate, failureResponse, isForeign } from './router.ts';

interface Upload {
  digest: Digest;
  principal: Principal;
}

/** Who uploads what; whoever may upload in one project may bring blobs, since a blob belongs to nobody until a profile names it. */
const enter = async (context: Context, deps: ApiDeps): Promise<Result<Upload>> => {
  const digest = context.req.param('digest') ?? '';
  if (!isDigest(digest)) return invalid('digest', 'must be sha256: and 64 hex digits');
  const principal = await authenticate(context, deps);
  if (principal === undefined) return fail('fatal', 'unauthenticated', 'content', 'needs an API key or a session. Run: gp login');
  const mayUpload = principal.grants.some((grant) => isAllowed([grant], 'content.upload', grant.project));
  if (!mayUpload || (principal.byCookie && isForeign(context))) return fail('fatal', 'denied', 'content', 'needs the permission content.upload');
  return ok({ digest, principal });
};

const bodyOf = (context: Context): Readable => {
  const { body } = context.req.raw;
  return body === null ? Readable.from([]) : Readable.fromWeb(body as never);
};

const tooLarge = (digest: string, sizeMax: number): Result<never> =>
  fail('fatal', 'content-too-large', digest, `a blob has at most ${sizeMax} bytes in this hub. Its operator may allow more: --content-blob-max`);

const note = (deps: ApiDeps, { principal, digest }: Upload, size: number) =>
  deps.store.commit([{ op: 'put', kind: 'blob', tenant: principal.tenant, id: digest, project: '', name: digest, value: { size } }]);

const putWhole = async (context: Context, deps: ApiDeps): Promise<Response> => {
  const entered = await enter(context, deps);
  if (!entered.ok) return failureResponse(context, entered.failure);
  const { digest } = entered.value;
  const { blobBytesMax } = deps.transfers;
  const refused = Number(context.req.header('content-length') ?? 0) > blobBytesMax ? tooLarge(digest, blobBytesMax) : undefined;
  if (refused?.ok === false) return failureResponse(context, refused.failure);
  const received = await deps.content.receive(digest, bodyOf(context), blobBytesMax);
  if (!received.ok) return failureResponse(context, received.failure);
  const noted = await note(deps, entered.value, received.value);
  return noted.ok ? context.body(null, 204) : failureResponse(context, noted.failure);
};

/** `bytes 0-99/1000`: the part and the whole, as in RFC 9110, section 14.4. */
const parsePart = (header: string | undefined): { start: number; size: number; total: number } | undefined => {
  const [, first = '', last = '', all = ''] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header ?? '') ?? [];
  const [start, end, total] = [Number(first), Number(last), Number(all)];
  return first === '' || start > end || end >= total ? undefined : { start, size: end - start + 1, total };
};

const sessionsMax = 1_024;

/**
 * Uploads in parts, for blobs that do not come in one go: `GET …/upload` says how many bytes are there, `PATCH …/upload` with `Content-Range: bytes S-E/TOTAL` adds
 * the next ones, and the last one makes it a blob. One upload for each tenant and digest; they end with the process and after an hour of rest.
 */
const createParts = (deps: ApiDeps) => {
  const { staging, blobBytesMax } = deps.transfers;
  const sessions = new Map<string, Promise<string>>();
  /** Blobs that are complete and being verified. */
  const ending = new Map<string, number>();
  const keyOf = ({ principal, digest }: Upload): string => `${principal.tenant} ${digest}`;

  const held = async (key: string): Promise<{ id: string; size: number } | undefined> => {
    const session = sessions.get(key);
    const id = await session;
    const size = id === undefined ? undefined : await staging.size(id);
    if (id !== undefined && size !== undefined) return { id, size };
    // Rested too long. Somebody else may have begun anew in the meantime.
    if (sessions.get(key) === session) sessions.delete(key);
    return undefined;
  };

  /** Of two that begin at once, the second one goes on with what the first one opened. */
  const begin = async (key: string): Promise<{ id: string; size: number } | undefined> => {
    if (sessions.size >= sessionsMax) for (const other of sessions.keys()) await held(other);
    if (!sessions.has(key)) sessions.set(key, staging.open());
    return held(key);
  };

  const isThere = async ({ principal, digest }: Upload): Promise<boolean> =>
    (await deps.store.get('blob', principal.tenant, digest)) !== undefined && (await deps.content.size(digest)) !== undefined;

  const end = async (upload: Upload, id: string, total: number): Promise<Result<void>> => {
    const key = keyOf(upload);
    ending.set(key, total);
    try {
      const received = await deps.content.receive(upload.digest, staging.read(id), total);
      // What cannot be gone on with gives its room back.
      if (received.ok || received.failure.kind !== 'retry') {
        await staging.drop(id);
        sessions.delete(key);
      }
      if (!received.ok) return received;
      const noted = await note(deps, upload, received.value);
      return noted.ok ? ok(undefined) : noted;
    } finally {
      ending.delete(key);
    }
  };

  return {
    held: async (upload: Upload): Promise<{ held: number; ending: boolean }> => {
      const total = ending.get(keyOf(upload));
      return total === undefined ? { held: (await held(keyOf(upload)))?.size ?? 0, ending: false } : { held: total, ending: true };
    },
    add: async (upload: Upload, header: string | undefined, body: () => Readable): Promise<Result<number | 'done'>> => {
      const element = `upload of ${upload.digest}`;
      const part = parsePart(header);
      if (part === undefined) return invalid(element, 'needs a header like Content-Range: bytes 0-16777215/33554432');
      if (part.total > blobBytesMax) return tooLarge(upload.digest, blobBytesMax);
      const key = keyOf(upload);
      if (ending.has(key)) return fail('retry', 'upload-busy', element, 'is complete and being verified');
      if (!sessions.has(key) && (await isThere(upload))) return ok('done');
      const now = (await held(key)) ?? (part.start === 0 ? await begin(key) : undefined);
      if (now === undefined || now.size !== part.start)
        return fail('blocked', 'upload-moved', element, `has ${now?.size ?? 0} bytes, and the part begins at ${part.start}. Go on from there`);
      const added = await staging.append(now.id, body(), Math.min(part.total, part.start + part.size));
      if (!added.ok) return added;
      if (added.value < part.total) return ok(added.value);
      const ended = await end(upload, now.id, part.total);
      return ended.ok ? ok('done') : ended;
    },
    drop: async (upload: Upload): Promise<void> => {
      const id = await sessions.get(keyOf(upload));
      if (id !== undefined && !ending.has(keyOf(upload))) await staging.drop(id);
    },
  };
};

export const mountUploads = (app: Hono, deps: ApiDeps): void => {
  const parts = createParts(deps);
  const entering =
    (act: (context: Context, upload: Upload) => Promise<Response>) =>
    async (context: Context): Promise<Response> => {
      const entered = await enter(context, deps);
      return entered.ok ? act(context, entered.value) : failureResponse(context, entered.failure);
    };
  app.put(`${apiBase}/content/:digest`, (context) => putWhole(context, deps));
  app.get(
    `${apiBase}/content/:digest/upload`,
    entering(async (context, upload) => context.json(await parts.held(upload), 200, { 'cache-control': 'no-store' })),
  );
  app.patch(
    `${apiBase}/content/:digest/upload`,
    entering(async (context, upload) => {
      const added = await parts.add(upload, context.req.header('content-range'), () => bodyOf(context));
      if (!added.ok) return failureResponse(context, added.failure);
      return added.value === 'done' ? context.body(null, 204) : context.json({ held: added.value, ending: false }, 202);
    }),
  );
  app.delete(
    `${apiBase}/content/:digest/upload`,
    entering(async (context, upload) => {
      await parts.drop(upload);
      return context.body(null, 204);
    }),
  );
};
