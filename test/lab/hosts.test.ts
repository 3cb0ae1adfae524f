import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cgroupsOf } from './hosts/enclosure.ts';
import { createHostSite } from './hosts/site.ts';
import { missingForHosts } from './hosts/prerequisite.ts';
import { isRequired } from './prerequisite.ts';

const missing = missingForHosts();
const cannot = missing.length > 0 && !isRequired('hosts');
const main = join(import.meta.dirname, '..', 'e2e', 'main.ts');

const e2e = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 600_000 });

describe('test hosts', () => {
  test('say what is missing on another operating system', () => {
    expect(missingForHosts('darwin')).toEqual(['Test hosts run on Linux only; this is darwin.']);
  });

  test('cgroups of a process are found in the hierarchies that are mounted', () => {
    const text = '3:no-such-controller:/a\n2:name=no-such-hierarchy:/\n1:cpu,memory-none:/b:c\n';
    expect(cgroupsOf('self', text)).toEqual([]);
  });

  test('refuse to make interfaces outside of an enclosure', async () => {
    await expect(createHostSite({ base: '/nowhere' })).rejects.toThrow('run in an enclosure only');
  });

  test.each([[['nothing']], [['hosts', 'nothing']], [['hosts', '--points', '0']], [['hosts', '--seed', 'x']]])('wrong arguments are named: %j', (args) => {
    const result = e2e(...args);
    expect(result.status).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toContain('npm run e2e -- hosts');
  });
});

describe.skipIf(cannot)(`hosts with systemd${cannot ? ` (missing: ${missing.join(' ')})` : ''}`, () => {
  test('boot, keep their disks over a power cut, come back from a reboot, and leave nothing', () => {
    const result = e2e('hosts', 'boot', '--json');
    const said = JSON.parse(result.stdout) as { ok: boolean; scenarios: { name: string; ok: boolean; failure?: string }[] };
    expect(said.scenarios.map(({ name, ok, failure }) => ({ name, ok, failure }))).toEqual([{ name: 'boot', ok: true, failure: undefined }]);
    expect(result.status).toBe(0);
  }, 600_000);
});
