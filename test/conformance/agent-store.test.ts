import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openSqliteStore } from '@groundplane/agent/store/sqlite';
import { openSqliteStore as openHubStore } from '@groundplane/hub/store/sqlite';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { virtualClock } from '../fake/clock.ts';
import { seededRandom } from '../fake/random.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { agentStoreConformance } from './agent-store.ts';

agentStoreConformance(
  'in memory',
  () => {
    let store: FakeAgentStore = fakeAgentStore();
    return {
      open: () => (store = store.reopen()),
      fillDisk: () => {
        store.failNext({ kind: 'blocked', code: 'disk-full', element: 'disk', message: 'full' });
        return () => undefined;
      },
      remove: () => undefined,
    };
  },
  true,
);

agentStoreConformance('SQLite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-agent-'));
  return { open: () => openSqliteStore(join(folder, 'agent.db')), remove: () => rmSync(folder, { recursive: true, force: true }) };
});

test('the state is readable by its owner only, also in a folder that others may enter, and one of an older version becomes so', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-agent-'));
  chmodSync(folder, 0o755);
  for (const [name, open] of [
    ['agent.db', openSqliteStore],
    ['hub.db', (file: string) => openHubStore(file, virtualClock())],
  ] as const) {
    const file = join(folder, name);
    writeFileSync(file, '', { mode: 0o644 });
    const store = open(file);
    for (const part of ['', '-wal', '-shm']) expect(statSync(`${file}${part}`).mode & 0o077, `${name}${part}`).toBe(0);
    void store.close();
  }
  rmSync(folder, { recursive: true });
});

/** A small file system of its own, so that it can be filled without hurting anybody. Needs root, and a kernel that lets it mount. */
const smallDisk = (): { folder: string; remove: () => void } | undefined => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' });
    return { folder, remove: () => void (execFileSync('umount', ['-l', folder], { stdio: 'ignore' }), rmSync(folder, { recursive: true, force: true })) };
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
};

const probe = smallDisk();
probe?.remove();
const cannotMount = probe === undefined;
const needsRoot = cannotMount && !isRequired('root');

describe.skipIf(needsRoot)(`AgentStore on a disk that fills up (needs root to mount a tmpfs${needsRoot ? ': not possible here' : ''})`, () => {
  agentStoreConformance(
    'SQLite on a small disk',
    () => {
      const disk = smallDisk();
      if (disk === undefined) throw new Error('GROUNDPLANE_TEST_REQUIRE asks for root, and a tmpfs cannot be mounted');
      const file = join(disk.folder, 'agent.db');
      const ballast = join(disk.folder, 'ballast');
      return {
        open: () => openSqliteStore(file),
        fillDisk: () => {
          const { bavail, bsize } = statfsSync(disk.folder);
          writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail - 8) * bsize));
          return () => rmSync(ballast);
        },
        remove: disk.remove,
      };
    },
    true,
  );
});

/** Starts a writer, lets it work for a while, kills it without warning, and returns the last number it acknowledged. */
const writeAndKill = async (file: string, waitMs: number): Promise<number> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'agent-store-writer.ts'), file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  const begun = Promise.withResolvers<void>();
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    begun.resolve();
  });
  const ended = new Promise<void>((resolve) => void child.on('close', () => resolve()));
  await Promise.race([begun.promise, ended]);
  await delay(waitMs);
  child.kill('SIGKILL');
  await ended;
  const whole = text
    .split('\n')
    .slice(0, -1)
    .filter((line) => /^\d+$/.test(line));
  return Number(whole.at(-1) ?? 0);
};

test('SQLite: thirty times killed at a random moment, everything that was acknowledged is there, and every commit is whole', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-kill-'));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'agent.db');
  const random = seededRandom('kill');
  let acknowledged = 0;
  let worked = 0;
  for (let round = 0; round < 30; round += 1) {
    const last = await writeAndKill(file, random.integer(60));
    if (last > acknowledged) worked += 1;
    acknowledged = Math.max(acknowledged, last);
    const store = openSqliteStore(file);
    const number = Number(store.get('kv', 'number') ?? 0);
    expect(number).toBeGreaterThanOrEqual(acknowledged);
    expect(store.get('content', 'blob')).toBe(number === 0 ? undefined : String(number).repeat(100));
    const keys = store.keys('journal').map(Number);
    expect(keys).toEqual(Array.from({ length: Math.min(number, 200) }, (_, index) => number - Math.min(number, 200) + 1 + index));
    store.close();
  }
  expect(worked, 'the writer was always killed before it wrote anything').toBeGreaterThan(20);
  expect(existsSync(file)).toBe(true);
  rmSync(folder, { recursive: true, force: true });
});
