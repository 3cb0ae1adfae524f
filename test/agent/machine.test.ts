import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { linuxExtensions } from '@groundplane/agent/system/extensions';
import { allowFile, linuxMachine, noteReboot } from '@groundplane/agent/system/machine';
import { bootOrder, parseEntries, runningHealth, slotState } from '@groundplane/agent/system/os-images/boot-entries';
import { healthyMark, isImageHealthy, watchImageHealth } from '@groundplane/agent/system/os-images/health';
import { erofsSize } from '@groundplane/agent/system/os-images/running-files';
import { virtualClock } from '../fake/clock.ts';
import { bad, good } from '../conformance/cluster-objects.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gp-machine-'));
});
afterEach(() => rmSync(root, { recursive: true }));
const put = (path: string, text: string | Buffer): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

describe('a Linux machine', () => {
  const calls: string[] = [];
  const machine = (code = 0) =>
    linuxMachine({
      root,
      systemctl: 'systemctl',
      run: (file, args) => {
        calls.push([file, ...args].join(' '));
        return Promise.resolve({ code, stdout: '', stderr: 'Access denied' });
      },
    });

  test('names its boot, and says when it cannot', async () => {
    bad(await machine().bootId(), 'host-error', 'retry');
    put('/proc/sys/kernel/random/boot_id', 'abc\n');
    expect(good(await machine().bootId())).toBe('abc');
  });

  test.each([['/run/reboot-required'], ['/run/reboot-needed']])('the distribution asks by %s', async (file) => {
    expect(good(await machine().rebootNeeded())).toBeUndefined();
    put(file, '*** System restart required ***\n');
    expect(good(await machine().rebootNeeded())).toBe(file);
    put('/run/reboot-required.pkgs', 'linux-base\nlibc6\nlinux-base\n');
    expect(good(await machine().rebootNeeded())).toBe('libc6, linux-base');
  });

  test('what we noted after a change of packages counts as well, until the next boot', async () => {
    await noteReboot(root, ['kernel', 'glibc']);
    expect(good(await machine().rebootNeeded())).toBe('glibc, kernel');
    await noteReboot(root, []);
    expect(good(await machine().rebootNeeded())).toBe('/run/groundplane/reboot-required');
  });

  test('a person lets it happen by a file; a reboot that is refused is told', async () => {
    expect(good(await machine().isRebootAllowed())).toBe(false);
    put(allowFile, '');
    expect(good(await machine().isRebootAllowed())).toBe(true);
    good(await machine().reboot());
    expect(calls.at(-1)).toBe('systemctl reboot');
    expect(bad(await machine(1).reboot(), 'reboot-failed', 'retry').message).toContain('Access denied');
  });
});

describe('system extensions', () => {
  const extensions = (code = 0) => linuxExtensions({ root, run: () => Promise.resolve({ code, stdout: '', stderr: 'No suitable extensions' }) });

  test('are links that come and go; what somebody else put there is seen', async () => {
    expect(good(await extensions().read('tools'))).toBe('absent');
    good(await extensions().link('tools', '/blobs/one'));
    good(await extensions().link('tools', '/blobs/two'));
    expect(good(await extensions().read('tools'))).toEqual({ path: '/blobs/two' });
    expect(lstatSync(join(root, 'var/lib/extensions/tools.raw')).isSymbolicLink()).toBe(true);
    good(await extensions().unlink('tools'));
    good(await extensions().unlink('tools'));
    put('/var/lib/extensions/other.raw', 'x');
    expect(good(await extensions().read('other'))).toBe('other');
  });

  test('a refresh that fails is told in its own words', async () => {
    good(await extensions().refresh());
    expect(bad(await extensions(1).refresh(), 'extension-failed', 'blocked').message).toContain('No suitable extensions');
    bad(await extensions(127).refresh(), 'extension-unsupported', 'blocked');
  });
});

describe('boot entries', () => {
  const files = ['site_1.0.efi', 'site_1.1+2-1.efi', 'site_1.10+0-3.efi', 'other_9.efi', 'site_2.efi.tmp', 'site_.efi', 'readme'];

  test('only those of the name count, with their tries', () => {
    expect(parseEntries('site', files)).toEqual([
      { file: 'site_1.0.efi', version: '1.0', left: undefined, done: 0 },
      { file: 'site_1.1+2-1.efi', version: '1.1', left: 2, done: 1 },
      { file: 'site_1.10+0-3.efi', version: '1.10', left: 0, done: 3 },
    ]);
  });

  test('those without tries come last, then the newest first', () => {
    const entries = parseEntries('site', files);
    expect(bootOrder(entries).map((entry) => entry.version)).toEqual(['1.1', '1.0', '1.10']);
    expect(['1.1', '1.0', '1.10', '3'].map((version) => slotState(entries, version))).toEqual(['next', 'kept', 'failed', 'staged']);
  });

  test.each([
    ['site_1.0.efi', 'clean', 'good'],
    ['site_1.0+3-0.efi', 'clean', 'good'],
    ['site_1.0+2-1.efi', 'indeterminate', 'trial'],
    ['site_1.0+0-3.efi', 'indeterminate', 'trial'],
    ['site_1.0+0-3.efi', 'clean', 'bad'],
    ['site_1.0+0-0.efi', 'clean', 'good'],
  ])('%s with "%s" is %s', (file, bless, health) => {
    expect(runningHealth(parseEntries('site', [file])[0], bless)).toBe(health);
  });
});

describe('the health of an image', () => {
  test.each([
    [{ uptimeMs: 29_999, hasTalked: true, mustTalk: true }, false],
    [{ uptimeMs: 30_000, hasTalked: true, mustTalk: true }, true],
    [{ uptimeMs: 86_400_000, hasTalked: false, mustTalk: true }, false],
    [{ uptimeMs: 299_999, hasTalked: false, mustTalk: false }, false],
    [{ uptimeMs: 300_000, hasTalked: false, mustTalk: false }, true],
  ])('%j: %s', (facts, healthy) => {
    expect(isImageHealthy(facts)).toBe(healthy);
  });

  test('the mark is written once the hub was reached, and not before', async () => {
    const clock = virtualClock();
    let contact = false;
    const stop = new AbortController();
    const reboot = { bootId: 'a', layer: 'os', cause: { kind: 'image' as const, version: '1', digest: 'x' }, hadContact: true };
    void watchImageHealth({ root, clock, reboot, hasContact: () => contact, signal: stop.signal });
    await clock.advance(3_600_000);
    expect(() => readFileSync(join(root, healthyMark))).toThrow();
    contact = true;
    await clock.advance(10_000);
    expect(readFileSync(join(root, healthyMark), 'utf8')).toBe('talked with the hub\n');
    stop.abort();
  });

  test('the size of an erofs is that of its superblock, and anything else is none', async () => {
    const image = Buffer.alloc(8192);
    image.writeUInt32LE(0xe0f5e1e2, 1024);
    image.writeUInt8(12, 1036);
    image.writeUInt32LE(38_000, 1060);
    put('/image', image);
    expect(await erofsSize(join(root, 'image'))).toBe(38_000 * 4096);
    put('/short', image.subarray(0, 1100));
    put('/other', Buffer.alloc(8192));
    for (const name of ['short', 'other', 'none']) expect(await erofsSize(join(root, name))).toBeUndefined();
  });
});
