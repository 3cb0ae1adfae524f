import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { largeBlobs, ociReferences, type Bundle } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { sizeOf } from '../blobs/partial.ts';
import { serveFile } from '../blobs/serve-file.ts';
import type { Blobs } from '../port/blobs.ts';
import { openDoor, type Door } from '../system/door.ts';
import { isSameRepository, parseMirrored, parseRegistryRequest, type MirroredReference, type RegistryRequest } from './names.ts';

export interface MirrorDeps {
  blobs: Blobs;
  architecture: AgentArch | undefined;
  /** Bundles whose images are answered, the most important first: what runs, what ran before, what comes. */
  bundles: () => readonly Pick<Bundle, 'layers'>[];
}

const connectionsMax = 64;
const tagsMax = 1_000;

/** What one bundle answers; worked out once. */
interface Catalogue {
  references: MirroredReference[];
  /** Blobs of layers that bring images; no others can be asked for here. */
  digests: ReadonlySet<string>;
}

const catalogueOf = (bundle: Pick<Bundle, 'layers'>, architecture: AgentArch | undefined): Catalogue => {
  const layers = bundle.layers.filter((layer) => (layer.oci ?? []).length > 0);
  const references = [...ociReferences({ layers }, architecture).values()].map(parseMirrored).filter((item) => item !== undefined);
  return { references, digests: new Set([...largeBlobs({ layers }, architecture).keys(), ...references.map((item) => item.digest)]) };
};

const sendError = (response: ServerResponse, status: number, code: string, message: string): void => {
  const body = JSON.stringify({ errors: [{ code, message }] });
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), 'x-content-type-options': 'nosniff' })
    .end(body);
};

/** Manifests below an index are not among the references; they say themselves what they are. */
const mediaTypeOf = async (path: string): Promise<string> => {
  const manifest = JSON.parse(await readFile(path, 'utf8')) as { mediaType?: unknown; manifests?: unknown };
  if (typeof manifest.mediaType === 'string' && /^[\w.+/-]{1,255}$/.test(manifest.mediaType)) return manifest.mediaType;
  return Array.isArray(manifest.manifests) ? 'application/vnd.oci.image.index.v1+json' : 'application/vnd.oci.image.manifest.v1+json';
};

/**
 * The host's own registry: pull only, on loopback, over plain HTTP, which is what the container runtime's mirrors ask (`hosts.toml`). It answers what the host's
 * bundles bring and nothing else; everything else is 404, so that the runtime asks the next place.
 */
export const startMirror = (deps: MirrorDeps, port: number): Promise<Door> => {
  const memo = new WeakMap<object, Catalogue>();
  const catalogues = (): Catalogue[] =>
    deps.bundles().map((bundle) => {
      const known = memo.get(bundle.layers);
      if (known !== undefined) return known;
      const made = catalogueOf(bundle, deps.architecture);
      memo.set(bundle.layers, made);
      return made;
    });

  const headersFor = (digest: Digest, type: string): Record<string, string> => ({
    'content-type': type,
    'docker-content-digest': digest,
    'docker-distribution-api-version': 'registry/2.0',
    etag: `"${digest}"`,
  });

  const manifest = async (request: IncomingMessage, response: ServerResponse, asked: Extract<RegistryRequest, { what: 'manifest' }>): Promise<void> => {
    const all = catalogues();
    const found = all
      .flatMap((item) => item.references)
      .find((item) => isSameRepository(asked, item) && (asked.digest === undefined ? item.tag === asked.tag : item.digest === asked.digest));
    const digest = found?.digest ?? (all.some((item) => asked.digest !== undefined && item.digests.has(asked.digest)) ? asked.digest : undefined);
    const path = digest === undefined ? undefined : await deps.blobs.path(digest);
    if (digest === undefined || path === undefined) return sendError(response, 404, 'MANIFEST_UNKNOWN', 'no bundle of this host brings it');
    const type = found?.mediaType ?? (((await sizeOf(path)) ?? 0) > limits.ociManifestBytes ? undefined : await mediaTypeOf(path).catch(() => undefined));
    if (type === undefined || !(await serveFile(request, response, path, headersFor(digest, type))))
      sendError(response, 404, 'MANIFEST_UNKNOWN', 'it is no manifest');
  };

  const blob = async (request: IncomingMessage, response: ServerResponse, digest: Digest): Promise<void> => {
    const path = catalogues().some((item) => item.digests.has(digest)) ? await deps.blobs.path(digest) : undefined;
    if (path === undefined || !(await serveFile(request, response, path, headersFor(digest, 'application/octet-stream'))))
      sendError(response, 404, 'BLOB_UNKNOWN', 'no bundle of this host brings it');
  };

  const tags = (response: ServerResponse, asked: Extract<RegistryRequest, { what: 'tags' }>): void => {
    const found = catalogues().flatMap((item) => item.references.filter((reference) => isSameRepository(asked, reference)));
    if (found.length === 0) return sendError(response, 404, 'NAME_UNKNOWN', 'no bundle of this host brings it');
    const names = [...new Set(found.flatMap((item) => item.tag ?? []))].toSorted().slice(0, tagsMax);
    const body = JSON.stringify({ name: asked.repository, tags: names });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }).end(body);
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(host)) return sendError(response, 403, 'DENIED', 'ask for this registry as 127.0.0.1');
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendError(response, 405, 'UNSUPPORTED', 'this registry is for pulling only');
    const asked = parseRegistryRequest(request.url ?? '');
    switch (asked.what) {
      case 'base':
        return void response
          .writeHead(200, { 'content-type': 'application/json', 'docker-distribution-api-version': 'registry/2.0', 'content-length': '2' })
          .end('{}');
      case 'manifest':
        return manifest(request, response, asked);
      case 'blob':
        return blob(request, response, asked.digest);
      case 'tags':
        return tags(response, asked);
      case 'wrong':
        return sendError(response, asked.code === 'UNSUPPORTED' ? 404 : 400, asked.code, asked.message);
      default:
        return asked satisfies never;
    }
  };

  return openDoor({ port, address: '127.0.0.1', connectionsMax, answer });
};
