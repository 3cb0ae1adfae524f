import type { Host } from '../port/host.ts';
import type { Blobs } from '../port/blobs.ts';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { HostInfo } from '@groundplane/protocol/observed';

const none = (): Promise<Result<never>> =>
  Promise.resolve(
    fail(
      'blocked',
      'host-denied',
      'machine',
      'this cluster is reached through its API only; it has no machine of ours that an OS layer could change. Take the OS layer out',
    ),
  );
const absent = (): Promise<Result<'absent'>> => Promise.resolve(ok('absent'));

/** Where there is only an API server: nothing is there, and nothing can be put there. */
export const noMachine = (info: HostInfo): Host => ({
  info: () => Promise.resolve(info),
  readFile: absent,
  writeFile: none,
  removeFile: () => Promise.resolve(ok(undefined)),
  readSysctl: absent,
  writeSysctl: none,
  readUnit: absent,
  setUnit: none,
  reloadUnits: none,
  readModule: () => Promise.resolve(ok('absent')),
  loadModule: none,
  unloadModule: () => Promise.resolve(ok(undefined)),
  readAccount: absent,
  setAccount: none,
  removeAccount: () => Promise.resolve(ok(undefined)),
  packages: undefined,
});

/** Large content has no place to lie. */
export const noBlobs: Blobs = {
  path: () => Promise.resolve(undefined),
  fetch: none,
  receive: none,
  place: none,
  keep: () => Promise.resolve(),
};
