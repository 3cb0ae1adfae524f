import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { flash, type FlashEvent } from '@groundplane/installer/flash/flash';
import { lookAt, type Machine, type TargetFacts } from '@groundplane/installer/flash/target';
import { judgeTarget } from '@groundplane/installer/flash/verdict';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'gp-flash-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const mib = 1024 * 1024;
/** Bytes that no two offsets share, so that a shifted write shows. */
const content = (bytes: number): Buffer => {
  const data = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) data.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  return data;
};
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const put = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

/** A machine of files: devices are what lies below `dev`, and their numbers and sizes are written as the kernel does. */
const fakeMachine = (): Machine & { mounts: (text: string) => void; swaps: (text: string) => void; disk: (name: string, options?: DiskOptions) => void } => {
  const proc = join(folder, 'proc');
  const sys = join(folder, 'sys');
  return {
    proc,
    sys,
    isBlockDevice: (path) => path.startsWith('/dev/'),
    mounts: (text) => put(join(proc, 'self/mountinfo'), text),
    swaps: (text) => put(join(proc, 'swaps'), `Filename Type Size Used Priority\n${text}\n`),
    disk: (name, { partitions = [], holders = {}, sectors = 100_000, number = '7:0', isReadOnly = false } = {}) => {
      const at = join(sys, 'block', name);
      put(join(at, 'size'), `${sectors}\n`);
      put(join(at, 'ro'), isReadOnly ? '1\n' : '0\n');
      put(join(at, 'dev'), `${number}\n`);
      put(join(at, 'device/model'), 'Flash Disk\n');
      for (const [index, partition] of partitions.entries()) {
        put(join(at, partition, 'partition'), `${index + 1}\n`);
        put(join(at, partition, 'size'), '1000\n');
        put(join(at, partition, 'dev'), `${number.split(':')[0] ?? ''}:${index + 1}\n`);
      }
      for (const [of, holder] of Object.entries(holders)) mkdirSync(join(at, of === name ? '' : of, 'holders', holder), { recursive: true });
    },
  };
};
interface DiskOptions {
  partitions?: string[];
  holders?: Record<string, string>;
  sectors?: number;
  number?: string;
  isReadOnly?: boolean;
}

/** Device files that exist on any Linux, for the sake of `existsSync`; what they are is told by the fake. */
const device = '/dev/null';

describe('what is known about a target', () => {
  test('a disk: size, model, nobody uses it', () => {
    const machine = fakeMachine();
    machine.disk('null', { sectors: 2_048 });
    expect(lookAt(device, machine)).toEqual({ path: '/dev/null', kind: 'disk', sizeBytes: mib, isReadOnly: false, model: 'Flash Disk', uses: [] });
  });

  test('by a link it is the same disk', () => {
    const machine = fakeMachine();
    machine.disk('null');
    symlinkSync(device, join(folder, 'by-id'));
    expect(lookAt(join(folder, 'by-id'), machine)).toMatchObject({ path: '/dev/null', kind: 'disk' });
  });

  test('a partition', () => {
    const machine = fakeMachine();
    machine.disk('sda', { partitions: ['null'] });
    expect(lookAt(device, machine)).toMatchObject({ kind: 'partition', sizeBytes: 512_000 });
  });

  test('a mount of one of its partitions counts, by number, and with blanks in its path', () => {
    const machine = fakeMachine();
    machine.disk('null', { partitions: ['null1', 'null2'], number: '8:0' });
    machine.mounts('30 1 8:2 / /media/my\\040stick rw - vfat /dev/whatever rw\n31 1 9:2 / /other rw - ext4 /dev/sdz2 rw');
    expect(lookAt(device, machine).uses).toEqual(['/media/my stick']);
  });

  test('btrfs has a number of its own, so the source counts', () => {
    const machine = fakeMachine();
    machine.disk('null', { partitions: ['null1'], number: '8:0' });
    machine.mounts('30 1 0:45 /@ / rw - btrfs /dev/null1 rw');
    expect(lookAt(device, machine).uses).toEqual(['/']);
  });

  test('what is built on a partition counts, over two floors', () => {
    const machine = fakeMachine();
    machine.disk('null', { partitions: ['null1'], number: '8:0', holders: { null1: 'dm-0' } });
    machine.disk('dm-0', { number: '253:0', holders: { 'dm-0': 'dm-1' } });
    machine.disk('dm-1', { number: '253:1' });
    machine.mounts('30 1 253:1 / / rw - ext4 /dev/mapper/root rw');
    expect(lookAt(device, machine).uses).toEqual(['/', '/dev/dm-0 is built on it', '/dev/dm-1 is built on it']);
  });

  test('holders in a ring end', () => {
    const machine = fakeMachine();
    machine.disk('null', { holders: { null: 'dm-0' } });
    machine.disk('dm-0', { number: '253:0', holders: { 'dm-0': 'null' } });
    expect(lookAt(device, machine).uses).toEqual(['/dev/dm-0 is built on it']);
  });

  test('swap counts', () => {
    const machine = fakeMachine();
    machine.disk('null', { partitions: ['null3'] });
    machine.swaps('/dev/null3 partition 1 0 -2');
    expect(lookAt(device, machine).uses).toEqual(['swap on /dev/null3']);
  });

  test('a mistyped device is not a new file', () => {
    expect(lookAt('/dev/sdzz9', fakeMachine()).kind).toBe('other');
    expect(lookAt(device, { ...fakeMachine(), isBlockDevice: () => false }).kind).toBe('other');
    expect(lookAt(folder, fakeMachine()).kind).toBe('other');
    expect(lookAt(join(folder, 'new.img'), fakeMachine()).kind).toBe('nothing');
  });
});

