import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProgramDigests } from '@groundplane/agent/distribution/programs';
import { digestBytes } from '@groundplane/protocol/digest';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'gp-programs-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a program is read once, and again when it is another one', async () => {
  const path = join(folder, 'kubelet');
  const digests = createProgramDigests();
  expect(await digests.digestOf(path)).toBe('absent');
  writeFileSync(path, 'one');
  expect(await digests.digestOf(path)).toBe(digestBytes('one'));
  writeFileSync(path, 'other');
  expect(await digests.digestOf(path)).toBe(digestBytes('other'));
  rmSync(path);
  expect(await digests.digestOf(path)).toBe('absent');
});

test('what we placed is believed until somebody touches it', async () => {
  const path = join(folder, 'kubectl');
  const digests = createProgramDigests();
  writeFileSync(path, 'placed');
  // Not what is in the file, so that reading it would show.
  await digests.placed(path, digestBytes('believed'));
  expect(await digests.digestOf(path)).toBe(digestBytes('believed'));
  writeFileSync(path, 'placed and changed');
  expect(await digests.digestOf(path)).toBe(digestBytes('placed and changed'));
  await digests.placed(join(folder, 'nowhere'), digestBytes('x'));
  expect(await digests.digestOf(join(folder, 'nowhere'))).toBe('absent');
});
