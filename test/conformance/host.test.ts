import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { linuxHost } from '@groundplane/agent/system/linux';
import type { UnitState } from '@groundplane/agent/port/host';
import { digestBytes } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { fakeHost, fakeInfo } from '../fake/host.ts';
import { isRequired } from '../lab/prerequisite.ts';
import { bad, good } from './cluster-objects.ts';
import { hostConformance, type HostUnderTest } from './host.ts';

hostConformance('in memory', () => {
  const host = fakeHost();
  return {
    host,
    addSysctl: (key, value) => void (host.state.sysctls[key] = value),
    addUnit: (unit, state) => void (host.state.units[unit] = state),
    breakUnit: (unit) => host.failNext('setUnit', { kind: 'blocked', code: 'unit-failed', element: unit, message: 'exit 1' }),
    remove: () => undefined,
    prepareAccounts: () => true,
  };
});

/** Stands in for systemd: units are folders with a file for each thing that is true of them, and every call is written down. */
const systemctlScript = (root: string, state: string): string => `#!/bin/sh
for last; do :; done
echo "$@" >> '${state}/calls'
unit="${state}/$last"
known() { [ -d "$unit" ] || [ -f "${root}/etc/systemd/system/$last" ]; }
case "$1" in
  daemon-reload) [ -f '${state}/no-reload' ] && { echo 'reload refused' >&2; exit 1; }; exit 0 ;;
  show)
    known || { echo LoadState=not-found; echo ActiveState=inactive; echo UnitFileState=; exit 0; }
    echo LoadState=loaded
    if [ -f "$unit/failed" ]; then echo ActiveState=failed; elif [ -f "$unit/active" ]; then echo ActiveState=active; else echo ActiveState=inactive; fi
    if [ -f "$unit/enabled" ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi ;;
  status) echo "x $last - a unit"; echo 'Main process exited, code=exited, status=1/FAILURE'; exit 3 ;;
  *)
    known || { echo "Unit $last could not be found." >&2; exit 5; }
    mkdir -p "$unit"
    case "$1" in
      enable) touch "$unit/enabled" ;;
      disable) rm -f "$unit/enabled" ;;
      stop) rm -f "$unit/active" ;;
      start|restart) [ -f "$unit/broken" ] && { touch "$unit/failed"; echo "Job for $last failed." >&2; exit 1; }; touch "$unit/active" ;;
    esac ;;
esac
`;

interface Linux extends HostUnderTest {
  root: string;
  sysctls: string;
  calls(): string[];
  state: string;
}

/** What shadow-utils need of a machine. */
const accountFiles = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\n',
  group: 'root:x:0:\n',
  shadow: 'root:*:19000:0:99999:7:::\n',
  gshadow: 'root:*::\n',
  'login.defs': 'UID_MIN 1000\nGID_MIN 1000\nUID_MAX 60000\nGID_MAX 60000\n',
  subuid: '',
  subgid: '',
};
const isRoot = process.getuid?.() === 0;

const makeLinux = (): Linux => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-host-'));
  const [root, sysctls, state] = [join(folder, 'root'), join(folder, 'sys'), join(folder, 'units')];
  for (const each of [join(root, 'etc'), sysctls, state]) mkdirSync(each, { recursive: true });
  const systemctl = join(folder, 'systemctl');
  writeFileSync(systemctl, systemctlScript(root, state));
  chmodSync(systemctl, 0o755);
  const mark = (unit: string, what: string, is: boolean): void => {
    mkdirSync(join(state, unit), { recursive: true });
    if (is) writeFileSync(join(state, unit, what), '');
  };
  return {
    host: linuxHost({ root, sysctlRoot: sysctls, systemctl, info: fakeInfo }),
    root,
    sysctls,
    state,
    calls: () => readFileSync(join(state, 'calls'), 'utf8').trim().split('\n'),
    addSysctl: (key, value) => {
      const path = join(sysctls, key.replaceAll('.', '/'));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `${value}\n`);
    },
    addUnit: (unit: string, is: UnitState) => {
      mark(unit, 'enabled', is.enabled);
      mark(unit, 'active', is.active);
    },
    breakUnit: (unit) => mark(unit, 'broken', true),
    prepareAccounts: () => {
      for (const [name, text] of Object.entries(accountFiles)) writeFileSync(join(root, 'etc', name), text);
      return isRoot;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};

