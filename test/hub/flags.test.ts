import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const program = join(import.meta.dirname, '..', '..', 'hub', 'src', 'main.ts');
const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });

test.each([
  [['--bogus'], "Unknown option '--bogus'"],
  [['--port', 'x'], '--port is a port from 0 to 65535, not x'],
  [['--mqtt-port', '70000'], '--mqtt-port is a port from 0 to 65535, not 70000'],
])('flags that are none end the hub with a sentence: %j', (args, words) => {
  const { status, stderr } = run(...args);
  expect(stderr).toContain(words);
  expect(stderr).toContain('--public-url …');
  expect(stderr).not.toContain('    at ');
  expect(status).toBe(2);
});

test.each([
  [['--content-rate', 'abc'], 2, '--content-rate abc: write a whole number of bytes'],
  [['--public-ca', '/nowhere'], 2, '--public-ca /nowhere: there is no such file'],
  [['--port', 'taken'], 1, 'the hub cannot start: listen EADDRINUSE'],
])('what keeps the hub from starting is one line: %j', async (args, code, words) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const port = String((taken.address() as AddressInfo).port);
  const data = mkdtempSync(join(tmpdir(), 'gp-flags-'));
  const { status, stderr } = run('--data', data, '--port', '0', '--no-mqtt', ...args.map((arg) => (arg === 'taken' ? port : arg)));
  taken.close();
  rmSync(data, { recursive: true });
  expect(stderr).toContain(words);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(status).toBe(code);
});

test('help is no mistake', () => {
  const { status, stderr } = run('--help');
  expect({ status, named: stderr.includes('--content-rate …') }).toEqual({ status: 0, named: true });
});
