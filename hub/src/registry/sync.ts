import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { RE2JS } from 're2js';
import semver from 'semver';
import type { ContentStore } from '../port/content.ts';
import type { OciClient } from './oci-client.ts';
import { childrenOf, isManifestType, type Descriptor } from './oci-manifest.ts';
import { referenceText, type Reference, type RepositoryName } from './oci-reference.ts';

/** Which tags of a repository are mirrored. */
export interface SyncRule {
  from: RepositoryName;
  to: RepositoryName;
  /** Whole-tag expression (RE2): no text can make it slow. Absent: all tags. */
  tags?: string;
  /** At most this many, the highest versions; what is no version comes before all others. Absent: all. */
  newest?: number;
}

export interface SyncStep {
  from: Reference;
  to: Reference;
  /** `copy`: missing at the target. `move`: the target's tag names something else. */
  why: 'copy' | 'move';
}

export interface SyncPlan {
  steps: SyncStep[];
  /** Tags that are the same on both sides. */
  same: number;
  /** Tags that the rule leaves out. */
  left: number;
  /** Tags whose target has other content; not touched unless overwriting was asked for. */
  taken: Reference[];
}

export interface TagFacts {
  /** Tag → digest. */
  source: ReadonlyMap<string, string>;
  target: ReadonlyMap<string, string>;
}

/** `v10` after `v2`; registries list by letters. */
const byVersion = ([a]: readonly [string, string], [b]: readonly [string, string]): number => {
  const [left, right] = [semver.coerce(a, { includePrerelease: true }), semver.coerce(b, { includePrerelease: true })];
  if (left === null || right === null) return left === right ? (a < b ? -1 : 1) : left === null ? -1 : 1;
  return semver.compare(left, right) || (a < b ? -1 : 1);
};

/** What has to be copied. Pure: run again after a cut it plans what is left, since what arrived is the same on both sides then. */
export const planSync = (rule: SyncRule, facts: TagFacts, options: { overwrite?: boolean } = {}): Result<SyncPlan> => {
  let pattern: RE2JS | undefined;
  try {
    pattern = rule.tags === undefined ? undefined : RE2JS.compile(rule.tags);
  } catch (error) {
    return fail(
      'fatal',
      'request-invalid',
      `tag filter ${JSON.stringify(rule.tags?.slice(0, 100))}`,
      `is no regular expression (RE2): ${(error as Error).message}`,
    );
  }
  const wanted = [...facts.source].filter(([tag]) => pattern === undefined || pattern.matches(tag)).toSorted(byVersion);
  const kept = rule.newest === undefined ? wanted : wanted.slice(Math.max(0, wanted.length - rule.newest));
  const plan: SyncPlan = { steps: [], same: 0, left: facts.source.size - kept.length, taken: [] };
  for (const [tag, digest] of kept) {
    const there = facts.target.get(tag);
    const to = { ...rule.to, tag };
    if (there === digest) plan.same += 1;
    else if (there !== undefined && options.overwrite !== true) plan.taken.push(to);
    else plan.steps.push({ from: { ...rule.from, tag, digest: digest as Reference['digest'] & string }, to, why: there === undefined ? 'copy' : 'move' });
  }
  return ok(plan);
};

export const syncText = (step: SyncStep): string => `${step.why} ${referenceText(step.from)} to ${referenceText(step.to)}`;

/** Tags with their digests. `only` saves asking for the digest of tags that the rule leaves out. */
export const tagDigests = async (
  client: OciClient,
  repository: RepositoryName,
  only: (tag: string) => boolean = () => true,
): Promise<Result<Map<string, string>>> => {
  const tags = await client.tags(repository);
  if (!tags.ok) return tags.failure.code === 'artifact-missing' ? ok(new Map()) : tags;
  const found = new Map<string, string>();
  for (const tag of tags.value.filter(only)) {
    const resolved = await client.resolve({ ...repository, tag });
    if (resolved.ok) found.set(tag, resolved.value.digest);
    else if (resolved.failure.code !== 'artifact-missing') return resolved;
  }
  return ok(found);
};

interface Copied {
  blobs: number;
  skipped: number;
  bytes: number;
}

/** Copies a manifest with everything below it, blobs first, so that a half copied artifact has no name yet. Run again it skips what arrived. */
export const copyArtifact = async (source: OciClient, target: OciClient, from: Reference, to: Reference, depth = 0): Promise<Result<Copied>> => {
  if (depth > 3) return fail('fatal', 'manifest-unsupported', referenceText(from), 'is an index of indexes of indexes');
  const fetched = await source.manifest(from);
  if (!fetched.ok) return fetched;
  const copied: Copied = { blobs: 0, skipped: 0, bytes: 0 };
  for (const child of childrenOf(fetched.value.parsed)) {
    if (fetched.value.parsed.kind === 'index' && isManifestType(child.mediaType)) {
      const below = await copyArtifact(
        source,
        target,
        { ...from, digest: child.digest },
        { registry: to.registry, repository: to.repository, digest: child.digest },
        depth + 1,
      );
      if (!below.ok) return below;
      copied.blobs += below.value.blobs;
      copied.skipped += below.value.skipped;
      copied.bytes += below.value.bytes;
      continue;
    }
    const mountFrom = from.registry === to.registry ? { mountFrom: from.repository } : {};
    const sent = await target.pushBlob(to, {
      digest: child.digest,
      size: child.size,
      open: (start, end) => openPart(source, from, child, start, end),
      ...mountFrom,
    });
    if (!sent.ok) return sent;
    if (sent.value.sent) {
      copied.blobs += 1;
      copied.bytes += child.size;
    } else copied.skipped += 1;
  }
  const pushed = await target.pushManifest(to, fetched.value.bytes, fetched.value.descriptor.mediaType);
  return pushed.ok ? ok(copied) : pushed;
};

const openPart = (source: OciClient, from: RepositoryName, child: Descriptor, start: number, end: number) => source.openBlob(from, child, start, end);

/** Brings a manifest with everything below it into a content store; answers every digest that it needs. */
export const fetchArtifact = async (source: OciClient, from: Reference, store: ContentStore, depth = 0): Promise<Result<Descriptor[]>> => {
  if (depth > 3) return fail('fatal', 'manifest-unsupported', referenceText(from), 'is an index of indexes of indexes');
  const fetched = await source.manifest(from);
  if (!fetched.ok) return fetched;
  const all: Descriptor[] = [];
  for (const child of childrenOf(fetched.value.parsed)) {
    if (fetched.value.parsed.kind === 'index' && isManifestType(child.mediaType)) {
      const below = await fetchArtifact(source, { registry: from.registry, repository: from.repository, digest: child.digest }, store, depth + 1);
      if (!below.ok) return below;
      all.push(...below.value);
      continue;
    }
    const pulled = await source.pullBlob(from, child, store);
    if (!pulled.ok) return pulled;
    all.push(child);
  }
  await store.put(fetched.value.bytes);
  return ok([...all, fetched.value.descriptor]);
};
