import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { parse as parseYaml } from 'yaml';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { profileDocumentSchema } from '@groundplane/protocol/profile';
import { readBody } from '../../src/archive/read.ts';
import { diskContent } from '../../src/content/disk.ts';
import { mediaBlobs, type MediaItem } from '../../src/media/document.ts';
import { eachBlob, type InspectedMedia } from '../../src/media/read.ts';
import { registryLimits } from '../../src/registry/limits.ts';
import { parseManifest } from '../../src/registry/oci-manifest.ts';
import { parseReference } from '../../src/registry/oci-reference.ts';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { localRegistry, type LocalRegistry } from '../local-registry.ts';
import { jsonText, printOne } from '../output/print.ts';
import { exits, trouble, type Outcome, type Trouble } from '../trouble.ts';
import { uploadBlob } from '../upload.ts';
import { openInspected, signatureText } from './media-commands.ts';
import { sendReceipts } from './media-receipts.ts';
import { failureTrouble } from './pack-registry.ts';

interface Taken {
  /** Digests that the target has now, whether they came now or before. */
  present: string[];
  sent: number;
  profiles: string[];
  images: number;
}

const profileBytesMax = limits.apiBodyBytes;

const applyProfiles = async (connection: Connection, path: string, documents: readonly Buffer[]): Promise<Result<string[]>> => {
  const { client, project } = connection;
  const names: string[] = [];
  for (const bytes of documents) {
    const parsed = profileDocumentSchema.safeParse(parseYaml(bytes.toString('utf8')));
    if (!parsed.success) return fail('fatal', 'profile-invalid', path, 'a profile on it cannot be read');
    const { metadata, spec } = parsed.data;
    const applied = await client.call('applyProfile', {
      params: { project, name: metadata.name, version: metadata.version },
      body: { spec, ...(metadata.labels === undefined ? {} : { labels: metadata.labels }) },
    });
    if (!applied.ok) return { ok: false, failure: applied.failure };
    names.push(`${metadata.name}@${metadata.version}`);
  }
  return ok(names);
};

/** Blobs and profiles go by the API; images go to the hub's own registry under `<project>/mirror/<registry>/<repository>`. */
const importIntoHub = async (context: Context, connection: Connection, path: string, found: InspectedMedia): Promise<Result<Taken>> => {
  const { client, project, hub } = connection;
  const items = new Map<string, MediaItem>(found.document?.items.map((item) => [item.digest, item]));
  const wanted =
    found.document === undefined
      ? new Map<string, number>()
      : mediaBlobs({ ...found.document, items: found.document.items.filter((item) => item.kind !== 'desired') });
  const documents: Buffer[] = [];
  const present: string[] = [];
  let sent = 0;
  const walked = await eachBlob(
    path,
    (digest) => wanted.has(digest),
    async (digest, size, body) => {
      const item = items.get(digest);
      let source = body;
      if (item?.kind === 'profile') {
        const bytes = await readBody(body, profileBytesMax, `blob ${digest}`);
        if (!bytes.ok) return bytes;
        documents.push(bytes.value);
        source = Readable.from([bytes.value]);
      }
      present.push(digest);
      const there = await client.call('headContent', { params: { digest } });
      if (there.ok) return ok(undefined);
      if (there.failure.status !== 404) return there;
      sent += 1;
      return uploadBlob(context, connection, { digest, size, body: source, name: `${item?.kind ?? 'blob'} ${item?.name ?? digest}` });
    },
  );
  if (!walked.ok) return walked;
  const profiles = await applyProfiles(connection, path, documents);
  if (!profiles.ok) return profiles;
  const images = await pushImages(context, path, found, `${URL.parse(hub)?.host ?? ''}/${project}/mirror`);
  if (!images.ok) return images;
  for (const root of found.roots) if (root.reference !== undefined) present.push(...root.digests);
  return ok({ present, sent, profiles: profiles.value, images: images.value });
};

/** Images in a layout on disk can be read anywhere; those in an archive are put beside it first. */
const pushImages = async (context: Context, path: string, found: InspectedMedia, base: string): Promise<Result<number>> => {
  const images = found.roots.filter((root) => root.reference !== undefined);
  if (images.length === 0) return ok(0);
  const target = await localRegistry(context, base.split('/')[0] ?? '', {});
  if (!target.ok) return target;
  try {
    for (const root of images) {
      const reference = parseReference(root.reference ?? '');
      if (!reference.ok) return reference;
      const repository = parseReference(`${base}/${reference.value.registry.replace(':', '-')}/${reference.value.repository}`);
      if (!repository.ok) return repository;
      const manifests: { digest: Digest; bytes: Buffer }[] = [];
      const wanted = new Set<string>(root.digests);
      const walked = await eachBlob(
        path,
        (digest) => wanted.has(digest),
        async (digest, size, body) => {
          if (size <= registryLimits.manifestBytes) {
            const bytes = await readBody(body, registryLimits.manifestBytes, `blob ${digest}`);
            if (!bytes.ok) return bytes;
            manifests.push({ digest, bytes: bytes.value });
            const sent = await target.value.client.pushBlob(repository.value, {
              digest,
              size,
              open: (start, end) => Readable.from([bytes.value.subarray(start, end + 1)]),
            });
            return sent.ok ? ok(undefined) : sent;
          }
          const sent = await target.value.client.pushStream(repository.value, { digest, size, body });
          return sent.ok ? ok(undefined) : sent;
        },
      );
      if (!walked.ok) return walked;
      const pushed = await pushManifests(target.value, repository.value, reference.value.tag ?? 'latest', root, manifests);
      if (!pushed.ok) return pushed;
    }
    return ok(images.length);
  } finally {
    target.value.close();
  }
};

