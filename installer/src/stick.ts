import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, lstat, mkdir, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

/** One line of progress of `installer media`. */
export type StickEvent =
  | { event: 'phase'; phase: 'read' | 'copy' | 'packages'; target: string; total?: number }
  | { event: 'progress'; phase: 'copy'; bytes: number; total: number; percent: number }
  | { event: 'done'; target: string; blobs: number; kept: number; bytes: number; packages: number };

export interface StickOptions {
  /** A medium in a folder, as `gp media export CLUSTER FOLDER` writes it. */
  from: string;
  /** Folder of the stick. */
  to: string;
  /** Packages of the agent that should come along, with their script and digests. */
  packages?: string | undefined;
  onEvent: (event: StickEvent) => void;
}

const hashOf = async (file: string, onBytes: (bytes: number) => void = () => undefined): Promise<string> => {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(piece);
    onBytes(piece.length);
  }
  return hash.digest('hex');
};

const syncPath = async (path: string): Promise<void> => {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Aside, to the disk, read back, renamed: a stick that is pulled out holds whole files or none, and a bad one is found here. */
const copyChecked = async (from: string, to: string, sha256: string | undefined): Promise<Result<void>> => {
  const aside = `${to}.part`;
  await mkdir(dirname(to), { recursive: true });
  await rm(aside, { force: true });
  await copyFile(from, aside, constants.COPYFILE_EXCL);
  await syncPath(aside);
  const wanted = sha256 ?? (await hashOf(from));
  if ((await hashOf(aside)) !== wanted) {
    await rm(aside, { force: true });
    return fail(
      'blocked',
      'media-damaged',
      from,
      sha256 === undefined
        ? `${to} reads other bytes than were written; take another stick`
        : 'has other bytes than its name says, or the stick is bad. Export the medium again, or take another stick',
    );
  }
  await rename(aside, to);
  return ok(undefined);
};

interface Listed {
  name: string;
  bytes: number;
}

const listBlobs = async (folder: string): Promise<Listed[]> => {
  const found: Listed[] = [];
  for (const name of await readdir(folder)) {
    const info = await lstat(join(folder, name));
    if (info.isFile() && /^[0-9a-f]{64}$/.test(name)) found.push({ name, bytes: info.size });
  }
  return found.toSorted((a, b) => a.bytes - b.bytes);
};

/** Far more than a list of a hundred thousand contents has. */
const manifestBytesMax = 64 * 1024 * 1024;

const isInside = async (path: string, folder: string): Promise<boolean> => {
  const real = (given: string): Promise<string> => realpath(given).catch(() => resolve(given));
  return !relative(await real(folder), await real(path)).startsWith('..');
};

const heads = ['oci-layout', 'groundplane-signature.json', 'index.json'] as const;

const copyMedium = async (options: StickOptions): Promise<Result<{ blobs: number; kept: number; bytes: number }>> => {
  const { from, to, onEvent } = options;
  const source = join(from, 'blobs', 'sha256');
  const blobs = await listBlobs(source);
  const total = blobs.reduce((sum, blob) => sum + blob.bytes, 0);
  onEvent({ event: 'phase', phase: 'copy', target: to, total });
  // While it is filled it must not look like a whole medium.
  for (const name of heads) await rm(join(to, name), { force: true });
  let [bytes, kept, told] = [0, 0, -1];
  for (const blob of blobs) {
    const target = join(to, 'blobs', 'sha256', blob.name);
    const held = await lstat(target).catch(() => undefined);
    if (held?.isFile() === true && held.size === blob.bytes && (await hashOf(target)) === blob.name) kept += 1;
    else {
      const copied = await copyChecked(join(source, blob.name), target, blob.name);
      if (!copied.ok) return copied;
    }
    bytes += blob.bytes;
    const percent = total === 0 ? 100 : Math.floor((bytes * 100) / total);
    if (percent > told) onEvent({ event: 'progress', phase: 'copy', bytes, total, percent });
    told = percent;
  }
  for (const name of heads) {
    if ((await lstat(join(from, name)).catch(() => undefined))?.isFile() !== true) continue;
    const copied = await copyChecked(join(from, name), join(to, name), undefined);
    if (!copied.ok) return copied;
  }
  await syncPath(to);
  return ok({ blobs: blobs.length, kept, bytes: total });
};

interface Wanted {
  digest: string;
  isManifest: boolean;
  /** An image's index may name more platforms than the medium carries. */
  mayLack: boolean;
}

/** What a list of a layout names: `index.json`, an image's index, or a manifest. */
const namedIn = (text: string, isRoot: boolean): Wanted[] => {
  const { manifests, layers, config } = JSON.parse(text) as { manifests?: unknown; layers?: unknown; config?: unknown };
  const listed = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
  const wanted = (value: unknown, isManifest: boolean): Wanted[] => {
    const digest = typeof value === 'object' && value !== null && 'digest' in value ? value.digest : undefined;
    const [, hex] = (typeof digest === 'string' ? /^sha256:([0-9a-f]{64})$/.exec(digest) : null) ?? [];
    return hex === undefined ? [] : [{ digest: hex, isManifest, mayLack: isManifest && !isRoot }];
  };
  return [...listed(manifests).flatMap((item) => wanted(item, true)), ...[config, ...listed(layers)].flatMap((item) => wanted(item, false))];
};

/** The first content that a medium names and does not have; it would not be whole, however well it was copied. */
const firstMissing = async (from: string): Promise<Result<string | undefined>> => {
  const seen = new Set<string>();
  const read = async (file: string): Promise<string> => ((await lstat(file)).size > manifestBytesMax ? '{}' : await readFile(file, 'utf8'));
  try {
    const left = namedIn(await read(join(from, 'index.json')), true);
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      if (seen.has(next.digest)) continue;
      seen.add(next.digest);
      const file = join(from, 'blobs', 'sha256', next.digest);
      const isThere = (await lstat(file).catch(() => undefined))?.isFile() === true;
      if (!isThere && !next.mayLack) return ok(next.digest);
      if (isThere && next.isManifest) left.push(...namedIn(await read(file), false));
    }
    return ok(undefined);
  } catch (error) {
    return fail('fatal', 'media-damaged', from, `its lists cannot be read: ${error instanceof Error ? error.message : String(error)}. Export the medium again`);
  }
};

