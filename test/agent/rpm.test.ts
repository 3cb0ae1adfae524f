import { rpmPackages } from '@groundplane/agent/system/packages/rpm';
import { describe, expect, test } from 'vitest';
import { bad, good } from '../conformance/cluster-objects.ts';

interface Answer {
  code?: number;
  stdout?: string;
  stderr?: string;
}
/** Plays the package manager: answers by the beginning of the command line, and writes down what was asked. */
const script = (answers: Record<string, Answer>) => {
  const asked: string[] = [];
  return {
    asked,
    run: (command: string, args: readonly string[]) => {
      const line = [command, ...args].join(' ');
      asked.push(line);
      const found = Object.entries(answers).find(([start]) => line.startsWith(start))?.[1] ?? {};
      return Promise.resolve({ code: found.code ?? 0, stdout: found.stdout ?? '', stderr: found.stderr ?? '' });
    },
  };
};
const rpm = { 'rpm --query': { code: 1, stdout: 'bash\t5.2.26-3.el9\npackage curl is not installed\n' } };

describe('dnf and zypper, by their words (neither runs here)', () => {
  test.each([
    ['dnf', 'dnf versionlock list', 'bash-0:5.2.26-3.el9.*\n'],
    ['dnf', 'dnf versionlock list', '# Added by versionlock\nPackage name: bash\nevr = 5.2.26-3.el9\n'],
    [
      'zypper',
      'zypper --non-interactive --terse locks',
      '# | Name | Type    | Repository | Comment\n--+------+---------+------------+--------\n1 | bash | package | (any)      |\n',
    ],
  ] as const)('%s: versions and locks are read', async (name, command, stdout) => {
    const manager = rpmPackages(name, script({ ...rpm, [command]: { stdout } }).run);
    expect(Object.fromEntries(good(await manager.read(['bash', 'curl'])))).toEqual({ bash: { version: '5.2.26-3.el9', held: true }, curl: 'absent' });
  });

  test('a pinned version is unlocked, installed and locked again, in one transaction with the others', async () => {
    const dnf = script({ ...rpm, 'dnf versionlock list': { stdout: 'bash-0:5.2.26-3.el9.*\n' } });
    good(await rpmPackages('dnf', dnf.run).install([{ name: 'bash', version: '5.2.27-1.el9' }, { name: 'curl' }]));
    expect(dnf.asked).toEqual([
      'dnf versionlock list --quiet',
      'dnf versionlock delete bash',
      'dnf install --assumeyes --allowerasing --setopt=install_weak_deps=False bash-5.2.27-1.el9 curl',
      'dnf needs-restarting --reboothint',
      'dnf versionlock add bash',
    ]);
    const zypper = script(rpm);
    good(await rpmPackages('zypper', zypper.run).install([{ name: 'bash', version: '5.2.27-1', held: false }]));
    expect(zypper.asked.slice(1)).toEqual(['zypper --non-interactive install --no-recommends --oldpackage --auto-agree-with-licenses bash=5.2.27-1']);
  });

  test('only what is there is removed', async () => {
    const dnf = script(rpm);
    good(await rpmPackages('dnf', dnf.run).remove(['bash', 'curl']));
    expect(dnf.asked.slice(-2)).toEqual(['dnf remove --assumeyes --setopt=clean_requirements_on_remove=False bash', 'dnf needs-restarting --reboothint']);
  });

  test.each([
    [
      'Core libraries or services have been updated since boot-up:\n  * glibc\n  * kernel\n\nReboot is required to fully utilize these updates.\n',
      [['glibc', 'kernel']],
    ],
    ['No core libraries or services have been updated since boot-up.\nReboot should not be necessary.\n', []],
    // The plugin is not there: the exit code is that of a needed reboot.
    ['', []],
  ])('dnf is asked after a change whether a reboot is needed', async (stdout, expected) => {
    const noted: (readonly string[])[] = [];
    const dnf = script({ ...rpm, 'dnf needs-restarting': { code: 1, stdout } });
    const manager = rpmPackages('dnf', dnf.run, (packages) => Promise.resolve(void noted.push(packages)));
    good(await manager.install([{ name: 'curl' }]));
    expect(noted).toEqual(expected);
    const broken = rpmPackages('dnf', dnf.run, () => Promise.reject(new Error('full')));
    good(await broken.install([{ name: 'curl' }]));
  });

  test.each([
    ['Error: Unable to find a match: nowhere', 'package-unknown', 'blocked'],
    ['This command has to be run with superuser privileges', 'host-denied', 'blocked'],
    ['System management is locked by the application with pid 7', 'package-busy', 'retry'],
    ['Curl error (6): Could not resolve host', 'repository-unreachable', 'retry'],
    ['something else', 'package-failed', 'blocked'],
  ] as const)('%s', async (stderr, code, kind) => {
    const manager = rpmPackages('dnf', script({ 'dnf install': { code: 1, stderr } }).run);
    expect(bad(await manager.install([{ name: 'nowhere' }]), code, kind).element).toBe('packages nowhere');
  });
});
