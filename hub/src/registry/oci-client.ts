import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Throttle } from '../content/throttle.ts';
import type { Clock } from '../port/clock.ts';
import type { ContentStore } from '../port/content.ts';
import { readAnswer, type Egress } from './egress.ts';
import { registryLimits } from './limits.ts';
import { createAuthorizer, type Endpoint } from './oci-auth.ts';
import { blobReader } from './oci-blob.ts';
import { createConnection } from './oci-connection.ts';
import { acceptedTypes, choosePlatform, parseManifest, type Descriptor, type ParsedManifest, type Platform } from './oci-manifest.ts';
import { createPusher, type BlobSource } from './oci-push.ts';
import { referenceText, type Reference, type RepositoryName } from './oci-reference.ts';

/*
 * A client of our own for the OCI distribution specification 1.1. Looked at before: docker-registry-client (last release 2022, Docker's first protocol too),
 * @snyk/docker-registry-v2-client (kept, but reads whole blobs into memory, cannot push or resume, and follows redirects by `needle`, which we cannot hold to
 * an egress policy); there is no ORAS for JavaScript on npm. The protocol is small; what is hard about it (who gets which credentials) must be ours anyway.
 */

export interface FetchedManifest {
  descriptor: Descriptor;
  bytes: Buffer;
  parsed: ParsedManifest;
}

export interface OciClient {
  /** Digest, size and type of what a tag or digest names now. */
  resolve(reference: Reference): Promise<Result<Descriptor>>;
  /** The manifest or index itself. With a digest in the reference, other bytes are refused. */
  manifest(reference: Reference): Promise<Result<FetchedManifest>>;
  /** The manifest for one platform: through an index when there is one. */
  manifestFor(reference: Reference, platform: Platform): Promise<Result<FetchedManifest & { root: Descriptor }>>;
  /** Streams a blob into a content store, verified; nothing to do when it is there. Goes on after cuts. */
  pullBlob(repository: RepositoryName, descriptor: Pick<Descriptor, 'digest' | 'size'>, store: ContentStore): Promise<Result<void>>;
  /** A small blob in memory, verified. */
  readBlob(repository: RepositoryName, descriptor: Pick<Descriptor, 'digest' | 'size'>, bytesMax: number): Promise<Result<Buffer>>;
  /** Bytes of a blob from `start` to `end` inclusive, unverified: for whoever hashes the whole anyway. */
  openBlob(repository: RepositoryName, descriptor: Pick<Descriptor, 'digest' | 'size'>, start: number, end: number): Readable;
  hasBlob(repository: RepositoryName, digest: Digest): Promise<Result<boolean>>;
  pushBlob(repository: RepositoryName, blob: BlobSource): Promise<Result<{ sent: boolean }>>;
  /** A blob that can be read once only, in pieces of a chunk: from an archive, say. */
  pushStream(repository: RepositoryName, blob: { digest: Digest; size: number; body: Readable }): Promise<Result<{ sent: boolean }>>;
  /** `immutable`: a tag that names other content already is refused as `version-taken`. */
  pushManifest(reference: Reference, bytes: Buffer, mediaType: string, options?: { immutable?: boolean }): Promise<Result<Digest>>;
  tags(repository: RepositoryName): Promise<Result<string[]>>;
  /** Whether there is a registry that lets us in. */
  ping(registry: string): Promise<Result<void>>;
}

export interface OciClientDeps {
  egress: Egress;
  clock: Clock;
  /** Servers for a registry in the order to try; the last one is the registry itself, and the only one that is written to. */
  endpoints: (registry: string) => Promise<Result<readonly Endpoint[]>>;
  throttle?: Throttle;
  tagsPerPage?: number;
  /** Somebody waits for the answer: a registry that asks for longer than this is told about instead. */
  waitMaxMs?: number;
}

export const sha256Of = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Another server may have what this one lacks or refuses; what is wrong with the request itself is wrong everywhere. */
const isWorthAnother = (code: string): boolean => code !== 'reference-invalid' && code !== 'platform-missing';

