import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { Readable } from 'node:stream';
import type { Http } from '../port/http.ts';
import { readAnswer, type Egress } from '../registry/egress.ts';

const answerBytesMax = 32 * 1024 * 1024;
/** Of a call and its whole answer. One that comes byte by byte would hold up a cluster, and the account of it, for ever. */
const callMs = 120_000;

/** The real way to an environment's API: through the hub's one door to other people's servers. `ca`: PEM of the authorities of a private one. */
export const egressHttp =
  (egress: Egress, tls: { ca?: string | undefined; insecure?: boolean | undefined }, options: { callMs?: number } = {}): Http =>
  async ({ method, url, headers, body }) => {
    const parsed = URL.parse(url);
    if (parsed === null) return fail('fatal', 'cloud-refused', url, 'is no address');
    const bytes = body === undefined ? undefined : Buffer.from(body as Uint8Array);
    const limitMs = options.callMs ?? callMs;
    const signal = AbortSignal.timeout(limitMs);
    const element = `${method} ${parsed.host}`;
    const told = (failure: Failure): Result<never> => {
      if (failure.code !== 'registry-unreachable') return { ok: false, failure };
      return fail('retry', 'cloud-unreachable', element, signal.aborted ? `its answer was not complete after ${limitMs / 1_000} s` : failure.message);
    };
    const sent = await egress.send({
      method,
      url: parsed,
      headers,
      ...(bytes === undefined ? {} : { body: { size: bytes.length, open: () => Readable.from([bytes]) } }),
      ca: tls.ca,
      insecure: tls.insecure,
      signal,
    });
    if (!sent.ok) return told(sent.failure);
    const read = await readAnswer(sent.value, answerBytesMax, element);
    if (!read.ok) return told(read.failure);
    return ok({ status: sent.value.status, headers: sent.value.headers(), body: read.value });
  };
