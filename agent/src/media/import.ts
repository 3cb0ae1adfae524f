import type { AgentArch } from '@groundplane/protocol/agent-package';
import type { Acceptance } from '@groundplane/protocol/accept';
import { bundleBlobs, bundleSchema, largeBlobs, type Bundle } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { mediaDesiredSchema, type MediaDesired } from '@groundplane/protocol/media';
import type { RootStatement, Signed, Verify } from '@groundplane/protocol/trust';
import type { Engine } from '../engine.ts';
import type { EnrolmentTicket } from '../identity/ticket.ts';
import { isTrustedRoot, verifyDesired } from '../link/verify.ts';
import type { Blobs } from '../port/blobs.ts';
import { writes, type DesiredRecord } from '../store/state.ts';
import { carriedKey, type Carried } from './carried.ts';
import { openMedium, readBlob, streamBlob, type Medium } from './layout.ts';

export interface MediaDeps {
  engine: Pick<Engine, 'offer' | 'state' | 'wake'>;
  blobs: Blobs;
  architecture: AgentArch | undefined;
  ticket: Pick<EnrolmentTicket, 'root' | 'hub'>;
  verify: Verify;
}

export interface ImportedMedium {
  index: Digest;
  acceptance: Acceptance | 'nothing';
  generation: number | undefined;
  blobs: number;
  bytes: number;
  images: number;
}

const documentBytesMax = 64 * 1024 * 1024;

