import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fail, FailureError, ok } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { StagingArea } from '../port/content.ts';
import { receiveFailure } from './disk.ts';

/** Uploads that may be open at once, and how long one may rest. */
const uploadsMax = 256;
const restMs = 60 * 60_000;

/** Partial uploads as files below one folder. They do not outlive the process: whoever uploads begins anew, as with any registry that was restarted. */
export const diskStaging = (folder: string, clock: Pick<Clock, 'monotonicMs'>): StagingArea => {
  const open_ = new Map<string, { touchedMs: number; busy: boolean }>();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fileOf = (id: string): string => join(folder, id);

  const drop = async (id: string): Promise<void> => {
    if (open_.delete(id)) await rm(fileOf(id), { force: true });
  };
  const sizeOf = async (id: string): Promise<number | undefined> => (open_.has(id) ? (await stat(fileOf(id))).size : undefined);

  return {
    drop,
    size: sizeOf,
    open: async () => {
      const nowMs = clock.monotonicMs();
      for (const [id, entry] of open_) if (!entry.busy && entry.touchedMs + restMs < nowMs) await drop(id);
      // The one that rested longest gives way: an upload that nobody ends must not keep others out.
      if (open_.size >= uploadsMax) {
        const oldest = [...open_].filter(([, entry]) => !entry.busy).toSorted((a, b) => a[1].touchedMs - b[1].touchedMs)[0];
        if (oldest !== undefined) await drop(oldest[0]);
      }
      const id = randomUUID();
      await (await open(fileOf(id), 'wx', 0o600)).close();
      open_.set(id, { touchedMs: nowMs, busy: false });
      return id;
    },
    append: async (id, source, sizeMax) => {
      const entry = open_.get(id);
      if (entry === undefined) return fail('blocked', 'upload-unknown', `upload ${id.slice(0, 64)}`, 'there is no such upload');
      if (entry.busy) return fail('retry', 'upload-busy', `upload ${id}`, 'another request writes to it');
      entry.busy = true;
      try {
        let size = (await sizeOf(id)) ?? 0;
        const check = new Transform({
          transform: (chunk: Buffer, _, done) => {
            size += chunk.length;
            if (size > sizeMax) done(new FailureError(fail('fatal', 'content-too-large', `upload ${id}`, `has more than ${sizeMax} bytes`).failure));
            else done(null, chunk);
          },
        });
        await pipeline(source, check, createWriteStream(fileOf(id), { flags: 'a' }));
        return ok(size);
      } catch (error) {
        const failed = receiveFailure(error, `upload ${id}`);
        // What can be gone on with stays; a full disk needs the room at once.
        if (!failed.ok && failed.failure.code !== 'content-cut') await drop(id);
        return failed;
      } finally {
        entry.busy = false;
        entry.touchedMs = clock.monotonicMs();
      }
    },
    read: (id) => createReadStream(fileOf(id)),
  };
};
