import { Readable } from 'node:stream';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { profileDocumentSchema } from '@groundplane/protocol/profile';
import semver from 'semver';
import { parse } from 'yaml';
import { z } from 'zod';
import { readArchive, type ArchiveFile } from '../archive/read.ts';
import type { ContentStore } from '../port/content.ts';
import { registryLimits } from './limits.ts';
import { sha256Of, type FetchedManifest, type OciClient } from './oci-client.ts';
import { artifactTypeOf, emptyConfig, emptyDescriptor, manifestBytes, mediaTypes, type Descriptor } from './oci-manifest.ts';
import type { BlobSource } from './oci-push.ts';
import { referenceText, tagOfVersion, versionOfTag, type Reference } from './oci-reference.ts';

/** What our own artifacts are called, and Helm's (helm.sh/docs/topics/registries). */
export const artifactTypes = {
  pack: 'application/vnd.groundplane.pack.v1+json',
  packLayer: 'application/vnd.groundplane.pack.content.v1.tar+gzip',
  profile: 'application/vnd.groundplane.profile.v1+json',
  profileDocument: 'application/vnd.groundplane.profile.document.v1+yaml',
  profileBlob: 'application/vnd.groundplane.profile.blob.v1',
  media: 'application/vnd.groundplane.media.v1+json',
  bundle: 'application/vnd.groundplane.bundle.v1+json',
  blob: 'application/vnd.groundplane.blob.v1',
  helmConfig: 'application/vnd.cncf.helm.config.v1+json',
  helmChart: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  helmProvenance: 'application/vnd.cncf.helm.chart.provenance.v1.prov',
  /** What Zarf's packages carry as config. */
  zarf: 'application/vnd.zarf.config.v1+json',
} as const;
const titleKey = 'org.opencontainers.image.title';
const versionKey = 'org.opencontainers.image.version';
const layerKey = 'dev.groundplane.layer';

export interface PulledUnit {
  name: string;
  version: string;
  /** Digest of the archive: what a profile pins. */
  digest: Digest;
  /** Digest of the manifest. */
  manifest: Digest;
  bytes: Buffer;
  /** Helm's signature file beside a chart, as it came; checking it needs the maintainer's key. */
  provenance?: Buffer;
}

export const blobFrom = (bytes: Buffer): BlobSource => ({
  digest: sha256Of(bytes),
  size: bytes.length,
  open: (start, end) => Readable.from([bytes.subarray(start, end + 1)]),
});

const single = (fetched: FetchedManifest, type: string, element: string): Result<Descriptor> => {
  if (fetched.parsed.kind === 'index') return fail('fatal', 'artifact-foreign', element, 'is an index of images, not this kind of artifact');
  const found = fetched.parsed.manifest.layers.filter((layer) => layer.mediaType === type);
  const [layer] = found;
  if (found.length === 1 && layer !== undefined) return ok(layer);
  return fail(
    'fatal',
    'artifact-foreign',
    element,
    found.length === 0
      ? `is no such artifact: it is ${artifactTypeOf(fetched.parsed)}, without a layer ${type}`
      : `has ${found.length} layers ${type}; there must be one`,
  );
};

/** With a digest in it a reference pins; the tag, when there is one too, is for people. */
const chosenTag = async (client: OciClient, reference: Reference, constraint: string | undefined): Promise<Result<Reference>> => {
  if (reference.tag !== undefined || reference.digest !== undefined) return ok(reference);
  const tags = await client.tags(reference);
  if (!tags.ok) return tags;
  const versions = tags.value.map((tag) => ({ tag, version: versionOfTag(tag) }));
  const exact = versions.find((item) => item.version === constraint || item.version === `v${constraint ?? ''}`);
  if (exact !== undefined) return ok({ ...reference, tag: exact.tag });
  const range = constraint ?? '*';
  const fitting = versions.filter((item) => semver.valid(item.version, { loose: true }) !== null && semver.satisfies(item.version, range, { loose: true }));
  const newest = fitting.toSorted((a, b) => semver.rcompare(a.version, b.version, { loose: true }))[0];
  if (newest !== undefined) return ok({ ...reference, tag: newest.tag });
  return fail(
    'blocked',
    'artifact-missing',
    referenceText(reference),
    `no version fits ${range}; there are ${tags.value.toSorted().slice(0, 20).join(', ') || 'none'}`,
  );
};

const chartConfigSchema = z.looseObject({ name: z.string().min(1).max(250), version: z.string().min(1).max(128) });

