import { Readable } from 'node:stream';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { EgressAnswer } from './egress.ts';
import { registryLimits } from './limits.ts';
import type { Endpoint } from './oci-auth.ts';
import { pause, type Connection } from './oci-connection.ts';

/** A blob to send: its bytes can be opened anew from any position. */
export interface BlobSource {
  digest: Digest;
  size: number;
  open: (start: number, end: number) => Readable;
  /** A repository of the same registry that may have it already. */
  mountFrom?: string;
}

/** The last byte that the registry holds of an upload: `Range: 0-1023`. */
const heldBytes = (answer: EgressAnswer): number | undefined => {
  const end = /^(?:bytes=)?0-(\d+)$/.exec(answer.header('range') ?? '')?.[1];
  return end === undefined ? undefined : Number(end) + 1;
};

const withDigest = (location: URL, digest: Digest): URL => {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  return url;
};

export const createPusher = (deps: { connection: Connection; clock: Clock }) => {
  const { connection, clock } = deps;

  const locationOf = (endpoint: Endpoint, answer: EgressAnswer, base: URL, element: string): Result<URL> => {
    const header = answer.header('location');
    const url = header === undefined ? null : URL.parse(header, base);
    if (url === null) return fail('fatal', 'registry-malformed', element, 'the registry does not say where to upload to');
    const home = new URL(endpoint.origin);
    // Behind a proxy that ends TLS many registries write http:// into their own address.
    if (url.host === home.host && url.protocol !== home.protocol) url.protocol = home.protocol;
    if (url.hostname === home.hostname && url.origin !== home.origin && home.protocol === 'https:' && url.protocol === 'http:')
      return ok(new URL(url.pathname + url.search, home));
    if (url.protocol === 'http:' && home.protocol === 'https:')
      return fail('blocked', 'registry-insecure', element, `the registry wants the upload at ${url.origin}, which is not encrypted`);
    return ok(url);
  };

  const hasBlob = async (endpoint: Endpoint, path: string, scope: string, digest: Digest): Promise<Result<boolean>> => {
    const answer = await connection.send(endpoint, { method: 'HEAD', to: `${path}/blobs/${digest}`, scope, element: `blob ${digest}`, takes: [404] });
    if (!answer.ok) return answer;
    answer.value.body.resume();
    return ok(answer.value.status !== 404);
  };

  /** Opens an upload; `undefined` when the registry took the blob from its other repository. */
  const begin = async (
    endpoint: Endpoint,
    path: string,
    scope: string,
    blob: BlobSource,
    element: string,
  ): Promise<Result<{ url: URL; chunkMin: number } | undefined>> => {
    const mount = blob.mountFrom === undefined ? '' : `?mount=${blob.digest}&from=${encodeURIComponent(blob.mountFrom)}`;
    const scopes = blob.mountFrom === undefined ? scope : `${scope} repository:${blob.mountFrom}:pull`;
    const answer = await connection.send(endpoint, {
      method: 'POST',
      to: `${path}/blobs/uploads/${mount}`,
      scope: scopes,
      element,
      headers: { 'content-length': '0' },
    });
    if (!answer.ok) return answer;
    answer.value.body.resume();
    if (answer.value.status === 201) return ok(undefined);
    const url = locationOf(endpoint, answer.value, new URL(path, endpoint.origin), element);
    if (!url.ok) return url;
    const chunkMin = Number(answer.value.header('oci-chunk-min-length') ?? 0);
    return ok({ url: url.value, chunkMin: Number.isSafeInteger(chunkMin) ? Math.min(chunkMin, 1024 ** 3) : 0 });
  };

  const finish = async (endpoint: Endpoint, scope: string, url: URL, blob: BlobSource, body: boolean, element: string): Promise<Result<void>> => {
    const answer = await connection.send(endpoint, {
      method: 'PUT',
      to: withDigest(url, blob.digest),
      scope,
      element,
      headers: body ? { 'content-type': 'application/octet-stream' } : { 'content-length': '0' },
      ...(body ? { body: { size: blob.size, open: () => blob.open(0, blob.size - 1) } } : {}),
    });
    if (!answer.ok)
      return answer.failure.code === 'registry-refused'
        ? fail('fatal', 'content-wrong', element, `the registry refused the upload: ${answer.failure.message}`)
        : answer;
    answer.value.body.resume();
    return ok(undefined);
  };

  /** Asks how far an upload came; undefined when the registry has forgotten it. */
  const progress = async (endpoint: Endpoint, scope: string, url: URL, element: string): Promise<Result<{ url: URL; held: number } | undefined>> => {
    const answer = await connection.send(endpoint, { method: 'GET', to: url, scope, element, takes: [404] });
    if (!answer.ok) return answer;
    answer.value.body.resume();
    if (answer.value.status === 404) return ok(undefined);
    const next = answer.value.header('location') === undefined ? ok(url) : locationOf(endpoint, answer.value, url, element);
    return next.ok ? ok({ url: next.value, held: heldBytes(answer.value) ?? 0 }) : next;
  };

  const sendChunks = async (
    endpoint: Endpoint,
    scope: string,
    first: URL,
    chunkBytes: number,
    blob: BlobSource,
    element: string,
    from = 0,
  ): Promise<Result<URL>> => {
    let url = first;
    let at = from;
    let fruitless = 0;
    while (at < blob.size) {
      const [start, end] = [at, Math.min(blob.size, at + chunkBytes) - 1];
      const answer = await connection.send(endpoint, {
        method: 'PATCH',
        to: url,
        scope,
        element,
        headers: { 'content-type': 'application/octet-stream', 'content-range': `${start}-${end}` },
        body: { size: end - start + 1, open: () => blob.open(start, end) },
        takes: [416],
      });
      if (answer.ok && answer.value.status !== 416) {
        answer.value.body.resume();
        const next = locationOf(endpoint, answer.value, url, element);
        if (!next.ok) return next;
        url = next.value;
        at = heldBytes(answer.value) ?? end + 1;
        fruitless = 0;
        continue;
      }
      if (answer.ok) answer.value.body.resume();
      else if (answer.failure.kind !== 'retry') return answer;
      fruitless += 1;
      if (fruitless >= registryLimits.tries)
        return answer.ok ? fail('retry', 'registry-unreachable', element, 'the registry lost count of the upload') : answer;
      await pause(clock, 250 * 2 ** fruitless);
      const held = await progress(endpoint, scope, url, element);
      if (!held.ok) return held;
      if (held.value === undefined || held.value.held < from) return fail('retry', 'upload-forgotten', element, 'the registry has forgotten the upload');
      if (held.value.held > blob.size) return fail('fatal', 'registry-malformed', element, 'the registry holds more of the upload than there is');
      ({ url, held: at } = held.value);
    }
    return ok(url);
  };

  return {
    hasBlob,
    pushBlob: async (endpoint: Endpoint, path: string, scope: string, blob: BlobSource): Promise<Result<{ sent: boolean }>> => {
      const element = `blob ${blob.digest}`;
      const there = await hasBlob(endpoint, path, scope, blob.digest);
      if (!there.ok) return there;
      if (there.value) return ok({ sent: false });
      let last: Result<{ sent: boolean }> = fail('retry', 'registry-unreachable', element, 'the upload did not begin');
      for (let attempt = 0; attempt < registryLimits.tries; attempt += 1) {
        if (attempt > 0) await pause(clock, 250 * 2 ** attempt);
        const begun = await begin(endpoint, path, scope, blob, element);
        if (!begun.ok) return begun;
        if (begun.value === undefined) return ok({ sent: false });
        const chunkBytes = Math.max(registryLimits.chunkBytes, begun.value.chunkMin);
        const isSmall = blob.size <= chunkBytes;
        const sent = isSmall ? ok(begun.value.url) : await sendChunks(endpoint, scope, begun.value.url, chunkBytes, blob, element);
        const done = sent.ok ? await finish(endpoint, scope, sent.value, blob, isSmall && blob.size > 0, element) : sent;
        if (done.ok) return ok({ sent: true });
        last = done;
        // The upload may be complete although its answer got lost, or gone after a restart of the registry.
        if (done.failure.kind !== 'retry' && done.failure.code !== 'artifact-missing') return done;
        const now = await hasBlob(endpoint, path, scope, blob.digest);
        if (now.ok && now.value) return ok({ sent: true });
      }
      return last;
    },
    /** Chunk by chunk through memory, so that each can be sent again although the source cannot. */
    pushStream: async (
      endpoint: Endpoint,
      path: string,
      scope: string,
      blob: { digest: Digest; size: number; body: Readable },
    ): Promise<Result<{ sent: boolean }>> => {
      const element = `blob ${blob.digest}`;
      const there = await hasBlob(endpoint, path, scope, blob.digest);
      if (!there.ok || there.value) return there.ok ? ok({ sent: false }) : there;
      const source: BlobSource = { digest: blob.digest, size: blob.size, open: () => Readable.from([]) };
      const begun = await begin(endpoint, path, scope, source, element);
      if (!begun.ok || begun.value === undefined) return begun.ok ? ok({ sent: false }) : begun;
      let { url } = begun.value;
      let at = 0;
      const sendPart = async (part: Buffer): Promise<Result<void>> => {
        const offset = at;
        const shifted: BlobSource = {
          ...source,
          size: offset + part.length,
          open: (start, end) => Readable.from([part.subarray(start - offset, end - offset + 1)]),
        };
        const sent = await sendChunks(endpoint, scope, url, registryLimits.chunkBytes, shifted, element, offset);
        if (!sent.ok) return sent;
        url = sent.value;
        at += part.length;
        return ok(undefined);
      };
      let held: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of blob.body as AsyncIterable<Buffer>) {
        held.push(chunk);
        bytes += chunk.length;
        if (bytes < registryLimits.chunkBytes) continue;
        const sent = await sendPart(Buffer.concat(held));
        if (!sent.ok) return sent;
        [held, bytes] = [[], 0];
      }
      const last = bytes === 0 ? ok(undefined) : await sendPart(Buffer.concat(held));
      const done = last.ok ? await finish(endpoint, scope, url, source, false, element) : last;
      return done.ok ? ok({ sent: true }) : done;
    },
    pushManifest: async (
      endpoint: Endpoint,
      path: string,
      scope: string,
      manifest: { name: string; bytes: Buffer; mediaType: string; digest: Digest; element: string },
    ): Promise<Result<Digest>> => {
      const { bytes, element } = manifest;
      if (bytes.length > registryLimits.manifestBytes)
        return fail('fatal', 'manifest-too-large', element, `a manifest has at most ${registryLimits.manifestBytes} bytes`);
      const answer = await connection.send(endpoint, {
        method: 'PUT',
        to: `${path}/manifests/${manifest.name}`,
        scope,
        element,
        headers: { 'content-type': manifest.mediaType },
        body: { size: bytes.length, open: () => Readable.from([bytes]) },
      });
      if (!answer.ok) return answer;
      answer.value.body.resume();
      const told = answer.value.header('docker-content-digest');
      if (told !== undefined && told !== manifest.digest)
        return fail('fatal', 'content-wrong', element, `the registry stored ${told} instead of ${manifest.digest}`);
      return ok(manifest.digest);
    },
  };
};
