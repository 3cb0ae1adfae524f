import { crc32, gunzipSync } from 'node:zlib';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

export interface TarFile {
  /** With `/`, without leading one. */
  name: string;
  data: Uint8Array;
}

const block = 512;
const pad = (size: number): number => (block - (size % block)) % block;

const field = (header: Buffer, text: string, at: number, length: number): void => void header.write(text, at, length, 'utf8');
const octal = (header: Buffer, value: number, at: number, length: number): void =>
  field(header, `${value.toString(8).padStart(length - 1, '0')}\0`, at, length);

/** One ustar header (POSIX.1-1988) with nothing in it that depends on who packs where and when. */
const header = (name: string, size: number, type: '0' | 'x'): Buffer => {
  const bytes = Buffer.alloc(block);
  field(bytes, name, 0, 100);
  octal(bytes, 0o644, 100, 8);
  octal(bytes, 0, 108, 8);
  octal(bytes, 0, 116, 8);
  octal(bytes, size, 124, 12);
  octal(bytes, 0, 136, 12);
  bytes.fill(' ', 148, 156);
  field(bytes, type, 156, 1);
  field(bytes, 'ustar\u000000', 257, 8);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  field(bytes, `${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return bytes;
};

/** A pax record counts its own length, which can change the number of its digits. */
const paxRecord = (key: string, value: string): Buffer => {
  const rest = ` ${key}=${value}\n`;
  const size = Buffer.byteLength(rest);
  let total = size + String(size).length;
  if (size + String(total).length !== total) total = size + String(total).length;
  return Buffer.from(`${total}${rest}`);
};

const entry = (name: string, data: Uint8Array, type: '0' | 'x'): Buffer[] => [
  header(name, data.length, type),
  Buffer.from(data),
  Buffer.alloc(pad(data.length)),
];

const packTar = (files: readonly TarFile[]): Buffer => {
  const parts = files.flatMap(({ name, data }) => {
    if (Buffer.byteLength(name) <= 100) return entry(name, data, '0');
    return [...entry('pax', paxRecord('path', name), 'x'), ...entry(name.slice(0, 24), data, '0')];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
};

const storedMax = 0xffff;

/**
 * gzip (RFC 1952) with stored blocks only. Compressors give other bytes on other processors and versions; the digest of a chart must not depend on the machine
 * that packed it, or the same folder would look changed to a colleague.
 */
const gzipStored = (data: Buffer): Buffer => {
  const parts: Buffer[] = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])];
  for (let at = 0; at === 0 || at < data.length; at += storedMax) {
    const chunk = data.subarray(at, at + storedMax);
    const head = Buffer.alloc(5);
    head.writeUInt8(at + storedMax >= data.length ? 1 : 0, 0);
    head.writeUInt16LE(chunk.length, 1);
    head.writeUInt16LE(chunk.length ^ 0xffff, 3);
    parts.push(head, chunk);
  }
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(crc32(data), 0);
  tail.writeUInt32LE(data.length % 2 ** 32, 4);
  return Buffer.concat([...parts, tail]);
};

/** Packs files into a `.tgz` whose bytes depend on names and contents only. The order given is kept. */
export const packTgz = (files: readonly TarFile[]): Buffer => gzipStored(packTar(files));

const textAt = (bytes: Buffer, at: number, length: number): string => {
  const raw = bytes.subarray(at, at + length);
  const end = raw.indexOf(0);
  return raw.subarray(0, end < 0 ? length : end).toString('utf8');
};

const entriesMax = 20_000;

/** The first file of a `.tgz` whose name the caller takes. Understands what chart archives use: ustar with prefix, pax paths, GNU long names. */
export const findInTgz = (bytes: Uint8Array, bytesMax: number, take: (name: string) => boolean, element: string): Result<TarFile | undefined> => {
  let tar: Buffer;
  try {
    tar = gunzipSync(bytes, { maxOutputLength: bytesMax });
  } catch (error) {
    return fail(
      'fatal',
      'archive-invalid',
      element,
      (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        ? `it unpacks to more than ${bytesMax} bytes`
        : 'it is not a gzipped tar archive; make one with helm package, or name the folder of the chart',
    );
  }
  let longName: string | undefined;
  let at = 0;
  for (let count = 0; at + block <= tar.length && count < entriesMax; count += 1) {
    if (tar.readUInt8(at) === 0) return ok(undefined);
    const size = Number.parseInt(textAt(tar, at + 124, 12).trim() || '0', 8);
    const type = String.fromCharCode(tar.readUInt8(at + 156));
    const end = at + block + size;
    if (!Number.isInteger(size) || size < 0 || end > tar.length) return fail('fatal', 'archive-invalid', element, 'the archive is cut short or damaged');
    const data = tar.subarray(at + block, end);
    if (type === 'x') longName = /^\d+ path=(.*)$/m.exec(data.toString('utf8'))?.[1] ?? longName;
    else if (type === 'L') longName = textAt(data, 0, data.length);
    else if (type !== 'g') {
      const prefix = textAt(tar, at + 345, 155);
      const name = longName ?? (prefix === '' ? textAt(tar, at, 100) : `${prefix}/${textAt(tar, at, 100)}`);
      longName = undefined;
      if ((type === '0' || type === '\0') && take(name.replace(/^\.\//, ''))) return ok({ name, data });
    }
    at = end + pad(size);
  }
  return ok(undefined);
};