const packageFile = /^(groundplane-agent-.+\.tar\.zst|install\.sh|SHA256SUMS(\.sig)?)$/;

const copyPackages = async (from: string, to: string): Promise<Result<number>> => {
  const names = (await readdir(from)).filter((name) => packageFile.test(name));
  if (!names.some((name) => name.endsWith('.tar.zst')))
    return fail('fatal', 'package-missing', from, 'has no packages of the agent. Build them: npm run installer -- agent --out FOLDER');
  for (const name of names) {
    const copied = await copyChecked(join(from, name), join(to, 'agent', basename(name)), undefined);
    if (!copied.ok) return copied;
  }
  return ok(names.length);
};

/** Prepares a stick: the medium of a cluster, and packages of the agent beside it. Run again it goes on, and copies what is not there or not whole. */
export const prepareStick = async (options: StickOptions): Promise<Result<void>> => {
  const { from, to, onEvent } = options;
  onEvent({ event: 'phase', phase: 'read', target: to });
  try {
    if ((await lstat(join(from, 'index.json')).catch(() => undefined))?.isFile() !== true)
      return fail('fatal', 'media-invalid', from, 'is no medium in a folder. Write one: gp media export CLUSTER FOLDER');
    if (await isInside(to, from)) return fail('fatal', 'option-invalid', to, `lies in the medium ${from} itself; name the folder of the stick`);
    const missing = await firstMissing(from);
    if (!missing.ok) return missing;
    if (missing.value !== undefined)
      return fail('fatal', 'media-damaged', from, `lacks the content sha256:${missing.value}, which it names. Export it again: what is there is kept`);
    await mkdir(to, { recursive: true });
    // A stick that somebody prepared must not lead to other files of this machine.
    for (const name of ['blobs', join('blobs', 'sha256'), 'agent'])
      if ((await lstat(join(to, name)).catch(() => undefined))?.isDirectory() === false)
        return fail('fatal', 'media-invalid', join(to, name), 'is no folder but a link or a file; remove it, or take another stick');
    const copied = await copyMedium(options);
    if (!copied.ok) return copied;
    let packages = 0;
    if (options.packages !== undefined) {
      onEvent({ event: 'phase', phase: 'packages', target: to });
      const done = await copyPackages(options.packages, to);
      if (!done.ok) return done;
      packages = done.value;
    }
    onEvent({ event: 'done', target: to, ...copied.value, packages });
    return ok(undefined);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC') return fail('blocked', 'disk-full', to, 'the stick is full. Take a larger one; what is on it stays good');
    return fail('blocked', 'media-unwritable', to, message ?? String(error));
  }
};
