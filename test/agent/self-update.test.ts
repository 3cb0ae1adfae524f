import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentSlotName } from '@groundplane/protocol/agent-package';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes } from '@groundplane/protocol/digest';
import { badSlots, forgetSlotNews, forgiveSlots, slotNews } from '@groundplane/agent/system/slots';
import { systemSlots } from '@groundplane/agent/system/slot-install';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { fakeSlots } from '../fake/slots.ts';
import { here, standInFiles, writePackage } from '../installer/packages.ts';
import { blobs, osLayer, startRig, type Rig } from './rig.ts';

const packageOf = (text: string): { digest: `sha256:${string}`; size: number } => {
  const digest = digestBytes(text);
  blobs.set(digest, text);
  return { digest, size: text.length };
};
const agentLayer = (version: string, content = version, motd = version): BundleLayer => {
  const layer = osLayer('base', { '/etc/motd': motd });
  const item = packageOf(`package ${content}`);
  return {
    ...layer,
    os: { ...(layer.os as NonNullable<BundleLayer['os']>), agent: { version, packages: { x64: item } } },
    blobs: [{ ...item, name: 'groundplane-agent.tar.zst', architecture: 'x64' }],
  };
};
const slotFor = (version: string, content = version): string => agentSlotName(version, packageOf(`package ${content}`).digest);

describe('the agent as a part of the OS layer', () => {
  let rig: Rig;
  afterEach(async () => rig.close());

  test('is put into its slot and started before anything else of the layer, and proves itself before the generation holds', async () => {
    const store = fakeAgentStore();
    const before = fakeSlots('1.0.0-aaaaaaaaaaaa');
    rig = startRig({ store, slots: before });
    rig.offer(1, [agentLayer('1.1.0')]);
    await rig.clock.advance(10_000);
    expect([before.disk.current, before.disk.restarts > 0]).toEqual([slotFor('1.1.0'), true]);
    expect(rig.host.state.files['/etc/motd'], 'the old agent does nothing more of it').toBeUndefined();
    await rig.close();
    rig = startRig({ store: store.reopen(), slots: fakeSlots(slotFor('1.1.0'), before.disk) });
    await rig.clock.advance(120_000);
    expect(rig.status(), 'not healthy yet').toMatchObject({ phase: 'applying' });
    expect(rig.status().committed).toBeUndefined();
    before.disk.healthy = slotFor('1.1.0');
    await rig.clock.advance(20_000);
    expect(rig.status()).toMatchObject({ phase: 'converged', committed: { generation: 1 } });
    expect(rig.host.state.files['/etc/motd']?.content).toBe('1.1.0');
  });

  test('that did not become healthy fails the generation: the last good one is taken up, and nothing loops', async () => {
    const store = fakeAgentStore();
    const slots = fakeSlots(slotFor('1.0.0'));
    rig = startRig({ store, slots });
    rig.offer(1, [agentLayer('1.0.0')]);
    await rig.clock.advance(10_000);
    expect(rig.phase()).toBe('converged');
    rig.offer(2, [agentLayer('2.0.0')]);
    await rig.clock.advance(5_000);
    expect(slots.disk.current).toBe(slotFor('2.0.0'));
    await rig.close();
    // launch.sh went back after three starts.
    slots.disk.current = slotFor('1.0.0');
    slots.disk.bad = [slotFor('2.0.0')];
    slots.disk.restarts = 0;
    rig = startRig({ store: store.reopen(), slots });
    await rig.clock.advance(600_000);
    expect(rig.status()).toMatchObject({
      phase: 'rolled-back',
      committed: { generation: 1 },
      poisoned: { version: { generation: 2 }, failure: { code: 'agent-update-failed' } },
    });
    expect([slots.disk.restarts, slots.disk.current]).toEqual([0, slotFor('1.0.0')]);
    expect(rig.host.state.files['/etc/motd']?.content).toBe('1.0.0');
    rig.engine.retry(rig.status().poisoned?.version ?? (undefined as never));
    expect(slots.bad(), 'a person may have it tried again').toEqual([]);
  });

  test('without a package for this machine is blocked and says so; an agent without slots leaves it to others', async () => {
    const layer = agentLayer('1.1.0');
    const arm = {
      ...layer,
      os: { ...(layer.os as NonNullable<BundleLayer['os']>), agent: { version: '1.1.0', packages: { arm64: packageOf('arm') } } },
      blobs: [],
    };
    rig = startRig({ slots: fakeSlots() });
    rig.offer(1, [arm]);
    await rig.clock.advance(10_000);
    expect(rig.status()).toMatchObject({ failure: { code: 'agent-package-missing' } });
    await rig.close();
    rig = startRig();
    rig.offer(1, [arm]);
    await rig.clock.advance(10_000);
    expect(rig.phase()).toBe('converged');
  });
});

