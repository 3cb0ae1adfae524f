import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildCli } from '@groundplane/installer/build';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDuration } from '../../hub/cli/duration.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { run } from '../../hub/cli/main.ts';
import { fakeIo, gp } from './fake-io.ts';

const execute = promisify(execFile);

describe('the command line itself', () => {
  test.each([
    [['nonsense']],
    [['get']],
    [['get', 'planets']],
    [['get', 'clusters', '-o', 'xml']],
    [['apply', '--unknown']],
    [['status', '--timeout', 'soon']],
    [['create']],
    [['ticket', 'create', 'x', '--uses', '0']],
    [['ticket', 'create', 'x', '--label', 'novalue']],
    [['ticket', 'create', 'x', '--label', 'a b=c']],
    [['ticket', 'create', 'x', '--label', 'a=b/c']],
    [['create', 'project', 'Not A Name']],
    [['completion', 'powershell']],
    [['wait', 'cluster', 'x', '--for', 'lunch']],
    [['describe', 'ticket', 'x']],
  ])('%j is a mistake of usage', async (argv) => {
    const ran = await gp(argv, { env: { GP_HUB: 'http://127.0.0.1:9', GP_TOKEN: 'x' } });
    expect(ran.code).toBe(2);
    expect(ran.out).toBe('');
    expect(ran.error).not.toBe('');
  });

  test('help and version are none', async () => {
    for (const argv of [['--help'], ['help', 'apply'], ['apply', '--help'], ['ticket', 'create', '--help'], ['--version'], ['version']])
      expect(await gp(argv)).toMatchObject({ code: 0, error: '' });
    expect((await gp(['version'])).out).toBe('{\n  "version": "0.1.0"\n}\n');
    expect((await gp(['get', 'cluster'])).error).toContain('gp login');
  });

  test('what the file system refuses is told as that, and not as a bug', async () => {
    const { io, stderr } = fakeIo();
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write', path: '/media/shop.tar' });
    expect(await run(['version'], { ...io, stdout: { ...io.stdout, write: () => Promise.reject(full) } })).toBe(1);
    expect(stderr()).toBe('error: /media/shop.tar: the disk is full\n');
  });

  test('a medium does not take the place of a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gp-files-'));
    await writeFile(join(folder, 'a.txt'), '');
    const ran = await gp(['media', 'export', 'shop', join(folder, 'a.txt')], { env: { GP_HUB: 'http://127.0.0.1:9', GP_TOKEN: 'x' } });
    expect(ran).toMatchObject({ code: 2, error: expect.stringContaining('is a file; a medium is a folder, or an archive') as string });
    await rm(folder, { recursive: true });
  });

  test('a mistyped word is guessed', async () => {
    expect((await gp(['staus'])).error).toContain('Did you mean status?');
    expect((await gp(['get', 'culsters'], { env: { GP_HUB: 'http://127.0.0.1:9', GP_TOKEN: 'x' } })).error).toContain('did you mean clusters?');
  });

  test('a damaged or unreadable context file is told, not overwritten', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gp-settings-'));
    const env = { XDG_CONFIG_HOME: folder };
    await mkdir(join(folder, 'groundplane'));
    for (const text of ['{', '[]', '{"version":2}', 'x'.repeat(2_000_000)]) {
      await writeFile(join(folder, 'groundplane/gp.json'), text);
      expect(await gp(['context'], { env })).toMatchObject({ code: 1, error: expect.stringContaining('is not a context file of gp') });
    }
    await writeFile(
      join(folder, 'groundplane/gp.json'),
      '{"version":1,"current":"__proto__","contexts":{"bad":{"hub":7},"good":{"hub":"http://127.0.0.1:1","credential":{"kind":"key","token":"t"}}}}',
    );
    expect(await gp(['context', '-o', 'name'], { env })).toMatchObject({ code: 0, out: 'good\n' });
    expect((await gp(['context', 'use', '__proto__'], { env })).code).toBe(1);
    await rm(folder, { recursive: true, force: true });
  });

  test('openapi needs no hub', async () => {
    const ran = await gp(['openapi']);
    expect(JSON.parse(ran.out)).toMatchObject({ openapi: '3.1.0', paths: { '/api/v1/whoami': expect.anything() } });
  });

  test('durations', () => {
    expect(['90s', '5m', '1h30m', '500ms', '7', '2d'].map(parseDuration)).toEqual([90_000, 300_000, 5_400_000, 500, 7_000, 172_800_000]);
    for (const bad of ['', '0', '5', 's', '-1s', '1.5h', '366d', '1x', '99999999999s'].filter((text) => text !== '5'))
      expect(parseDuration(bad), bad).toBeUndefined();
  });
});

