import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const main = join(import.meta.dirname, '..', '..', 'installer', 'src', 'main.ts');
let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'gp-installer-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd: folder });
  return { status, stdout, stderr };
};

describe('the command line of the installer', () => {
  test.each([
    ['flash', '--bogus'],
    ['flash', 'one'],
    ['flash', 'a', 'b', '--sha256', 'nonsense'],
    ['media', '--from'],
    ['media', '--from', 'x'],
    ['build', '--bogus'],
    ['build', '--version', '1.0.0'],
    ['customize', '--bogus'],
    ['customize'],
    ['agent', '--ssh', 'root@host'],
    ['agent', '--ssh', 'root@host', '--packages', 'x', '--port', '70000'],
  ])('what was asked wrongly is said in a line for machines and one for people: %s %s', (...args) => {
    const { status, stdout, stderr } = run(...args);
    expect(JSON.parse(stdout)).toMatchObject({ event: 'error', code: expect.stringMatching(/^option-/) as string });
    expect(stderr).toMatch(/\S: [\s\S]*All options: npm run installer -- help/);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(2);
  });

  test.each([['agent', '--bogus'], ['agent', '--out'], ['agent'], ['user-data'], ['user-data', 'check', 'nowhere'], ['nonsense']])(
    'those that speak to people only: %s %s',
    (...args) => {
      const { status, stderr } = run(...args);
      expect(status).toBe(2);
      expect(stderr).not.toContain('    at ');
    },
  );

  test.each([['--help'], ['help'], ['flash', '--help'], ['user-data', 'check', '-h'], ['build', '--help'], ['agent', '--ssh', 'x', '--help']])(
    'help: %s',
    (...args) => {
      const { status, stdout, stderr } = run(...args);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain('npm run installer -- flash IMAGE DEVICE|FILE');
    },
  );

  test('a key that signs nothing is told before anything is built', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const { status, stderr } = run('agent', '--out', 'release', '--sign', 'key.pem');
    expect(stderr).toContain('it is of type ec; make an Ed25519 key');
    expect(status).toBe(1);
    expect(existsSync(join(folder, 'release'))).toBe(false);
  });

  test('a digest is taken as sha256sum prints it and as our lines have it', () => {
    writeFileSync(join(folder, 'image'), 'x');
    const digest = '2D711642B726B04401627CA9FBAC32F5C8530FB1903CC4DB02258717921A4881';
    expect(run('flash', 'image', 'out', '--sha256', `sha256:${digest}`).status).toBe(0);
  });
});
