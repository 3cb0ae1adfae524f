import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isAllowed } from '@groundplane/protocol/access';
import { fail } from '@groundplane/protocol/failure';
import { nameSchema } from '@groundplane/protocol/ids';
import { rawRoutes } from '@groundplane/protocol/api/routes';
import type { MediaView } from '@groundplane/protocol/api/registries';
import type { Context, Hono } from 'hono';
import { pack, type Pack } from 'tar-stream';
import { paced } from '../content/throttle.ts';
import { mediaBlobs } from '../media/document.ts';
import { layoutFile, layoutParts } from '../media/write.ts';
import { invalid, notFound } from './errors.ts';
import type { ApiDeps } from './handler.ts';
import { clusterDocument } from './media.ts';
import { authenticate, failureResponse } from './router.ts';

/** Downloads of whole media at once; each holds a file and a part of the line for as long as it takes. */
const exportsMax = 4;

const header = (name: string, size: number) => ({ name, size, mode: 0o644, mtime: new Date(0) });
const blobName = (digest: string): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;

/** The archive that `gp media export FILE.tar` writes, without the images that only their registries have. Ends with an error, never early, when a blob is lost. */
const fill = async (archive: Pack, document: MediaView, deps: ApiDeps): Promise<void> => {
  const { blobs, index } = layoutParts(document, new Map());
  archive.entry(header('oci-layout', layoutFile.length), layoutFile);
  archive.entry(header('index.json', Buffer.byteLength(index)), index);
  for (const [digest, bytes] of blobs) archive.entry(header(blobName(digest), bytes.length), bytes);
  for (const [digest, size] of mediaBlobs(document)) {
    if (archive.destroyed) return;
    if (size === 0) archive.entry(header(blobName(digest), 0), '');
    else await pipeline(paced(deps.content.stream(digest, 0, size - 1), deps.transfers.throttle), archive.entry(header(blobName(digest), size)));
  }
  archive.finalize();
};

const exportCluster = async (context: Context, deps: ApiDeps, open: { count: number }): Promise<Response> => {
  const principal = await authenticate(context, deps);
  if (principal === undefined)
    return failureResponse(context, fail('fatal', 'unauthenticated', 'medium', 'needs an API key or a session. Run: gp login').failure);
  const names = [context.req.param('project') ?? '', context.req.param('name') ?? ''];
  const [project = '', name = ''] = names;
  if (!names.every((each) => nameSchema.safeParse(each).success)) return failureResponse(context, invalid('path', 'project and cluster are names').failure);
  const row = await deps.store.byName('project', principal.tenant, '', project);
  if (row === undefined || !principal.grants.some((grant) => grant.project === undefined || grant.project === row.id))
    return failureResponse(context, notFound(`project ${project}`, 'See: gp get projects').failure);
  if (!isAllowed(principal.grants, 'content.get', row.id))
    return failureResponse(context, fail('fatal', 'denied', `medium of cluster ${name}`, `needs the permission content.get in project ${project}`).failure);
  const document = await clusterDocument(deps, principal.tenant, row.id, { project, name });
  if (!document.ok) return failureResponse(context, document.failure);
  const headers = {
    'content-type': 'application/x-tar',
    'content-disposition': `attachment; filename="${project}-${name}.tar"`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  // Nobody would read the archive, and it would never end.
  if (context.req.method === 'HEAD') return context.body(null, 200, headers);
  if (open.count >= exportsMax)
    return failureResponse(
      context,
      fail('retry', 'hub-busy', `medium of cluster ${name}`, `${exportsMax} media are downloaded already; try again later`).failure,
    );
  open.count += 1;
  const archive = pack();
  archive.once('close', () => (open.count -= 1));
  void fill(archive, document.value, deps).catch((error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))));
  return context.body(Readable.toWeb(Readable.from(archive, { objectMode: false })) as ReadableStream<Uint8Array<ArrayBuffer>>, 200, headers);
};

/** A medium as a download of a browser. Outside of the route table, since its body is bytes. */
export const mountMediaExport = (app: Hono, deps: ApiDeps): void => {
  const open = { count: 0 };
  app.get(rawRoutes.mediaExport.replaceAll(/\{([a-z]+)\}/g, ':$1'), (context) => exportCluster(context, deps, open));
};
