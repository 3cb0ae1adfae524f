import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptPackages } from '@groundplane/agent/system/packages/apt';
import type { Packages } from '@groundplane/agent/port/host';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRequired } from '../lab/prerequisite.ts';
import { bad, good } from '../conformance/cluster-objects.ts';

/** The real apt and dpkg on a root of their own, with packages and a repository made here; the machine's packages are not touched. */
const isRoot = process.getuid?.() === 0;
const lacks = [isRoot ? '' : 'root', ...['apt-get', 'dpkg-deb'].map((name) => (existsSync(`/usr/bin/${name}`) ? '' : name))].filter((name) => name !== '');
const cannot = lacks.length > 0 && !isRequired('root');

let folder: string;
let packages: Packages;

const makePackage = (name: string, version: string, depends = ''): void => {
  const source = join(folder, 'build', `${name}-${version}`);
  mkdirSync(join(source, 'DEBIAN'), { recursive: true });
  mkdirSync(join(source, 'etc'), { recursive: true });
  const control = `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n${depends === '' ? '' : `Depends: ${depends}\n`}`;
  writeFileSync(join(source, 'DEBIAN/control'), control);
  writeFileSync(join(source, 'DEBIAN/conffiles'), `/etc/${name}.conf\n`);
  writeFileSync(join(source, `etc/${name}.conf`), `version=${version}\n`);
  const file = join(folder, 'repository', `${name}_${version.replaceAll(':', '%3a')}_all.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', source, file], { stdio: 'ignore' });
  const bytes = readFileSync(file);
  const index = join(folder, 'repository/Packages');
  const entry = `${control}Filename: ./${file.slice(file.lastIndexOf('/') + 1)}\nSize: ${statSync(file).size}\nSHA256: ${createHash('sha256').update(bytes).digest('hex')}\n\n`;
  writeFileSync(index, existsSync(index) ? readFileSync(index, 'utf8') + entry : entry);
};

describe.skipIf(cannot)(`apt on a root of its own${cannot ? ` (needs ${lacks.join(', ')})` : ''}`, () => {
  beforeAll(() => {
    expect(lacks).toEqual([]);
    folder = mkdtempSync(join(tmpdir(), 'gp-apt-'));
    const root = join(folder, 'root');
    for (const path of [
      'etc/apt/apt.conf.d',
      'etc/apt/preferences.d',
      'var/lib/dpkg/updates',
      'var/lib/dpkg/info',
      'var/lib/apt/lists/partial',
      'var/cache/apt/archives/partial',
      'var/log/apt',
      'tmp',
    ])
      mkdirSync(join(root, path), { recursive: true });
    mkdirSync(join(folder, 'repository'));
    writeFileSync(join(root, 'var/lib/dpkg/status'), '');
    writeFileSync(join(root, 'etc/apt/sources.list'), `deb [trusted=yes] file:${join(folder, 'repository')} ./\n`);
    makePackage('gp-clock', '4.5-1');
    makePackage('gp-clock', '1:4.6-1');
    makePackage('gp-net', '2.0', 'gp-clock');
    makePackage('gp-picky', '1.0', 'gp-absent');
    const apt = [
      `Dir=${root}`,
      `Dir::State::status=${root}/var/lib/dpkg/status`,
      'Dir::Etc::parts=/nonexistent',
      'APT::Architecture=amd64',
      'APT::Sandbox::User=root',
      `Dpkg::Options::=--root=${root}`,
      'Dpkg::Options::=--log=/dev/null',
      'Dpkg::Options::=--force-script-chrootless',
      'Dir::Bin::dpkg=/usr/bin/dpkg',
    ].flatMap((option) => ['-o', option]);
    packages = aptPackages({ apt, dpkg: [`--admindir=${root}/var/lib/dpkg`] });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const config = (name: string): string => readFileSync(join(folder, 'root/etc', `${name}.conf`), 'utf8');
  const states = async (...names: string[]) => Object.fromEntries(good(await packages.read(names)));

  test('nothing is there; lists are fetched when something is not known; a version is pinned and held', async () => {
    expect(await states('gp-clock', 'gp-net')).toEqual({ 'gp-clock': 'absent', 'gp-net': 'absent' });
    good(await packages.install([{ name: 'gp-clock', version: '4.5-1' }]));
    expect(await states('gp-clock')).toEqual({ 'gp-clock': { version: '4.5-1', held: true } });
    expect(config('gp-clock')).toBe('version=4.5-1\n');
  });

  test('several at once; what is held already may move, up and down; a changed configuration stays', async () => {
    writeFileSync(join(folder, 'root/etc/gp-clock.conf'), 'mine\n');
    good(await packages.install([{ name: 'gp-clock', version: '1:4.6-1' }, { name: 'gp-net' }]));
    expect(await states('gp-clock', 'gp-net')).toEqual({ 'gp-clock': { version: '1:4.6-1', held: true }, 'gp-net': { version: '2.0', held: false } });
    expect(config('gp-clock')).toBe('mine\n');
    good(await packages.install([{ name: 'gp-clock', version: '4.5-1', held: false }]));
    expect(await states('gp-clock')).toEqual({ 'gp-clock': { version: '4.5-1', held: false } });
  });

  test('what cannot be is said by its reason, and nothing has changed', async () => {
    expect(bad(await packages.install([{ name: 'gp-nowhere' }]), 'package-unknown', 'blocked').element).toBe('packages gp-nowhere');
    bad(await packages.install([{ name: 'gp-clock', version: '9.9' }]), 'package-unknown', 'blocked');
    bad(await packages.install([{ name: 'gp-picky' }]), 'package-conflict', 'blocked');
    expect(await states('gp-clock', 'gp-picky')).toEqual({ 'gp-clock': { version: '4.5-1', held: false }, 'gp-picky': 'absent' });
  });

  test('removed, also when it is held, also twice; its configuration stays', async () => {
    good(await packages.install([{ name: 'gp-net', version: '2.0' }]));
    good(await packages.remove(['gp-net', 'gp-nowhere']));
    good(await packages.remove(['gp-net']));
    expect(await states('gp-net')).toEqual({ 'gp-net': 'absent' });
    expect(config('gp-net')).toBe('version=2.0\n');
  });
});
