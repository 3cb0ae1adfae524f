import { open } from 'node:fs/promises';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

export interface GptPartition {
  label: string;
  /** As text in lower case, as tools print it. */
  type: string;
  /** Bytes. */
  offset: number;
  size: number;
}

export const espType = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const sectorBytes = 512;
const entriesMax = 1024;

/** The first three fields of a GUID are little-endian on disk (UEFI 2.10, appendix A). */
const guidText = (bytes: Buffer): string => {
  const hex = (from: number, to: number): string => bytes.subarray(from, to).toString('hex');
  const swapped = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).reverse().toString('hex');
  return `${swapped(0, 4)}-${swapped(4, 6)}-${swapped(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
};

/** Partitions of a disk image with sectors of 512 bytes (UEFI 2.10, 5.3). Failures: `image-no-gpt` (fatal). */
export const readGpt = async (path: string): Promise<Result<GptPartition[]>> => {
  const none = (why: string): Result<never> => fail('fatal', 'image-no-gpt', path, `${why}. Is it a disk image of "installer build", and not compressed?`);
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return none('the file cannot be read');
  try {
    const header = Buffer.alloc(sectorBytes);
    const read = await handle.read(header, 0, sectorBytes, sectorBytes);
    if (read.bytesRead < sectorBytes || header.toString('latin1', 0, 8) !== 'EFI PART') return none('it has no partition table (GPT)');
    const [first, count, size] = [header.readBigUInt64LE(72), header.readUInt32LE(80), header.readUInt32LE(84)];
    if (size < 128 || size > 4096 || count > entriesMax) return none('its partition table makes no sense');
    const table = Buffer.alloc(count * size);
    const entries = await handle.read(table, 0, table.length, Number(first) * sectorBytes);
    if (entries.bytesRead < table.length) return none('its partition table is cut off');
    const found: GptPartition[] = [];
    for (let at = 0; at < table.length; at += size) {
      const entry = table.subarray(at, at + size);
      const [begin, end] = [Number(entry.readBigUInt64LE(32)), Number(entry.readBigUInt64LE(40))];
      const type = guidText(entry.subarray(0, 16));
      if (/^[0-]+$/.test(type) || end < begin) continue;
      const label = entry.toString('utf16le', 56, 128);
      found.push({
        type,
        label: label.slice(0, label.indexOf('\0') < 0 ? undefined : label.indexOf('\0')),
        offset: begin * sectorBytes,
        size: (end - begin + 1) * sectorBytes,
      });
    }
    return ok(found);
  } finally {
    await handle.close();
  }
};
