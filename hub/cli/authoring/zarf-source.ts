import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { shortDigest } from '@groundplane/protocol/digest';
import type { Result } from '@groundplane/protocol/failure';
import { diskContent } from '../../src/content/disk.ts';
import { openPackageFile } from '../../src/zarf/open.ts';
import { storeZarf, type StoredZarf } from '../../src/zarf/read.ts';
import type { PackedChart } from './chart.ts';
import { problemAt, type Path, type Problem, type Source } from './place.ts';
import { readText } from './read.ts';

type Plain = Record<string, unknown>;

const keyBytesMax = 64 * 1024;

/** Unpacked packages of this run. Layers are read from here one by one while they are uploaded. */
let folder: string | undefined;
const unpackFolder = (): string => {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'gp-zarf-'));
    folder = made;
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  }
  return folder;
};

const fileOf = (root: string, digest: string): string => join(root, 'sha256', digest.slice(7, 9), digest.slice(7));

/** A blob that is read from disk when it is sent, since packages are larger than memory. */
const blobOf = (root: string, stored: StoredZarf, blob: { digest: PackedChart['digest']; size: number }, names: ReadonlyMap<string, string>): PackedChart => ({
  digest: blob.digest,
  name: `${stored.package.name}, ${names.get(blob.digest) ?? shortDigest(blob.digest)}`,
  version: stored.package.version,
  file: { path: fileOf(root, blob.digest), size: blob.size },
  get bytes() {
    return readFileSync(fileOf(root, blob.digest));
  },
});

const readKey = async (base: string, value: unknown): Promise<{ key?: string; why?: string }> => {
  if (value === undefined) return {};
  if (typeof value !== 'string' || value === '') return { why: 'must be the path of a public key like ./cosign.pub, or its PEM text' };
  if (value.includes('-----BEGIN')) return { key: value };
  const text = await readText(resolve(base, value), keyBytesMax);
  return text.ok ? { key: text.value } : { why: `${value}: ${text.trouble.why}` };
};

const read = async (path: string, key: string | undefined): Promise<Result<{ stored: StoredZarf; root: string }>> => {
  const open = await openPackageFile(path);
  if (!open.ok) return open;
  const root = unpackFolder();
  const stored = await storeZarf(open.value, diskContent(root), path, key);
  return stored.ok ? { ok: true, value: { stored: stored.value, root } } : stored;
};

/**
 * `zarf: {path, publicKey?}` of a layer: reads and checks the package, and puts its digest, name and version in place. Answers with the blobs to upload; the
 * manifest comes last, so that the hub never has one without its files.
 */
export const resolveZarf = async (zarf: Plain, at: Path, source: Source, base: string): Promise<{ blobs: PackedChart[]; problems: Problem[] }> => {
  const problems: Problem[] = [];
  const report = (field: string, message: string): void => void problems.push(problemAt(source, [...at, field], message));
  const { path: name, publicKey } = zarf;
  delete zarf['path'];
  delete zarf['publicKey'];
  if (name === undefined) {
    if (publicKey !== undefined) report('publicKey', 'is for a package of yours ("path"); one that was uploaded before has been checked already');
    return { blobs: [], problems };
  }
  const isBoth = zarf['package'] !== undefined;
  // The problem is told already; without a package the schema would tell it again in other words.
  zarf['package'] = { digest: `sha256:${'0'.repeat(64)}`, name: 'unknown', version: '0.0.0' };
  if (isBoth) report('path', 'give either "path" (a package of yours) or "package" (one that was uploaded before), not both');
  else if (typeof name !== 'string' || name === '' || name.includes('\0')) report('path', 'must be a path, like ./zarf-package-web-amd64-1.0.0.tar.zst');
  if (problems.length > 0 || typeof name !== 'string') return { blobs: [], problems };
  const key = await readKey(base, publicKey);
  if (key.why !== undefined) {
    report('publicKey', key.why);
    return { blobs: [], problems };
  }
  const result = await read(resolve(base, name), key.key);
  if (!result.ok) {
    report('path', `${result.failure.element}: ${result.failure.message}`);
    return { blobs: [], problems };
  }
  const { stored, root } = result.value;
  zarf['package'] = { digest: stored.digest, name: stored.package.name, version: stored.package.version === '' ? 'unversioned' : stored.package.version };
  const names = new Map([...stored.files].map(([file, { digest }]) => [digest as string, file]));
  return { blobs: stored.blobs.map((blob) => blobOf(root, stored, blob, names)), problems };
};
