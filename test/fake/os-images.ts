import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { compareImageVersions, osImageDigest, osImageFiles, type OsImageManifest } from '@groundplane/protocol/os-image';
import type { ImageSlotState, ObservedImage } from '@groundplane/protocol/plan/os-image';
import type { ImagePaths, OsImages } from '@groundplane/agent/port/os-images';

/** A line in the boot menu. Without `left` it is permanent. */
interface BootEntry {
  left?: number;
  done: number;
}

interface FakeSlot {
  version: string;
  digest: string;
  sizeBytes?: number;
}

/** Two slots and a boot partition; survives the processes that run on it. */
export interface FakeImagesState {
  slots: [FakeSlot | undefined, FakeSlot | undefined];
  running: 0 | 1;
  entries: Record<string, BootEntry>;
  keys: string[];
}

/** Digests of images that start and never become healthy. */
export interface FakeImages extends OsImages {
  state: FakeImagesState;
  bad: Set<string>;
  log: string[];
  /** The boot loader: the newest entry with tries left, or a permanent one; entries without tries come last. */
  boot(): void;
  /** The health check ends: it makes the running one permanent, or false when it has to be rebooted. */
  judge(): boolean;
  running(): string;
  failNext(operation: 'stage' | 'activate' | 'status', failure: Failure): void;
}

export const firstImages = (version = '1.0', key = 'ed25519:test'): FakeImagesState => ({
  slots: [{ version, digest: `sha256:${'0'.repeat(64)}` }, undefined],
  running: 0,
  entries: { [version]: { done: 0 } },
  keys: [key],
});

const rank = (entry: BootEntry): number => (entry.left === 0 ? 0 : 1);

export const fakeImages = (state: FakeImagesState = firstImages(), bad = new Set<string>()): FakeImages => {
  const log: string[] = [];
  const faults = new Map<string, Failure[]>();
  const run = <T>(operation: string, work: () => Result<T>): Promise<Result<T>> => {
    const failure = faults.get(operation)?.shift();
    return Promise.resolve(failure === undefined ? work() : { ok: false, failure });
  };
  const running = (): FakeSlot => state.slots[state.running] as FakeSlot;
  const order = (): string[] =>
    Object.entries(state.entries)
      .filter(([version]) => state.slots.some((slot) => slot?.version === version))
      .toSorted((a, b) => rank(b[1]) - rank(a[1]) || compareImageVersions(b[0], a[0]))
      .map(([version]) => version);
  const stateOf = (version: string): ImageSlotState => {
    const entry = state.entries[version];
    if (entry === undefined) return 'staged';
    if (entry.left === 0 && entry.done > 0) return 'failed';
    return order()[0] === version ? 'next' : 'kept';
  };
  const health = (): ObservedImage['health'] => {
    const entry = state.entries[running().version];
    return entry?.left === undefined || entry.done === 0 ? 'good' : 'trial';
  };
  return {
    state,
    bad,
    log,
    running: () => running().version,
    failNext: (operation, failure) => void faults.set(operation, [...(faults.get(operation) ?? []), failure]),
    boot: () => {
      const version = order()[0];
      const entry = version === undefined ? undefined : state.entries[version];
      if (version === undefined || entry === undefined) throw new Error('nothing to boot');
      if (entry.left !== undefined && entry.left > 0) {
        entry.left -= 1;
        entry.done += 1;
      }
      state.running = state.slots[0]?.version === version ? 0 : 1;
      log.push(`boot ${version}`);
    },
    judge: () => {
      if (bad.has(running().digest)) return false;
      state.entries[running().version] = { done: 0 };
      return true;
    },
    keys: () => Promise.resolve(ok(state.keys)),
    status: () =>
      run('status', () =>
        ok({
          architecture: 'x64',
          name: 'site',
          driver: 'sysupdate',
          running: running().version,
          health: health(),
          slots: state.slots
            .filter((slot) => slot !== undefined && slot !== running())
            .map((slot) => ({ version: slot?.version ?? '', state: stateOf(slot?.version ?? '') })),
          ...(Object.values(state.entries).some((entry) => entry.left === 0 && entry.done > 0)
            ? {
                words: {
                  version: Object.entries(state.entries).find(([, entry]) => entry.left === 0 && entry.done > 0)?.[0] ?? '',
                  text: 'the agent did not start',
                },
              }
            : {}),
        }),
      ),
    files: () => Promise.resolve(new Map([['root.erofs', { path: `/slot/${state.running}`, sizeBytes: running().sizeBytes ?? 0 }]])),
    digest: () => Promise.resolve(running().digest),
    stage: (manifest: OsImageManifest, paths: ImagePaths) =>
      run('stage', () => {
        if (paths.size !== 2) return fail('retry', 'content-missing', manifest.version, 'a file is missing');
        if (manifest.version === running().version) return fail('fatal', 'image-running', manifest.version, 'it runs');
        for (const version of Object.keys(state.entries)) if (version !== running().version) delete state.entries[version];
        state.slots[state.running === 0 ? 1 : 0] = {
          version: manifest.version,
          digest: osImageDigest(manifest),
          sizeBytes: osImageFiles(manifest)[0]?.size ?? 0,
        };
        log.push(`stage ${manifest.version}`);
        return ok(undefined);
      }),
    activate: (manifest: OsImageManifest) =>
      run('activate', () => {
        const { version } = manifest;
        if (!state.slots.some((slot) => slot?.version === version && slot.digest === osImageDigest(manifest)))
          return fail('retry', 'image-wrong', version, 'it is in no slot');
        state.entries[version] = { left: 3, done: 0 };
        for (const [other, entry] of Object.entries(state.entries)) if (compareImageVersions(other, version) > 0) Object.assign(entry, { left: 0, done: 0 });
        log.push(`activate ${version}`);
        return ok(undefined);
      }),
  };
};