describe('what may be written to', () => {
  const disk: TargetFacts = { path: '/dev/sdb', kind: 'disk', sizeBytes: 1_000, isReadOnly: false, model: 'Flash Disk', uses: [] };
  const table: [string, Partial<TargetFacts>, { isSure?: boolean; mayBePartition?: boolean; bytes?: number }, string | undefined][] = [
    ['a free disk', {}, {}, undefined],
    ['a disk as large as the image', {}, { bytes: 1_000 }, undefined],
    ['a disk one byte too small', {}, { bytes: 1_001 }, 'target-too-small'],
    ['a disk without --yes', {}, { isSure: false }, 'target-not-confirmed'],
    ['a mounted disk', { uses: ['/media/x'] }, {}, 'target-in-use'],
    ['the disk of the system', { uses: ['/boot/efi', '/home'] }, {}, 'target-system'],
    ['a disk with swap', { uses: ['swap on /dev/sdb2'] }, {}, 'target-in-use'],
    ['a locked card', { isReadOnly: true }, {}, 'target-read-only'],
    ['a partition', { kind: 'partition' }, {}, 'target-partition'],
    ['a partition with --yes-partition', { kind: 'partition' }, { mayBePartition: true }, undefined],
    ['a mounted partition with --yes-partition', { kind: 'partition', uses: ['/x'] }, { mayBePartition: true }, 'target-in-use'],
    ['a disk of unknown size', { sizeBytes: 0 }, {}, 'target-too-small'],
    ['something else', { kind: 'other' }, {}, 'target-unknown'],
    ['the image itself', { kind: 'file', path: '/image' }, {}, 'target-is-image'],
    ['a new file', { kind: 'nothing', sizeBytes: undefined }, { isSure: false }, undefined],
    ['an empty file', { kind: 'file', sizeBytes: 0 }, { isSure: false }, undefined],
    ['a file that is too small', { kind: 'file', sizeBytes: 999 }, { bytes: 1_000 }, 'target-too-small'],
  ];
  test.each(table)('%s', (_, facts, wish, code) => {
    const judged = judgeTarget(
      { ...disk, ...facts },
      { image: { path: '/image', bytes: wish.bytes ?? 10 }, isSure: wish.isSure ?? true, mayBePartition: wish.mayBePartition ?? false },
    );
    expect(judged.ok ? undefined : judged.failure.code).toBe(code);
  });
});