export const createOciClient = (deps: OciClientDeps): OciClient => {
  const authorizer = createAuthorizer(deps);
  const connection = createConnection({ ...deps, authorizer });
  const blobs = blobReader({ connection, clock: deps.clock, throttle: deps.throttle });
  const pusher = createPusher({ connection, clock: deps.clock });

  const pathOf = (endpoint: Endpoint, { repository }: RepositoryName): string =>
    `/v2/${endpoint.prefix === undefined ? '' : `${endpoint.prefix}/`}${repository}`;
  const scopeOf = (endpoint: Endpoint, { repository }: RepositoryName, actions: string): string =>
    `repository:${endpoint.prefix === undefined ? '' : `${endpoint.prefix}/`}${repository}:${actions}`;

  /** Tries the servers of a registry in order; the failure that counts is that of the registry itself. */
  const anywhere = async <T>(registry: string, act: (endpoint: Endpoint) => Promise<Result<T>>): Promise<Result<T>> => {
    const endpoints = await deps.endpoints(registry);
    if (!endpoints.ok) return endpoints;
    let last: Result<T> = fail('fatal', 'registry-unknown', `registry ${registry}`, 'has no server');
    for (const endpoint of endpoints.value) {
      last = await act(endpoint);
      if (last.ok || !isWorthAnother(last.failure.code)) return last;
    }
    return last;
  };
  const atHome = async <T>(registry: string, act: (endpoint: Endpoint) => Promise<Result<T>>): Promise<Result<T>> => {
    const endpoints = await deps.endpoints(registry);
    if (!endpoints.ok) return endpoints;
    const home = endpoints.value.at(-1);
    return home === undefined ? fail('fatal', 'registry-unknown', `registry ${registry}`, 'has no server') : act(home);
  };

  const manifestAt = async (endpoint: Endpoint, reference: Reference): Promise<Result<FetchedManifest>> => {
    const element = referenceText(reference);
    const name = reference.digest ?? reference.tag ?? 'latest';
    const fetched = await connection.read(
      endpoint,
      {
        method: 'GET',
        to: `${pathOf(endpoint, reference)}/manifests/${name}`,
        scope: scopeOf(endpoint, reference, 'pull'),
        element,
        headers: { accept: acceptedTypes },
      },
      registryLimits.manifestBytes,
    );
    if (!fetched.ok) return fetched.failure.code === 'answer-too-large' ? fail('fatal', 'manifest-too-large', element, fetched.failure.message) : fetched;
    const { answer, bytes } = fetched.value;
    const digest = sha256Of(bytes);
    const told = reference.digest ?? answer.header('docker-content-digest');
    if (told !== undefined && isDigest(told) && told !== digest)
      return fail('fatal', 'content-wrong', element, `what came has the digest ${digest}, not ${told}`);
    const announced = answer.header('content-type')?.split(';')[0]?.trim();
    const parsed = parseManifest(bytes, announced !== undefined && announced.endsWith('+json') ? announced : undefined, element);
    if (!parsed.ok) return parsed;
    return ok({ descriptor: { mediaType: parsed.value.mediaType, digest, size: bytes.length }, bytes, parsed: parsed.value });
  };

  const manifest: OciClient['manifest'] = (reference) => anywhere(reference.registry, (endpoint) => manifestAt(endpoint, reference));

  const headAt = async (endpoint: Endpoint, reference: Reference): Promise<Result<Descriptor | undefined>> => {
    const element = referenceText(reference);
    const answer = await connection.send(endpoint, {
      method: 'HEAD',
      to: `${pathOf(endpoint, reference)}/manifests/${reference.digest ?? reference.tag ?? 'latest'}`,
      scope: scopeOf(endpoint, reference, 'pull'),
      element,
      headers: { accept: acceptedTypes },
    });
    if (!answer.ok) return answer;
    answer.value.body.resume();
    const digest = answer.value.header('docker-content-digest') ?? '';
    const size = Number(answer.value.header('content-length') ?? Number.NaN);
    const mediaType = answer.value.header('content-type')?.split(';')[0]?.trim() ?? '';
    // Some registries answer HEAD without digest or length; the whole thing is small enough to fetch.
    if (!isDigest(digest) || !Number.isSafeInteger(size) || mediaType === '' || (reference.digest !== undefined && digest !== reference.digest))
      return ok(undefined);
    return ok({ mediaType, digest, size });
  };

  return {
    resolve: (reference) =>
      anywhere(reference.registry, async (endpoint) => {
        const head = await headAt(endpoint, reference);
        if (!head.ok) return head;
        if (head.value !== undefined) return ok(head.value);
        const whole = await manifestAt(endpoint, reference);
        return whole.ok ? ok(whole.value.descriptor) : whole;
      }),
    manifest,
    manifestFor: async (reference, platform) => {
      const root = await manifest(reference);
      if (!root.ok) return root;
      if (root.value.parsed.kind === 'manifest') return ok({ ...root.value, root: root.value.descriptor });
      const chosen = choosePlatform(root.value.parsed.index, platform, referenceText(reference));
      if (!chosen.ok) return chosen;
      const child = await manifest({ registry: reference.registry, repository: reference.repository, digest: chosen.value.digest });
      if (!child.ok) return child;
      if (child.value.parsed.kind === 'index') return fail('fatal', 'manifest-unsupported', referenceText(reference), 'is an index of indexes');
      return ok({ ...child.value, root: root.value.descriptor });
    },
    pullBlob: async (repository, descriptor, store) => {
      if ((await store.size(descriptor.digest)) !== undefined) return ok(undefined);
      return anywhere(repository.registry, async (endpoint) => {
        const stream = blobs.open(endpoint, pathOf(endpoint, repository), scopeOf(endpoint, repository, 'pull'), descriptor);
        const received = await store.receive(descriptor.digest, stream, descriptor.size);
        return received.ok ? ok(undefined) : received;
      });
    },
    readBlob: (repository, descriptor, bytesMax) =>
      anywhere(repository.registry, async (endpoint) =>
        blobs.read(endpoint, pathOf(endpoint, repository), scopeOf(endpoint, repository, 'pull'), descriptor, bytesMax),
      ),
    openBlob: (repository, descriptor, start, end) =>
      blobs.lazily(async () => {
        const endpoints = await deps.endpoints(repository.registry);
        const home = endpoints.ok ? endpoints.value.at(-1) : undefined;
        return home === undefined ? undefined : blobs.open(home, pathOf(home, repository), scopeOf(home, repository, 'pull'), descriptor, { start, end });
      }, descriptor),
    hasBlob: (repository, digest) =>
      atHome(repository.registry, (endpoint) => pusher.hasBlob(endpoint, pathOf(endpoint, repository), scopeOf(endpoint, repository, 'pull,push'), digest)),
    pushBlob: (repository, blob) =>
      atHome(repository.registry, (endpoint) => pusher.pushBlob(endpoint, pathOf(endpoint, repository), scopeOf(endpoint, repository, 'pull,push'), blob)),
    pushStream: (repository, blob) =>
      atHome(repository.registry, (endpoint) => pusher.pushStream(endpoint, pathOf(endpoint, repository), scopeOf(endpoint, repository, 'pull,push'), blob)),
    pushManifest: (reference, bytes, mediaType, options = {}) =>
      atHome(reference.registry, async (endpoint) => {
        const digest = sha256Of(bytes);
        const element = referenceText(reference);
        if (reference.digest !== undefined && reference.digest !== digest)
          return fail('fatal', 'content-wrong', element, `the manifest has the digest ${digest}`);
        if (options.immutable === true && reference.tag !== undefined) {
          const there = await headAt(endpoint, { registry: reference.registry, repository: reference.repository, tag: reference.tag });
          if (!there.ok && there.failure.code !== 'artifact-missing') return there;
          const known = there.ok ? there.value?.digest : undefined;
          if (known === digest) return ok(digest);
          if (there.ok)
            return fail(
              'blocked',
              'version-taken',
              element,
              `this version is there already with other content (${known ?? 'unknown digest'}). Raise the version, or overwrite it with --force`,
            );
        }
        return pusher.pushManifest(endpoint, pathOf(endpoint, reference), scopeOf(endpoint, reference, 'pull,push'), {
          name: reference.tag ?? digest,
          bytes,
          mediaType,
          digest,
          element,
        });
      }),
    tags: (repository) =>
      anywhere(repository.registry, (endpoint) =>
        listTags(
          deps.tagsPerPage ?? 1_000,
          connection,
          endpoint,
          pathOf(endpoint, repository),
          scopeOf(endpoint, repository, 'pull'),
          `${repository.registry}/${repository.repository}`,
        ),
      ),
    ping: (registry) =>
      atHome(registry, async (endpoint) => {
        const answer = await connection.send(endpoint, { method: 'GET', to: '/v2/', scope: '', element: `registry ${registry}` });
        if (!answer.ok)
          return answer.failure.code === 'artifact-missing'
            ? fail('blocked', 'registry-unsupported', `registry ${registry}`, 'there is a server, but it is no OCI registry (no /v2/)')
            : answer;
        const read = await readAnswer(answer.value, registryLimits.errorBytes, `registry ${registry}`);
        // A page of a web server that answers everything with its start page.
        if (read.ok && /^\s*</.test(read.value.toString('utf8')))
          return fail('blocked', 'registry-unsupported', `registry ${registry}`, 'answers with a web page; is this a registry?');
        return read.ok ? ok(undefined) : read;
      }),
  };
};

