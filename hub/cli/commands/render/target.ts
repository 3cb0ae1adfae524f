import { open, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { readArchive } from '../../../src/archive/read.ts';
import { done, trouble, type Attempt } from '../../trouble.ts';

export type TargetKind = 'chart' | 'pack' | 'zarf' | 'profile';
export interface Target {
  kind: TargetKind;
  path: string;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Names near the top of an archive say what it is; reading ends when the answer is known. */
const peekBytesMax = 64 * 1024 * 1024;

const kindOfArchive = async (path: string, name: string): Promise<Attempt<TargetKind>> => {
  const file = await open(path, 'r');
  let kind: TargetKind | undefined;
  try {
    const seen = (entry: string): boolean => {
      if (/^(?:[^/]+\/)?Chart\.yaml$/.test(entry)) kind ??= 'chart';
      if (/^(?:[^/]+\/)?pack\.json$/.test(entry)) kind = 'pack';
      if (entry === 'zarf.yaml') kind = 'zarf';
      return false;
    };
    const read = await readArchive(file.createReadStream({ autoClose: false }), { bytesMax: peekBytesMax, entriesMax: 20_000, fileBytesMax: 1 }, name, seen);
    if (kind !== undefined) return done(kind);
    return {
      ok: false,
      trouble: trouble(
        name,
        read.ok ? 'holds neither Chart.yaml, pack.json nor zarf.yaml' : read.failure.message,
        'name a chart, a pack, a Zarf package or a profile',
      ),
    };
  } finally {
    await file.close();
  }
};

/** What a path is: the folder or archive of a chart or a pack, a Zarf package, or a YAML file with a profile. */
export const findTarget = async (cwd: string, name: string): Promise<Attempt<Target>> => {
  const path = resolve(cwd, name);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return { ok: false, trouble: trouble(name, 'there is no such file or folder', `names count from ${cwd}`) };
  if (info.isDirectory()) {
    if (await exists(join(path, 'pack.json'))) return done({ kind: 'pack', path });
    if (await exists(join(path, 'Chart.yaml'))) return done({ kind: 'chart', path });
    return {
      ok: false,
      trouble: trouble(name, 'is a folder without Chart.yaml and without pack.json', 'name the folder of a chart or of a pack, or a YAML file with a profile'),
    };
  }
  const file = basename(path);
  if (/\.(ya?ml|json)$/i.test(file)) return done({ kind: 'profile', path });
  if (/^zarf-.*\.tar(\.zst)?$/.test(file)) return done({ kind: 'zarf', path });
  if (/\.(tgz|tar\.gz|tar\.zst|tar)$/.test(file)) {
    const kind = await kindOfArchive(path, name);
    return kind.ok ? done({ kind: kind.value, path }) : kind;
  }
  return {
    ok: false,
    trouble: trouble(
      name,
      'is none of the files that can be rendered',
      'name a chart (.tgz or folder), a pack (.tgz or folder), a Zarf package (.tar.zst) or a profile (.yaml)',
    ),
  };
};
