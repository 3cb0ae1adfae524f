import { spawnSync } from 'node:child_process';
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

test('help is no mistake', () => {
  const { status, stderr } = run('--help');
  expect({ status, named: stderr.includes('--content-rate …') }).toEqual({ status: 0, named: true });
});
