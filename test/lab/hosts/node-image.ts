import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { randomUUID } from 'node:crypto';
import { basename, join } from 'node:path';
import { ok, type Result } from '@groundplane/protocol/failure';
import { ensureCached } from './cache.ts';
import { outputOf } from './command.ts';
import { putImage, putLayer, writeLayout, type ImageEntry } from './image.ts';
import { ensureRoot, rootFolder } from './root-file-system.ts';

/**
 * Stands for the public `node:…-slim`, which is a Debian with Node in `/usr/local/bin`, a user `node`, no `USER` and an entry point that becomes its arguments.
 */
export const nodeImages = { stock: 'docker.io/library/node:26.10.0-slim', mirrored: 'registry.groundplane.test/mirror/node:26' } as const;

const recipe = 2;
const programs = ['dash', 'cat', 'ls', 'id', 'env', 'uname'];
const entrypoint = `#!/bin/sh
exec "$@"
`;

/** Folder of the libraries, the loader in it, and the place where programs ask for that. */
const [libraries, loader, loaderPlace] =
  process.arch === 'arm64'
    ? ['usr/lib/aarch64-linux-gnu', 'ld-linux-aarch64.so.1', 'usr/lib']
    : ['usr/lib/x86_64-linux-gnu', 'ld-linux-x86-64.so.2', 'usr/lib64'];

/** Names of what the loader finds for a program among the libraries of a root file system. */
const librariesOf = async (root: string, program: string): Promise<string[]> => {
  const found = join(root, libraries);
  const said = await outputOf([join(found, loader), '--library-path', found, '--list', program]);
  return [...said.matchAll(/=> (\S+) /g)]
    .map(([, path = '']) => path)
    .filter((path) => path.startsWith(`${found}/`))
    .map((path) => basename(path));
};

const fillRoot = async (root: string, folder: string): Promise<void> => {
  for (const name of ['usr/bin', 'usr/local/bin', 'usr/lib64', 'etc', 'root', 'var', 'run', 'proc', 'sys', 'dev', 'home/node'])
    mkdirSync(join(folder, name), { recursive: true });
  for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(folder, name));
  mkdirSync(join(folder, 'tmp'));
  chmodSync(join(folder, 'tmp'), 0o1777);
  for (const name of ['etc/os-release', 'etc/nsswitch.conf', 'etc/protocols']) copyFileSync(join(root, name), join(folder, name));
  writeFileSync(join(folder, 'etc/passwd'), `${readFileSync(join(root, 'etc/passwd'), 'utf8')}node:x:1000:1000::/home/node:/bin/sh\n`);
  writeFileSync(join(folder, 'etc/group'), `${readFileSync(join(root, 'etc/group'), 'utf8')}node:x:1000:\n`);
  for (const name of programs) copyFileSync(join(root, 'usr/bin', name), join(folder, 'usr/bin', name));
  symlinkSync('dash', join(folder, 'usr/bin/sh'));
  copyFileSync(process.execPath, join(folder, 'usr/local/bin/node'));
  writeFileSync(join(folder, 'usr/local/bin/docker-entrypoint.sh'), entrypoint, { mode: 0o755 });
  const names = [process.execPath, ...programs.map((name) => join(root, 'usr/bin', name))].map(async (program) => await librariesOf(root, program));
  mkdirSync(join(folder, libraries), { recursive: true });
  // Follows links: a library is wanted under the name that the loader asks for.
  for (const name of new Set([...(await Promise.all(names)).flat(), loader])) copyFileSync(join(root, libraries, name), join(folder, libraries, name));
  symlinkSync(`/${libraries}/${loader}`, join(folder, loaderPlace, loader));
};

const build = async (layout: string): Promise<Result<void>> => {
  const work = join(tmpdir(), `gp-hosts-node-${randomUUID()}`);
  try {
    mkdirSync(work);
    await fillRoot(rootFolder(), work);
    const layer = await putLayer(layout, work);
    const env = [`NODE_VERSION=${process.versions.node}`];
    const entries = Object.values(nodeImages).map((ref) => putImage(layout, { ref, layers: [layer], entrypoint: ['docker-entrypoint.sh'], env }).entry);
    writeLayout(layout, entries);
    writeFileSync(join(layout, 'images.json'), JSON.stringify(entries));
    return ok(undefined);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

/** An OCI layout with an image of Node under each name of `nodeImages`, made once from the hosts' Debian and the Node that runs this. */
export const ensureNodeImage = async (progress: (line: string) => void): Promise<Result<string>> => {
  const root = await ensureRoot(progress);
  if (!root.ok) return root;
  const parts = [recipe, basename(rootFolder()), process.versions.node, programs, entrypoint, nodeImages];
  return await ensureCached('node-image', parts, build, progress);
};

export const nodeImageEntries = (layout: string): ImageEntry[] => JSON.parse(readFileSync(join(layout, 'images.json'), 'utf8')) as ImageEntry[];
