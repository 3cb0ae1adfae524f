import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync, symlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { installBySsh, isTarget, shellWord, type RemoteEvent, type RemoteOptions } from '@groundplane/installer/remote';
import { prepareStick, type StickEvent } from '@groundplane/installer/stick';
import { codeOf } from '../hub/world.ts';
import { here, lacking } from './packages.ts';

const why = lacking(['zstd', 'mktemp']);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gp-remote-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const script = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}`);
  chmodSync(file, 0o755);
  return file;
};

describe('words for a remote shell', () => {
  test.each(["it's", '$(reboot)', '`reboot`', 'a b', '', '\\', "'", '"; rm -rf /', '-n'])('%j stays one word', (text) => {
    expect(spawnSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' }).stdout).toBe(text);
  });
  test('a target is a host and nothing else', () => {
    for (const good of ['root@10.0.0.1', 'edge-1', 'admin@edge.example', 'root@[fe80::1%eth0]']) expect([good, isTarget(good)]).toEqual([good, true]);
    for (const bad of ['-oProxyCommand=reboot', 'root@-oProxyCommand=x', 'a b', 'root@host;reboot', '', '@host', 'root@', 'x'.repeat(300)])
      expect([bad, isTarget(bad)]).toEqual([bad, false]);
  });
});

describe.skipIf(why !== '')(`installing by ssh${why}`, () => {
  const events: RemoteEvent[] = [];
  const setUp = (install: string): RemoteOptions => {
    events.length = 0;
    const packages = join(folder, 'packages');
    mkdirSync(packages);
    writeFileSync(join(packages, `groundplane-agent-1.0.0-linux-${here}.tar.zst`), 'package');
    for (const name of ['SHA256SUMS', 'SHA256SUMS.sig']) writeFileSync(join(packages, name), name);
    writeFileSync(join(packages, 'install.sh'), install);
    const key = join(folder, 'key.pem');
    writeFileSync(key, 'key');
    const ticket = join(folder, 'ticket');
    writeFileSync(ticket, 'gpt1.secret\n');
    // The other machine is this one: what comes behind `--` and the target is given to a shell, as sshd does.
    const ssh = script('ssh', `echo "$*" >>'${folder}/calls'\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$1"\n`);
    const scp = script(
      'scp',
      `while [ "$1" != -- ]; do shift; done\nshift\nfor last in "$@"; do :; done\nto=\${last#*:}\nwhile [ $# -gt 1 ]; do cp "$1" "$to"; shift; done\n`,
    );
    return { target: 'root@edge', packages, key, insecure: false, ticket, name: "shop'1", ssh, scp, onEvent: (event) => void events.push(event) };
  };
  /** The stand-in looks like a machine with systemd, whatever this one is. */
  const fitSsh = (options: RemoteOptions): RemoteOptions => ({
    ...options,
    ssh: script('fit', `echo "$*" >>'${folder}/fit-calls'\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nsh -c "$1" | grep -v '^gp-lacks systemd'\nexit 0\n`),
  });
  const left = (): string[] => readdirSync('/tmp').filter((name) => name.startsWith('groundplane-install-'));

  test('checks, copies, installs with the ticket on standard input, and leaves nothing behind', async () => {
    const before = left();
    const options = setUp(`echo "args: $*"; echo "ticket: $(cat)"; ls "$(dirname "$0")" | tr '\\n' ' '\n`);
    const done = await installBySsh(fitSsh(options));
    expect(done).toEqual({ ok: true, value: undefined });
    const log = events.flatMap((event) => (event.event === 'log' ? [event.text] : []));
    expect(log[0]).toMatch(/--package \/tmp\/groundplane-install-\w{8}\/groundplane-agent-1\.0\.0-linux-.* --key \/tmp\/.*key\.pem --ticket - --name shop'1$/);
    expect(log[1]).toBe('ticket: gpt1.secret');
    expect(events.map((event) => ('phase' in event ? event.phase : event.event)).filter((name) => name !== 'log' && name !== 'copied')).toEqual([
      'check',
      'machine',
      'copy',
      'install',
      'done',
      'clean',
    ]);
    expect(JSON.stringify(events.filter((event) => event.event !== 'log'))).not.toContain('gpt1');
    expect(left()).toEqual(before);
    expect(existsSync(join(folder, 'calls'))).toBe(false);
    // Nobody is there to answer, and a line that is gone must end it.
    const calls = readFileSync(join(folder, 'fit-calls'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('-o'));
    expect(calls.length).toBeGreaterThanOrEqual(4);
    for (const call of calls) expect(call).toMatch(/BatchMode=yes .*ServerAliveInterval=\d+ .*ServerAliveCountMax=\d+ .*--/);
  });

  test('a step that fails there says why with the last words, and is cleaned up', async () => {
    const before = left();
    const options = setUp(`echo 'install.sh: nothing was changed' >&2; exit 4\n`);
    const failing = {
      ...options,
      ssh: script(
        'fail',
        `while [ "$1" != -- ]; do shift; done\nshift 2\ncase $1 in 'sh -s') sh -s | grep -v 'gp-lacks systemd' ;; *) exec sh -c "$1" ;; esac\n`,
      ),
    };
    const done = await installBySsh(failing);
    expect(done).toMatchObject({ ok: false, failure: { code: 'install-failed', message: expect.stringContaining('nothing was changed') as string } });
    expect(left()).toEqual(before);
  });

  test('what cannot work is found before anything is copied', async () => {
    const options = setUp('');
    const calls: [Partial<RemoteOptions>, string][] = [
      [{ target: '-oProxyCommand=x' }, 'target-invalid'],
      [{ key: undefined }, 'key-missing'],
      [{ packages: join(folder, 'nowhere') }, 'package-missing'],
      [{ ssh: script('down', 'echo "Connection refused" >&2; exit 255\n') }, 'ssh-failed'],
      [{ ssh: '/nowhere/ssh' }, 'ssh-failed'],
      [{ ssh: script('mac', "echo 'gp-system Darwin'; echo 'gp-arch arm64'; echo 'gp-sudo root'\n") }, 'host-unfit'],
      [{ ssh: script('riscv', "echo 'gp-system Linux'; echo 'gp-arch riscv64'; echo 'gp-sudo root'\n") }, 'host-unfit'],
      [{ ssh: script('guest', "echo 'gp-system Linux'; echo 'gp-arch x86_64'; echo 'gp-sudo no'\n") }, 'host-denied'],
      [{ ssh: script('bare', "echo 'gp-system Linux'; echo 'gp-arch x86_64'; echo 'gp-sudo root'; echo 'gp-lacks zstd'\n") }, 'host-unfit'],
    ];
    for (const [change, code] of calls) expect([code, codeOf(await installBySsh({ ...fitSsh(options), ...change }))]).toEqual([code, code]);
    expect(events.some((event) => event.event === 'copied')).toBe(false);
  });
});

