import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { parse as parseYaml } from 'yaml';
import type { Digest } from '@groundplane/protocol/digest';
import { FailureError, fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { profileDocumentSchema } from '@groundplane/protocol/profile';
import { apiBase } from '@groundplane/protocol/api/routes';
import { readBody } from '../../src/archive/read.ts';
import { diskContent } from '../../src/content/disk.ts';
import { mediaBlobs } from '../../src/media/document.ts';
import { layoutStore } from '../../src/media/layout-store.ts';
import { eachBlob, inspectMedia, type InspectedMedia } from '../../src/media/read.ts';
import { packLayout, writeMedia } from '../../src/media/write.ts';
import { registryLimits } from '../../src/registry/limits.ts';
import { parseReference } from '../../src/registry/oci-reference.ts';
import { fetchArtifact } from '../../src/registry/sync.ts';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { localRegistry, type LocalRegistry, type RegistryFlags } from '../local-registry.ts';
import { printOne } from '../output/print.ts';
import { apiTrouble, exits, trouble, type Outcome } from '../trouble.ts';
import { failureTrouble } from './pack-registry.ts';

const resumesMax = 10;

/** One blob from the hub, going on by range after cuts. */
async function* download(connection: Connection, path: string, size: number): AsyncGenerator<Uint8Array> {
  let have = 0;
  for (let turn = 0; have < size || (turn === 0 && size === 0); turn += 1) {
    if (turn > resumesMax) throw new FailureError(fail('retry', 'content-cut', path, `broke off ${resumesMax} times, after ${have} of ${size} bytes`).failure);
    const answer = await connection.open(path, have === 0 ? {} : { range: `bytes=${have}-` });
    if (!answer.ok) throw new FailureError(answer.failure);
    const isRest = answer.value.status === 206;
    let skip = isRest ? 0 : have;
    try {
      for await (const chunk of answer.value.body as unknown as AsyncIterable<Uint8Array>) {
        const fresh = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        have += fresh.length;
        yield fresh;
      }
    } catch {
      // Asked for again from where it stopped.
    }
    if (size === 0) return;
  }
}

const blobStream = (connection: Connection, path: string, size: number): Readable => Readable.from(download(connection, path, size), { objectMode: false });

const imagePuller = (context: Context, flags: RegistryFlags) => {
  const opened = new Map<string, LocalRegistry>();
  return {
    pull: async (text: string, store: ReturnType<typeof layoutStore>) => {
      const reference = parseReference(text);
      if (!reference.ok) return reference;
      const { registry } = reference.value;
      const known = opened.get(registry);
      const made = known === undefined ? await localRegistry(context, registry, flags) : ok(known);
      if (!made.ok) return made;
      opened.set(registry, made.value);
      const all = await fetchArtifact(made.value.client, reference.value, store);
      if (!all.ok) return all;
      const root = all.value.at(-1);
      return root === undefined ? fail('fatal', 'manifest-invalid', text, 'is empty') : ok(root);
    },
    close: () => {
      for (const registry of opened.values()) registry.close();
    },
  };
};

/** `gp media export CLUSTER FILE`. A name that ends in `.tar` gives an archive, any other a folder. Run again after a cut, it goes on. */
export const exportMedia = async (context: Context, cluster: string, file: string, flags: RegistryFlags & { images: boolean }): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const document = await client.call('clusterMedia', { params: { project, name: cluster } });
  if (!document.ok) return apiTrouble(document.failure);
  const target = resolve(context.io.cwd, file);
  const isTar = target.endsWith('.tar');
  const folder = isTar ? `${target}.parts` : target;
  const images = imagePuller(context, flags);
  try {
    const query = `?project=${encodeURIComponent(project)}&cluster=${encodeURIComponent(cluster)}`;
    const written = await writeMedia(folder, layoutStore(folder), document.value, {
      blob: ({ digest, size }) => Promise.resolve(ok(blobStream(connection.value, `${apiBase}/content/${digest}${query}`, size))),
      ...(flags.images ? { image: images.pull } : {}),
      progress: (text) => notice(context, text),
    });
    if (!written.ok) return failureTrouble(written.failure);
    if (isTar) {
      await packLayout(folder, target);
      await rm(folder, { recursive: true, force: true });
    }
    const { blobs, kept, missing } = written.value;
    await printOne(
      context,
      { file, blobs, kept, images: written.value.document.images.length - missing.length, missing },
      file,
      () => `${file}: ${blobs} blobs, ${written.value.document.images.length - missing.length} images\n`,
    );
    if (missing.length === 0) return exits.ok;
    for (const item of missing) await notice(context, `missing image: ${item}`);
    return exits.partly;
  } finally {
    images.close();
  }
};

const summary = (file: string, found: InspectedMedia): object => ({
  file,
  subject: found.document?.subject,
  bundle: found.document?.bundle,
  blobs: found.blobs.size,
  bytes: found.bytes,
  items: (found.document?.items ?? []).filter((item) => item.kind !== 'object'),
  images: found.roots.filter((root) => root.reference !== undefined).map((root) => ({ reference: root.reference, digest: root.descriptor.digest })),
  missing: found.missing,
  unnamed: found.unnamed.length,
});

