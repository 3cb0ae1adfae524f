import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { descriptionPath } from '@groundplane/agent/system/os-images/description';
import { raucImages } from '@groundplane/agent/system/os-images/rauc';
import { digestBytes } from '@groundplane/protocol/digest';
import type { OsImageManifest } from '@groundplane/protocol/os-image';
import { bad, good } from '../conformance/cluster-objects.ts';

/** A board with RAUC in words: what `rauc` answers (rauc(8), `--output-format=json`), and what it is called with. No D-Bus, no boot loader. */
const board = () => {
  const slots = {
    'rootfs.0': { bootname: 'A', version: '1.0', status: 'ok', boot: 'good' },
    'rootfs.1': { bootname: 'B', version: '', status: '', boot: 'bad' },
  };
  type Name = keyof typeof slots;
  const state = { booted: 'rootfs.0' as Name, primary: 'rootfs.0' as Name, intended: undefined as string | undefined, isHealthy: true };
  const calls: string[] = [];
  let answer: { code: number; stdout: string; stderr: string } | undefined;
  const status = (): string =>
    JSON.stringify({
      compatible: 'site-board',
      variant: '',
      booted: slots[state.booted].bootname,
      boot_primary: state.primary,
      slots: [
        ...Object.entries(slots).map(([name, slot]) => ({
          [name]: {
            class: 'rootfs',
            device: '/dev/mmcblk0p2',
            type: 'raw',
            bootname: slot.bootname,
            state: name === state.booted ? 'booted' : 'inactive',
            parent: null,
            mountpoint: null,
            boot_status: slot.boot,
            slot_status:
              slot.version === ''
                ? {}
                : {
                    bundle: { compatible: 'site-board', version: slot.version, description: null, build: null },
                    status: slot.status,
                    checksum: { sha256: 'x', size: 1 },
                  },
          },
        })),
        {
          'data.0': {
            class: 'data',
            device: '/dev/mmcblk0p4',
            type: 'ext4',
            bootname: null,
            state: 'active',
            parent: null,
            mountpoint: '/var',
            boot_status: null,
            slot_status: {},
          },
        },
      ],
    });
  return {
    slots,
    state,
    calls,
    /** As RAUC 1.13 does it: the reason among the progress, if it has got that far. */
    fail: (code: number, words: string) =>
      void (answer = words.startsWith('LastError')
        ? { code, stdout: `100% Installing failed.\n${words}\nidle\n`, stderr: 'Installing `/blobs/1.1.raucb` failed\n' }
        : { code, stdout: '', stderr: words }),
    run: (_: string, args: readonly string[]) => {
      calls.push(args.join(' '));
      const failing = args[0] === 'install' || args[1] === 'mark-active' ? answer : undefined;
      if (failing !== undefined) return Promise.resolve(failing);
      const other = state.booted === 'rootfs.0' ? 'rootfs.1' : 'rootfs.0';
      if (args[0] === 'install') slots[other] = { ...slots[other], version: /([0-9.]+)\.raucb$/.exec(args[1] ?? '')?.[1] ?? '', status: 'ok', boot: 'bad' };
      if (args[1] === 'mark-active') {
        state.primary = args[2] as Name;
        slots[state.primary].boot = 'good';
      }
      return Promise.resolve({ code: 0, stdout: status(), stderr: '' });
    },
  };
};

const manifestOf = (version: string): OsImageManifest => ({
  schema: 'groundplane.dev/os-image/1',
  name: 'site',
  version,
  architecture: 'arm64',
  content: { driver: 'rauc', bundle: { digest: digestBytes(version), size: 10 } },
});
const pathsOf = (version: string): Map<string, string> => new Map([['image.raucb', `/blobs/${version}.raucb`]]);
const never = new AbortController().signal;