/** A Helm chart from an OCI registry: config, one chart layer, perhaps a provenance layer. `constraint` chooses among the tags when the reference has none. */
export const pullChart = async (client: OciClient, given: Reference, constraint?: string): Promise<Result<PulledUnit>> => {
  const reference = await chosenTag(client, given, constraint);
  if (!reference.ok) return reference;
  const element = `chart ${referenceText(reference.value)}`;
  const fetched = await client.manifest(reference.value);
  if (!fetched.ok) return fetched;
  const layer = single(fetched.value, artifactTypes.helmChart, element);
  if (!layer.ok) return layer;
  if (fetched.value.parsed.kind === 'index' || fetched.value.parsed.manifest.config.mediaType !== artifactTypes.helmConfig)
    return fail('fatal', 'artifact-foreign', element, 'is no Helm chart: its config is of another type');
  const config = await client.readBlob(reference.value, fetched.value.parsed.manifest.config, registryLimits.manifestBytes);
  if (!config.ok) return config;
  let facts: z.infer<typeof chartConfigSchema>;
  try {
    facts = chartConfigSchema.parse(JSON.parse(config.value.toString('utf8')));
  } catch {
    return fail('fatal', 'chart-invalid', element, 'its config does not say name and version of the chart');
  }
  const bytes = await client.readBlob(reference.value, layer.value, registryLimits.chartBytes);
  if (!bytes.ok) return bytes;
  const provenance = fetched.value.parsed.manifest.layers.find((item) => item.mediaType === artifactTypes.helmProvenance);
  const signature = provenance === undefined ? undefined : await client.readBlob(reference.value, provenance, registryLimits.manifestBytes);
  if (signature !== undefined && !signature.ok) return signature;
  return ok({
    name: facts.name,
    version: facts.version,
    digest: layer.value.digest,
    manifest: fetched.value.descriptor.digest,
    bytes: bytes.value,
    ...(signature === undefined ? {} : { provenance: signature.value }),
  });
};

const packFacts = z.looseObject({ name: z.string().min(1).max(128), version: z.coerce.string().min(1).max(128), layer: z.string().max(64).optional() });
export const packArchiveLimits = { bytesMax: registryLimits.packBytes * 4, entriesMax: 20_000, fileBytesMax: registryLimits.packBytes };

/** Name, version and layer of a packed pack, from its pack.json at the top or in its only folder. */
export const packIdentity = async (archive: Uint8Array, element: string): Promise<Result<z.infer<typeof packFacts>>> => {
  const files = await readArchive(archive, packArchiveLimits, element, (name) => /^([^/]+\/)?pack\.json$/.test(name));
  if (!files.ok) return files;
  const file: ArchiveFile | undefined = files.value.toSorted((a, b) => a.name.length - b.name.length)[0];
  if (file === undefined) return fail('fatal', 'pack-invalid', element, 'has no pack.json, so it is no pack');
  try {
    const parsed = packFacts.safeParse(JSON.parse(file.data.toString('utf8')));
    return parsed.success ? ok(parsed.data) : fail('fatal', 'pack-invalid', element, 'its pack.json does not say "name" and "version"');
  } catch {
    return fail('fatal', 'pack-invalid', element, 'its pack.json is not JSON');
  }
};

export interface PushOptions {
  /** Overwrite a version that is there with other content. */
  force?: boolean;
}

/** Pushes a packed pack; the tag is its version unless the reference has one. A version is immutable unless forced. */
export const pushPack = async (
  client: OciClient,
  target: Reference,
  archive: Buffer,
  options: PushOptions = {},
): Promise<Result<{ reference: Reference; digest: Digest }>> => {
  const facts = await packIdentity(archive, 'pack');
  if (!facts.ok) return facts;
  const { name, version, layer } = facts.value;
  const reference: Reference = { ...target, tag: target.tag ?? tagOfVersion(version) };
  for (const bytes of [emptyConfig, archive]) {
    const sent = await client.pushBlob(target, blobFrom(bytes));
    if (!sent.ok) return sent;
  }
  const content: Descriptor = {
    mediaType: artifactTypes.packLayer,
    digest: sha256Of(archive),
    size: archive.length,
    annotations: { [titleKey]: `${name}-${version}.tgz` },
  };
  const annotations = { [titleKey]: name, [versionKey]: version, ...(layer === undefined ? {} : { [layerKey]: layer }) };
  const manifest = manifestBytes({ artifactType: artifactTypes.pack, config: emptyDescriptor, layers: [content], annotations });
  const pushed = await client.pushManifest(reference, manifest, mediaTypes.manifest, { immutable: options.force !== true });
  return pushed.ok ? ok({ reference, digest: pushed.value }) : pushed;
};