/** `gp media inspect FILE`: every digest is checked; exit code 4 when something is missing. */
export const inspect = async (context: Context, file: string): Promise<Outcome> => {
  const found = await inspectMedia(resolve(context.io.cwd, file));
  if (!found.ok) return failureTrouble(found.failure);
  const { document, roots, missing } = found.value;
  await printOne(context, summary(file, found.value), file, () => {
    const lines = [`${file}: ${found.value.blobs.size} blobs, ${found.value.bytes} bytes, every digest is right`];
    if (document?.subject.cluster !== undefined) lines.push(`for cluster ${document.subject.cluster} of project ${document.subject.project}`);
    for (const item of document?.items ?? []) if (item.kind !== 'object') lines.push(`  ${item.kind} ${item.name} ${item.version ?? ''}`.trimEnd());
    for (const root of roots) if (root.reference !== undefined) lines.push(`  image ${root.reference}`);
    for (const item of missing) lines.push(`  missing: ${item.digest} for ${item.neededBy}`);
    return `${lines.join('\n')}\n`;
  });
  return missing.length === 0 ? exits.ok : exits.partly;
};

const collected = async (body: Readable, size: number, digest: string): Promise<Result<Buffer>> => {
  if (size > limits.contentBlobBytes)
    return fail('fatal', 'content-too-large', `blob ${digest}`, `has ${size} bytes; the hub takes ${limits.contentBlobBytes}`);
  return readBody(body, limits.contentBlobBytes, `blob ${digest}`);
};

/** Blobs and profiles go by the API; images go to the hub's own registry under `<project>/mirror/<registry>/<repository>`. */
const importIntoHub = async (
  context: Context,
  path: string,
  found: InspectedMedia,
): Promise<Result<{ sent: number; profiles: number; images: number }> | { trouble: Outcome }> => {
  const connection = await connect(context);
  if (!connection.ok) return { trouble: connection.trouble };
  const { client, project, hub } = connection.value;
  const wanted = found.document === undefined ? new Map<string, number>() : mediaBlobs(found.document);
  const profiles: Buffer[] = [];
  const profileDigests = new Set(found.document?.items.filter((item) => item.kind === 'profile').map((item) => item.digest));
  let sent = 0;
  const walked = await eachBlob(
    path,
    (digest) => wanted.has(digest),
    async (digest, size, body) => {
      const there = await client.call('headContent', { params: { digest } });
      if (there.ok && !profileDigests.has(digest)) return ok(undefined);
      const bytes = await collected(body, size, digest);
      if (!bytes.ok) return bytes;
      if (profileDigests.has(digest)) profiles.push(bytes.value);
      if (there.ok) return ok(undefined);
      const put = await connection.value.raw('PUT', `${apiBase}/content/${digest}`, bytes.value);
      sent += 1;
      return put.ok ? ok(undefined) : { ok: false, failure: put.failure };
    },
  );
  if (!walked.ok) return walked;
  for (const bytes of profiles) {
    const parsed = profileDocumentSchema.safeParse(parseYaml(bytes.toString('utf8')));
    if (!parsed.success) return fail('fatal', 'profile-invalid', path, 'a profile on it cannot be read');
    const { metadata, spec } = parsed.data;
    const applied = await client.call('applyProfile', {
      params: { project, name: metadata.name, version: metadata.version },
      body: { spec, ...(metadata.labels === undefined ? {} : { labels: metadata.labels }) },
    });
    if (!applied.ok) return { ok: false, failure: applied.failure };
  }
  const images = await pushImages(context, path, found, `${URL.parse(hub)?.host ?? ''}/${project}/mirror`);
  return images.ok ? ok({ sent, profiles: profiles.length, images: images.value }) : images;
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
  const { parseManifest } = await import('../../src/registry/oci-manifest.ts');
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

/** `gp media import FILE [--dir DIR]`: into the hub that gp is logged in to, or into a content folder. Nothing is taken from a medium that is not whole. */
export const importMedia = async (context: Context, file: string, options: { dir?: string }): Promise<Outcome> => {
  const path = resolve(context.io.cwd, file);
  const found = await inspectMedia(path);
  if (!found.ok) return failureTrouble(found.failure);
  const lost = found.value.missing.filter((item) => item.digest !== '');
  const [first] = lost;
  if (first !== undefined)
    return trouble(file, `is not whole: ${lost.length} blobs are missing, ${first.digest} for ${first.neededBy} among them`, `gp media inspect ${file}`);
  if (options.dir !== undefined) {
    const store = diskContent(resolve(context.io.cwd, options.dir));
    let taken = 0;
    const walked = await eachBlob(
      path,
      () => true,
      async (digest, size, body) => {
        if ((await store.size(digest)) === size) return ok(undefined);
        const received = await store.receive(digest, body, size);
        taken += 1;
        return received.ok ? ok(undefined) : received;
      },
    );
    if (!walked.ok) return failureTrouble(walked.failure);
    await printOne(context, { dir: options.dir, taken, blobs: found.value.blobs.size }, options.dir, () => `${taken} blobs are new in ${options.dir ?? ''}\n`);
    return exits.ok;
  }
  const imported = await importIntoHub(context, path, found.value);
  if ('trouble' in imported) return imported.trouble;
  if (!imported.ok) return failureTrouble(imported.failure);
  const { sent, profiles, images } = imported.value;
  await printOne(context, imported.value, file, () => `${sent} blobs, ${profiles} profiles and ${images} images are in the hub\n`);
  return exits.ok;
};
