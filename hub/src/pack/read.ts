import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { LintFile } from '@groundplane/protocol/pack/lint';
import { readArchive } from '../archive/read.ts';
import { packArchiveLimits, packFolderDepth, packFolderFiles } from './limits.ts';

export interface PackFile {
  /** With `/`, counted from the folder that holds pack.json. */
  name: string;
  data: Buffer;
}

/** A pack in memory. */
export interface PackFiles {
  /** Where it came from, for messages. */
  from: string;
  /** By name. */
  files: PackFile[];
}

/** What version control, editors and file managers leave behind, and what no pack means to ship. */
const junk = /^(\.git|\.svn|\.hg|\.idea|\.vscode|__MACOSX|\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|.*~|.*\.swp)$/;
const isJunk = (name: string): boolean => name.split('/').some((part) => junk.test(part));

const byName = (a: PackFile, b: PackFile): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

interface Walk {
  root: string;
  files: PackFile[];
  bytes: number;
}

/** Links are followed inside of the pack only, so that packing cannot pick up a key from somewhere else. */
const walk = async (state: Walk, folder: string, below: string, depth: number): Promise<Result<void>> => {
  if (depth > packFolderDepth)
    return fail('fatal', 'pack-too-deep', folder, `folders are nested more than ${packFolderDepth} deep; is there a link to a folder above?`);
  for (const entry of (await readdir(folder)).toSorted()) {
    if (junk.test(entry)) continue;
    const path = join(folder, entry);
    const name = below === '' ? entry : `${below}/${entry}`;
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined) return fail('fatal', 'pack-link-broken', path, 'is a link to something that is not there; remove it');
    if (real !== state.root && !real.startsWith(state.root + sep))
      return fail('fatal', 'pack-link-outside', path, 'is a link to a place outside of the pack; copy the file into the pack');
    const info = await stat(real);
    if (info.isDirectory()) {
      const inner = await walk(state, path, name, depth + 1);
      if (!inner.ok) return inner;
      continue;
    }
    if (!info.isFile()) return fail('fatal', 'pack-file-odd', path, 'is neither a file nor a folder');
    state.bytes += info.size;
    if (state.bytes > packArchiveLimits.fileBytesMax || state.files.length >= packFolderFiles)
      return fail('fatal', 'pack-too-large', state.root, `holds more than ${packFolderFiles} files or ${packArchiveLimits.fileBytesMax / 1024 / 1024} MiB`);
    state.files.push({ name, data: await readFile(real) });
  }
  return ok(undefined);
};

const noPack = (from: string): Result<never> => fail('fatal', 'pack-invalid', from, 'holds no pack.json, so it is not a pack');

const readFolder = async (path: string): Promise<Result<PackFiles>> => {
  const state: Walk = { root: await realpath(path), files: [], bytes: 0 };
  const walked = await walk(state, state.root, '', 0);
  if (!walked.ok) return walked;
  return state.files.some((file) => file.name === 'pack.json') ? ok({ from: path, files: state.files.toSorted(byName) }) : noPack(path);
};

/** A pack from the bytes of a tar archive (gzip or zstd). Its files may stand in one folder, as `tar czf web.tgz web/` makes it. */
export const readPackArchive = async (bytes: Uint8Array, from: string): Promise<Result<PackFiles>> => {
  const read = await readArchive(bytes, packArchiveLimits, from, (name) => !isJunk(name));
  if (!read.ok) return read;
  const files = read.value.map(({ name, data }): PackFile => ({ name, data }));
  if (files.some((file) => file.name === 'pack.json')) return ok({ from, files: files.toSorted(byName) });
  const tops = files.flatMap((file) => /^([^/]+)\/pack\.json$/.exec(file.name)?.[1] ?? []);
  const [top] = tops;
  if (top === undefined) return noPack(from);
  if (tops.length > 1) return fail('fatal', 'pack-invalid', from, `holds several packs: ${tops.slice(0, 20).join(', ')}. Name the folder or archive of one`);
  const inside = files.filter((file) => file.name.startsWith(`${top}/`)).map((file) => ({ name: file.name.slice(top.length + 1), data: file.data }));
  return ok({ from, files: inside.toSorted(byName) });
};

/** A pack by path: its folder, or a `.tgz` or `.tar.zst` of it. */
export const readPack = async (path: string): Promise<Result<PackFiles>> => {
  try {
    const info = await stat(path);
    if (info.isDirectory()) return await readFolder(path);
    if (!info.isFile()) return fail('fatal', 'pack-invalid', path, 'is neither a folder nor an archive');
    if (info.size > packArchiveLimits.bytesMax) return fail('fatal', 'pack-too-large', path, `has more than ${packArchiveLimits.bytesMax / 1024 / 1024} MiB`);
    return await readPackArchive(await readFile(path), path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return fail('fatal', 'pack-missing', path, code === 'ENOENT' ? 'there is no such pack folder or archive' : `cannot be read: ${message}`);
  }
};

const textual = /\.(ya?ml|json|md|tpl|txt)$/i;

/** Text of a file; bytes that are no UTF-8 become the replacement character, which no rule takes. */
export const textOf = (files: PackFiles, name: string): string | undefined => {
  const file = files.files.find((item) => item.name === name);
  return file === undefined ? undefined : file.data.toString('utf8').replace(/^\uFEFF/, '');
};

/** The files as the lint of the protocol takes them. */
export const lintFiles = (files: PackFiles): LintFile[] =>
  files.files.map(({ name, data }) =>
    textual.test(name) ? { name, text: data.toString('utf8').replace(/^\uFEFF/, ''), size: data.length } : { name, size: data.length },
  );
