import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { sha256 } from '@groundplane/hub/content/digest';
import { standInFiles, writePackage } from '../installer/packages.ts';
import { startTestHub, type TestHub } from './hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(async () => hub.close());

const files = standInFiles('healthy', { 'install.sh': Buffer.from('#!/bin/sh\n') });

test('packages of one version go into the hub, and a profile can name what is printed', async () => {
  const packages = [await writePackage(join(hub.folder, 'a'), '1.2.3', files, 'x64'), await writePackage(join(hub.folder, 'b'), '1.2.3', files, 'arm64')];
  const done = await hub.gp(['agent', 'upload', ...packages, '-o', 'table']);
  expect([done.error, done.code]).toEqual(['', 0]);
  const { os } = parse(done.out) as { os: { agent: { version: string; packages: Record<string, { digest: string; size: number }> } } };
  expect(os.agent).toMatchObject({ version: '1.2.3', packages: { x64: { digest: sha256(readFileSync(packages[0] ?? '')) } } });
  const document = {
    apiVersion: 'groundplane.dev/v1',
    kind: 'Profile',
    metadata: { name: 'edge', version: '1.0.0' },
    spec: { type: 'infrastructure', layers: [{ name: 'base', kind: 'os', os }] },
  };
  expect(profileSpecSchema.safeParse(document.spec).success).toBe(true);
  writeFileSync(join(hub.folder, 'profile.json'), JSON.stringify(document));
  const applied = await hub.gp(['apply', '-f', join(hub.folder, 'profile.json')]);
  expect([applied.error, applied.code]).toEqual(['', 0]);
  const foreign = {
    ...document,
    metadata: { name: 'edge', version: '1.0.1' },
    spec: {
      type: 'infrastructure',
      layers: [{ name: 'base', kind: 'os', os: { agent: { version: '9', packages: { x64: { digest: sha256('never uploaded'), size: 3 } } } } }],
    },
  };
  writeFileSync(join(hub.folder, 'profile.json'), JSON.stringify(foreign));
  expect((await hub.gp(['apply', '-f', join(hub.folder, 'profile.json')])).error).toContain('gp agent upload');
});

test('what is no whole package, of two versions, or twice of one architecture is refused before anything is sent', async () => {
  const good = await writePackage(join(hub.folder, 'c'), '1.0.0', files, 'x64');
  const damaged = join(hub.folder, 'damaged.tar.zst');
  const bytes = readFileSync(good);
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 0xff;
  writeFileSync(damaged, bytes);
  writeFileSync(join(hub.folder, 'text'), 'hello');
  for (const wrong of [damaged, join(hub.folder, 'text'), join(hub.folder, 'nowhere')]) expect((await hub.gp(['agent', 'upload', wrong])).code, wrong).toBe(1);
  expect((await hub.gp(['agent', 'upload', good, await writePackage(join(hub.folder, 'd'), '1.0.1', files, 'arm64')])).code).toBe(2);
  expect((await hub.gp(['agent', 'upload', good, good])).code).toBe(2);
});
