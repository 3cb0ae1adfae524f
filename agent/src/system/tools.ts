import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Tools } from '../port/tools.ts';
import { runCommand } from './command.ts';

const orUndefined = async <T>(work: Promise<T>): Promise<T | undefined> => {
  try {
    return await work;
  } catch {
    return undefined;
  }
};

export const systemTools: Tools = {
  run: runCommand,
  read: async (path) => ((await orUndefined(stat(path)))?.isFile() === true ? orUndefined(readFile(path, 'utf8')) : undefined),
  write: async (path, content, mode) => {
    const aside = join(dirname(path), `.${path.split('/').at(-1)}.groundplane`);
    await mkdir(dirname(path), { recursive: true });
    await rm(aside, { force: true });
    const file = await open(aside, 'wx', Number.parseInt(mode, 8));
    try {
      await file.writeFile(content);
      await file.chmod(Number.parseInt(mode, 8));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
    const folder = await open(dirname(path), 'r');
    await folder.sync();
    await folder.close();
  },
  remove: async (path) => {
    // A folder that is a mount of its own stays, empty.
    for (const name of (await orUndefined(readdir(path))) ?? []) await rm(join(path, name), { recursive: true, force: true });
    await rm(path, { recursive: true, force: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EBUSY') throw error;
    });
  },
  move: async (from, to) => {
    await mkdir(dirname(to), { recursive: true });
    await rename(from, to);
  },
  list: async (folder) => (await orUndefined(readdir(folder))) ?? [],
  link: (path) => orUndefined(readlink(path)),
  connects: (address, port, timeoutMs) =>
    new Promise((resolve) => {
      const socket = connect({ host: address, port });
      const end = (isOpen: boolean) => (): void => {
        socket.destroy();
        resolve(isOpen);
      };
      socket.setTimeout(timeoutMs, end(false)).on('connect', end(true)).on('error', end(false));
    }),
  changedAtMs: async (path) => (await orUndefined(lstat(path)))?.mtimeMs,
};
