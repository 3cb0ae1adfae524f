import { createPrivateKey, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { constants, zstdCompressSync } from 'node:zlib';
import { agentManifestSchema, agentPackageName, agentVersionSchema, type AgentArch, type AgentManifest } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pack } from 'tar-stream';
import { buildAgent } from './build.ts';
import { nodeBinary, pinnedNode, sha256 } from './node-binary.ts';

const root = join(import.meta.dirname, '..', '..');
const scripts = join(root, 'installer', 'agent');

export interface PackageFile {
  /** With `/`, relative to the version's folder. */
  path: string;
  data: Buffer;
  isExecutable: boolean;
}

export interface PackageIdentity {
  version: string;
  arch: AgentArch;
  node: string;
}

const byPath = (a: PackageFile, b: PackageFile): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);

/** Names every file by digest. Fails when something could not be unpacked by those who hold to the schema. */
export const manifestOf = (identity: PackageIdentity, files: readonly PackageFile[]): Result<AgentManifest> => {
  const manifest = agentManifestSchema.safeParse({
    format: 1,
    name: 'groundplane-agent',
    version: identity.version,
    platform: 'linux',
    arch: identity.arch,
    node: identity.node,
    files: files.toSorted(byPath).map(({ path, data, isExecutable }) => ({ path, sha256: sha256(data), bytes: data.length, executable: isExecutable })),
  });
  if (manifest.success) return ok(manifest.data);
  const issue = manifest.error.issues[0];
  return fail('fatal', 'package-invalid', `manifest.json, ${issue?.path.join('.') ?? ''}`, issue?.message ?? 'it does not fit its schema');
};

/** The folders that hold these files, outermost first. */
const foldersOf = (files: readonly PackageFile[]): string[] =>
  [...new Set(files.flatMap(({ path }) => path.split('/').map((_, index, parts) => parts.slice(0, index).join('/'))))].filter((path) => path !== '').toSorted();

/** A `.tar.zst` whose bytes depend on its content only: sorted, owned by root, from 1970. `level` is that of zstd, 1 to 22. */
export const packPackage = async (manifest: AgentManifest, files: readonly PackageFile[], level: number): Promise<Buffer> => {
  const tar = pack();
  const packed = buffer(tar);
  const fixed = { mtime: new Date(0), uid: 0, gid: 0, uname: 'root', gname: 'root' };
  tar.entry({ ...fixed, name: 'manifest.json', mode: 0o644 }, `${JSON.stringify(manifest, undefined, 2)}\n`);
  for (const name of foldersOf(files)) tar.entry({ ...fixed, name, type: 'directory', mode: 0o755 });
  for (const { path, data, isExecutable } of files.toSorted(byPath)) tar.entry({ ...fixed, name: path, mode: isExecutable ? 0o755 : 0o644 }, data);
  tar.finalize();
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  return zstdCompressSync(await packed, { params });
};

/** What a package holds besides Node: the bundle with its native module, the unit, the scripts, the licence. */
export const agentFiles = async (arch: AgentArch, version: string): Promise<PackageFile[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-package-'));
  try {
    await buildAgent(folder, { platform: 'linux', arch, version });
    const file = (path: string, from: string, isExecutable = false): PackageFile => ({ path, data: readFileSync(from), isExecutable });
    return [
      ...readdirSync(folder).map((name) => file(`agent/${name}`, join(folder, name))),
      { path: 'agent/package.json', data: Buffer.from('{"type":"module"}\n'), isExecutable: false },
      ...['install.sh', 'launch.sh'].map((name) => file(name, join(scripts, name), true)),
      ...['groundplane-agent.service', '60-groundplane-media.rules'].map((name) => file(name, join(scripts, name))),
      ...['LICENSE', 'NOTICE'].map((name) => file(name, join(root, name))),
      file('bin/LICENSE', join(scripts, 'NODE-LICENSE')),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** In the form of `sha256sum`, sorted by name. */
export const sumsOf = (files: readonly { name: string; data: Uint8Array }[]): string =>
  files
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, data }) => `${sha256(data)}  ${name}\n`)
    .join('');

/** A detached Ed25519 signature (RFC 8032, 64 bytes), which `openssl pkeyutl -verify -rawin` checks. */
export const signText = (text: string, keyPem: string): Result<Buffer> => {
  try {
    const key = createPrivateKey(keyPem);
    if (key.asymmetricKeyType !== 'ed25519')
      return fail(
        'fatal',
        'key-invalid',
        'signing key',
        `it is of type ${key.asymmetricKeyType ?? 'unknown'}; make an Ed25519 key: openssl genpkey -algorithm ed25519 -out key.pem`,
      );
    return ok(sign(null, Buffer.from(text), key));
  } catch {
    return fail(
      'fatal',
      'key-invalid',
      'signing key',
      'it cannot be read as a private key in PEM without passphrase. Make one: openssl genpkey -algorithm ed25519 -out key.pem',
    );
  }
};

export interface AgentBuild {
  archs: readonly AgentArch[];
  out: string;
  version: string;
  level: number;
  /** Private key in PEM. */
  keyPem: string | undefined;
  node?: (arch: AgentArch) => Promise<Result<Buffer>>;
}

const workspaceNode = join(root, 'node_modules', 'node', 'bin', 'node');

const buildPackage = async (arch: AgentArch, options: AgentBuild): Promise<Result<{ name: string; data: Buffer }>> => {
  const node = await (options.node ?? ((wanted) => nodeBinary(wanted, workspaceNode)))(arch);
  if (!node.ok) return node;
  const files = [...(await agentFiles(arch, options.version)), { path: 'bin/node', data: node.value, isExecutable: true }];
  const manifest = manifestOf({ version: options.version, arch, node: pinnedNode.version }, files);
  if (!manifest.ok) return manifest;
  return ok({ name: agentPackageName(options.version, arch), data: await packPackage(manifest.value, files, options.level) });
};

/**
 * Writes packages, `install.sh`, `SHA256SUMS` and, with a key, `SHA256SUMS.sig`. The sums name exactly what this run has built: a file that happened to lie in the
 * folder must not get a signature.
 */
export const buildAgentPackages = async (options: AgentBuild): Promise<Result<{ name: string; bytes: number; sha256: string }[]>> => {
  const version = agentVersionSchema.safeParse(options.version);
  if (!version.success) return fail('fatal', 'version-invalid', `version ${options.version}`, version.error.issues[0]?.message ?? '');
  // Before the work that would be lost.
  const tried = options.keyPem === undefined ? undefined : signText('', options.keyPem);
  if (tried?.ok === false) return tried;
  const made: { name: string; data: Buffer }[] = [{ name: 'install.sh', data: readFileSync(join(scripts, 'install.sh')) }];
  for (const arch of options.archs) {
    const built = await buildPackage(arch, options);
    if (!built.ok) return built;
    made.push(built.value);
  }
  const sums = sumsOf(made);
  const signature = options.keyPem === undefined ? undefined : signText(sums, options.keyPem);
  if (signature?.ok === false) return signature;
  mkdirSync(options.out, { recursive: true });
  // An old signature beside new sums would only look like a signature.
  rmSync(join(options.out, 'SHA256SUMS.sig'), { force: true });
  for (const { name, data } of made) writeFileSync(join(options.out, name), data, { mode: name.endsWith('.sh') ? 0o755 : 0o644 });
  writeFileSync(join(options.out, 'SHA256SUMS'), sums);
  if (signature !== undefined) writeFileSync(join(options.out, 'SHA256SUMS.sig'), signature.value);
  return ok(made.map(({ name, data }) => ({ name, bytes: data.length, sha256: sha256(data) })));
};
