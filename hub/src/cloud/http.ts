import { ok, fail } from '@groundplane/protocol/failure';
import { Readable } from 'node:stream';
import type { Http } from '../port/http.ts';
import { readAnswer, type Egress } from '../registry/egress.ts';

const answerBytesMax = 32 * 1024 * 1024;

/** The real way to an environment's API: through the hub's one door to other people's servers. `ca`: PEM of the authorities of a private one. */
export const egressHttp =
  (egress: Egress, tls: { ca?: string | undefined; insecure?: boolean | undefined }): Http =>
  async ({ method, url, headers, body }) => {
    const parsed = URL.parse(url);
    if (parsed === null) return fail('fatal', 'cloud-refused', url, 'is no address');
    const bytes = body === undefined ? undefined : Buffer.from(body as Uint8Array);
    const sent = await egress.send({
      method,
      url: parsed,
      headers,
      ...(bytes === undefined ? {} : { body: { size: bytes.length, open: () => Readable.from([bytes]) } }),
      ca: tls.ca,
      insecure: tls.insecure,
    });
    const element = `${method} ${parsed.host}`;
    if (!sent.ok) return sent.failure.code === 'registry-unreachable' ? fail('retry', 'cloud-unreachable', element, sent.failure.message) : sent;
    const read = await readAnswer(sent.value, answerBytesMax, element);
    if (!read.ok) return read.failure.code === 'registry-unreachable' ? fail('retry', 'cloud-unreachable', element, read.failure.message) : read;
    return ok({ status: sent.value.status, headers: sent.value.headers(), body: read.value });
  };