const hasShell = async (shell: string): Promise<boolean> =>
  execute(shell, ['-c', 'exit 0']).then(
    () => true,
    () => false,
  );
const shells = { zsh: await hasShell('zsh'), fish: await hasShell('fish') };
const missing = (shell: 'zsh' | 'fish'): boolean => !shells[shell] && !isRequired(shell);

describe('completion', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gp-completion-'));
    for (const shell of ['bash', 'zsh', 'fish']) await writeFile(join(folder, shell), (await gp(['completion', shell])).out);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** What bash would offer after these words; the last one is being typed. */
  const offered = async (...words: string[]): Promise<string[]> => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const script = `source ${join(folder, 'bash')}; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _gp; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await execute('bash', ['--norc', '-c', script])).stdout.trim().split('\n');
  };

  test('bash takes the script, and offers what fits', async () => {
    await execute('bash', ['-n', join(folder, 'bash')]);
    expect(await offered('gp', 'app')).toEqual(expect.arrayContaining(['apply', 'approve'].filter((word) => word.startsWith('app'))));
    expect(await offered('gp', 'get', 'clus')).toEqual(['clusters', 'cluster']);
    expect(await offered('gp', 'ticket', '')).toEqual(expect.arrayContaining(['create', 'list', 'delete']));
    expect(await offered('gp', 'ticket', 'create', '--au')).toEqual(['--auto-approve']);
    expect(await offered('gp', 'get', 'hosts', '-o', 'j')).toEqual(['json']);
    expect(await offered('gp', 'delete', 'ticket', '--y')).toEqual(['--yes']);
    expect(await offered('gp', '--hub', 'x', 'wait', 'cluster', 'a', '--f')).toEqual(['--for']);
  });
  test.skipIf(missing('zsh'))(`zsh takes the script${shells.zsh ? '' : ' (needs zsh)'}`, () => execute('zsh', ['-n', join(folder, 'zsh')]));
  test.skipIf(missing('fish'))(`fish takes the script${shells.fish ? '' : ' (needs fish)'}`, () => execute('fish', ['--no-execute', join(folder, 'fish')]));
});

describe('built', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gp-bundle-'));
    await buildCli(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const env = { PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: '/nonexistent' };
  const node = (...argv: string[]) => execute(process.execPath, [join(folder, 'gp.mjs'), ...argv], { env, cwd: folder });

  test('it runs without the repository: version, help, YAML, schemas', async () => {
    expect(JSON.parse((await node('version')).stdout)).toEqual({ version: '0.1.0' });
    expect((await node('openapi', '-o', 'yaml')).stdout).toContain('openapi: 3.1.0');
    await writeFile(join(folder, 'x.yaml'), 'kind: Profle\n');
    await expect(node('apply', '-f', 'x.yaml', '--hub', 'http://127.0.0.1:9', '--token', 'x')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('did you mean Profile?'),
    });
    await expect(node('status')).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('next: gp login URL') });
  });

  test('it renders: the engine lies beside it', async () => {
    await mkdir(join(folder, 'web/templates'), { recursive: true });
    await writeFile(join(folder, 'web/Chart.yaml'), 'apiVersion: v2\nname: web\nversion: 1.0.0\n');
    await writeFile(join(folder, 'web/templates/a.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n');
    expect((await node('render', 'web', '--name', 'mine')).stdout).toBe(
      '---\n# Source: web/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\n\n',
    );
  });

  test('a pipe that is closed early ends it quietly', async () => {
    const ran = await execute('bash', ['--norc', '-c', 'set -o pipefail; "$0" "$1" openapi | head -c 10', process.execPath, join(folder, 'gp.mjs')], { env });
    expect(ran).toMatchObject({ stdout: '{\n  "opena', stderr: '' });
  });
});
