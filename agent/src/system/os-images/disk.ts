import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { z } from 'zod';
import { lastWords, type CommandResult } from '../command.ts';

export type Run = (file: string, args: readonly string[], options?: { timeoutMs?: number }) => Promise<CommandResult>;

/** A partition as a range of bytes that can be opened: of its own device, or of the disk image that it lies in. */
export interface Partition {
  /** As sfdisk counts, from 1. */
  number: number;
  label: string;
  type: string;
  path: string;
  offset: number;
  size: number;
}

/** Output of `sfdisk --json`. */
const tableSchema = z.object({
  partitiontable: z.object({
    label: z.string(),
    sectorsize: z.number().default(512),
    partitions: z.array(z.object({ node: z.string(), start: z.number(), size: z.number(), type: z.string(), name: z.string().default('') })).default([]),
  }),
});

/** The disk that the running system lies on. */
export const systemDisk = async (run: Run): Promise<Result<string>> => {
  const source = await run('findmnt', ['--noheadings', '--output', 'SOURCE', '/']);
  const device = source.stdout.trim();
  if (source.code !== 0 || !device.startsWith('/dev/'))
    return fail('retry', 'host-error', 'system disk', `findmnt does not say what "/" lies on: ${lastWords(source)}`);
  const parent = await run('lsblk', ['--nodeps', '--noheadings', '--paths', '--output', 'PKNAME', device]);
  const disk = parent.stdout.trim().split('\n')[0] ?? '';
  return parent.code === 0 && disk.startsWith('/dev/')
    ? ok(disk)
    : fail('retry', 'host-error', device, `lsblk does not say on which disk it lies: ${lastWords(parent)}`);
};

/** Partitions of a disk or of a file that holds a disk, read from the table itself and not from what udev remembers. */
export const readPartitions = async (run: Run, disk: string): Promise<Result<Partition[]>> => {
  const read = await run('sfdisk', ['--json', disk]);
  if (read.code !== 0) return fail('retry', 'host-error', disk, `sfdisk cannot read its partitions: ${lastWords(read)}`);
  let json: unknown;
  try {
    json = JSON.parse(read.stdout);
  } catch {
    json = undefined;
  }
  const table = tableSchema.safeParse(json);
  if (!table.success) return fail('retry', 'host-error', disk, 'sfdisk describes its partitions in a way that this agent does not know');
  const isDevice = disk.startsWith('/dev/');
  const { sectorsize, partitions } = table.data.partitiontable;
  return ok(
    partitions.map((item) => ({
      number: Number(/[0-9]+$/.exec(item.node)?.[0] ?? 0),
      label: item.name,
      type: item.type,
      path: isDevice ? item.node : disk,
      offset: isDevice ? 0 : item.start * sectorsize,
      size: item.size * sectorsize,
    })),
  );
};

const pieceBytes = 1024 * 1024;

/** Digest of the first bytes of a partition, one MiB in memory at a time. */
export const digestOfPartition = async (partition: Partition, sizeBytes: number, signal?: AbortSignal): Promise<Result<string>> => {
  if (sizeBytes > partition.size) return fail('blocked', 'image-space', partition.label, `the slot has ${partition.size} bytes, and the image ${sizeBytes}`);
  try {
    const handle = await open(partition.path, 'r');
    try {
      const hash = createHash('sha256');
      const piece = Buffer.alloc(pieceBytes);
      for (let done = 0; done < sizeBytes;) {
        if (signal?.aborted === true) return fail('retry', 'superseded', partition.label, 'something newer came');
        const { bytesRead } = await handle.read(piece, 0, Math.min(pieceBytes, sizeBytes - done), partition.offset + done);
        if (bytesRead === 0) return fail('retry', 'image-wrong', partition.label, `the slot ends after ${done} bytes`);
        hash.update(piece.subarray(0, bytesRead));
        done += bytesRead;
      }
      return ok(`sha256:${hash.digest('hex')}`);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return fail('retry', 'host-error', partition.path, error instanceof Error ? error.message : String(error));
  }
};