describe('writing', () => {
  const run = async (image: string, target: string, more: { sha256?: string; machine?: Machine } = {}) => {
    const events: FlashEvent[] = [];
    const done = await flash({ image, target, isSure: true, mayBePartition: false, onEvent: (event) => events.push(event), ...more });
    return { done, events };
  };
  const image = (data: Buffer, name = 'disk.img'): string => {
    writeFileSync(join(folder, name), data);
    return join(folder, name);
  };

  test.each([1, 511, mib - 1, mib, mib + 1, 9 * mib + 5])('an image of %i bytes arrives as it is', async (bytes) => {
    const data = content(bytes);
    const { done, events } = await run(image(data), join(folder, 'out.img'));
    expect(done).toEqual({ ok: true, value: { bytes, sha256: sha256(data) } });
    expect(sha256(readFileSync(join(folder, 'out.img')))).toBe(sha256(data));
    expect(events.at(-1)).toEqual({ event: 'done', target: join(folder, 'out.img'), bytes, sha256: sha256(data) });
    expect(events.filter((event) => event.event === 'phase').map((event) => event.phase)).toEqual(['check', 'write', 'verify']);
    expect(events.filter((event) => event.event === 'progress' && event.percent === 100)).toHaveLength(2);
  });

  test('compressed images are unpacked on the way', async () => {
    const data = content(5 * mib);
    for (const [name, packed] of [
      ['a.zst', zstdCompressSync(data)],
      ['a.gz', gzipSync(data)],
    ] as const) {
      const { done } = await run(image(packed, name), join(folder, `${name}.out`), { sha256: sha256(packed) });
      expect(done).toMatchObject({ ok: true, value: { bytes: data.length } });
      expect(sha256(readFileSync(join(folder, `${name}.out`)))).toBe(sha256(data));
    }
  });

  test('the disk of a virtual machine keeps its size and what lies behind the image', async () => {
    writeFileSync(join(folder, 'vm'), Buffer.alloc(4 * mib, 0xee));
    const data = content(2 * mib);
    expect((await run(image(data), join(folder, 'vm'))).done.ok).toBe(true);
    const found = readFileSync(join(folder, 'vm'));
    expect(found.length).toBe(4 * mib);
    expect(found.subarray(0, data.length).equals(data)).toBe(true);
    expect(found.subarray(data.length).every((byte) => byte === 0xee)).toBe(true);
  });

  const refused: [string, () => { image: string; sha256?: string }, string][] = [
    ['an image that is cut', () => ({ image: image(zstdCompressSync(content(3 * mib)).subarray(0, 100_000)) }), 'image-damaged'],
    ['a cut gzip', () => ({ image: image(gzipSync(content(3 * mib)).subarray(0, 100_000)) }), 'image-damaged'],
    ['an empty image', () => ({ image: image(Buffer.alloc(0)) }), 'image-damaged'],
    ['no image', () => ({ image: join(folder, 'nothing') }), 'image-missing'],
    ['a folder', () => ({ image: folder }), 'image-missing'],
    ['an image of another kind', () => ({ image: image(Buffer.concat([Buffer.from('fd377a585a00', 'hex'), content(mib)])) }), 'image-format'],
    ['a small one of another kind', () => ({ image: image(Buffer.from('QFI\xfb\0\0', 'latin1')) }), 'image-format'],
    [
      'a packed one of another kind',
      () => ({ image: image(gzipSync(Buffer.concat([Buffer.alloc(257), Buffer.from('ustar'), content(mib)]))) }),
      'image-format',
    ],
    ['a manifest', () => ({ image: image(Buffer.from('{"schema": 1}')) }), 'image-format'],
    ['another digest', () => ({ image: image(content(mib)), sha256: '0'.repeat(64) }), 'image-digest'],
  ];
  test.each(refused)('%s: nothing is written', async (_, make, code) => {
    const made = make();
    const { done, events } = await run(made.image, join(folder, 'target'), made.sha256 === undefined ? {} : { sha256: made.sha256 });
    expect(done).toMatchObject({ ok: false, failure: { code } });
    expect(existsSync(join(folder, 'target'))).toBe(false);
    expect(events.map((event) => event.event)).toEqual(['phase']);
  });

  test('where nothing can be written, nothing is said to be there', async () => {
    const { done } = await run(image(content(mib)), join(folder, 'no-folder', 'out.img'));
    expect(done).toMatchObject({ ok: false, failure: { code: 'target-error', message: expect.stringContaining('Nothing was written') as string } });
  });

  test('a new file that could not be finished is removed', async () => {
    const source = image(content(3 * mib));
    const target = join(folder, 'new.img');
    const onEvent = (event: FlashEvent): void => {
      if (event.event === 'phase' && event.phase === 'write') writeFileSync(source, content(4 * mib));
    };
    const done = await flash({ image: source, target, isSure: true, mayBePartition: false, onEvent });
    expect(done).toMatchObject({ ok: false, failure: { code: 'target-error', message: expect.stringContaining('the file is removed') as string } });
    expect(existsSync(target)).toBe(false);
  });

  test('a file that unpacks to more than the target holds is not unpacked to its end', async () => {
    const bomb = image(zstdCompressSync(Buffer.alloc(64 * mib)), 'bomb.zst');
    writeFileSync(join(folder, 'vm'), Buffer.alloc(mib, 0xee));
    const { done } = await run(bomb, join(folder, 'vm'));
    expect(done).toMatchObject({ ok: false, failure: { code: 'target-too-small', message: expect.stringContaining('more than the 1048576 bytes') as string } });
    expect(readFileSync(join(folder, 'vm')).every((byte) => byte === 0xee)).toBe(true);
  });

  test('a target that is refused in any case needs no look at the image', async () => {
    const machine = fakeMachine();
    machine.disk('null', { number: '8:0' });
    machine.mounts('30 1 8:0 / /data rw - ext4 /dev/null rw');
    const { done } = await run(image(zstdCompressSync(content(3 * mib)).subarray(0, 100_000)), '/dev/null', { machine });
    expect(done).toMatchObject({ ok: false, failure: { code: 'target-in-use' } });
  });

  test('a target that is too small is untouched', async () => {
    writeFileSync(join(folder, 'small'), 'precious');
    expect((await run(image(content(mib)), join(folder, 'small'))).done).toMatchObject({ ok: false, failure: { code: 'target-too-small' } });
    expect(readFileSync(join(folder, 'small'), 'utf8')).toBe('precious');
  });

  test('on a disk, the second partition table of what was there before is gone, and nothing else', async () => {
    const machine = { ...fakeMachine(), isBlockDevice: (path: string) => path.endsWith('.disk') };
    const target = join(folder, 'a.disk');
    machine.disk(target.replaceAll('/', '!'), { sectors: (5 * mib) / 512 });
    writeFileSync(target, Buffer.alloc(5 * mib, 0xee));
    const data = content(2 * mib);
    expect((await run(image(data), target, { machine })).done.ok).toBe(true);
    const found = readFileSync(target);
    expect(found.subarray(0, 2 * mib).equals(data)).toBe(true);
    expect(found.subarray(2 * mib, 4 * mib).every((byte) => byte === 0xee)).toBe(true);
    expect(found.subarray(4 * mib).every((byte) => byte === 0)).toBe(true);
  });

  test('the head comes last: when writing starts, the old partition table goes first', async () => {
    const target = join(folder, 'vm');
    writeFileSync(target, Buffer.alloc(4 * mib, 0xee));
    const data = content(4 * mib);
    let headWhileWriting: Buffer | undefined;
    const onEvent = (event: FlashEvent): void => {
      if (event.event === 'progress' && event.phase === 'write') headWhileWriting ??= readFileSync(target).subarray(0, mib);
    };
    expect((await flash({ image: image(data), target, isSure: true, mayBePartition: false, onEvent })).ok).toBe(true);
    expect(headWhileWriting?.every((byte) => byte === 0)).toBe(true);
  });

  test('a disk that gives back something else is found out', async () => {
    const target = join(folder, 'vm');
    const onEvent = (event: FlashEvent): void => {
      if (event.event !== 'phase' || event.phase !== 'verify') return;
      const bytes = readFileSync(target);
      bytes.writeUInt8(bytes.readUInt8(mib + 7) ^ 1, mib + 7);
      writeFileSync(target, bytes);
    };
    const done = await flash({ image: image(content(2 * mib)), target, isSure: true, mayBePartition: false, onEvent });
    expect(done).toMatchObject({ ok: false, failure: { code: 'target-differs' } });
  });

  test.skipIf(process.platform !== 'linux')('a full disk is told as one', async () => {
    const machine = fakeMachine();
    machine.disk('full');
    const { done } = await run(image(content(mib)), '/dev/full', { machine });
    expect(done).toMatchObject({ ok: false, failure: { code: 'target-error', message: expect.stringContaining('ENOSPC') as string } });
  });
});
