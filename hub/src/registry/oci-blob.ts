import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { fail, FailureError, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import type { Throttle } from '../content/throttle.ts';
import type { Clock } from '../port/clock.ts';
import type { EgressAnswer } from './egress.ts';
import { registryLimits } from './limits.ts';
import type { Endpoint } from './oci-auth.ts';
import { pause, type Connection } from './oci-connection.ts';
import type { Descriptor } from './oci-manifest.ts';

type Wanted = Pick<Descriptor, 'digest' | 'size'>;

/** First byte of a part as the server tells it; 0 for a whole answer. */
const startOf = (answer: EgressAnswer): number | undefined => {
  if (answer.status !== 206) return 0;
  const start = /^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
};

/**
 * Blobs as streams that survive cuts: after each one the rest is asked for by range; a server without ranges sends the whole again and the known part is
 * skipped. The digest is checked by whoever receives the stream, over all parts together.
 */
async function* blobParts(
  { connection, clock }: { connection: Connection; clock: Clock },
  endpoint: Endpoint,
  path: string,
  scope: string,
  wanted: Wanted,
  part: { start: number; end: number } | undefined,
): AsyncGenerator<Buffer> {
  let have = part?.start ?? 0;
  const until = part === undefined ? wanted.size : part.end + 1;
  let fruitless = 0;
  const element = `${new URL(endpoint.origin).host}${path} blob ${wanted.digest}`;
  let why: Failure | undefined;
  for (let turn = 0; turn <= registryLimits.resumes; turn += 1) {
    if (turn > 0) await pause(clock, Math.min(30_000, 250 * 2 ** fruitless));
    const answer = await connection.send(endpoint, {
      method: 'GET',
      to: `${path}/blobs/${wanted.digest}`,
      scope,
      element,
      headers: have === 0 && part === undefined ? {} : { range: `bytes=${have}-${part === undefined ? '' : part.end}` },
      takes: [206],
    });
    if (!answer.ok) throw new FailureError(answer.failure);
    const start = startOf(answer.value);
    if (start === undefined || start > have)
      throw new FailureError(fail('fatal', 'registry-malformed', element, 'sent another part than was asked for').failure);
    let skip = have - start;
    const before = have;
    try {
      for await (const chunk of answer.value.body as AsyncIterable<Buffer>) {
        const fresh = skip >= chunk.length ? undefined : chunk.subarray(skip);
        skip = Math.max(0, skip - chunk.length);
        if (fresh === undefined) continue;
        have += fresh.length;
        if (have > until && part !== undefined) {
          yield fresh.subarray(0, fresh.length - (have - until));
          return;
        }
        if (have > until) throw new FailureError(fail('fatal', 'content-wrong', element, `is announced with ${wanted.size} bytes, and more came`).failure);
        yield fresh;
      }
      if (have === until) return;
      why = fail('retry', 'registry-unreachable', element, `the transfer ended after ${have} of ${wanted.size} bytes`).failure;
      // A complete answer that is too short is not a cut: asking again would give the same.
      if (answer.value.body.complete && answer.value.status === 200)
        throw new FailureError(fail('fatal', 'content-wrong', element, `is announced with ${wanted.size} bytes, and only ${have} came`).failure);
    } catch (error) {
      if (error instanceof FailureError) throw error;
      why = fail('retry', 'registry-unreachable', element, `the transfer broke after ${have} of ${wanted.size} bytes: ${(error as Error).message}`).failure;
      if (have === until) return;
    } finally {
      answer.value.body.destroy();
    }
    fruitless = have > before ? 0 : fruitless + 1;
    if (fruitless >= registryLimits.tries) break;
  }
  throw new FailureError(why ?? fail('retry', 'registry-unreachable', element, 'the transfer broke too often').failure);
}

export const blobReader = (deps: { connection: Connection; clock: Clock; throttle: Throttle | undefined }) => {
  const { throttle } = deps;
  const open = (endpoint: Endpoint, path: string, scope: string, wanted: Wanted, part?: { start: number; end: number }): Readable => {
    const stream = Readable.from(blobParts(deps, endpoint, path, scope, wanted, part), { objectMode: false });
    if (throttle === undefined) return stream;
    const slow = throttle.through();
    stream.on('error', (error) => slow.destroy(error));
    slow.on('close', () => stream.destroy());
    return stream.pipe(slow);
  };

  return {
    open,
    /** A stream whose server is found out when somebody reads it. */
    lazily: (find: () => Promise<Readable | undefined>, wanted: Wanted): Readable =>
      Readable.from(
        (async function* () {
          const stream = await find();
          if (stream === undefined) throw new FailureError(fail('fatal', 'registry-unknown', wanted.digest, 'has no server').failure);
          yield* stream as AsyncIterable<Buffer>;
        })(),
        { objectMode: false },
      ),
    read: async (endpoint: Endpoint, path: string, scope: string, wanted: Wanted, bytesMax: number): Promise<Result<Buffer>> => {
      const element = `blob ${wanted.digest}`;
      if (wanted.size > bytesMax) return fail('fatal', 'content-too-large', element, `has ${wanted.size} bytes; at most ${bytesMax} are taken here`);
      const chunks: Buffer[] = [];
      const hash = createHash('sha256');
      try {
        for await (const chunk of open(endpoint, path, scope, wanted) as AsyncIterable<Buffer>) {
          hash.update(chunk);
          chunks.push(chunk);
        }
      } catch (error) {
        if (error instanceof FailureError) return { ok: false, failure: error.failure };
        throw error;
      }
      if (`sha256:${hash.digest('hex')}` !== wanted.digest)
        return fail('fatal', 'content-wrong', element, `${new URL(endpoint.origin).host} sent bytes of another digest`);
      return ok(Buffer.concat(chunks));
    },
  };
};
