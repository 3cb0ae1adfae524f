import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import type { Blobs } from '@groundplane/agent/port/blobs';

/** A place for large content, and what its sources have. */
export interface BlobsUnderTest {
  open(): Blobs;
  /** What the sources have; the test fills it. */
  origin: Map<string, Buffer>;
  /** Bytes at a path that the place answered. */
  read(path: string): Promise<Buffer | undefined>;
  /** Time passes, so that nothing counts as new any more. */
  age(): void;
  target(name: string): string;
  remove(): Promise<void>;
}

const never = new AbortController().signal;

/** What every place for large content has to do. */
export const blobsConformance = (name: string, make: () => BlobsUnderTest | Promise<BlobsUnderTest>): void => {
  describe(`Blobs: ${name}`, () => {
    let under: BlobsUnderTest;
    let blobs: Blobs;
    beforeEach(async () => {
      under = await make();
      blobs = under.open();
    });
    afterEach(() => under.remove());
    const offer = (text: string): { digest: Digest; sizeBytes: number } => {
      const bytes = Buffer.from(text);
      const digest = digestBytes(bytes);
      under.origin.set(digest, bytes);
      return { digest, sizeBytes: bytes.length };
    };
    const pathOf = async (request: { digest: Digest; sizeBytes: number }): Promise<string> => {
      const fetched = await blobs.fetch(request, never);
      if (!fetched.ok) throw new Error(fetched.failure.message);
      return fetched.value;
    };

    test('what was fetched lies at a path, whole, also after a restart', async () => {
      const request = offer('a root image');
      expect(await blobs.path(request.digest)).toBeUndefined();
      const path = await pathOf(request);
      expect(String(await under.read(path))).toBe('a root image');
      expect(await under.open().path(request.digest)).toBe(path);
    });

    test('an empty blob is a blob', async () => {
      const request = offer('');
      expect(String(await under.read(await pathOf(request)))).toBe('');
    });

    test('what nobody has is a failure that may pass; what is no digest is not here', async () => {
      const digest = digestBytes('nowhere');
      expect(await blobs.fetch({ digest, sizeBytes: 7 }, never)).toMatchObject({ ok: false, failure: { kind: 'retry' } });
      for (const text of ['', 'sha256:', '../../etc/passwd', `sha256:${'g'.repeat(64)}`]) expect(await blobs.path(text)).toBeUndefined();
    });

    test('other bytes under that digest never lie at a path', async () => {
      const digest = digestBytes('right');
      under.origin.set(digest, Buffer.from('wrong'));
      expect(await blobs.fetch({ digest, sizeBytes: 5 }, never)).toMatchObject({ ok: false, failure: { code: 'content-wrong' } });
      expect(await blobs.path(digest)).toBeUndefined();
      under.origin.set(digest, Buffer.from('right'));
      under.age();
      expect(String(await under.read(await pathOf({ digest, sizeBytes: 5 })))).toBe('right');
    });

    test('an aborted fetch says so', async () => {
      const stop = new AbortController();
      stop.abort();
      expect(await blobs.fetch(offer('late'), stop.signal)).toMatchObject({ ok: false, failure: { code: 'superseded' } });
    });

    test('the same blob asked for many times at once is fetched once', async () => {
      const request = offer('popular');
      const paths = await Promise.all([1, 2, 3, 4].map(() => pathOf(request)));
      expect(new Set(paths).size).toBe(1);
    });

    test('bytes that somebody brings are taken when they are right', async () => {
      const pieces = async function* (...texts: string[]): AsyncGenerator<Uint8Array> {
        for (const text of texts) yield Buffer.from(text);
      };
      const digest = digestBytes('carried in');
      for (const wrong of [['carried'], ['carried out'], ['carried in', 'more']])
        expect(await blobs.receive({ digest, sizeBytes: 10 }, pieces(...wrong))).toMatchObject({ ok: false });
      expect(await blobs.path(digest)).toBeUndefined();
      const taken = await blobs.receive({ digest, sizeBytes: 10 }, pieces('carr', 'ied in'));
      expect(taken.ok && String(await under.read(taken.value))).toBe('carried in');
    });

    test('what is not kept goes, what is kept stays', async () => {
      const [stays, goes] = [offer('stays'), offer('goes')];
      await pathOf(stays);
      await pathOf(goes);
      under.age();
      await blobs.keep(new Set([stays.digest]));
      expect(await blobs.path(stays.digest)).toBeDefined();
      expect(await blobs.path(goes.digest)).toBeUndefined();
    });

    test('a copy is placed only of what is here', async () => {
      const request = offer('binary');
      expect(await blobs.place(request.digest, under.target('kubelet'), { mode: 0o755 })).toMatchObject({ ok: false, failure: { code: 'content-missing' } });
      await pathOf(request);
      expect(await blobs.place(request.digest, under.target('kubelet'), { mode: 0o755 })).toEqual({ ok: true, value: undefined });
    });
  });
};
