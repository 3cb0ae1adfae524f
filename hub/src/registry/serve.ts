import { Readable } from 'node:stream';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import type { Context, Hono } from 'hono';
import { paced, type Throttle } from '../content/throttle.ts';
import type { ContentStore, StagingArea } from '../port/content.ts';
import type { Catalogue, Repository } from './catalogue.ts';
import { registryLimits } from './limits.ts';
import { childrenOf, parseManifest } from './oci-manifest.ts';
import { isRepository, isTag } from './oci-reference.ts';
import { serveUpload } from './serve-upload.ts';

export interface RegistryDeps {
  content: ContentStore;
  staging: StagingArea;
  blobBytesMax: number;
  throttle?: Throttle;
  catalogue: Catalogue;
}

/** Error codes of the OCI distribution specification 1.1, with the status each goes with. */
const statuses = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 413,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  /** Not in the specification, which has no word for a full disk. */
  NO_SPACE: 507,
} as const;
export type RegistryError = keyof typeof statuses;

export const refuse = (context: Context, code: RegistryError, message: string): Response => {
  if (code === 'UNAUTHORIZED') context.header('WWW-Authenticate', 'Basic realm="groundplane", charset="UTF-8"');
  if (code === 'TOOMANYREQUESTS') context.header('Retry-After', '1');
  return context.json({ errors: [{ code, message }] }, statuses[code]);
};

const range = (header: string | undefined, size: number): { start: number; end: number } | 'whole' | 'unsatisfiable' => {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole';
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
};

const answerBytes = (context: Context, { content, throttle }: RegistryDeps, digest: Digest, size: number, mediaType: string): Response => {
  const wanted = range(context.req.header('range'), size);
  const headers = {
    'content-type': mediaType,
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
    'cache-control': 'private, immutable',
    'x-content-type-options': 'nosniff',
    // Layers and configs come from anywhere; no browser shall show one as a page of ours.
    'content-disposition': 'attachment',
    'content-security-policy': "default-src 'none'; sandbox",
  };
  if (wanted === 'unsatisfiable') return context.body(null, 416, { ...headers, 'content-range': `bytes */${size}` });
  const { start, end } = wanted === 'whole' ? { start: 0, end: size - 1 } : wanted;
  const length = size === 0 ? 0 : end - start + 1;
  const all = { ...headers, 'content-length': String(length), ...(wanted === 'whole' ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }) };
  const status = wanted === 'whole' ? 200 : 206;
  if (length === 0 || context.req.method === 'HEAD') return context.body(null, status, all);
  return context.body(Readable.toWeb(paced(content.stream(digest, start, end), throttle)) as ReadableStream<Uint8Array<ArrayBuffer>>, status, all);
};

const getManifest = async (context: Context, repository: Repository, name: string, deps: RegistryDeps): Promise<Response> => {
  const { content } = deps;
  const digest = isDigest(name) ? name : await repository.tagged(name);
  const item = digest === undefined ? undefined : await repository.held(digest);
  if (digest === undefined || item?.mediaType === undefined || (await content.size(digest)) !== item.size)
    return refuse(context, 'MANIFEST_UNKNOWN', `${repository.name} has no manifest ${name}`);
  return answerBytes(context, deps, digest, item.size, item.mediaType);
};

