import type { Readable } from 'node:stream';
import { apiBase } from '@groundplane/protocol/api/routes';
import type { ApiResult } from '@groundplane/protocol/api/client';
import type { Digest } from '@groundplane/protocol/digest';
import { fail } from '@groundplane/protocol/failure';
import type { Connection } from './connect.ts';
import { notice, type Context } from './io.ts';

/** Larger blobs go in parts of this size, each of which can be sent again. */
export const uploadPartBytes = 16 * 1024 * 1024;
const triesMax = 6;
/** The hub reads a complete blob once more before it says yes; some GiB take a while. */
const verifyTriesMax = 600;
const verifyPauseMs = 2_000;
const MiB = 1024 * 1024;

export interface LocalBlob {
  digest: Digest;
  size: number;
  /** Read once, from its beginning. */
  body: Readable;
  /** What people call it. */
  name: string;
}

type Sent = ApiResult<void>;
const done: Sent = { ok: true, value: undefined };

const cut = (blob: LocalBlob, message: string): Sent => ({ ok: false, failure: { ...fail('retry', 'content-cut', blob.name, message).failure, status: 0 } });

/** Failures that another try may cure: the line, a hub that is starting, another sender of the same blob. */
const isPassing = (failure: { code: string; status: number }): boolean =>
  failure.status === 0 || failure.status >= 502 || ['content-cut', 'upload-busy', 'upload-moved'].includes(failure.code) ? failure.code !== 'disk-full' : false;

/** How far the hub is; a blob that is there already has nothing more to get. */
const askHeld = async (connection: Connection, blob: LocalBlob): Promise<ApiResult<{ held: number; ending: boolean; isThere: boolean }>> => {
  const there = await connection.client.call('headContent', { params: { digest: blob.digest } });
  if (there.ok) return { ok: true, value: { held: blob.size, ending: false, isThere: true } };
  const answer = await connection.raw('GET', `${apiBase}/content/${blob.digest}/upload`);
  if (!answer.ok) return answer;
  const { held, ending } = JSON.parse(answer.value.text) as { held: number; ending: boolean };
  return { ok: true, value: { held, ending, isThere: false } };
};

/** Sends one part until the hub has it: bytes `start` to the end of `part` of the blob. Answers how far the hub is. */
const sendPart = async (context: Context, connection: Connection, blob: LocalBlob, part: Buffer, start: number): Promise<ApiResult<number>> => {
  let at = start;
  let [tries, waits] = [0, 0];
  for (;;) {
    const end = start + part.length;
    const range = { 'content-range': `bytes ${at}-${end - 1}/${blob.size}` };
    const sent = await connection.raw('PATCH', `${apiBase}/content/${blob.digest}/upload`, part.subarray(at - start), range);
    if (sent.ok) return { ok: true, value: sent.value.status === 204 ? blob.size : end };
    if (!isPassing(sent.failure)) return sent;
    tries += 1;
    if (tries >= triesMax) return sent;
    await context.io.clock.sleep(250 * 2 ** tries);
    let now = await askHeld(connection, blob);
    // The answer of the last part got lost, and the hub still reads: sending it again would only disturb.
    while (now.ok && now.value.ending && waits < verifyTriesMax) {
      waits += 1;
      await context.io.clock.sleep(verifyPauseMs);
      now = await askHeld(connection, blob);
    }
    if (!now.ok) {
      if (!isPassing(now.failure)) return now;
      continue;
    }
    if (now.value.isThere || now.value.held >= end) {
      if (now.value.isThere || end < blob.size) return { ok: true, value: now.value.held };
      continue;
    }
    if (now.value.held < start) return { ok: false, failure: { ...sent.failure, message: 'the hub has forgotten the upload. Run the command again' } };
    // A slow line that brings something each time goes on for as long as it takes.
    if (now.value.held > at) tries = 0;
    at = now.value.held;
  }
};

const tell = (context: Context, blob: LocalBlob, sent: number): Promise<void> =>
  notice(context, `${blob.name}: ${Math.ceil(sent / MiB)} of ${Math.ceil(blob.size / MiB)} MiB`);

/**
 * Brings a blob into the hub: a small one at once, a large one in parts, with progress on standard error. Holds one part in memory. What an earlier, cut run
 * sent is not sent again. Whoever knows that the hub has it does not call.
 */
export const uploadBlob = async (context: Context, connection: Connection, blob: LocalBlob): Promise<Sent> => {
  const isLarge = blob.size > uploadPartBytes;
  const begun = isLarge ? await askHeld(connection, blob) : undefined;
  if (begun?.ok === false) return begun;
  if (begun?.value.isThere === true) return done;
  let held = begun?.value.ending === true ? 0 : (begun?.value.held ?? 0);
  if (held > 0) await notice(context, `${blob.name}: going on after ${Math.floor(held / MiB)} MiB`);
  let parts: Buffer[] = [];
  let [bytes, at, told] = [0, 0, 0];
  const flush = async (): Promise<Sent> => {
    const part = Buffer.concat(parts);
    const start = at;
    [parts, bytes, at] = [[], 0, at + part.length];
    if (!isLarge) {
      const put = await connection.raw('PUT', `${apiBase}/content/${blob.digest}`, part);
      return put.ok ? done : put;
    }
    if (at <= held) return done;
    const from = Math.max(start, held);
    const sent = await sendPart(context, connection, blob, part.subarray(from - start), from);
    if (!sent.ok) return sent;
    held = Math.max(held, sent.value);
    if (held - told >= blob.size / 10 || held === blob.size) {
      told = held;
      await tell(context, blob, held);
    }
    return done;
  };
  try {
    for await (const chunk of blob.body as AsyncIterable<Buffer>) {
      parts.push(chunk);
      bytes += chunk.length;
      if (!isLarge || bytes < uploadPartBytes) continue;
      const sent = await flush();
      if (!sent.ok) return sent;
    }
  } catch (error) {
    return cut(blob, `cannot be read: ${(error as Error).message}`);
  }
  if (at + bytes !== blob.size) return cut(blob, `has ${at + bytes} bytes instead of ${blob.size}`);
  return bytes > 0 || !isLarge ? flush() : done;
};
