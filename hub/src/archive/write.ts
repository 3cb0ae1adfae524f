import { crc32 } from 'node:zlib';

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

/** A tar archive whose bytes depend on names and contents only. The order given is kept. */
export const packTar = (files: readonly TarFile[]): Buffer => {
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