describe('images by RAUC', () => {
  let root: string;
  let rauc: ReturnType<typeof board>;
  const images = () => raucImages({ root, run: rauc.run, intended: () => rauc.state.intended, isHealthy: () => Promise.resolve(rauc.state.isHealthy) });
  const status = async () => good(await images().status());
  const describeImage = (version: string, driver = 'rauc'): void => {
    mkdirSync(dirname(join(root, descriptionPath)), { recursive: true });
    writeFileSync(
      join(root, descriptionPath),
      JSON.stringify({
        schema: 'groundplane.dev/os-image-description/1',
        name: 'site',
        version,
        architecture: 'arm64',
        driver,
        keys: [`ed25519:${'A'.repeat(43)}`],
      }),
    );
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'gp-rauc-'));
    rauc = board();
    describeImage('1.0');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test('says what runs; data slots and empty ones do not count', async () => {
    expect(await status()).toEqual({ architecture: 'arm64', name: 'site', driver: 'rauc', running: '1.0', health: 'good', slots: [] });
    expect(good(await images().keys())).toHaveLength(1);
  });

  test('an image of the other driver, and a host without an image, are not ours', async () => {
    describeImage('1.0', 'sysupdate');
    expect(await status()).toBeUndefined();
    rmSync(join(root, descriptionPath));
    expect(await status()).toBeUndefined();
  });

  test('stage installs once, activate marks active, and only then the next boot takes it', async () => {
    good(await images().stage(manifestOf('1.1'), pathsOf('1.1'), never));
    expect((await status())?.slots).toEqual([{ version: '1.1', state: 'staged' }]);
    good(await images().stage(manifestOf('1.1'), pathsOf('1.1'), never));
    expect(rauc.calls.filter((call) => call.startsWith('install'))).toEqual(['install /blobs/1.1.raucb']);
    good(await images().activate(manifestOf('1.1'), pathsOf('1.1')));
    expect(rauc.calls.at(-1)).toBe('status mark-active rootfs.1');
    expect((await status())?.slots).toEqual([{ version: '1.1', state: 'next' }]);
  });

  test('a trial ends with the health check of this boot', async () => {
    good(await images().stage(manifestOf('1.1'), pathsOf('1.1'), never));
    good(await images().activate(manifestOf('1.1'), pathsOf('1.1')));
    rauc.state.booted = 'rootfs.1';
    rauc.state.intended = '1.1';
    rauc.state.isHealthy = false;
    describeImage('1.1');
    expect(await status()).toMatchObject({ running: '1.1', health: 'trial', slots: [{ version: '1.0', state: 'kept' }] });
    rauc.state.isHealthy = true;
    expect(await status()).toMatchObject({ health: 'good' });
  });

  test('a slot whose tries are used up is failed when the host was rebooted for it', async () => {
    good(await images().stage(manifestOf('1.1'), pathsOf('1.1'), never));
    rauc.state.intended = '1.1';
    expect((await status())?.slots).toEqual([{ version: '1.1', state: 'failed' }]);
  });

  test('what was half written is in no slot', async () => {
    rauc.slots['rootfs.1'] = { bootname: 'B', version: '1.1', status: 'pending', boot: 'bad' };
    expect((await status())?.slots).toEqual([]);
    bad(await images().activate(manifestOf('1.1'), pathsOf('1.1')), 'image-wrong', 'retry');
  });

  test.each([
    ['LastError: signature verification failed: Verify error: self-signed certificate', 'image-untrusted', 'fatal'],
    ['Failed to contact rauc service: Already processing a different method', 'image-busy', 'retry'],
    ['LastError: Installation error: Image too large: No space left on device', 'image-space', 'blocked'],
    ['LastError: Installation error: anything else', 'image-write', 'retry'],
  ] as const)('what rauc says is told: %s', async (words, code, kind) => {
    rauc.fail(1, words);
    expect(bad(await images().stage(manifestOf('1.1'), pathsOf('1.1'), never), code, kind).message).toContain(words.replace('LastError: ', '').slice(0, 20));
  });

  test('no rauc, or one that answers otherwise, is a failure and no exception', async () => {
    const none = raucImages({
      root,
      run: () => Promise.resolve({ code: 127, stdout: '', stderr: '' }),
      intended: () => undefined,
      isHealthy: () => Promise.resolve(true),
    });
    bad(await none.status(), 'host-error', 'blocked');
    for (const stdout of ['', 'null', '{}', '{"slots":[{"a":{}}]}']) {
      const odd = raucImages({
        root,
        run: () => Promise.resolve({ code: 0, stdout, stderr: '' }),
        intended: () => undefined,
        isHealthy: () => Promise.resolve(true),
      });
      bad(await odd.status(), 'host-error', 'retry');
    }
  });
});
