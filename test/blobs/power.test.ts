import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../fake/random.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { diskRig } from './rig.ts';

const sha = (bytes: Uint8Array): `sha256:${string}` => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const never = new AbortController().signal;

const wholeFiles = (folder: string): string[] => {
  const root = join(folder, 'blobs', 'sha256');
  return existsSync(root) ? readdirSync(root).flatMap((prefix) => readdirSync(join(root, prefix)).map((name) => join(root, prefix, name))) : [];
};

test('killed at thirty random moments, every file that has its name is whole, and it is done in the end', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-blob-kill-'));
  const random = seededRandom('blob kill');
  const said = new Set<string>();
  let isDone = false;
  for (let round = 0; round < 30 || !isDone; round += 1) {
    expect(round, 'it never ends').toBeLessThan(60);
    const child = spawn(process.execPath, [join(import.meta.dirname, 'blob-writer.ts'), folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
    const ended = new Promise<void>((resolve) => void child.on('close', () => resolve()));
    if (round < 30) await Promise.race([delay(150 + random.integer(250)), ended]);
    else await ended;
    child.kill('SIGKILL');
    await ended;
    for (const line of text.split('\n').slice(0, -1)) said.add(line);
    isDone = said.has('all');
    for (const file of wholeFiles(folder)) expect(sha(readFileSync(file))).toBe(`sha256:${file.split('/').at(-1) ?? ''}`);
    for (const digest of said) if (digest !== 'all') expect(wholeFiles(folder).some((file) => file.endsWith(digest.slice(7)))).toBe(true);
    // Begun anew, so that later rounds have something to cut.
    if (isDone && round < 29) {
      rmSync(join(folder, 'blobs'), { recursive: true });
      said.clear();
      isDone = false;
    }
  }
  expect(wholeFiles(folder).length).toBe(6);
  expect(readdirSync(join(folder, 'blobs', 'partial'))).toEqual([]);
  rmSync(folder, { recursive: true });
});

/** A file system of its own, which can be filled and made read-only without hurting anybody. */
const smallDisk = (): { folder: string; freeze: () => void; thaw: () => void; remove: () => void } | undefined => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-blob-disk-'));
  const mount = (...args: string[]): void => void execFileSync('mount', [...args, folder], { stdio: 'ignore' });
  try {
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs');
    return {
      folder,
      freeze: () => mount('-o', 'remount,ro'),
      thaw: () => mount('-o', 'remount,rw'),
      remove: () => {
        execFileSync('umount', ['-l', folder], { stdio: 'ignore' });
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
};

const probe = smallDisk();
probe?.remove();
const needsRoot = probe === undefined && !isRequired('root');

describe.skipIf(needsRoot)(`a disk of its own (needs root to mount a tmpfs${needsRoot ? ': not possible here' : ''})`, () => {
  const setUp = () => {
    const disk = smallDisk();
    if (disk === undefined) throw new Error('GROUNDPLANE_TEST_REQUIRE asks for root, and a tmpfs cannot be mounted');
    return { disk, rig: diskRig(disk.folder) };
  };

  test('that is too small is not even begun on; one that fills up on the way gets its room back, and it goes on when there is some', async () => {
    const { disk, rig } = setUp();
    try {
      const large = Buffer.alloc(9 * 1024 * 1024, 1);
      const bytes = Buffer.from(seededRandom('room').bytes(4 * 1024 * 1024));
      for (const item of [large, bytes]) rig.origin.set(sha(item), item);
      expect(await rig.open().fetch({ digest: sha(large), sizeBytes: large.length }, never)).toMatchObject({
        ok: false,
        failure: { kind: 'blocked', code: 'disk-full' },
      });
      const ballast = join(disk.folder, 'ballast');
      rig.hub.onPiece = (at) => {
        if (at !== 1024 * 1024) return;
        const { bavail, bsize } = statfsSync(disk.folder);
        writeFileSync(ballast, Buffer.alloc((bavail - 4) * bsize));
      };
      const request = { digest: sha(bytes), sizeBytes: bytes.length };
      expect(await rig.open().fetch(request, never)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'disk-full' } });
      const left = readdirSync(join(disk.folder, 'blobs', 'partial')).map((name) => statSync(join(disk.folder, 'blobs', 'partial', name)).size);
      expect(
        left.reduce((sum, size) => sum + size, 0),
        'others need the room more',
      ).toBe(0);
      rig.hub.onPiece = () => undefined;
      rmSync(ballast);
      expect((await rig.open().fetch(request, never)).ok).toBe(true);
    } finally {
      disk.remove();
    }
  });

  test('that became read-only says so, gives what it has, and goes on when it is writable again', async () => {
    const { disk, rig } = setUp();
    try {
      const [held, wanted] = [Buffer.from('held'), Buffer.from('wanted')];
      for (const item of [held, wanted]) rig.origin.set(sha(item), item);
      await rig.open().fetch({ digest: sha(held), sizeBytes: held.length }, never);
      disk.freeze();
      expect(await rig.open().fetch({ digest: sha(wanted), sizeBytes: wanted.length }, never)).toMatchObject({
        ok: false,
        failure: { kind: 'blocked', code: 'disk-read-only' },
      });
      expect(await rig.open().path(sha(held))).toBeDefined();
      await rig.open().keep(new Set());
      disk.thaw();
      expect((await rig.open().fetch({ digest: sha(wanted), sizeBytes: wanted.length }, never)).ok).toBe(true);
    } finally {
      disk.remove();
    }
  });
});