/** Address of the next page (RFC 8288). */
export const nextLink = (header: string | undefined): string | undefined =>
  header
    ?.split(/,(?=\s*<)/)
    .map((part) => /^\s*<([^>]*)>\s*;.*\brel="?next"?/i.exec(part)?.[1])
    .find((target) => target !== undefined);

const listTags = async (
  perPage: number,
  connection: ReturnType<typeof createConnection>,
  endpoint: Endpoint,
  path: string,
  scope: string,
  element: string,
): Promise<Result<string[]>> => {
  const tags: string[] = [];
  const seen = new Set<string>();
  let url = new URL(`${path}/tags/list?n=${perPage}`, endpoint.origin);
  for (let page = 0; page < registryLimits.tagPages; page += 1) {
    seen.add(url.href);
    const fetched = await connection.read(
      endpoint,
      { method: 'GET', to: url, scope, element, headers: { accept: 'application/json' } },
      registryLimits.tagsPageBytes,
    );
    if (!fetched.ok) return fetched;
    const { answer, bytes } = fetched.value;
    let listed: unknown;
    try {
      listed = (JSON.parse(bytes.toString('utf8')) as { tags?: unknown }).tags ?? [];
    } catch {
      return fail('fatal', 'registry-malformed', element, 'its list of tags is not JSON');
    }
    if (!Array.isArray(listed)) return fail('fatal', 'registry-malformed', element, 'its list of tags is no list');
    for (const tag of listed) if (typeof tag === 'string') tags.push(tag);
    if (tags.length > registryLimits.tags) return fail('fatal', 'registry-malformed', element, `it has more than ${registryLimits.tags} tags`);
    const next = nextLink(answer.header('link'));
    if (next === undefined) return ok([...new Set(tags)]);
    const target = URL.parse(next, url);
    if (target === null) return fail('fatal', 'registry-malformed', element, 'the address of its next page of tags is broken');
    // Behind proxies some registries name themselves by a name that only they know; path and query are what counts.
    const following = new URL(target.pathname + target.search, endpoint.origin);
    if (seen.has(following.href)) return fail('fatal', 'registry-malformed', element, 'its pages of tags go round in a circle');
    url = following;
  }
  return fail('fatal', 'registry-malformed', element, `its tags have more than ${registryLimits.tagPages} pages`);
};