describe('a stick', () => {
  const events: StickEvent[] = [];
  const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
  const medium = (): string => {
    const from = join(folder, 'medium');
    mkdirSync(join(from, 'blobs', 'sha256'), { recursive: true });
    for (const text of ['one', 'two', 'a larger blob']) writeFileSync(join(from, 'blobs', 'sha256', sha(text)), text);
    writeFileSync(join(from, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(join(from, 'index.json'), '{"manifests":[]}');
    return from;
  };
  const prepare = (from: string, packages?: string) => {
    events.length = 0;
    return prepareStick({ from, to: join(folder, 'stick'), packages, onEvent: (event) => void events.push(event) });
  };

  test('gets every file whole; a second run copies only what is missing or damaged', async () => {
    const from = medium();
    expect(await prepare(from)).toEqual({ ok: true, value: undefined });
    expect(events.at(-1)).toMatchObject({ event: 'done', blobs: 3, kept: 0 });
    expect(readFileSync(join(folder, 'stick', 'index.json'), 'utf8')).toBe('{"manifests":[]}');
    truncateSync(join(folder, 'stick', 'blobs', 'sha256', sha('two')), 1);
    writeFileSync(join(folder, 'stick', 'blobs', 'sha256', sha('one')), 'eno');
    expect((await prepare(from)).ok).toBe(true);
    expect(events.at(-1)).toMatchObject({ event: 'done', kept: 1 });
    for (const text of ['one', 'two']) expect(readFileSync(join(folder, 'stick', 'blobs', 'sha256', sha(text)), 'utf8')).toBe(text);
  });

  test('of a damaged medium never looks like a whole one', async () => {
    const from = medium();
    writeFileSync(join(from, 'blobs', 'sha256', sha('two')), 'owt');
    expect(codeOf(await prepare(from))).toBe('media-damaged');
    expect(existsSync(join(folder, 'stick', 'index.json'))).toBe(false);
    expect(codeOf(await prepare(join(folder, 'nowhere')))).toBe('media-invalid');
  });

  test('of a medium that lacks what it names is not begun, except for platforms that an image has elsewhere', async () => {
    const from = medium();
    const put = (text: string): string => {
      writeFileSync(join(from, 'blobs', 'sha256', sha(text)), text);
      return `{"digest":"sha256:${sha(text)}"}`;
    };
    const absent = `{"digest":"sha256:${sha('elsewhere')}"}`;
    const manifest = put(`{"config":${put('config')},"layers":[${put('layer')}]}`);
    const index = (root: string): void => writeFileSync(join(from, 'index.json'), `{"manifests":[${root}]}`);
    index(put(`{"manifests":[${manifest},${absent}]}`));
    expect(await prepare(from)).toEqual({ ok: true, value: undefined });
    for (const root of [absent, put(`{"config":${absent}}`), put(`{"manifests":[${put(`{"layers":[${absent}]}`)}]}`)]) {
      rmSync(join(folder, 'stick'), { recursive: true, force: true });
      index(root);
      expect(await prepare(from)).toMatchObject({
        ok: false,
        failure: { code: 'media-damaged', message: expect.stringContaining(`sha256:${sha('elsewhere')}`) as string },
      });
      expect(existsSync(join(folder, 'stick'))).toBe(false);
    }
    writeFileSync(join(from, 'index.json'), '{"manifests":');
    expect(codeOf(await prepare(from))).toBe('media-damaged');
  });

  test('is never the medium itself, which would lose its index', async () => {
    const from = medium();
    for (const to of [from, join(from, '.'), join(from, 'blobs')])
      expect(codeOf(await prepareStick({ from, to, onEvent: () => undefined }))).toBe('option-invalid');
    expect(existsSync(join(from, 'index.json'))).toBe(true);
  });

  test('never leads to other files of this machine by its links', async () => {
    const from = medium();
    const secret = join(folder, 'shadow');
    writeFileSync(secret, 'root:x');
    mkdirSync(join(folder, 'stick', 'blobs', 'sha256'), { recursive: true });
    for (const name of ['index.json.part', join('blobs', 'sha256', `${sha('one')}.part`)]) symlinkSync(secret, join(folder, 'stick', name));
    expect(await prepare(from)).toEqual({ ok: true, value: undefined });
    expect(readFileSync(secret, 'utf8')).toBe('root:x');
    rmSync(join(folder, 'stick', 'blobs'), { recursive: true });
    mkdirSync(join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'stick', 'blobs'));
    expect(codeOf(await prepare(from))).toBe('media-invalid');
    expect(readdirSync(join(folder, 'elsewhere'))).toEqual([]);
  });

  test('takes packages of the agent along', async () => {
    const packages = join(folder, 'packages');
    mkdirSync(packages);
    for (const name of ['groundplane-agent-1.0.0-linux-x64.tar.zst', 'install.sh', 'SHA256SUMS', 'private.key']) writeFileSync(join(packages, name), name);
    expect((await prepare(medium(), packages)).ok).toBe(true);
    expect(readdirSync(join(folder, 'stick', 'agent')).toSorted()).toEqual(['SHA256SUMS', 'groundplane-agent-1.0.0-linux-x64.tar.zst', 'install.sh']);
    expect(codeOf(await prepare(medium(), folder))).toBe('package-missing');
  });
});
