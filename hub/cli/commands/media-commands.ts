import { rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import type { ApiResult } from '@groundplane/protocol/api/client';
import type { MediaView } from '@groundplane/protocol/api/registries';
import { apiBase } from '@groundplane/protocol/api/routes';
import { shortDigest } from '@groundplane/protocol/digest';
import { FailureError, fail, ok, type Result } from '@groundplane/protocol/failure';
import { layoutStore } from '../../src/media/layout-store.ts';
import { inspectMedia, type InspectedMedia } from '../../src/media/read.ts';
import { mediaSigner, type MediaSignature } from '../../src/media/signature.ts';
import { withoutHeld } from '../../src/media/document.ts';
import { packLayout, writeMedia } from '../../src/media/write.ts';
import { parseReference } from '../../src/registry/oci-reference.ts';
import { fetchArtifact } from '../../src/registry/sync.ts';
import { readText } from '../authoring/read.ts';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { localRegistry, type LocalRegistry, type RegistryFlags } from '../local-registry.ts';
import { printOne } from '../output/print.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { heldBySite } from './media-receipts.ts';
import { failureTrouble } from './pack-registry.ts';

const resumesMax = 10;
const keyBytesMax = 64 * 1024;

/** One blob from the hub, going on by range after cuts. */
async function* download(connection: Connection, path: string, size: number): AsyncGenerator<Uint8Array> {
  let have = 0;
  let fruitless = 0;
  while (have < size || size === 0) {
    if (fruitless > resumesMax)
      throw new FailureError(fail('retry', 'content-cut', path, `broke off ${resumesMax} times in a row, after ${have} of ${size} bytes`).failure);
    const answer = await connection.open(path, have === 0 ? {} : { range: `bytes=${have}-` });
    if (!answer.ok) throw new FailureError(answer.failure);
    const isRest = answer.value.status === 206;
    const before = have;
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
    fruitless = have > before ? 0 : fruitless + 1;
  }
}

export const blobStream = (connection: Connection, path: string, size: number): Readable =>
  Readable.from(download(connection, path, size), { objectMode: false });

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

/** What is exported: a cluster, or a version of a profile. */
export type ExportSubject = { cluster: string } | { profile: string; version: string };

const documentFor = async (connection: Connection, subject: ExportSubject): Promise<ApiResult<MediaView>> => {
  const { client, project } = connection;
  return 'cluster' in subject
    ? client.call('clusterMedia', { params: { project, name: subject.cluster } })
    : client.call('profileMedia', { params: { project, name: subject.profile, version: subject.version } });
};

export const readKeyFile = async (context: Context, file: string): Promise<Result<string>> => {
  const text = await readText(resolve(context.io.cwd, file), keyBytesMax);
  return text.ok ? ok(text.value) : fail('fatal', 'key-invalid', file, text.trouble.why);
};

/** `gp media export …`. A name that ends in `.tar` gives an archive, any other a folder. Run again after a cut, it goes on. */
export const exportMedia = async (
  context: Context,
  subject: ExportSubject,
  file: string,
  flags: RegistryFlags & { images: boolean; sign?: string; since?: string; recipient?: string[] },
): Promise<Outcome> => {
  // Before anything is written, since a wrong key would be told after hours otherwise.
  const pem = flags.sign === undefined ? undefined : await readKeyFile(context, flags.sign);
  const signer = pem === undefined ? undefined : pem.ok ? mediaSigner(pem.value, flags.sign ?? '') : pem;
  if (signer?.ok === false) return failureTrouble(signer.failure);
  const recipients = flags.recipient ?? [];
  const sealed = recipients.length > 0;
  if (sealed !== file.endsWith('.tar.age'))
    return usage(
      'gp media export',
      sealed ? 'with --recipient the name has to end with .tar.age' : 'a name that ends with .tar.age needs --recipient',
      `gp media export … ${file.replace(/(\.tar)?(\.age)?$/, '')}.tar.age --recipient age1…`,
    );
  if (!file.endsWith('.tar') && !sealed && (await stat(resolve(context.io.cwd, file)).catch(() => undefined))?.isDirectory() === false)
    return usage('gp media export', `${file} is a file; a medium is a folder, or an archive whose name ends with .tar`, `gp media export … ${file}.tar`);
  const encrypter = sealed ? (await import('../../src/media/encryption.ts')).makeEncrypter(recipients) : undefined;
  if (encrypter?.ok === false) return failureTrouble(encrypter.failure);
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const document = await documentFor(connection.value, subject);
  if (!document.ok) return apiTrouble(document.failure);
  const since = flags.since === undefined ? ok(undefined) : await heldBySite(resolve(context.io.cwd, flags.since));
  if (!since.ok) return failureTrouble(since.failure);
  const wanted = since.value === undefined ? document.value : withoutHeld(document.value, since.value);
  const target = resolve(context.io.cwd, file);
  const isTar = target.endsWith('.tar') || sealed;
  const folder = isTar ? `${target}.parts` : target;
  const images = imagePuller(context, flags);
  try {
    const query = new URLSearchParams({
      project: connection.value.project,
      ...('cluster' in subject ? { cluster: subject.cluster } : { profile: `${subject.profile}@${subject.version}` }),
    }).toString();
    const written = await writeMedia(folder, layoutStore(folder), wanted, {
      blob: ({ digest, size }) => Promise.resolve(ok(blobStream(connection.value, `${apiBase}/content/${digest}?${query}`, size))),
      ...(flags.images ? { image: images.pull } : {}),
      ...(signer === undefined ? {} : { sign: signer.value }),
      progress: (text) => notice(context, text),
    });
    if (!written.ok) return failureTrouble(written.failure);
    if (isTar) {
      const plain = sealed ? `${target}.plain` : target;
      await packLayout(folder, plain);
      if (encrypter !== undefined) {
        const done = await (await import('../../src/media/encryption.ts')).encryptFile(plain, target, encrypter.value);
        await rm(plain, { force: true });
        if (!done.ok) return failureTrouble(done.failure);
      }
      await rm(folder, { recursive: true, force: true });
    }
    const { blobs, kept, missing } = written.value;
    await printOne(
      context,
      { file, blobs, kept, images: written.value.document.images.length - missing.length, missing, signed: signer !== undefined },
      file,
      () => `${file}: ${blobs} blobs, ${written.value.document.images.length - missing.length} images${signer === undefined ? '' : ', signed'}\n`,
    );
    if (missing.length === 0) return exits.ok;
    for (const item of missing) await notice(context, `missing image: ${item}`);
    return exits.partly;
  } finally {
    images.close();
  }
};

/** What a person has to know about who wrote a medium. */
export const signatureText = (signature: MediaSignature): string =>
  signature.state === 'verified'
    ? `signed by the given key ${shortDigest(signature.key)}`
    : signature.state === 'unchecked'
      ? `signed by ${shortDigest(signature.key)}, which was not checked: give --key PUB.pem`
      : 'not signed';

/** A verified medium, with the key that the command line names. */
export const openInspected = async (context: Context, file: string, keyFile: string | undefined): Promise<Result<InspectedMedia>> => {
  const key = keyFile === undefined ? ok(undefined) : await readKeyFile(context, keyFile);
  return key.ok ? inspectMedia(resolve(context.io.cwd, file), key.value) : key;
};

const summary = (file: string, found: InspectedMedia): object => ({
  file,
  subject: found.document?.subject,
  bundle: found.document?.bundle,
  index: found.index,
  signature: found.signature,
  blobs: found.blobs.size,
  bytes: found.bytes,
  items: (found.document?.items ?? []).filter((item) => item.kind !== 'object'),
  images: found.roots.filter((root) => root.reference !== undefined).map((root) => ({ reference: root.reference, digest: root.descriptor.digest })),
  missing: found.missing,
  unnamed: found.unnamed.length,
});

/** `gp media inspect FILE`: every digest is checked; exit code 4 when something is missing. */
export const inspect = async (context: Context, file: string, options: { key?: string }): Promise<Outcome> => {
  const found = await openInspected(context, file, options.key);
  if (!found.ok) return failureTrouble(found.failure);
  const { document, roots, missing } = found.value;
  await printOne(context, summary(file, found.value), file, () => {
    const lines = [`${file}: ${found.value.blobs.size} blobs, ${found.value.bytes} bytes, every digest is right`, signatureText(found.value.signature)];
    if (document?.subject.cluster !== undefined) lines.push(`for cluster ${document.subject.cluster} of project ${document.subject.project}`);
    if (document?.subject.profile !== undefined) lines.push(`for profile ${document.subject.profile} of project ${document.subject.project}`);
    for (const item of document?.items ?? []) if (item.kind !== 'object') lines.push(`  ${item.kind} ${item.name} ${item.version ?? ''}`.trimEnd());
    for (const root of roots) if (root.reference !== undefined) lines.push(`  image ${root.reference}`);
    for (const item of missing) lines.push(`  missing: ${item.digest} for ${item.neededBy}`);
    return `${lines.join('\n')}\n`;
  });
  return missing.length === 0 ? exits.ok : exits.partly;
};
