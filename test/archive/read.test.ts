import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { fail, ok } from '@groundplane/protocol/failure';
import fc from 'fast-check';
import { pack, type Header } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { entryName, readArchive, walkArchive } from '@groundplane/hub/archive/read';
import { packTar, packTgz } from '@groundplane/hub/archive/write';

const bounds = { bytesMax: 8 * 2 ** 20, entriesMax: 50, fileBytesMax: 4 * 2 ** 20 };

const tar = async (entries: readonly (Partial<Header> & Pick<Header, 'name'> & { data?: string })[]): Promise<Buffer> => {
  const out = pack();
  for (const { data, ...header } of entries) out.entry(header, data ?? '');
  out.finalize();
  const parts: Buffer[] = [];
  for await (const part of out as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
};
const message = async (bytes: Uint8Array | Readable, limits = bounds): Promise<string> => {
  const read = await readArchive(bytes, limits, 'demo.tgz');
  return read.ok ? `read ${read.value.map((file) => file.name).join(' ')}` : `${read.failure.code}: ${read.failure.message}`;
};

describe('archives', () => {
  const plain = packTar([
    { name: 'a/one.yaml', data: Buffer.from('1') },
    { name: 'a/two.yaml', data: Buffer.from('') },
  ]);

  test.each([
    ['plain', plain],
    ['gzip', gzipSync(plain)],
    ['zstd', zstdCompressSync(plain)],
  ])('%s, whole and byte by byte', async (_, bytes) => {
    expect(await message(bytes)).toBe('read a/one.yaml a/two.yaml');
    expect(await message(Readable.from([...bytes].map((byte) => Buffer.from([byte]))))).toBe('read a/one.yaml a/two.yaml');
  });

  test.each(['../x', 'a/../../x', '/etc/passwd', 'C:\\x', 'a\\..\\x', 'a\nb'])('the name %j is refused', async (name) => {
    expect(await message(await tar([{ name, data: 'x' }]))).toMatch(/^archive-invalid: it holds/);
  });

  test('plain names stay, dots and slashes are cleaned', () => {
    expect(entryName('./a//b/./c.yaml')).toEqual({ ok: true, name: 'a/b/c.yaml' });
    expect(entryName('a/..b/c')).toEqual({ ok: true, name: 'a/..b/c' });
  });

  test.each(['symlink', 'link', 'character-device', 'block-device', 'fifo'] as const)('a %s is refused', async (type) => {
    expect(await message(await tar([{ name: 'x', type, linkname: '../../etc/passwd' }]))).toMatch(/^archive-invalid: x is a/);
  });

  test('names twice, also by case; folders may be there twice', async () => {
    expect(await message(await tar([{ name: 'x' }, { name: './x' }]))).toBe('archive-invalid: it holds x twice');
    expect(await message(await tar([{ name: 'X' }, { name: 'x' }]))).toContain('both X and x');
    expect(await message(await tar([{ name: 'd', type: 'directory' }, { name: 'd/', type: 'directory' }, { name: 'd/x' }]))).toBe('read d/x');
  });

  test('bounds at their edge: entries, file, total', async () => {
    const many = (count: number) => packTgz(Array.from({ length: count }, (_, index) => ({ name: `f${index}`, data: Buffer.from('x') })));
    expect(await message(many(50))).toMatch(/^read/);
    expect(await message(many(51))).toContain('more than 50 entries');
    const one = (size: number) => packTgz([{ name: 'f', data: Buffer.alloc(size) }]);
    expect(await message(one(4 * 2 ** 20))).toBe('read f');
    expect(await message(one(4 * 2 ** 20 + 1))).toContain('more than 4194304 bytes');
    expect(await message(packTgz(['a', 'b', 'c'].map((name) => ({ name, data: Buffer.alloc(3 * 2 ** 20) }))))).toContain('unpacks to more than 8388608 bytes');
  });

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('a bomb in %s is stopped by its ratio', async (_, compress) => {
    const bomb = compress(packTar([{ name: 'f', data: Buffer.alloc(64 * 2 ** 20) }]));
    expect(await message(bomb, { bytesMax: 2 ** 30, entriesMax: 10, fileBytesMax: 2 ** 30 })).toContain('times its own size');
  });

  test('nothing, noise and half archives', async () => {
    expect(await message(new Uint8Array())).toBe('archive-invalid: it is empty');
    expect(await message(Buffer.from('hello'))).toMatch(/^archive-invalid: it is/);
    const zipped = gzipSync(plain);
    for (const cut of [1, 3, 20, zipped.length - 9, zipped.length - 1]) expect(await message(zipped.subarray(0, cut))).toMatch(/^archive-invalid/);
  });

  test('a visitor ends the walk with its own failure, and need not read bodies', async () => {
    let seen = 0;
    const walked = await walkArchive(
      packTgz([
        { name: 'a', data: Buffer.alloc(100_000) },
        { name: 'b', data: Buffer.from('x') },
      ]),
      bounds,
      'demo',
      async (entry) => {
        seen += 1;
        return entry.name === 'b' ? fail('blocked', 'enough', 'demo', 'enough') : ok(undefined);
      },
    );
    expect([seen, walked.ok ? '' : walked.failure.code]).toEqual([2, 'enough']);
  });

  test('flipped bytes never crash and never hang', async () => {
    const bytes = packTgz(Array.from({ length: 8 }, (_, index) => ({ name: `folder/${index}.yaml`, data: Buffer.from(`x: ${index}`.repeat(20)) })));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), async (flips) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of flips) changed[at] = value;
        expect(await message(changed)).toMatch(/^(read|archive-invalid)/);
      }),
      { numRuns: 500 },
    );
  });
});