export const pullPack = async (client: OciClient, given: Reference, constraint?: string): Promise<Result<PulledUnit>> => {
  const reference = await chosenTag(client, given, constraint);
  if (!reference.ok) return reference;
  const element = `pack ${referenceText(reference.value)}`;
  const fetched = await client.manifest(reference.value);
  if (!fetched.ok) return fetched;
  const layer = single(fetched.value, artifactTypes.packLayer, element);
  if (!layer.ok) return layer;
  const bytes = await client.readBlob(reference.value, layer.value, registryLimits.packBytes);
  if (!bytes.ok) return bytes;
  const facts = await packIdentity(bytes.value, element);
  if (!facts.ok) return facts;
  return ok({
    name: facts.value.name,
    version: facts.value.version,
    digest: layer.value.digest,
    manifest: fetched.value.descriptor.digest,
    bytes: bytes.value,
  });
};

/** Digests of the units that a profile's layers name: charts, packs, Zarf packages. */
export const profileBlobs = (spec: z.infer<typeof profileDocumentSchema>['spec']): Digest[] => [
  ...new Set(
    spec.layers.flatMap((layer) => [layer.helm?.chart.digest, layer.pack?.digest, layer.zarf?.package.digest].filter((digest) => digest !== undefined)),
  ),
];

/** A whole profile version as one artifact: its document, and every unit that it names by digest. */
export const pushProfile = async (
  client: OciClient,
  target: Reference,
  document: string,
  store: ContentStore,
  options: PushOptions = {},
): Promise<Result<{ reference: Reference; digest: Digest }>> => {
  const parsed = profileDocumentSchema.safeParse(parse(document));
  if (!parsed.success) return fail('fatal', 'profile-invalid', 'profile', parsed.error.issues[0]?.message ?? 'is no profile');
  const { name, version } = parsed.data.metadata;
  const bytes = Buffer.from(document);
  const layers: Descriptor[] = [
    { mediaType: artifactTypes.profileDocument, digest: sha256Of(bytes), size: bytes.length, annotations: { [titleKey]: 'profile.yaml' } },
  ];
  const sources: BlobSource[] = [blobFrom(emptyConfig), blobFrom(bytes)];
  for (const digest of profileBlobs(parsed.data.spec)) {
    const size = await store.size(digest);
    if (size === undefined) return fail('blocked', 'content-missing', `profile ${name} ${version}`, `its content ${digest} is not here`);
    layers.push({ mediaType: artifactTypes.profileBlob, digest, size });
    sources.push({ digest, size, open: (start, end) => store.stream(digest, start, end) });
  }
  for (const source of sources) {
    const sent = await client.pushBlob(target, source);
    if (!sent.ok) return sent;
  }
  const reference: Reference = { ...target, tag: target.tag ?? tagOfVersion(version) };
  const manifest = manifestBytes({
    artifactType: artifactTypes.profile,
    config: emptyDescriptor,
    layers,
    annotations: { [titleKey]: name, [versionKey]: version },
  });
  const pushed = await client.pushManifest(reference, manifest, mediaTypes.manifest, { immutable: options.force !== true });
  return pushed.ok ? ok({ reference, digest: pushed.value }) : pushed;
};

/** The document of a profile, with its units in the content store. A unit that the document names and the artifact lacks is a failure, not a surprise later. */
export const pullProfile = async (
  client: OciClient,
  given: Reference,
  store: ContentStore,
  constraint?: string,
): Promise<Result<{ document: string; digest: Digest }>> => {
  const reference = await chosenTag(client, given, constraint);
  if (!reference.ok) return reference;
  const element = `profile ${referenceText(reference.value)}`;
  const fetched = await client.manifest(reference.value);
  if (!fetched.ok) return fetched;
  const layer = single(fetched.value, artifactTypes.profileDocument, element);
  if (!layer.ok) return layer;
  const document = await client.readBlob(reference.value, layer.value, registryLimits.manifestBytes * 4);
  if (!document.ok) return document;
  let parsed: ReturnType<typeof profileDocumentSchema.safeParse>;
  try {
    parsed = profileDocumentSchema.safeParse(parse(document.value.toString('utf8'), { maxAliasCount: 100 }));
  } catch (error) {
    return fail('fatal', 'profile-invalid', element, `its document is not YAML: ${(error as Error).message.slice(0, 200)}`);
  }
  if (!parsed.success) return fail('fatal', 'profile-invalid', element, parsed.error.issues[0]?.message ?? 'its document is no profile');
  const layers = fetched.value.parsed.kind === 'index' ? [] : fetched.value.parsed.manifest.layers;
  for (const digest of profileBlobs(parsed.data.spec)) {
    const held = layers.find((item) => item.digest === digest);
    if (held === undefined) return fail('fatal', 'content-missing', element, `its document names ${digest}, which the artifact does not bring`);
    const pulled = await client.pullBlob(reference.value, held, store);
    if (!pulled.ok) return pulled;
  }
  return ok({ document: document.value.toString('utf8'), digest: fetched.value.descriptor.digest });
};
