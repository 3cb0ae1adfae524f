import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { acquireLock, cacheRoot } from '../build.ts';

/** What the hosts are made of is kept here, each under its name and a digest of everything that decides what it is. */
export const hostsCache = (): string => join(cacheRoot(), 'hosts');

const digestCharacters = 24;

export const digestOfParts = (parts: unknown): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, digestCharacters);

export const cachedFolder = (name: string, parts: unknown): string => join(hostsCache(), `${name}-${digestOfParts([process.arch, parts])}`);

/**
 * Makes sure that a folder exists, building it once; it exists only complete. Two processes never build the same at the same time. `build` fills the folder that it
 * is given.
 */
export const ensureCached = async (
  name: string,
  parts: unknown,
  build: (folder: string) => Promise<Result<unknown>>,
  progress: (line: string) => void,
): Promise<Result<string>> => {
  const target = cachedFolder(name, parts);
  if (existsSync(target)) return ok(target);
  await mkdir(hostsCache(), { recursive: true });
  const lock = await acquireLock(`groundplane-hosts-${target}`.slice(0, 20) + digestOfParts(target), progress);
  if (!lock.ok) return lock;
  try {
    if (existsSync(target)) return ok(target);
    // We hold the lock, so whatever is half-built under this name belongs to nobody alive.
    const prefix = `.building-${name}-`;
    for (const left of readdirSync(hostsCache())) if (left.startsWith(prefix)) await rm(join(hostsCache(), left), { recursive: true, force: true });
    const staging = join(hostsCache(), `${prefix}${randomUUID()}`);
    await mkdir(staging);
    const started = performance.now();
    progress(`building ${name}`);
    const built = await build(staging);
    if (!built.ok) {
      await rm(staging, { recursive: true, force: true });
      return built;
    }
    await rename(staging, target);
    progress(`built ${name} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return ok(target);
  } finally {
    lock.value();
  }
};

/** Magic number of overlayfs in statfs(2). */
const overlayType = 0x794c7630;

/** A host's own changes lie on an overlay, and an overlay takes no overlay as its upper layer. */
export const isOverlay = (folder: string): boolean => statfsSync(folder).type === overlayType;

export const cacheFailure = (code: string, message: string): ReturnType<typeof fail> => fail('blocked', code, 'test hosts', message);
