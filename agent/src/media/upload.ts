import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fail, type Result } from '@groundplane/protocol/failure';
import { diskFailure } from '../system/disk-failure.ts';
import type { Importer } from './job.ts';
import type { Bounds } from './unpack.ts';

export type UploadState = { state: 'idle' } | { state: 'receiving'; bytes: number } | { state: 'failed'; message: string };

/** Media that come through the browser: unpacked into a folder of their own, then imported like a stick; only the receipt stays. */
export const createUploads = (deps: { folder: string; importer: Importer; bounds?: Partial<Bounds> }) => {
  let now: UploadState = { state: 'idle' };
  // A file whose writing was just ended may still appear; then the folder is not empty at the first try.
  const clear = (): Promise<void> => rm(deps.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });

  const receive = async (body: Readable): Promise<Result<void>> => {
    await clear();
    // Loaded by the first upload: an idle agent has no use for it.
    const { unpackMedium, uploadBounds } = await import('./unpack.ts');
    const done = await unpackMedium(body, deps.folder, (bytes) => (now = { state: 'receiving', bytes }), { ...uploadBounds, ...deps.bounds });
    if (!done.ok) await clear();
    return done;
  };

  /** What became of it the importer says; a folder that cannot be removed now goes with the next upload or start. */
  const importIt = async (): Promise<void> => {
    await deps.importer.run(deps.folder);
    await rm(join(deps.folder, 'blobs'), { recursive: true, force: true });
  };

  return {
    status: (): UploadState => now,
    /** What a power cut left behind. */
    clear,
    /** Ends when the import has begun; how that goes the importer says. */
    take: async (body: Readable): Promise<Result<void>> => {
      if (now.state === 'receiving' || deps.importer.status().state === 'running')
        return fail('blocked', 'media-busy', 'upload', 'another medium is taken just now; wait for its end');
      now = { state: 'receiving', bytes: 0 };
      const done = await receive(body).catch((error: unknown) => diskFailure(error, 'upload'));
      now = done.ok ? { state: 'idle' } : { state: 'failed', message: `${done.failure.element} ${done.failure.message}` };
      if (done.ok) void importIt().catch(() => undefined);
      return done;
    },
  };
};
export type Uploads = ReturnType<typeof createUploads>;
