import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeBlobs } from '../fake/blobs.ts';
import { diskRig } from '../blobs/rig.ts';
import { blobsConformance } from './blobs.ts';

blobsConformance('in memory', () => {
  const origin = new Map<string, Buffer>();
  const held = new Map<string, Buffer>();
  return {
    origin,
    open: () => fakeBlobs(origin, { held }),
    read: (path) => Promise.resolve(held.get(`sha256:${path.split('/').at(-1) ?? ''}`)),
    age: () => undefined,
    target: (name) => `/usr/bin/${name}`,
    remove: () => Promise.resolve(),
  };
});

blobsConformance('on disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-blobs-'));
  const rig = diskRig(folder);
  return {
    origin: rig.origin,
    open: rig.open,
    read: (path) => readFile(path).catch(() => undefined),
    age: rig.age,
    target: (name) => join(folder, 'placed', name),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
});