/** Deepest first: a manifest is refused while what it needs is not there. */
const pushManifests = async (
  target: LocalRegistry,
  repository: { registry: string; repository: string },
  tag: string,
  root: InspectedMedia['roots'][number],
  small: readonly { digest: Digest; bytes: Buffer }[],
): Promise<Result<void>> => {
  const known = new Map(small.map((item) => [item.digest, item.bytes]));
  for (const digest of root.digests.toReversed()) {
    const bytes = known.get(digest);
    const parsed = bytes === undefined || bytes[0] !== 0x7b ? undefined : parseManifest(bytes, undefined, digest);
    if (bytes === undefined || parsed?.ok !== true) continue;
    const isRoot = digest === root.descriptor.digest;
    const pushed = await target.client.pushManifest({ ...repository, ...(isRoot ? { tag } : { digest }) }, bytes, parsed.value.mediaType);
    if (!pushed.ok) return pushed;
  }
  return ok(undefined);
};

const importIntoFolder = async (path: string, folder: string, found: InspectedMedia): Promise<Result<Taken>> => {
  const store = diskContent(folder);
  const unnamed = new Set(found.unnamed);
  const present: string[] = [];
  let sent = 0;
  const walked = await eachBlob(
    path,
    (digest) => !unnamed.has(digest),
    async (digest, size, body) => {
      present.push(digest);
      if ((await store.size(digest)) === size) return ok(undefined);
      const received = await store.receive(digest, body, size);
      sent += 1;
      return received.ok ? ok(undefined) : received;
    },
  );
  return walked.ok ? ok({ present, sent, profiles: [], images: 0 }) : walked;
};

/** What is there now, for whoever carried the medium to take back. Nobody signs it: it says what gp saw. */
const receiptOf = (context: Context, found: InspectedMedia, target: object, taken: Taken): object => ({
  schema: 'groundplane.dev/media-receipt/1',
  at: new Date(context.io.clock.nowMs()).toISOString(),
  medium: { index: found.index, subject: found.document?.subject, signature: found.signature },
  target,
  profiles: taken.profiles,
  digests: [...new Set(taken.present)].toSorted(),
});

const writeReceipt = async (context: Context, file: string, receipt: object): Promise<Trouble | undefined> => {
  try {
    await writeFile(resolve(context.io.cwd, file), jsonText(receipt));
    return undefined;
  } catch (error) {
    return trouble(file, `cannot be written: ${(error as Error).message}. The import itself is done`, 'run it again with another --receipt FILE');
  }
};

/** `gp media import FILE [--dir DIR]`: into the hub that gp is logged in to, or into a content folder. Nothing is taken from a medium that is not whole. */
export const importMedia = async (context: Context, file: string, options: { dir?: string; key?: string; receipt?: string }): Promise<Outcome> => {
  const path = resolve(context.io.cwd, file);
  const found = await openInspected(context, file, options.key);
  if (!found.ok) return failureTrouble(found.failure);
  const lost = found.value.missing.filter((item) => item.digest !== '');
  const [first] = lost;
  if (first !== undefined)
    return trouble(file, `is not whole: ${lost.length} blobs are missing, ${first.digest} for ${first.neededBy} among them`, `gp media inspect ${file}`);
  if (found.value.signature.state === 'unchecked') await notice(context, `note: the medium is ${signatureText(found.value.signature)}`);
  const connection = options.dir === undefined ? await connect(context) : undefined;
  if (connection?.ok === false) return connection.trouble;
  const taken =
    connection === undefined
      ? await importIntoFolder(path, resolve(context.io.cwd, options.dir ?? ''), found.value)
      : await importIntoHub(context, connection.value, path, found.value);
  if (!taken.ok) return failureTrouble(taken.failure);
  const reports = connection === undefined ? ok({ taken: 0, known: 0 }) : await sendReceipts(context, connection.value, path);
  if (!reports.ok) return failureTrouble(reports.failure);
  const target = connection === undefined ? { dir: options.dir } : { hub: connection.value.hub, project: connection.value.project };
  const receipt = receiptOf(context, found.value, target, taken.value);
  const unwritten = options.receipt === undefined ? undefined : await writeReceipt(context, options.receipt, receipt);
  if (unwritten !== undefined) return unwritten;
  const { sent, profiles, images } = taken.value;
  if (options.dir !== undefined) {
    await printOne(
      context,
      { dir: options.dir, taken: sent, blobs: taken.value.present.length, receipt },
      options.dir,
      () => `${sent} blobs are new in ${options.dir ?? ''}\n`,
    );
    return exits.ok;
  }
  const human = `${sent} blobs, ${profiles.length} profiles and ${images} images are in the hub${reports.value.taken > 0 ? `, and ${reports.value.taken} receipts of hosts` : ''}\n`;
  await printOne(context, { sent, profiles: profiles.length, images, receipts: reports.value.taken, receipt }, file, () => human);
  return exits.ok;
};
