import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestBytes } from '@groundplane/protocol/digest';
import type { FileToWrite, Host, UnitState } from '@groundplane/agent/port/host';
import { bad, good } from './cluster-objects.ts';

export interface HostUnderTest {
  host: Host;
  /** What the machine knew before us. */
  addSysctl(key: string, value: string): void;
  addUnit(unit: string, state: UnitState): void;
  /** The unit's program ends with an error from now on. */
  breakUnit(unit: string): void;
  remove(): void;
  /** Makes the files that accounts live in; false where that is not possible. */
  prepareAccounts(): boolean;
}

const file = (path: string, content: string, fields: Partial<FileToWrite> = {}): FileToWrite => ({
  path,
  content,
  mode: '0644',
  owner: 'root',
  group: 'root',
  ...fields,
});

/** What every Host has to do. */
export const hostConformance = (name: string, make: () => HostUnderTest): void => {
  describe(`Host: ${name}`, () => {
    let under: HostUnderTest;
    let host: Host;
    beforeEach(() => {
      under = make();
      host = under.host;
    });
    afterEach(() => under.remove());

    test('says what it is', async () => {
      const info = await host.info();
      expect(info.cpus).toBeGreaterThan(0);
      expect(info.hostname).not.toBe('');
    });

    test('a file that is not there is absent, also when its folder is not there', async () => {
      expect(good(await host.readFile('/etc/none'))).toBe('absent');
      expect(good(await host.readFile('/etc/none/of/this'))).toBe('absent');
      good(await host.writeFile(file('/etc/plain', 'x')));
      expect(good(await host.readFile('/etc/plain/below'))).toBe('absent');
    });

    test.each(['0644', '0600', '0755', '0400'])('a file comes back as it was written, with mode %s', async (mode) => {
      for (const content of ['', 'one line\n', 'Grüße 日本\n'.repeat(1_000)]) {
        good(await host.writeFile(file('/etc/deep/er/file.conf', content, { mode })));
        expect(good(await host.readFile('/etc/deep/er/file.conf'))).toEqual({ content, digest: digestBytes(content), mode, owner: 'root', group: 'root' });
      }
    });

    test('writing again replaces content and mode; three digits of mode mean the same', async () => {
      good(await host.writeFile(file('/etc/a', 'one', { mode: '0600' })));
      good(await host.writeFile(file('/etc/a', 'two', { mode: '644' })));
      expect(good(await host.readFile('/etc/a'))).toMatchObject({ content: 'two', mode: '0644' });
    });

    test('what was there before can be put back', async () => {
      good(await host.writeFile(file('/etc/a', 'factory', { mode: '0640' })));
      const before = good(await host.readFile('/etc/a'));
      good(await host.writeFile(file('/etc/a', 'ours')));
      if (before !== 'absent') good(await host.writeFile({ path: '/etc/a', ...before }));
      expect(good(await host.readFile('/etc/a'))).toEqual(before);
    });

    test('removing works, and works again', async () => {
      good(await host.writeFile(file('/etc/a', 'x')));
      good(await host.removeFile('/etc/a'));
      good(await host.removeFile('/etc/a'));
      good(await host.removeFile('/etc/none/of/this'));
      expect(good(await host.readFile('/etc/a'))).toBe('absent');
    });

    test('settings are read and written; an unknown one is refused by name', async () => {
      under.addSysctl('vm.swappiness', '60');
      expect(good(await host.readSysctl('vm.swappiness'))).toBe('60');
      good(await host.writeSysctl('vm.swappiness', '10'));
      expect(good(await host.readSysctl('vm.swappiness'))).toBe('10');
      expect(good(await host.readSysctl('vm.no_such_thing'))).toBe('absent');
      expect(bad(await host.writeSysctl('vm.no_such_thing', '1'), 'sysctl-unknown', 'blocked').element).toBe('vm.no_such_thing');
    });

    test('units: unknown is absent; enabled and active are set independently', async () => {
      expect(good(await host.readUnit('none.service'))).toBe('absent');
      under.addUnit('app.service', { enabled: false, active: false });
      for (const state of [
        { enabled: true, active: true },
        { enabled: true, active: false },
        { enabled: false, active: true },
        { enabled: false, active: false },
      ]) {
        good(await host.setUnit('app.service', { ...state, restart: state.active }));
        expect(good(await host.readUnit('app.service'))).toEqual(state);
      }
    });

    test('a unit file of ours makes a unit, and the unit goes with it', async () => {
      good(await host.writeFile(file('/etc/systemd/system/ours.service', '[Service]\nExecStart=/bin/true\n')));
      good(await host.reloadUnits());
      expect(good(await host.readUnit('ours.service'))).toEqual({ enabled: false, active: false });
      good(await host.setUnit('ours.service', { enabled: true, active: true, restart: true }));
      expect(good(await host.readUnit('ours.service'))).toEqual({ enabled: true, active: true });
    });

    test('accounts come with a home and locked, get groups, and go; groups of others stay', async () => {
      if (!under.prepareAccounts()) return;
      expect(good(await host.readAccount('gp-ops'))).toBe('absent');
      good(await host.setAccount('gp-ops', { groups: ['gp-one'], shell: '/bin/sh' }));
      good(await host.setAccount('gp-ops', { groups: ['gp-two'], shell: '/bin/bash' }));
      good(await host.setAccount('gp-ops', { groups: [], shell: '/bin/bash' }));
      const state = good(await host.readAccount('gp-ops'));
      expect(state === 'absent' ? state : { ...state, groups: state.groups.toSorted() }).toEqual({
        groups: ['gp-one', 'gp-ops', 'gp-two'],
        shell: '/bin/bash',
      });
      good(await host.removeAccount('gp-ops'));
      good(await host.removeAccount('gp-ops'));
      expect(good(await host.readAccount('gp-ops'))).toBe('absent');
    });

    test('a module that is not loaded is absent, and one that no kernel has is refused by name', async () => {
      expect(good(await host.readModule('gp_no_such_module'))).toBe('absent');
      expect((await host.loadModule('gp_no_such_module')).ok).toBe(false);
      good(await host.unloadModule('gp_no_such_module'));
    });

    test('a unit that does not start is a failure with its name', async () => {
      under.addUnit('bad.service', { enabled: false, active: false });
      under.breakUnit('bad.service');
      expect(bad(await host.setUnit('bad.service', { enabled: true, active: true, restart: false }), 'unit-failed', 'blocked').element).toBe('bad.service');
      expect(bad(await host.setUnit('none.service', { enabled: true, active: true, restart: false }), 'unit-failed', 'blocked').element).toBe('none.service');
    });
  });
};
