import { request as plainRequest, Agent as PlainAgent, type IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { chunkListBytesMax, chunkListType } from '@groundplane/protocol/chunk/list';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { hubAgents, type ProxyEnv } from '../link/hub-agents.ts';
import type { BlobSource } from '../port/blobs.ts';

/** A connection on which nothing comes for so long is dead. */
const idleMs = 30_000;

export interface HttpSourceOptions {
  name: string;
  isMetered: boolean;
  /** Address of a blob, and of its list of chunks where there is one. */
  url: (digest: Digest) => URL;
  chunksUrl?: (digest: Digest) => URL;
  /** What opens the door for this blob. */
  authorization: (digest: Digest) => string;
  caPem?: string | undefined;
  proxy?: (() => ProxyEnv) | undefined;
  /** Longest time without a byte; tests shorten it. */
  idleMs?: number;
}

/** The place of the first byte of an answer, or undefined when it does not say what was asked for. */
const startOf = (response: IncomingMessage, offset: number): number | undefined => {
  if (response.statusCode === 200) return 0;
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '');
  return response.statusCode === 206 && Number(match?.[1]) === offset ? offset : undefined;
};

/** The part of an answer that was asked for, whatever else comes: a server may send the whole (RFC 9110, 14.2). */
async function* slice(response: IncomingMessage, skip: number, size: number): AsyncGenerator<Uint8Array> {
  let [left, ahead] = [size, skip];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const rest = chunk.subarray(Math.min(ahead, chunk.length));
      ahead -= chunk.length - rest.length;
      const piece = rest.subarray(0, left);
      left -= piece.length;
      if (piece.length > 0) yield piece;
      if (left === 0) return;
    }
  } finally {
    response.destroy();
  }
}

/** Blobs over HTTP with range. Redirects are not followed, so that what opens the door goes to this one server only. */
export const httpBlobSource = (options: HttpSourceOptions): BlobSource => {
  const plain = new PlainAgent({ keepAlive: true, maxSockets: 2 });
  const secure = hubAgents({ ...options, sockets: 2 });

  const get = (url: URL, digest: Digest, range: string | undefined, signal: AbortSignal): Promise<Result<IncomingMessage>> => {
    const { promise, resolve } = Promise.withResolvers<Result<IncomingMessage>>();
    const send = url.protocol === 'https:' ? secureRequest : plainRequest;
    const headers = {
      authorization: options.authorization(digest),
      'accept-encoding': 'identity',
      ...(range === undefined ? {} : { range: `bytes=${range}` }),
    };
    const request = send(url, { agent: url.protocol === 'https:' ? secure() : plain, headers, signal, timeout: options.idleMs ?? idleMs }, (response) =>
      resolve(ok(response)),
    );
    // The socket's own clock goes on through the body, so that a source which falls silent in the middle is a cut.
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => resolve(fail('retry', 'content-unreachable', digest, `${options.name}: ${error.message}`)));
    request.end();
    return promise;
  };

  const refused = (response: IncomingMessage, digest: Digest): Result<never> => {
    const status = response.statusCode ?? 0;
    response.destroy();
    if (status === 401 || status === 403) return fail('blocked', 'content-denied', digest, `${options.name} does not give it to this host`);
    if (status === 404) return fail('retry', 'content-missing', digest, `${options.name} does not have it (yet)`);
    if (status === 429 && !options.isMetered) return fail('retry', 'content-busy', digest, `${options.name} is busy with others`);
    // Of the hub it means that it is starting or full; of a neighbour, that it brings the blob.
    if (status === 503 && !options.isMetered) return fail('retry', 'content-coming', digest, `${options.name} has it soon`);
    return fail('retry', 'content-unreachable', digest, `${options.name} answered ${status}`);
  };

  const readList = async (digest: Digest, sizeBytes: number, url: URL, signal: AbortSignal): Promise<Uint8Array | undefined> => {
    const answer = await get(url, digest, undefined, signal);
    if (!answer.ok) return undefined;
    const response = answer.value;
    if (response.statusCode !== 200 || response.headers['content-type'] !== chunkListType) return void response.destroy();
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > chunkListBytesMax(sizeBytes)) return void response.destroy();
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  };

  const { chunksUrl } = options;
  return {
    name: options.name,
    isMetered: options.isMetered,
    read: async (digest, offset, size, signal) => {
      const answer = await get(options.url(digest), digest, `${offset}-${offset + size - 1}`, signal);
      if (!answer.ok) return answer;
      const start = startOf(answer.value, offset);
      return start === undefined ? refused(answer.value, digest) : ok(slice(answer.value, offset - start, size));
    },
    ...(chunksUrl === undefined
      ? {}
      : { chunks: (digest: Digest, sizeBytes: number, signal: AbortSignal) => readList(digest, sizeBytes, chunksUrl(digest), signal) }),
  };
};

/** The hub's content store, by the token of the session that is open. */
export const hubBlobSource = (base: string, options: { token: () => string; caPem?: string | undefined; proxy?: (() => ProxyEnv) | undefined }): BlobSource =>
  httpBlobSource({
    name: 'the hub',
    isMetered: true,
    url: (digest) => new URL(`/api/v1/content/${digest}`, base),
    chunksUrl: (digest) => new URL(`/api/v1/content/${digest}/chunks`, base),
    authorization: () => `Bearer ${options.token()}`,
    caPem: options.caPem,
    proxy: options.proxy,
  });