hostConformance('Linux', makeLinux);

const needsRoot = !isRoot && !isRequired('root');

describe('Host: Linux, what only a real one has', () => {
  let linux: Linux;
  beforeEach(() => {
    linux = makeLinux();
  });
  afterEach(() => linux.remove());
  const at = (path: string): string => join(linux.root, path);
  const plain = { mode: '0644', owner: 'root', group: 'root' };

  test('links, folders and devices are refused, and what a link points to is not touched', async () => {
    writeFileSync(at('/etc/secret'), 'secret');
    symlinkSync(at('/etc/secret'), at('/etc/link'));
    symlinkSync('/nowhere', at('/etc/dangling'));
    mkdirSync(at('/etc/folder'));
    for (const path of ['/etc/link', '/etc/dangling', '/etc/folder']) expect(bad(await linux.host.readFile(path), 'file-unsafe', 'fatal').element).toBe(path);
    bad(await linux.host.writeFile({ path: '/etc/folder', content: 'x', ...plain }), 'file-unsafe', 'fatal');
    bad(await linux.host.removeFile('/etc/folder'), 'file-unsafe', 'fatal');
    good(await linux.host.writeFile({ path: '/etc/link', content: 'ours', ...plain }));
    expect(readFileSync(at('/etc/secret'), 'utf8')).toBe('secret');
    expect(good(await linux.host.readFile('/etc/link'))).toMatchObject({ content: 'ours' });
  });

  test('a file that is too large to hold is refused', async () => {
    writeFileSync(at('/etc/huge'), Buffer.alloc(limits.objectBytes + 1));
    bad(await linux.host.readFile('/etc/huge'), 'file-unsafe', 'fatal');
    writeFileSync(at('/etc/edge'), Buffer.alloc(limits.objectBytes));
    good(await linux.host.readFile('/etc/edge'));
  });

  test('no half-written file is left behind, neither after success nor after failure', async () => {
    good(await linux.host.writeFile({ path: '/etc/a', content: 'x', ...plain }));
    await linux.host.writeFile({ path: '/etc/a/b', content: 'x', ...plain });
    mkdirSync(at('/etc/folder'));
    await linux.host.writeFile({ path: '/etc/folder', content: 'x', ...plain });
    expect(readdirSync(at('/etc')).toSorted()).toEqual(['a', 'folder']);
  });

  test('a temporary file that a killed agent left does not stop the next one', async () => {
    writeFileSync(at('/etc/a'), 'before');
    writeFileSync(at(`/etc/.groundplane-${digestBytes('/etc/a').slice(7, 23)}.new`), 'half');
    good(await linux.host.writeFile({ path: '/etc/a', content: 'whole', ...plain }));
    expect(readdirSync(at('/etc'))).toEqual(['a']);
  });

  test('writes to different files of one folder at the same time do not mix', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => linux.host.writeFile({ path: `/etc/many/${index}`, content: `content ${index}`, ...plain })));
    const read = await Promise.all(Array.from({ length: 20 }, (_, index) => linux.host.readFile(`/etc/many/${index}`)));
    expect(read.map((item) => (item.ok && item.value !== 'absent' ? item.value.content : ''))).toEqual(
      Array.from({ length: 20 }, (_, index) => `content ${index}`),
    );
  });

  test('missing folders are made with mode 0755, whatever the umask', async () => {
    const before = process.umask(0o077);
    good(await linux.host.writeFile({ path: '/etc/new/folder/a', content: 'x', ...plain }));
    process.umask(before);
    expect((statSync(at('/etc/new')).mode & 0o777).toString(8)).toBe('755');
    expect((statSync(at('/etc/new/folder')).mode & 0o777).toString(8)).toBe('755');
    expect((statSync(at('/etc/new/folder/a')).mode & 0o777).toString(8)).toBe('644');
  });

  test('an account that does not exist is a failure with its name', async () => {
    expect(
      bad(await linux.host.writeFile({ path: '/etc/a', content: 'x', mode: '0644', owner: 'nobody-knows', group: 'root' }), 'account-unknown', 'blocked')
        .message,
    ).toContain('nobody-knows');
    expect(
      bad(await linux.host.writeFile({ path: '/etc/a', content: 'x', mode: '0644', owner: 'root', group: 'nobody-knows' }), 'account-unknown', 'blocked')
        .message,
    ).toContain('nobody-knows');
    expect(good(await linux.host.readFile('/etc/a'))).toBe('absent');
  });

  test.skipIf(needsRoot)(`owner and group are set by name and read back by name${needsRoot ? ' (needs root)' : ''}`, async () => {
    writeFileSync(at('/etc/passwd'), 'root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/false\n');
    writeFileSync(at('/etc/group'), 'root:x:0:\nstaff:x:50:\n');
    good(await linux.host.writeFile({ path: '/etc/a', content: 'x', mode: '0640', owner: 'daemon', group: 'staff' }));
    expect(good(await linux.host.readFile('/etc/a'))).toMatchObject({ owner: 'daemon', group: 'staff', mode: '0640' });
    expect(statSync(at('/etc/a'))).toMatchObject({ uid: 1, gid: 50 });
    good(await linux.host.writeFile({ path: '/etc/s', content: 'x', mode: '4755', owner: 'daemon', group: 'root' }));
    expect(good(await linux.host.readFile('/etc/s'))).toMatchObject({ mode: '4755' });
  });

  test('a setting that the kernel refuses is named; white space of the kernel is evened out', async () => {
    linux.addSysctl('net.ipv4.tcp_rmem', '4096\t131072\t6291456');
    expect(good(await linux.host.readSysctl('net.ipv4.tcp_rmem'))).toBe('4096 131072 6291456');
    mkdirSync(join(linux.sysctls, 'vm', 'folder'), { recursive: true });
    const refused = await linux.host.writeSysctl('vm.folder', '1');
    expect(refused.ok).toBe(false);
    if (isRoot)
      expect((await linuxHost({ root: linux.root, sysctlRoot: '/proc/sys', systemctl: 'false', info: fakeInfo }).writeSysctl('kernel.ostype', 'x')).ok).toBe(
        false,
      );
  });

  test('a unit that does not start says its last words', async () => {
    linux.addUnit('bad.service', { enabled: false, active: false });
    linux.breakUnit('bad.service');
    const failure = bad(await linux.host.setUnit('bad.service', { enabled: true, active: true, restart: false }), 'unit-failed', 'blocked');
    expect(failure.message).toContain('Job for bad.service failed.');
    expect(failure.message).toContain('status=1/FAILURE');
    expect(good(await linux.host.readUnit('bad.service'))).toEqual({ enabled: true, active: false });
  });

  test('systemctl gets its words one by one, and never through a shell', async () => {
    linux.addUnit('app.service', { enabled: false, active: false });
    good(await linux.host.setUnit('app.service', { enabled: true, active: true, restart: true }));
    await linux.host.readUnit('$(touch x).service');
    expect(linux.calls()).toEqual(['enable app.service', 'restart app.service', 'show --property=LoadState,ActiveState,UnitFileState $(touch x).service']);
  });

  test('a reload that fails is a failure; without systemctl units cannot be read', async () => {
    writeFileSync(join(linux.state, 'no-reload'), '');
    bad(await linux.host.reloadUnits(), 'host-error', 'retry');
    const without = linuxHost({ root: linux.root, sysctlRoot: linux.sysctls, systemctl: '/does/not/exist', info: fakeInfo });
    expect(bad(await without.readUnit('a.service'), 'host-error', 'blocked').message).toContain('no systemctl');
  });
});