const parseJson = <T>(bytes: Buffer, read: (value: unknown) => { success: true; data: T } | { success: false }, element: string): Result<T> => {
  try {
    const parsed = read(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? ok(parsed.data) : fail('fatal', 'media-invalid', element, 'cannot be understood by this version of the agent');
  } catch {
    return fail('fatal', 'media-invalid', element, 'is not JSON');
  }
};

/** The root that this host believes; a medium may bring a later one, signed by it, or the one that the ticket pins. */
const rootFor = (deps: MediaDeps, document: MediaDesired): Result<RootStatement> => {
  const { state } = deps.engine;
  const known = state.trust<Signed<RootStatement>>('root')?.signed;
  if (isTrustedRoot(document.root, { digest: deps.ticket.root, known }, deps.verify)) {
    const kept = state.commit([writes.trust('root', document.root)]);
    return kept.ok ? ok(document.root.signed) : kept;
  }
  return known === undefined
    ? fail('fatal', 'media-untrusted', 'medium', 'its trust root is not the one that the ticket of this host names. Was it written by another hub?')
    : ok(known);
};

/** What the medium says that this host should be, checked as if the hub itself had said it. */
const readDesired = async (
  deps: MediaDeps,
  medium: Medium,
): Promise<Result<{ record: DesiredRecord; adopted: MediaDesired['hosts'][number]['message']['adopted'] } | undefined>> => {
  const item = medium.items.find((found) => found.kind === 'desired');
  if (item === undefined) return ok(undefined);
  const bytes = await readBlob(medium.folder, item.digest, documentBytesMax);
  if (!bytes.ok) return bytes;
  const document = parseJson(bytes.value, (value) => mediaDesiredSchema.safeParse(value), `${medium.folder}, desired states`);
  if (!document.ok) return document;
  const self = deps.engine.state.kv<{ host: string; tenant: string; epoch: string }>('host');
  if (self === undefined)
    return fail(
      'blocked',
      'host-unknown',
      'this host',
      'was never let in by its hub, so a medium cannot say what it should be. Connect it once, or enrol it by a phone',
    );
  const own = document.value.hosts.find((entry) => entry.host === self.host);
  if (own === undefined) return fail('fatal', 'media-foreign', medium.folder, 'says nothing about this host. Export it for the cluster that this host is in');
  const root = rootFor(deps, document.value);
  if (!root.ok) return root;
  const named = own.message.desired.bundle;
  let bundle: Bundle | undefined;
  if (named !== undefined) {
    const text = await readBlob(medium.folder, named, limits.contentBlobBytes);
    const parsed = text.ok ? parseJson(text.value, (value) => bundleSchema.safeParse(value), `${medium.folder}, bundle`) : text;
    if (!parsed.ok) return parsed;
    bundle = parsed.value;
  }
  const base = deps.engine.state.slot('current');
  const record = verifyDesired({
    message: { ...own.message, ...(bundle === undefined ? {} : { bundle }) },
    root: root.value,
    ...self,
    base,
    verify: deps.verify,
  });
  return record.ok ? ok({ record: record.value, adopted: own.message.adopted }) : record;
};

interface Taken {
  blobs: number;
  bytes: number;
}

const takeLarge = async (deps: MediaDeps, medium: Medium, item: { digest: Digest; size: number; name: string }, taken: Taken): Promise<Result<void>> => {
  if ((await deps.blobs.path(item.digest)) !== undefined) return ok(undefined);
  const source = await streamBlob(medium.folder, item.digest);
  if (!source.ok) return source;
  const received = await deps.blobs.receive({ digest: item.digest, sizeBytes: item.size, name: item.name }, source.value);
  if (!received.ok) return received;
  taken.blobs += 1;
  taken.bytes += item.size;
  return ok(undefined);
};

/** Texts that are not here yet. They are few megabytes; they are written together with the desired state, so that nobody collects them in between. */
const readTexts = async (deps: MediaDeps, medium: Medium, bundle: Bundle, taken: Taken): Promise<Result<Map<Digest, string>>> => {
  const texts = new Map<Digest, string>();
  for (const [digest, size] of bundleBlobs(bundle)) {
    if (deps.engine.state.hasContent(digest as Digest)) continue;
    const bytes = await readBlob(medium.folder, digest as Digest, limits.contentBlobBytes);
    // A medium that carries changes only leaves out what this host said it had; if it has it no more, the hub or the next medium brings it.
    if (!bytes.ok && bytes.failure.code === 'media-incomplete') continue;
    if (!bytes.ok) return bytes;
    texts.set(digest as Digest, bytes.value.toString('utf8'));
    taken.blobs += 1;
    taken.bytes += size;
  }
  return ok(texts);
};

const takeImages = async (deps: MediaDeps, medium: Medium, taken: Taken): Promise<Result<void>> => {
  const carried: Required<Carried> = { blobs: [], oci: [] };
  for (const { ref, root, blobs } of medium.images) {
    for (const blob of blobs) {
      const took = await takeLarge(deps, medium, { ...blob, name: ref }, taken);
      if (!took.ok) return took;
      carried.blobs?.push({ ...blob, name: ref });
    }
    carried.oci?.push({ ref, digest: root.digest, size: root.size, mediaType: root.mediaType });
  }
  return medium.images.length === 0 ? ok(undefined) : deps.engine.state.commit([writes.kv(carriedKey, carried)]);
};

/**
 * Takes from a medium what this host needs: large content and images first, then the texts together with the desired state, which the engine takes up as if it had
 * come over the line. Nothing changes before everything is checked; taken twice, nothing happens twice.
 */
export const importMedium = async (deps: MediaDeps, folder: string): Promise<Result<ImportedMedium>> => {
  const medium = await openMedium(folder);
  if (!medium.ok) return medium;
  const desired = await readDesired(deps, medium.value);
  if (!desired.ok) return desired;
  const taken: Taken = { blobs: 0, bytes: 0 };
  const bundle = desired.value?.record.bundle;
  for (const item of bundle === undefined ? [] : largeBlobs(bundle, deps.architecture).values()) {
    const took = await takeLarge(deps, medium.value, item, taken);
    if (!took.ok && took.failure.code !== 'media-incomplete') return took;
  }
  const images = await takeImages(deps, medium.value, taken);
  if (!images.ok) return images;
  const texts = bundle === undefined ? ok(new Map<Digest, string>()) : await readTexts(deps, medium.value, bundle, taken);
  if (!texts.ok) return texts;
  const answer = { index: medium.value.index, blobs: taken.blobs, bytes: taken.bytes, images: medium.value.images.length };
  if (desired.value === undefined) return ok({ ...answer, acceptance: 'nothing', generation: undefined });
  const offered = deps.engine.offer(desired.value.record, Object.fromEntries(texts.value), desired.value.adopted);
  return offered.ok ? ok({ ...answer, acceptance: offered.value, generation: desired.value.record.version.generation }) : offered;
};
