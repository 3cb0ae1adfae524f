import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail } from '@groundplane/protocol/failure';
import type { Neighbours } from '@groundplane/protocol/messages';
import type { BlobSource } from '../port/blobs.ts';
import type { Clock } from '../port/clock.ts';
import { openDoor, type Door } from '../system/door.ts';
import type { DiskBlobs } from './disk.ts';
import { httpBlobSource } from './http-source.ts';
import { blobLimits } from './limits.ts';
import { serveFile } from './serve-file.ts';

export type KnownNeighbours = Omit<Neighbours, 't'>;

/**
 * Opens one blob among the hosts of one cluster. It holds for this blob only and needs no clock: whoever hears it on the network hears the blob too. What comes is
 * checked by its digest, so that nobody has to prove that he is a neighbour.
 */
export const neighbourToken = (secret: string, digest: string): string =>
  createHmac('sha256', secret).update(`groundplane blob 1\n${digest}`).digest('base64url');

/** Each blob has an order of its own among the hosts, the same for all of them: the first one brings it over the line, the others take it from there. */
const rankOf = (digest: string, host: string): string => createHash('sha256').update(`${digest} ${host}`).digest('hex');

export interface NeighbourDeps {
  clock: Pick<Clock, 'monotonicMs'>;
  /** What the hub said last; undefined when this host is in no cluster. */
  known: () => KnownNeighbours | undefined;
  /** Id of this host. */
  self: () => string | undefined;
}

const memoMax = 1_000;

/** The neighbours that may have a blob, in its order. */
export const createNeighbourSources = (deps: NeighbourDeps): ((digest: Digest) => BlobSource[]) => {
  const askedAtMs = new Map<string, number>();
  const since = (digest: string): number => {
    const first = askedAtMs.get(digest) ?? deps.clock.monotonicMs();
    if (askedAtMs.size >= memoMax) askedAtMs.clear();
    askedAtMs.set(digest, first);
    return deps.clock.monotonicMs() - first;
  };
  return (digest) => {
    const known = deps.known();
    const self = deps.self();
    if (known === undefined || self === undefined) return [];
    const own = rankOf(digest, self);
    return known.hosts
      .map((item) => ({ ...item, rank: rankOf(digest, item.host) }))
      .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
      .slice(0, blobLimits.neighboursAsked)
      .flatMap(({ host, addresses, port, rank }) =>
        addresses.slice(0, 2).map((address) => {
          const source = httpBlobSource({
            name: `neighbour ${address}`,
            isMetered: false,
            url: (wanted) => new URL(`http://${isIPv6(address) ? `[${address}]` : address}:${port}/blobs/${wanted}`),
            authorization: (wanted) => `Bearer ${neighbourToken(known.secret, wanted)}`,
            idleMs: blobLimits.neighbourIdleMs,
          });
          return { ...source, read: comingFirst(source, { host, isFirst: rank < own, since }) };
        }),
      );
  };
};

/** One that stands before this host in the blob's order and does not have it yet will have it soon. The order keeps two from waiting for each other. */
const comingFirst =
  (source: BlobSource, who: { host: string; isFirst: boolean; since: (digest: string) => number }): BlobSource['read'] =>
  async (digest, offset, size, signal) => {
    const answer = await source.read(digest, offset, size, signal);
    if (answer.ok) return answer;
    const { code } = answer.failure;
    const waitedMs = who.since(digest);
    // Who is busy has it. One that stands behind in the order waits for this host, not the other way round.
    const isHopeful =
      (code === 'content-busy' && waitedMs < blobLimits.comingMs) ||
      (who.isFirst && ((code === 'content-coming' && waitedMs < blobLimits.comingMs) || (code === 'content-missing' && waitedMs < blobLimits.headStartMs)));
    if (isHopeful) return fail('retry', 'content-coming', digest, `${source.name} brings it for this site`);
    return code === 'content-coming' || code === 'content-busy' ? fail('retry', 'content-missing', digest, `${source.name} does not give it`) : answer;
  };

export interface NeighbourDoorDeps {
  clock: Pick<Clock, 'monotonicMs'>;
  blobs: Pick<DiskBlobs, 'path' | 'isComing'>;
  known: () => Pick<KnownNeighbours, 'secret'> | undefined;
}

const minuteMs = 60_000;
const addressesMax = 10_000;
const connectionsMax = 64;

const isRight = (given: string | undefined, wanted: string): boolean => {
  const [a, b] = [Buffer.from(given?.replace(/^Bearer /, '') ?? ''), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/** What hosts of the same cluster may ask this one: blobs by digest, with the token of each. Everybody else is told nothing, not even what is here. */
export const startNeighbourDoor = (deps: NeighbourDoorDeps, options: { port: number; address: string }): Promise<Door> => {
  const open = new Map<string, number>();
  const wrong = new Map<string, { atMs: number; count: number }>();
  let transfers = 0;

  const end = (response: ServerResponse, status: number, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { ...headers, 'content-length': '0', 'x-content-type-options': 'nosniff' }).end();
  };

  /** Counts a wrong guess; answers whether this address has guessed too often. */
  const isGuessing = (from: string, isWrong: boolean): boolean => {
    const nowMs = deps.clock.monotonicMs();
    const row = wrong.get(from);
    const current = row === undefined || nowMs - row.atMs >= minuteMs ? { atMs: nowMs, count: 0 } : row;
    if (isWrong) {
      if (wrong.size >= addressesMax) wrong.clear();
      wrong.set(from, { ...current, count: current.count + 1 });
    }
    return current.count >= blobLimits.doorWrongPerMinute;
  };

  const give = async (request: IncomingMessage, response: ServerResponse, digest: Digest, from: string): Promise<void> => {
    const path = await deps.blobs.path(digest);
    if (path === undefined) return deps.blobs.isComing(digest) ? end(response, 503, { 'retry-after': '10' }) : end(response, 404);
    if (transfers >= blobLimits.doorTransfers || (open.get(from) ?? 0) >= blobLimits.doorTransfersEach) return end(response, 429, { 'retry-after': '10' });
    transfers += 1;
    open.set(from, (open.get(from) ?? 0) + 1);
    try {
      if (!(await serveFile(request, response, path, { 'content-type': 'application/octet-stream' }))) end(response, 404);
    } finally {
      transfers -= 1;
      const left = (open.get(from) ?? 1) - 1;
      if (left === 0) open.delete(from);
      else open.set(from, left);
    }
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const from = request.socket.remoteAddress ?? '';
    const secret = deps.known()?.secret;
    const digest = /^\/blobs\/(sha256:[0-9a-f]{64})$/.exec(request.url ?? '')?.[1] ?? '';
    if (isGuessing(from, false)) return end(response, 429, { 'retry-after': '60', connection: 'close' });
    const isKnown = secret !== undefined && isDigest(digest) && isRight(request.headers.authorization, neighbourToken(secret, digest));
    if (!isKnown || !isDigest(digest)) {
      isGuessing(from, true);
      return end(response, 401);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405);
    return give(request, response, digest, from);
  };

  return openDoor({ ...options, connectionsMax, answer });
};
