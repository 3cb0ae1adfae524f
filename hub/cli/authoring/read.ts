import { open, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { limits } from '@groundplane/protocol/limits';
import type { Io } from '../io.ts';
import { done, trouble, type Attempt } from '../trouble.ts';

export interface InputFile {
  /** As the user named it; `-` for standard input. */
  name: string;
  /** Paths inside the file count from here. */
  folder: string;
  text: string;
}

const filesMax = 1_000;

const decode = (bytes: Uint8Array, bytesMax: number, name: string): Attempt<string> => {
  if (bytes.length > bytesMax) return { ok: false, trouble: trouble(name, `has more than ${bytesMax} bytes`, 'split it into several files') };
  try {
    return done(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { ok: false, trouble: trouble(name, 'is not UTF-8 text') };
  }
};

/** Reads a text file of bounded size; also from a pipe like `<(command)`, whose size nobody knows before. */
export const readText = async (path: string, bytesMax: number): Promise<Attempt<string>> => {
  try {
    const file = await open(path, 'r');
    try {
      const parts: Buffer[] = [];
      for (let size = 0; size <= bytesMax;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(1024 * 1024, bytesMax + 1 - size)), 0);
        if (bytesRead === 0) break;
        parts.push(buffer.subarray(0, bytesRead));
        size += bytesRead;
      }
      return decode(Buffer.concat(parts), bytesMax, path);
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'is a folder, not a file'
          : code === 'EACCES'
            ? 'you may not read it'
            : `cannot be read: ${message}`;
    return { ok: false, trouble: trouble(path, why) };
  }
};

const documentFiles = async (folder: string): Promise<Attempt<string[]>> => {
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory() && /\.ya?ml$/i.test(entry.name))
    .map((entry) => entry.name);
  if (names.length === 0)
    return {
      ok: false,
      trouble: trouble(folder, 'the folder holds no .yaml or .yml file (folders below it are not searched)', 'name the files: gp apply -f FILE'),
    };
  if (names.length > filesMax)
    return { ok: false, trouble: trouble(folder, `the folder holds more than ${filesMax} YAML files`, 'name the ones to apply: gp apply -f FILE') };
  return done(names.toSorted().map((name) => join(folder, name)));
};

/** Reads what `-f` names: files, folders (their YAML files, not those of folders below, where charts and manifests live), or `-`. */
export const readInputs = async (io: Io, names: readonly string[]): Promise<Attempt<InputFile[]>> => {
  const inputs: InputFile[] = [];
  for (const name of names) {
    if (name === '-') {
      const text = decode(await io.stdin.read(limits.yamlBytes), limits.yamlBytes, 'standard input');
      if (!text.ok) return text;
      inputs.push({ name: '-', folder: io.cwd, text: text.value });
      continue;
    }
    const path = resolve(io.cwd, name);
    const info = await stat(path).catch(() => undefined);
    const listed = info?.isDirectory() === true ? await documentFiles(path) : done([path]);
    if (!listed.ok) return listed;
    for (const file of listed.value) {
      const text = await readText(file, limits.yamlBytes);
      const shown = info?.isDirectory() === true ? join(name, file.slice(path.length)) : name;
      if (!text.ok)
        return {
          ok: false,
          trouble: { ...text.trouble, what: shown, next: text.trouble.next ?? `names count from ${io.cwd}; see what is there: ls ${dirname(shown)}` },
        };
      inputs.push({ name: shown, folder: dirname(file), text: text.value });
    }
  }
  return done(inputs);
};
