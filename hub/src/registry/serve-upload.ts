import { Readable } from 'node:stream';
import { isDigest } from '@groundplane/protocol/digest';
import type { Failure } from '@groundplane/protocol/failure';
import type { Context } from 'hono';
import type { Repository } from './catalogue.ts';
import { refuse, type RegistryDeps, type RegistryError } from './serve.ts';

/** Which repository an upload was begun for; another one cannot end it. */
const keyOf = (repository: Repository, id: string): string => `/v2/${repository.name}/blobs/uploads/${id}`;

const bodyOf = (context: Context): Readable => {
  const { body } = context.req.raw;
  return body === null ? Readable.from([]) : Readable.fromWeb(body as never);
};

const blobErrors: Readonly<Record<string, RegistryError>> = { 'content-too-large': 'SIZE_INVALID', 'content-wrong': 'DIGEST_INVALID', 'disk-full': 'NO_SPACE' };
const refuseBlob = (context: Context, failure: Failure): Response => refuse(context, blobErrors[failure.code] ?? 'BLOB_UPLOAD_INVALID', failure.message);

const holdBlob = async (context: Context, repository: Repository, digest: `sha256:${string}`, size: number): Promise<Response> => {
  const noted = await repository.hold({ digest, size });
  if (!noted.ok) return refuse(context, 'TOOMANYREQUESTS', noted.failure.message);
  return context.body(null, 201, { location: `/v2/${repository.name}/blobs/${digest}`, 'docker-content-digest': digest });
};

const begin = async (context: Context, repository: Repository, deps: RegistryDeps, authorization: string | undefined): Promise<Response> => {
  const [mount, from, digest] = [context.req.query('mount'), context.req.query('from'), context.req.query('digest')];
  if (mount !== undefined && from !== undefined && isDigest(mount)) {
    const other = await deps.catalogue.enter(authorization, from, 'pull');
    const item = typeof other === 'string' ? undefined : await other.held(mount);
    if (item !== undefined && (await deps.content.size(mount)) === item.size) return holdBlob(context, repository, mount, item.size);
  }
  if (digest !== undefined && isDigest(digest)) {
    const received = await deps.content.receive(digest, bodyOf(context), deps.blobBytesMax);
    if (received.ok) return holdBlob(context, repository, digest, received.value);
    return refuseBlob(context, received.failure);
  }
  const id = await deps.staging.open();
  return context.body(null, 202, { location: keyOf(repository, id), range: '0-0', 'docker-upload-uuid': id });
};

const progress = (context: Context, repository: Repository, id: string, size: number, status: 202 | 204 | 416): Response =>
  context.body(null, status, { location: keyOf(repository, id), range: `0-${Math.max(0, size - 1)}`, 'docker-upload-uuid': id });

const isNextChunk = (header: string | undefined, held: number): boolean => {
  if (header === undefined) return true;
  const start = /^(?:bytes )?(\d+)-\d+/.exec(header)?.[1];
  return start !== undefined && Number(start) === held;
};

const append = async (context: Context, repository: Repository, id: string, held: number, deps: RegistryDeps): Promise<Response> => {
  if (!isNextChunk(context.req.header('content-range'), held)) return progress(context, repository, id, held, 416);
  const added = await deps.staging.append(id, bodyOf(context), deps.blobBytesMax);
  if (added.ok) return progress(context, repository, id, added.value, 202);
  return refuseBlob(context, added.failure);
};

const finish = async (context: Context, repository: Repository, id: string, held: number, deps: RegistryDeps): Promise<Response> => {
  const digest = context.req.query('digest') ?? '';
  if (!isDigest(digest)) return refuse(context, 'DIGEST_INVALID', 'the query has no digest=sha256:…');
  if (!isNextChunk(context.req.header('content-range'), held)) return progress(context, repository, id, held, 416);
  // Most uploads end with their only request: its body goes to its place without a detour.
  if (held > 0) {
    const added = await deps.staging.append(id, bodyOf(context), deps.blobBytesMax);
    if (!added.ok) return refuseBlob(context, added.failure);
  }
  const received = await deps.content.receive(digest, held > 0 ? deps.staging.read(id) : bodyOf(context), deps.blobBytesMax);
  if (received.ok || received.failure.kind !== 'retry') await deps.staging.drop(id);
  if (received.ok) return holdBlob(context, repository, digest, received.value);
  return refuseBlob(context, received.failure);
};

/** Uploads: begin (or mount), add parts, ask how far it is, end with the digest, give up. */
export const serveUpload = async (
  context: Context,
  repository: Repository,
  id: string,
  deps: RegistryDeps,
  authorization: string | undefined,
): Promise<Response> => {
  const { method } = context.req;
  if (id === '') return method === 'POST' ? begin(context, repository, deps, authorization) : refuse(context, 'UNSUPPORTED', `${method} is not possible here`);
  const held = /^[0-9a-f-]{36}$/.test(id) ? await deps.staging.size(id) : undefined;
  if (held === undefined) return refuse(context, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload; begin anew');
  if (method === 'PATCH') return append(context, repository, id, held, deps);
  if (method === 'PUT') return finish(context, repository, id, held, deps);
  if (method === 'GET') return progress(context, repository, id, held, 204);
  if (method === 'DELETE') {
    await deps.staging.drop(id);
    return context.body(null, 204);
  }
  return refuse(context, 'UNSUPPORTED', `${method} is not possible here`);
};