describe('slots on disk', () => {
  let folder = '';
  let marks = '';
  let restarts = 0;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gp-slots-'));
    marks = join(folder, 'marks');
    mkdirSync(join(folder, 'home', 'versions', '1.0.0-old'), { recursive: true });
    mkdirSync(marks);
    symlinkSync('versions/1.0.0-old', join(folder, 'home', 'current'));
    writeFileSync(join(marks, 'healthy'), '1.0.0-old\n');
    restarts = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const home = (...parts: string[]): string => join(folder, 'home', ...parts);
  const slots = (name = '1.0.0-old') => systemSlots({ name, marks }, { home: home(), arch: here, restart: () => (restarts += 1) });
  const scripts = { 'install.sh': Buffer.from('#!/bin/sh\n') };
  const release = (version: string) => writePackage(join(folder, version), version, standInFiles('healthy', scripts));
  const slotOf = (file: string, version: string): string => `${version}-${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12)}`;

  test('a package is unpacked as its manifest says and becomes current; what runs is the way back', async () => {
    const file = await release('1.1.0');
    const slot = slotOf(file, '1.1.0');
    writeFileSync(join(marks, 'started'), 'something 3\n');
    expect(await slots().install(slot, file)).toEqual({ ok: true, value: undefined });
    expect([readlinkSync(home('current')), readlinkSync(home('previous')), existsSync(join(marks, 'started'))]).toEqual([
      `versions/${slot}`,
      'versions/1.0.0-old',
      false,
    ]);
    expect(readFileSync(home('versions', slot, 'agent', 'agent.mjs'), 'utf8')).toBe('healthy');
    expect(await slots().install(slot, file), 'twice').toEqual({ ok: true, value: undefined });
    expect(restarts).toBe(0);
  });

  test('of three versions the two that count stay, and one that never was healthy is no way back', async () => {
    const [second, third] = [await release('1.1.0'), await release('1.2.0')];
    await slots().install(slotOf(second, '1.1.0'), second);
    await slots(slotOf(second, '1.1.0')).install(slotOf(third, '1.2.0'), third);
    expect(readlinkSync(home('previous'))).toBe('versions/1.0.0-old');
    expect(readdirSync(home('versions')).toSorted()).toEqual(['1.0.0-old', slotOf(second, '1.1.0'), slotOf(third, '1.2.0')].toSorted());
  });

  const craft = async (entries: { name: string; text?: string; type?: 'symlink' | 'file' }[]): Promise<string> => {
    const tar = pack();
    const packed = buffer(tar);
    for (const { name, text = '', type = 'file' } of entries) tar.entry({ name, type, ...(type === 'symlink' ? { linkname: '/etc' } : {}) }, text);
    tar.finalize();
    const file = join(folder, 'crafted');
    writeFileSync(file, zstdCompressSync(await packed));
    return file;
  };
  const manifest = (files: { path: string; text: string }[], version = '9.0.0'): string =>
    JSON.stringify({
      format: 1,
      name: 'groundplane-agent',
      version,
      platform: 'linux',
      arch: here,
      node: '0',
      files: files.map(({ path, text }) => ({ path, sha256: createHash('sha256').update(text).digest('hex'), bytes: text.length, executable: false })),
    });
  const whole = [
    { path: 'bin/node', text: 'node' },
    { path: 'agent/agent.mjs', text: 'agent' },
  ];
  const bodies = whole.map(({ path, text }) => ({ name: path, text }));

  test.each([
    [
      'is no archive',
      async () => {
        const file = join(folder, 'x');
        writeFileSync(file, 'rubbish');
        return file;
      },
    ],
    ['is empty', () => craft([])],
    ['begins with something else', () => craft([...bodies, { name: 'manifest.json', text: manifest(whole) }])],
    ['holds what its manifest does not name', () => craft([{ name: 'manifest.json', text: manifest(whole) }, ...bodies, { name: 'more', text: 'x' }])],
    ['climbs out', () => craft([{ name: 'manifest.json', text: manifest(whole) }, ...bodies, { name: '../../evil', text: 'x' }])],
    ['holds a link', () => craft([{ name: 'manifest.json', text: manifest(whole) }, { name: 'bin', type: 'symlink' }, ...bodies])],
    [
      'has other bytes',
      () =>
        craft([
          { name: 'manifest.json', text: manifest(whole) },
          { name: 'bin/node', text: 'evil' },
          { name: 'agent/agent.mjs', text: 'agent' },
        ]),
    ],
    [
      'lacks a file',
      () =>
        craft([
          { name: 'manifest.json', text: manifest(whole) },
          { name: 'bin/node', text: 'node' },
        ]),
    ],
    ['names a file twice', () => craft([{ name: 'manifest.json', text: manifest(whole) }, ...bodies, { name: 'bin/node', text: 'node' }])],
    ['is another version', () => craft([{ name: 'manifest.json', text: manifest(whole, '8.0.0') }, ...bodies])],
    [
      'has no agent in it',
      () =>
        craft([
          { name: 'manifest.json', text: manifest(whole.slice(0, 1)) },
          { name: 'bin/node', text: 'node' },
        ]),
    ],
  ])('a package that %s changes nothing', async (_, make) => {
    const installed = await slots().install('9.0.0-bbbbbbbbbbbb', await make());
    expect(installed).toMatchObject({ ok: false, failure: { kind: 'fatal', code: 'agent-package-invalid' } });
    expect(readlinkSync(home('current'))).toBe('versions/1.0.0-old');
    expect(readdirSync(home('versions'))).toEqual(['1.0.0-old']);
    expect(existsSync(join(folder, 'evil'))).toBe(false);
  });

  test('what a cut run left is thrown away', async () => {
    const file = await release('1.1.0');
    const slot = slotOf(file, '1.1.0');
    mkdirSync(home('versions', `.new-${slot}`));
    mkdirSync(home('versions', slot));
    writeFileSync(home('versions', slot, 'half'), '');
    expect((await slots().install(slot, file)).ok).toBe(true);
    expect(existsSync(home('versions', slot, 'half'))).toBe(false);
    expect(readdirSync(home('versions')).some((name) => name.startsWith('.new'))).toBe(false);
  });

  test('a return is remembered until a person forgives it', () => {
    const slot = { name: '1.0.0-old', marks };
    for (const bad of ['2.0.0-bad', '2.0.0-bad', '3.0.0-bad']) {
      writeFileSync(join(marks, 'returned'), `${bad} 1.0.0-old\n`);
      expect(slotNews(slot)[0]?.reason).toBe('AgentRolledBack');
      forgetSlotNews(slot);
    }
    expect(badSlots(slot)).toEqual(['2.0.0-bad', '3.0.0-bad']);
    forgiveSlots(slot);
    expect(badSlots(slot)).toEqual([]);
  });
});
