import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { here, keys, lacking, scriptsFolder, standInFiles, writePackage } from './packages.ts';

const why = lacking(['zstd', 'openssl']);
const script = join(scriptsFolder, 'install.sh');
const scripts = Object.fromEntries(
  ['install.sh', 'launch.sh', 'groundplane-agent.service', '60-groundplane-media.rules'].map((name) => [name, readFileSync(join(scriptsFolder, name))]),
);

describe.skipIf(why !== '')(`install script${why}`, () => {
  let folder = '';
  let root = '';
  let key = '';
  let ticket = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gp-install-'));
    root = join(folder, 'root');
    // As a host with udev has it.
    mkdirSync(join(root, 'etc/udev/rules.d'), { recursive: true });
    key = join(folder, 'key.pem');
    writeFileSync(key, keys.publicPem);
    ticket = join(folder, 'ticket');
    writeFileSync(ticket, 'gpt1.eyJ9\n', { mode: 0o644 });
    // Writes down how it was called; the service is active once it was started.
    writeFileSync(
      join(folder, 'systemctl'),
      `#!/bin/sh\necho "$*" >>'${folder}/calls'\ncase $1 in is-active) [ -f '${folder}/active' ] ;; restart) touch '${folder}/active' ;; disable) rm -f '${folder}/active' ;; esac\n`,
    );
    chmodSync(join(folder, 'systemctl'), 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const run = (...args: string[]) => spawnSync('sh', [script, '--root', root, ...args], { encoding: 'utf8' });
  const live = (...args: string[]) => run('--systemctl', join(folder, 'systemctl'), ...args);
  const calls = (): string[] => (existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : []);
  const release = (version: string, behaviour: 'healthy' | 'crash' = 'healthy') =>
    writePackage(join(folder, version), version, standInFiles(behaviour, scripts));
  const inRoot = (...parts: string[]): string => join(root, ...parts);
  const tree = (at: string): string[] =>
    readdirSync(at, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .filter((path) => !path.startsWith('opt/groundplane/current/'))
      .toSorted();
  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

  test('puts everything in its place and starts', async () => {
    const file = await release('1.0.0');
    const slot = `1.0.0-${digest(file).slice(0, 12)}`;
    const done = live('--package', file, '--key', key, '--ticket', ticket);
    expect(done.stderr).toBe('');
    expect(done.status).toBe(0);
    expect(done.stdout).toContain('the signature is good');
    expect(tree(root)).toEqual([
      'etc/systemd/system/groundplane-agent.service',
      'etc/udev/rules.d/60-groundplane-media.rules',
      'opt/groundplane/current',
      'opt/groundplane/launch.sh',
      ...['60-groundplane-media.rules', 'agent/agent.mjs', 'bin/node', 'groundplane-agent.service', 'install.sh', 'launch.sh', 'manifest.json'].map(
        (name) => `opt/groundplane/versions/${slot}/${name}`,
      ),
      'usr/local/sbin/groundplane-agent',
      'var/lib/groundplane/ticket',
    ]);
    expect(readlinkSync(inRoot('opt/groundplane/current'))).toBe(`versions/${slot}`);
    expect(readFileSync(inRoot('var/lib/groundplane/ticket'), 'utf8')).toBe('gpt1.eyJ9\n');
    expect(statSync(inRoot('var/lib/groundplane/ticket')).mode & 0o777).toBe(0o600);
    expect(statSync(inRoot('var/lib/groundplane')).mode & 0o777).toBe(0o700);
    expect(calls()).toEqual(['daemon-reload', 'enable groundplane-agent.service', 'restart groundplane-agent.service']);
  });

  test('a second run changes and restarts nothing', async () => {
    const file = await release('1.0.0');
    live('--package', file, '--key', key, '--ticket', ticket);
    const before = calls().length;
    const again = live('--package', file, '--key', key);
    expect(again.status).toBe(0);
    expect(again.stdout).toContain('nothing has changed');
    expect(calls().slice(before)).toEqual(['daemon-reload', 'enable groundplane-agent.service', 'is-active --quiet groundplane-agent.service']);
  });

  test('an update keeps the version before, and only that one', async () => {
    for (const version of ['1.0.0', '1.1.0', '1.2.0']) expect(live('--package', await release(version), '--key', key, '--ticket', ticket).status).toBe(0);
    expect(readdirSync(inRoot('opt/groundplane/versions')).map((name) => name.split('-')[0])).toEqual(['1.1.0', '1.2.0']);
    expect(readlinkSync(inRoot('opt/groundplane/current'))).toMatch(/^versions\/1\.2\.0-/);
    expect(readlinkSync(inRoot('opt/groundplane/previous'))).toMatch(/^versions\/1\.1\.0-/);
  });

  test('an update over a bad update keeps the way back to the good one', async () => {
    live('--package', await release('1.0.0'), '--key', key, '--ticket', ticket);
    const good = readlinkSync(inRoot('opt/groundplane/current'));
    writeFileSync(inRoot('var/lib/groundplane/slots/healthy'), `${good.replace('versions/', '')}\n`);
    for (const version of ['1.1.0', '1.2.0']) expect(live('--package', await release(version, 'crash'), '--key', key).status).toBe(0);
    expect(readlinkSync(inRoot('opt/groundplane/previous'))).toBe(good);
    expect(readdirSync(inRoot('opt/groundplane/versions')).map((name) => name.split('-')[0])).toEqual(['1.0.0', '1.2.0']);
  });

  test('the same version built anew is another slot', async () => {
    live('--package', await release('1.0.0'), '--key', key, '--ticket', ticket);
    const first = readlinkSync(inRoot('opt/groundplane/current'));
    expect(live('--package', await release('1.0.0', 'crash'), '--key', key).status).toBe(0);
    expect(readlinkSync(inRoot('opt/groundplane/previous'))).toBe(first);
    expect(readlinkSync(inRoot('opt/groundplane/current'))).not.toBe(first);
  });

  test('what was installed starts, and a bad update comes back by itself', async () => {
    const start = () =>
      spawnSync('sh', [inRoot('opt/groundplane/launch.sh')], {
        env: { PATH: process.env['PATH'], GROUNDPLANE_HOME: inRoot('opt/groundplane'), GROUNDPLANE_MARKS: inRoot('var/lib/groundplane/slots') },
      }).status;
    live('--package', await release('1.0.0'), '--key', key, '--ticket', ticket);
    expect(start()).toBe(0);
    live('--package', await release('1.1.0', 'crash'), '--key', key);
    expect([start(), start(), start(), start()]).toEqual([1, 1, 1, 0]);
    expect(readlinkSync(inRoot('opt/groundplane/current'))).toMatch(/^versions\/1\.0\.0-/);
  });

  test('an image gets everything but a start', async () => {
    const other = here === 'x64' ? 'arm64' : 'x64';
    const file = await writePackage(join(folder, 'p'), '1.0.0', standInFiles('healthy', scripts), other);
    const done = run('--package', file, '--key', key, '--name', 'till-7', '--carrier', 'mqtt');
    expect(done.stderr).toBe('');
    expect(done.status).toBe(0);
    expect(readlinkSync(inRoot('etc/systemd/system/multi-user.target.wants/groundplane-agent.service'))).toBe('/etc/systemd/system/groundplane-agent.service');
    expect(readFileSync(inRoot('etc/groundplane/agent.env'), 'utf8')).toBe('GROUNDPLANE_AGENT_OPTIONS=--name till-7 --carrier mqtt\n');
    expect(calls()).toEqual([]);
  });

  test('uninstall leaves the identity, and with --purge nothing', async () => {
    const file = await release('1.0.0');
    live('--package', file, '--key', key, '--ticket', ticket, '--name', 'a');
    writeFileSync(inRoot('var/lib/groundplane/device.key'), 'key');
    expect(live('--uninstall').status).toBe(0);
    expect(tree(root)).toEqual(['var/lib/groundplane/device.key', 'var/lib/groundplane/ticket']);
    expect(calls()).toContain('disable --now groundplane-agent.service');
    live('--package', file, '--key', key);
    run('--no-start', '--package', file, '--key', key);
    expect(live('--uninstall', '--purge').status).toBe(0);
    expect(tree(root)).toEqual([]);
    expect(live('--uninstall', '--purge').status).toBe(0);
  });

  test('a host without udev has no folder of it, neither while the agent is there nor after', async () => {
    rmSync(inRoot('etc'), { recursive: true });
    expect(live('--package', await release('1.0.0'), '--key', key, '--ticket', ticket).status).toBe(0);
    expect(existsSync(inRoot('etc/udev'))).toBe(false);
    expect(live('--uninstall', '--purge').status).toBe(0);
    expect(existsSync(inRoot('etc/udev'))).toBe(false);
  });

  describe('is refused, and nothing is changed:', () => {
    const refused = (code: number, text: string, ...args: string[]): void => {
      const done = live('--ticket', ticket, ...args);
      expect(done.stderr).toContain(text);
      expect(done.status).toBe(code);
      expect(existsSync(inRoot('opt/groundplane'))).toBe(false);
      expect(tree(root)).toEqual([]);
      expect(calls()).toEqual([]);
    };

    test('a package that nobody vouches for', async () => refused(4, 'nobody vouches', '--package', await release('1.0.0')));

    test('a package that was changed', async () => {
      const file = await release('1.0.0');
      writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('x')]));
      refused(4, 'SHA256SUMS says', '--package', file, '--key', key);
      refused(4, 'SHA256SUMS says', '--package', file, '--insecure');
    });

    test('sums that were changed with it', async () => {
      const file = await release('1.0.0');
      writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('x')]));
      writeFileSync(join(folder, '1.0.0/SHA256SUMS'), `${digest(file)}  ${file.split('/').at(-1) ?? ''}\n`);
      refused(4, 'is not by the key', '--package', file, '--key', key);
    });

    test('sums or a signature that are missing', async () => {
      const file = await release('1.0.0');
      rmSync(join(folder, '1.0.0/SHA256SUMS.sig'));
      refused(4, 'SHA256SUMS.sig is missing', '--package', file, '--key', key);
      rmSync(join(folder, '1.0.0/SHA256SUMS'));
      refused(4, 'SHA256SUMS is missing', '--package', file, '--key', key);
    });

    test('the signature of another package under the name of this one', async () => {
      const file = await release('1.0.0');
      const other = await release('0.9.0');
      for (const name of ['SHA256SUMS', 'SHA256SUMS.sig']) writeFileSync(join(folder, '1.0.0', name), readFileSync(join(other, '..', name)));
      refused(4, 'SHA256SUMS says ""', '--package', file, '--key', key);
    });

    test('what is no digest', async () => refused(2, 'is no digest', '--package', await release('1.0.0'), '--sha256', `${'0'.repeat(63)}g`));
    test('a digest that is cut', async () => refused(2, 'it has 63', '--package', await release('1.0.0'), '--sha256', '0'.repeat(63)));
    test('another digest than the one given', async () => refused(4, '--sha256 says', '--package', await release('1.0.0'), '--sha256', '0'.repeat(64)));

    test('no ticket', async () => {
      const done = live('--package', await release('1.0.0'), '--key', key);
      expect(done.stderr).toContain('there is no ticket yet');
      expect(done.status).toBe(2);
      expect(existsSync(inRoot('opt/groundplane'))).toBe(false);
    });

    test('wrong options', async () => {
      refused(2, 'unknown option --frob', '--frob');
      refused(2, '--package needs a value', '--package');
      refused(2, 'only letters', '--name', 'a b;c');
      refused(2, '--carrier is ws or mqtt', '--carrier', 'pigeon');
      refused(2, 'there is no such file', '--package', join(folder, 'nothing'), '--insecure');
      refused(2, '--purge goes with', '--purge');
      writeFileSync(join(folder, 'other.tar.zst'), 'x');
      refused(2, 'is not the name of a package', '--package', join(folder, 'other.tar.zst'), '--insecure');
    });
  });

  test('a digest from a trusted source is enough', async () => {
    const file = await release('1.0.0');
    rmSync(join(folder, '1.0.0/SHA256SUMS'));
    for (const text of [digest(file), `sha256:${digest(file)}`, digest(file).toUpperCase()])
      expect(live('--package', file, '--sha256', text, '--ticket', ticket).status).toBe(0);
  });

  test('what is no package of the agent is thrown away again', async () => {
    const file = await writePackage(join(folder, 'p'), '1.0.0', [{ path: 'bin/node', data: Buffer.from('x'), isExecutable: true }]);
    const done = live('--package', file, '--key', key, '--ticket', ticket);
    expect(done.stderr).toContain('it lacks agent/agent.mjs');
    expect(done.status).toBe(4);
    expect(existsSync(inRoot('opt/groundplane'))).toBe(false);
  });

  test('a ticket may come by standard input', async () => {
    const args = [script, '--root', root, '--package', await release('1.0.0'), '--key', key, '--ticket', '-'];
    expect(spawnSync('sh', args, { input: 'gpt1.fromStdin\n', encoding: 'utf8' }).status).toBe(0);
    expect(readFileSync(inRoot('var/lib/groundplane/ticket'), 'utf8')).toBe('gpt1.fromStdin\n');
  });

  test('what is no ticket is not kept, and the old one stays', async () => {
    const file = await release('1.0.0');
    live('--package', file, '--key', key, '--ticket', ticket);
    writeFileSync(ticket, 'hello');
    expect(live('--package', file, '--key', key, '--ticket', ticket).status).toBe(2);
    expect(readFileSync(inRoot('var/lib/groundplane/ticket'), 'utf8')).toBe('gpt1.eyJ9\n');
    expect(readdirSync(inRoot('var/lib/groundplane')).toSorted()).toEqual(['slots', 'ticket']);
  });

  test('says everything that a machine lacks at once', async () => {
    const tools = join(folder, 'tools');
    mkdirSync(tools);
    for (const name of ['sh', 'cat', 'uname', 'df', 'awk', 'dirname']) {
      const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
      writeFileSync(join(tools, name), `#!/bin/sh\nexec ${found} "$@"\n`, { mode: 0o755 });
    }
    const done = spawnSync('/bin/sh', [script, '--root', root, '--key', key, '--package', await release('1.0.0')], { encoding: 'utf8', env: { PATH: tools } });
    expect(done.status).toBe(3);
    for (const name of ['tar', 'zstd', 'sha256sum', 'mktemp', 'openssl']) expect(done.stderr).toContain(name);
    expect(tree(root)).toEqual([]);
  });

  test('remains of a cut run are cleared away', async () => {
    const file = await release('1.0.0');
    mkdirSync(inRoot('opt/groundplane/versions/.new-abcdef/bin'), { recursive: true });
    mkdirSync(inRoot('opt/groundplane/.incoming-abcdef'));
    expect(live('--package', file, '--key', key, '--ticket', ticket).status).toBe(0);
    expect(readdirSync(inRoot('opt/groundplane/versions'))).toHaveLength(1);
    expect(readdirSync(inRoot('opt/groundplane')).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(lstatSync(inRoot('opt/groundplane/current')).isSymbolicLink()).toBe(true);
  });
});
