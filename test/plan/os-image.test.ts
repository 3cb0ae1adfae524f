import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';
import { compareImageVersions, osImageManifestSchema, signedOsImageSchema } from '@groundplane/protocol/os-image';
import { osSpecSchema, type OsReboot } from '@groundplane/protocol/os-spec';
import type { HostFacts, MachineFacts } from '@groundplane/protocol/plan/facts';
import { planHost } from '@groundplane/protocol/plan/host';
import type { ObservedImage } from '@groundplane/protocol/plan/os-image';
import { isFulfilled, rebootRefusal } from '@groundplane/protocol/plan/reboot';
import { stepText } from '@groundplane/protocol/plan/steps';
import { bundleOf, emptyWorld, factsOf, osLayer } from './model.ts';

const signed = (version: string, architecture: 'x64' | 'arm64' = 'x64') =>
  signedOsImageSchema.parse({
    signed: {
      schema: 'groundplane.dev/os-image/1',
      name: 'site',
      version,
      architecture,
      content: { driver: 'sysupdate', root: { digest: digestBytes(version), size: 1 }, uki: { digest: digestBytes(`u${version}`), size: 1 } },
    },
    signatures: [{ key: `ed25519:${'A'.repeat(43)}`, signature: 's' }],
  });

const layer = (version: string, fields: { reboot?: OsReboot; architecture?: 'arm64' } = {}): BundleLayer => {
  const plain = osLayer('base', { files: ['/etc/motd = x'] });
  return {
    ...plain,
    os: {
      ...(plain.os ?? { files: [], sysctls: {}, units: [] }),
      image: [signed(version, fields.architecture)],
      ...(fields.reboot === undefined ? {} : { reboot: fields.reboot }),
    },
  };
};

const machine: MachineFacts = { bootId: 'b1', intent: undefined, needed: undefined, isAllowed: false, wallMs: Date.UTC(2026, 5, 1, 12) };
const image: ObservedImage = { architecture: 'x64', name: 'site', driver: 'sysupdate', running: '1.0', health: 'good', slots: [] };

const plan = (wanted: BundleLayer, seen: Partial<ObservedImage> | undefined, more: Partial<MachineFacts> = {}) => {
  const facts: HostFacts = {
    ...factsOf(emptyWorld(), bundleOf(wanted), { generation: 1 }),
    architecture: 'x64',
    machine: { ...machine, ...more },
    image: seen === undefined ? undefined : { ...image, ...seen },
  };
  const made = planHost(facts);
  return { steps: made.steps.map(stepText), blocked: made.blocked.map((item) => `${item.failure.kind} ${item.failure.code}`) };
};
const tried = { intent: { bootId: 'b0', layer: 'base', cause: { kind: 'image' as const, version: '1.1', digest: digestBytes('1.1') }, hadContact: true } };

describe('planning an image', () => {
  test.each([
    ['it runs', '1.0', {}, {}, ['install layer base', 'write /etc/motd (new)', 'layer base is in place', 'generation 1 holds'], []],
    ['it is new', '1.1', {}, {}, ['install layer base', 'write image 1.1 to the free slot', 'let the next boot try image 1.1', 'reboot for image 1.1'], []],
    [
      'it is staged',
      '1.1',
      { slots: [{ version: '1.1', state: 'staged' as const }] },
      {},
      ['install layer base', 'let the next boot try image 1.1', 'reboot for image 1.1'],
      [],
    ],
    ['the power went after activation', '1.1', { slots: [{ version: '1.1', state: 'next' as const }] }, {}, ['install layer base', 'reboot for image 1.1'], []],
    [
      'it is kept from before',
      '1.1',
      { slots: [{ version: '1.1', state: 'kept' as const }] },
      {},
      ['install layer base', 'let the next boot try image 1.1', 'reboot for image 1.1'],
      [],
    ],
    ['it runs on trial', '1.1', { running: '1.1', health: 'trial' as const }, {}, ['install layer base'], ['retry image-trial']],
    ['it is bad and alone', '1.1', { running: '1.1', health: 'bad' as const }, {}, ['install layer base'], ['fatal image-unhealthy']],
    ['the host returned', '1.1', { slots: [{ version: '1.1', state: 'failed' as const }] }, tried, ['install layer base'], ['fatal image-returned']],
    ['it never came up', '1.1', { slots: [{ version: '1.1', state: 'next' as const }] }, tried, ['install layer base'], ['fatal image-not-started']],
    [
      'it failed before this generation',
      '1.1',
      { slots: [{ version: '1.1', state: 'failed' as const }] },
      {},
      ['install layer base', 'write image 1.1 to the free slot', 'let the next boot try image 1.1', 'reboot for image 1.1'],
      [],
    ],
    ['the host has another image', '1.1', { name: 'other' }, {}, ['install layer base'], ['fatal image-foreign']],
    ['the host has another driver', '1.1', { driver: 'rauc' as const }, {}, ['install layer base'], ['fatal image-driver']],
  ])('%s', (_, version, seen, more, steps, blocked) => {
    expect(plan(layer(version), seen, more)).toEqual({ steps, blocked });
  });

  test('a host without an image, and one of another architecture, say so', () => {
    expect(plan(layer('1.1'), undefined).blocked).toEqual(['blocked image-unsupported']);
    expect(plan(layer('1.1', { architecture: 'arm64' }), {}).blocked).toEqual(['fatal image-architecture']);
  });

  test('the same boot with an intent goes on to reboot: the machine has not gone down yet', () => {
    const same = { intent: { ...tried.intent, bootId: 'b1' } };
    expect(plan(layer('1.1'), { slots: [{ version: '1.1', state: 'next' }] }, same).steps.at(-1)).toBe('reboot for image 1.1');
  });

  test('an intent comes true when the image is good, not before', () => {
    expect(isFulfilled(tried.intent, machine, { ...image, running: '1.1' })).toBe(true);
    expect(isFulfilled(tried.intent, machine, { ...image, running: '1.1', health: 'trial' })).toBe(false);
    expect(isFulfilled(tried.intent, machine, image)).toBe(false);
    expect(isFulfilled({ ...tried.intent, bootId: 'b1' }, machine, { ...image, running: '1.1' })).toBe(false);
  });
});

