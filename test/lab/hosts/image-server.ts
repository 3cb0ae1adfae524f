import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ImageEntry } from './image.ts';
import { blobPath, hasBlob } from './image.ts';

/** Serves the images of an OCI layout as a registry does (distribution-spec, pull only): what hosts fetch comes over their network, by the kubelet's own pull. */
export const startImageServer = async (options: { layout: string; images: readonly ImageEntry[]; address: string; port: number }) => {
  const { layout, images } = options;
  const asked: string[] = [];
  /** `library/node` and `26-slim` of `docker.io/library/node:26-slim`. */
  const named = new Map(
    images.map((image) => {
      const [path = '', tag = ''] = image.ref.slice(image.ref.indexOf('/') + 1).split(':');
      return [`${path}:${tag}`, image] as const;
    }),
  );
  const digestOf = (name: string, kind: string, which: string): string | undefined =>
    which.startsWith('sha256:') ? which : kind === 'manifests' ? named.get(`${name}:${which}`)?.digest : undefined;
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://images').pathname;
    asked.push(`${request.method ?? ''} ${path}`);
    if (path === '/v2/') return void response.writeHead(200).end();
    const [, name = '', kind = '', which = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    const digest = digestOf(name, kind, which);
    if (digest === undefined || !/^sha256:[0-9a-f]{64}$/.test(digest) || !hasBlob(layout, digest)) return void response.writeHead(404).end();
    const file = blobPath(layout, digest);
    const type = kind === 'manifests' ? (JSON.parse(readFileSync(file, 'utf8')) as { mediaType: string }).mediaType : 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': statSync(file).size, 'docker-content-digest': digest });
    if (request.method === 'HEAD') return void response.end();
    createReadStream(file).pipe(response);
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(options.port, options.address, listening.resolve);
  await listening.promise;
  return {
    port: (server.address() as AddressInfo).port,
    /** Requests so far: method and path. */
    asked,
    stop: (): void => {
      server.close();
      server.closeAllConnections();
    },
  };
};
