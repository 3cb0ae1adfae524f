import { request as plainRequest, Agent as PlainAgent, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as secureRequest } from 'node:https';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { deltaBytesMax, patchType } from '@groundplane/protocol/delta';
import type { ContentSource, PatchBase } from '../port/content.ts';
import { chunkedFetch } from './chunks.ts';
import { hubAgents, type ProxyEnv } from './hub-agents.ts';
import { patched } from './patch.ts';

const timeoutMs = 30_000;
const resumesMax = 5;

export interface Part {
  status: number;
  type: string;
  bytes: Buffer;
  /** Everything that was announced has come. */
  isWhole: boolean;
}

const readPart = (response: IncomingMessage, sizeMax: number): Promise<Part> => {
  const { promise, resolve } = Promise.withResolvers<Part>();
  const chunks: Buffer[] = [];
  let size = 0;
  const end = (isWhole: boolean): void =>
    resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', bytes: Buffer.concat(chunks), isWhole });
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > sizeMax) response.destroy();
    else chunks.push(chunk);
  });
  response.on('end', () => end(response.complete));
  response.on('error', () => end(false));
  response.on('close', () => end(response.complete));
  return promise;
};

/** Blobs over HTTP with range: a cut transfer goes on where it stopped. Redirects are not followed, and the token goes to this one server only. */
export const httpContent = (base: string, options: { token: () => string; caPem?: string | undefined; proxy?: () => ProxyEnv }): ContentSource => {
  const isSecure = base.startsWith('https:');
  const plain = new PlainAgent({ keepAlive: true, maxSockets: 4 });
  const secure = hubAgents({ ...options, sockets: 4 });
  const send = isSecure ? secureRequest : plainRequest;

  const get = (digest: string, range: string | undefined, sizeMax: number, more = ''): Promise<Result<Part>> => {
    const { promise, resolve } = Promise.withResolvers<Result<Part>>();
    const headers: RequestOptions['headers'] = { authorization: `Bearer ${options.token()}`, ...(range === undefined ? {} : { range: `bytes=${range}` }) };
    const request = send(new URL(`/api/v1/content/${digest}${more}`, base), { agent: isSecure ? secure() : plain, headers, timeout: timeoutMs }, (response) => {
      readPart(response, sizeMax).then(
        (part) => resolve(ok(part)),
        () => undefined,
      );
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => resolve(fail('retry', 'content-unreachable', digest, error.message)));
    request.end();
    return promise;
  };

  /** What changed since the bundle before. Whatever is odd about it, the whole blob is asked for afterwards. */
  const getPatched = async (digest: string, sizeBytes: number, from: PatchBase): Promise<string | undefined> => {
    const part = await get(digest, undefined, sizeBytes, `?from=${from.digest}&bundle=${from.bundle}`);
    if (!part.ok || part.value.status !== 200 || !part.value.isWhole) return undefined;
    const { bytes, type } = part.value;
    const made = type === patchType ? patched(from.text, bytes, sizeBytes) : bytes;
    return made !== undefined && digestBytes(made) === digest && Buffer.byteLength(made.toString('utf8')) === made.length ? made.toString('utf8') : undefined;
  };

  const getChunked = chunkedFetch(get);

  return {
    fetch: async (digest, sizeBytes, from) => {
      if (sizeBytes > limits.contentBlobBytes)
        return fail('fatal', 'content-wrong', digest, `is announced with ${sizeBytes} bytes, more than ${limits.contentBlobBytes}`);
      const isLarge = from !== undefined && Math.max(sizeBytes, from.text.length) > deltaBytesMax;
      const chunked = from !== undefined && isLarge ? await getChunked(digest, sizeBytes, from) : undefined;
      if (chunked !== undefined) return chunked;
      const text = from === undefined || isLarge ? undefined : await getPatched(digest, sizeBytes, from);
      if (text !== undefined) return ok(text);
      let have: Buffer = Buffer.alloc(0);
      for (let turn = 0; turn < resumesMax; turn += 1) {
        const part = await get(digest, have.length === 0 ? undefined : `${have.length}-`, sizeBytes - have.length);
        if (!part.ok) return part;
        const { status, bytes, isWhole } = part.value;
        if (status === 401 || status === 403) return fail('blocked', 'content-denied', digest, 'the hub does not give it to this host');
        if (status === 404) return fail('retry', 'content-missing', digest, 'the hub does not have it (yet)');
        if (status !== 200 && status !== 206) return fail('retry', 'content-unreachable', digest, `the hub answered ${status}`);
        have = status === 206 ? Buffer.concat([have, bytes]) : bytes;
        if (!isWhole && have.length < sizeBytes) continue;
        const text = have.toString('utf8');
        if (digestBytes(have) !== digest || Buffer.byteLength(text) !== have.length)
          return fail('retry', 'content-missing', digest, 'what came has another digest');
        return ok(text);
      }
      return fail('retry', 'content-unreachable', digest, 'the transfer broke too often');
    },
  };
};