describe('when a reboot may be', () => {
  const refusal = (reboot: OsReboot | undefined, wallMs: number, isAllowed = false) =>
    rebootRefusal({ ...machine, wallMs, isAllowed }, reboot, 'layer os', 'purpose')?.code;
  const night: OsReboot = { when: 'window', windows: [{ from: '22:00', to: '04:00', days: ['saturday'] }], timeZone: 'Europe/Berlin' };

  test.each([
    ['2026-06-06T19:59:59Z', 'reboot-window'],
    ['2026-06-06T20:00:00Z', undefined],
    ['2026-06-07T01:59:59Z', undefined],
    ['2026-06-07T02:00:00Z', 'reboot-window'],
    ['2026-06-05T20:00:00Z', 'reboot-window'],
    ['1970-01-03T22:00:00Z', 'reboot-clock'],
    ['2024-12-31T23:59:59Z', 'reboot-clock'],
  ])('in a window over midnight in Berlin, at %s: %s', (time, code) => {
    expect(refusal(night, Date.parse(time))).toBe(code);
  });

  test('at once, or by a person, whatever the clock says', () => {
    expect(refusal(undefined, 0)).toBeUndefined();
    expect(refusal({ when: 'now' }, 0)).toBeUndefined();
    expect(refusal({ when: 'manual' }, machine.wallMs)).toBe('reboot-approval');
    for (const reboot of [night, { when: 'manual' } as const]) expect(refusal(reboot, 0, true)).toBeUndefined();
  });
});

describe('what an OS layer may say', () => {
  const errors = (input: object): string =>
    osSpecSchema
      .safeParse(input)
      .error?.issues.map((issue) => issue.message)
      .join('; ') ?? '';

  test('package mode is as before: its defaults and its digest do not change', () => {
    expect(osSpecSchema.parse({ files: [{ path: '/etc/a', content: 'b' }] })).toEqual({
      mode: 'package',
      files: [{ path: '/etc/a', content: 'b', mode: '0644', owner: 'root', group: 'root' }],
      sysctls: {},
      units: [],
    });
  });

  test('image mode has no packages and no agent, since both are part of the image', () => {
    expect(osSpecSchema.safeParse({ mode: 'image', image: [signed('1.0'), signed('1.0', 'arm64')] }).success).toBe(true);
    expect(errors({ mode: 'image', image: [signed('1.0')], packages: [] })).toContain('packages');
    expect(errors({ mode: 'image', image: [signed('1.0'), signed('1.1', 'arm64')] })).toContain('different images or versions');
    expect(errors({ mode: 'image', image: [signed('1.0'), signed('1.0')] })).toContain('two manifests');
    expect(errors({ mode: 'image', image: [] })).not.toBe('');
    expect(errors({ mode: 'floppy' })).toContain('knows the modes');
  });

  test('windows belong to windows, and extensions to one architecture each', () => {
    expect(errors({ reboot: { when: 'window' } })).toContain('windows go with');
    expect(errors({ reboot: { when: 'now', windows: [{ from: '01:00', to: '02:00' }] } })).toContain('windows go with');
    const file = { digest: digestBytes('x'), size: 1 };
    expect(osSpecSchema.safeParse({ extensions: [{ name: 'a', images: [file] }] }).success).toBe(true);
    expect(errors({ extensions: [{ name: 'a', images: [file, { ...file, architecture: 'x64' }] }] })).toContain('one image for every architecture');
    expect(
      errors({
        extensions: [
          { name: 'a', images: [file] },
          { name: 'a', images: [file] },
        ],
      }),
    ).toContain('twice');
  });

  test('a name and a version fit into a partition label, to the last character', () => {
    const manifest = (version: string) => osImageManifestSchema.safeParse({ ...signed('1').signed, name: 'a'.repeat(20), version });
    expect(manifest(`1${'0'.repeat(14)}`).success).toBe(true);
    expect(manifest(`1${'0'.repeat(15)}`).success).toBe(false);
    for (const version of ['1_0', '1+0', 'v1', '../1', '']) expect(manifest(version).success).toBe(false);
  });
});

describe('the order of versions', () => {
  test.each([
    ['1.0~rc1', '1.0'],
    ['1.0', '1.0^post'],
    ['1.0', '1.0-1'],
    ['1.0-1', '1.0.1'],
    ['1.2', '1.10'],
    ['1.A', '1.a'],
    ['01.2', '1.03'],
  ])('%s comes before %s', (a, b) => {
    expect(compareImageVersions(a, b)).toBeLessThan(0);
    expect(compareImageVersions(b, a)).toBeGreaterThan(0);
  });

  test('is an order', () => {
    const version = fc.array(fc.constantFrom('1', '2', '10', '0', 'a', 'B', '.', '-', '~', '^'), { maxLength: 6 }).map((parts) => `1${parts.join('')}`);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareImageVersions(a, b))).toBe(-Math.sign(compareImageVersions(b, a)) + 0);
        if (compareImageVersions(a, b) <= 0 && compareImageVersions(b, c) <= 0) expect(compareImageVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