const readWhole = async (context: Context, bytesMax: number): Promise<Buffer | undefined> => {
  const { body } = context.req.raw;
  const parts: Buffer[] = [];
  let bytes = 0;
  if (body === null) return Buffer.alloc(0);
  for await (const part of Readable.fromWeb(body as never) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
};

const putManifest = async (context: Context, repository: Repository, name: string, { content }: RegistryDeps): Promise<Response> => {
  if (!isDigest(name) && !isTag(name)) return refuse(context, 'MANIFEST_INVALID', 'the name is neither a tag nor a sha256 digest');
  const bytes = await readWhole(context, registryLimits.manifestBytes);
  if (bytes === undefined) return refuse(context, 'SIZE_INVALID', `a manifest has at most ${registryLimits.manifestBytes} bytes`);
  const announced = context.req.header('content-type')?.split(';')[0]?.trim();
  const parsed = parseManifest(bytes, announced, 'the manifest');
  if (!parsed.ok) return refuse(context, 'MANIFEST_INVALID', `the manifest ${parsed.failure.message}`);
  const children = childrenOf(parsed.value);
  for (const child of children) {
    const held = await repository.held(child.digest);
    if (held === undefined) return refuse(context, 'MANIFEST_BLOB_UNKNOWN', `${child.digest} is not in ${repository.name}; push it first`);
    if (held.size !== child.size) return refuse(context, 'MANIFEST_INVALID', `${child.digest} has ${held.size} bytes, and the manifest says ${child.size}`);
  }
  const digest = await content.put(bytes);
  if (isDigest(name) && name !== digest) return refuse(context, 'DIGEST_INVALID', `the manifest has the digest ${digest}`);
  const item = { digest, size: bytes.length, mediaType: parsed.value.mediaType, needs: children.map((child) => child.digest) };
  const noted = await repository.hold(item, isDigest(name) ? undefined : name);
  if (!noted.ok) return refuse(context, 'TOOMANYREQUESTS', noted.failure.message);
  return context.body(null, 201, { location: `/v2/${repository.name}/manifests/${digest}`, 'docker-content-digest': digest });
};

const deleteManifest = async (context: Context, repository: Repository, name: string): Promise<Response> => {
  const dropped = await repository.drop(name);
  if (!dropped.ok) return refuse(context, 'TOOMANYREQUESTS', dropped.failure.message);
  return dropped.value ? context.body(null, 202) : refuse(context, 'MANIFEST_UNKNOWN', `${repository.name} has no manifest ${name}`);
};

const getBlob = async (context: Context, repository: Repository, digest: string, deps: RegistryDeps): Promise<Response> => {
  const { content } = deps;
  if (!isDigest(digest)) return refuse(context, 'DIGEST_INVALID', 'not sha256: and 64 hex digits');
  const item = await repository.held(digest);
  if (item === undefined || (await content.size(digest)) !== item.size) return refuse(context, 'BLOB_UNKNOWN', `${repository.name} has no blob ${digest}`);
  return answerBytes(context, deps, digest, item.size, 'application/octet-stream');
};

const pageMax = 1_000;
const listTags = async (context: Context, repository: Repository): Promise<Response> => {
  const asked = Number(context.req.query('n') ?? pageMax);
  const limit = Number.isSafeInteger(asked) && asked > 0 ? Math.min(pageMax, asked) : pageMax;
  const tags = await repository.tags(context.req.query('last'), limit);
  if (tags === undefined) return refuse(context, 'NAME_UNKNOWN', `there is no repository ${repository.name}, or you may not see it`);
  const last = tags.at(-1);
  if (tags.length === limit && last !== undefined)
    context.header('Link', `</v2/${repository.name}/tags/list?n=${limit}&last=${encodeURIComponent(last)}>; rel="next"`);
  return context.json({ name: repository.name, tags });
};

/** A name with a broken escape names nothing. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
};

const pathPattern = /^\/v2\/(.+)\/(?:(manifests)\/([^/]+)|(blobs)\/(sha[^/]+)|(blobs\/uploads)\/([^/]*)|(tags)\/list)$/;

const serve = async (context: Context, deps: RegistryDeps): Promise<Response> => {
  const authorization = context.req.header('authorization');
  const { method } = context.req;
  const isRead = method === 'GET' || method === 'HEAD';
  const path = context.req.path;
  if (path === '/v2' || path === '/v2/')
    return (await deps.catalogue.isKnown(authorization))
      ? context.json({})
      : refuse(context, 'UNAUTHORIZED', 'log in with any user name and an API key as password');
  const [, name = '', manifests, reference = '', blobs, digest = '', uploads, upload = '', tags] = pathPattern.exec(path) ?? [];
  if (name === '' || !isRepository(name)) return refuse(context, 'NAME_INVALID', 'not a path of this registry');
  const repository = await deps.catalogue.enter(authorization, name, isRead && uploads === undefined ? 'pull' : 'push');
  if (repository === 'unauthenticated') return refuse(context, 'UNAUTHORIZED', 'log in with any user name and an API key as password');
  if (repository === 'unknown')
    return refuse(context, 'NAME_UNKNOWN', `there is no repository ${name}, or you may not see it. The first part of the name is the project`);
  if (repository === 'denied') return refuse(context, 'DENIED', `you may not ${isRead ? 'read' : 'write'} ${name}`);
  if (manifests !== undefined) {
    const text = decoded(reference);
    if (isRead) return getManifest(context, repository, text, deps);
    if (method === 'PUT') return putManifest(context, repository, text, deps);
    if (method === 'DELETE') return deleteManifest(context, repository, text);
  }
  if (blobs !== undefined && isRead) return getBlob(context, repository, decoded(digest), deps);
  if (uploads !== undefined) return serveUpload(context, repository, upload, deps, authorization);
  if (tags !== undefined && isRead) return listTags(context, repository);
  return refuse(context, 'UNSUPPORTED', `${method} is not possible here`);
};

/** The hub as an OCI registry (distribution specification 1.1) over its content store: containerd, Docker, Helm and gp read from it and push to it. */
export const mountRegistry = (app: Hono, deps: RegistryDeps): void => {
  app.all('/v2', (context) => serve(context, deps));
  app.all('/v2/*', (context) => serve(context, deps));
};
