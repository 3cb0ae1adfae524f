import { z } from 'zod';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { jsonDepth } from '@groundplane/protocol/frame';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { registryLimits } from './limits.ts';

export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  empty: 'application/vnd.oci.empty.v1+json',
  imageConfig: 'application/vnd.oci.image.config.v1+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const;

const indexTypes: readonly string[] = [mediaTypes.index, mediaTypes.dockerIndex];
const manifestTypes: readonly string[] = [mediaTypes.manifest, mediaTypes.dockerManifest];
export const acceptedTypes = [...manifestTypes, ...indexTypes].join(', ');
export const isManifestType = (type: string): boolean => manifestTypes.includes(type) || indexTypes.includes(type);

const annotations = z.record(z.string().max(4_096), z.string().max(65_536));
const digestText = z.string().refine(isDigest, 'must be sha256: and 64 lower-case hex digits (other algorithms are not taken)') as unknown as z.ZodType<Digest>;
const platformSchema = z.looseObject({ architecture: z.string().max(64), os: z.string().max(64), variant: z.string().max(64).optional() });
export type Platform = { architecture: string; os: string; variant?: string | undefined };

const descriptorSchema = z.looseObject({
  mediaType: z.string().max(255),
  digest: digestText,
  size: z.int().min(0).max(registryLimits.blobBytes),
  annotations: annotations.optional(),
  platform: platformSchema.optional(),
  artifactType: z.string().max(255).optional(),
  /** Addresses of "foreign layers". Read and never called: a manifest must not choose whom we call with which credentials (CVE-2020-15157). */
  urls: z.array(z.string()).optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const manifestSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().max(255).optional(),
  artifactType: z.string().max(255).optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(registryLimits.layersPerManifest),
  subject: descriptorSchema.optional(),
  annotations: annotations.optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

const indexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().max(255).optional(),
  artifactType: z.string().max(255).optional(),
  manifests: z.array(descriptorSchema).max(registryLimits.indexManifests),
  subject: descriptorSchema.optional(),
  annotations: annotations.optional(),
});
export type Index = z.infer<typeof indexSchema>;

export type ParsedManifest = { kind: 'manifest'; mediaType: string; manifest: Manifest } | { kind: 'index'; mediaType: string; index: Index };

const issues = (error: z.ZodError): string =>
  error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`)
    .join('; ');

/**
 * Reads a manifest or an index. What it is, its own `mediaType` says; the type that the server announced is used when it has none (the image specification
 * lets both be absent in layouts). Something that could be read both ways is refused: two readers must not see two images (CVE-2021-41190).
 */
export const parseManifest = (bytes: Uint8Array, announced: string | undefined, element: string): Result<ParsedManifest> => {
  if (bytes.length > registryLimits.manifestBytes)
    return fail('fatal', 'manifest-too-large', element, `a manifest has at most ${registryLimits.manifestBytes} bytes`);
  const text = Buffer.from(bytes).toString('utf8');
  if (jsonDepth(text, limits.jsonDepth) > limits.jsonDepth)
    return fail('fatal', 'manifest-invalid', element, `is nested deeper than ${limits.jsonDepth} levels`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail('fatal', 'manifest-invalid', element, 'is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return fail('fatal', 'manifest-invalid', element, 'is not a JSON object');
  const hasManifests = 'manifests' in json;
  const hasLayers = 'layers' in json || 'config' in json;
  if (hasManifests && hasLayers)
    return fail('fatal', 'manifest-ambiguous', element, 'has both "manifests" and "layers", so it could be read as two different things');
  if ('fsLayers' in json || ('schemaVersion' in json && json.schemaVersion === 1))
    return fail('fatal', 'manifest-unsupported', element, 'is of schema version 1, which Docker gave up in 2015; push the image again with a current tool');
  const own = 'mediaType' in json && typeof json.mediaType === 'string' ? json.mediaType : undefined;
  const mediaType = own ?? announced ?? (hasManifests ? mediaTypes.index : mediaTypes.manifest);
  if (own !== undefined && announced !== undefined && isManifestType(announced) && own !== announced)
    return fail('fatal', 'manifest-ambiguous', element, `says of itself that it is ${own}, and the server says ${announced}`);
  if (indexTypes.includes(mediaType) ? !hasManifests : manifestTypes.includes(mediaType) && hasManifests)
    return fail('fatal', 'manifest-ambiguous', element, `is announced as ${mediaType}, and holds something else`);
  if (!isManifestType(mediaType))
    return fail('fatal', 'manifest-unsupported', element, `has the media type ${mediaType.slice(0, 200)}, which is neither a manifest nor an index`);
  if (hasManifests) {
    const parsed = indexSchema.safeParse(json);
    return parsed.success ? ok({ kind: 'index', mediaType, index: parsed.data }) : fail('fatal', 'manifest-invalid', element, issues(parsed.error));
  }
  const parsed = manifestSchema.safeParse(json);
  return parsed.success ? ok({ kind: 'manifest', mediaType, manifest: parsed.data }) : fail('fatal', 'manifest-invalid', element, issues(parsed.error));
};

/** What an artifact is: `artifactType`, else the media type of its config (image specification 1.1, "Guidelines for Artifact Usage"). */
export const artifactTypeOf = (parsed: ParsedManifest): string =>
  parsed.kind === 'index' ? (parsed.index.artifactType ?? parsed.mediaType) : (parsed.manifest.artifactType ?? parsed.manifest.config.mediaType);

const platformText = (platform: Platform | undefined): string =>
  platform === undefined ? 'no platform' : `${platform.os}/${platform.architecture}${platform.variant === undefined ? '' : `/${platform.variant}`}`;

/** Picks the manifest for a platform. Without a variant asked for, the first of the architecture wins; an index with one single real entry needs no choice. */
export const choosePlatform = (index: Index, platform: Platform, element: string): Result<Descriptor> => {
  // Attestations of build tools stand beside the images, as `unknown/unknown`.
  const real = index.manifests.filter((item) => item.platform?.architecture !== 'unknown' && item.annotations?.['vnd.docker.reference.type'] === undefined);
  const fitting = real.filter((item) => item.platform?.os === platform.os && item.platform.architecture === platform.architecture);
  const exact = fitting.find((item) => item.platform?.variant === platform.variant);
  const chosen = exact ?? (platform.variant === undefined ? fitting[0] : fitting.find((item) => item.platform?.variant === undefined));
  if (chosen !== undefined) return ok(chosen);
  const [only] = real;
  if (real.length === 1 && only !== undefined && only.platform === undefined) return ok(only);
  return fail(
    'fatal',
    'platform-missing',
    element,
    `has nothing for ${platformText(platform)}; it has ${
      real
        .map((item) => platformText(item.platform))
        .slice(0, 20)
        .join(', ') || 'nothing at all'
    }`,
  );
};

/** Everything that a manifest or index needs besides itself, each once, in order. */
export const childrenOf = (parsed: ParsedManifest): Descriptor[] => {
  const all = parsed.kind === 'index' ? parsed.index.manifests : [parsed.manifest.config, ...parsed.manifest.layers];
  const seen = new Set<string>();
  return all.filter((item) => !seen.has(item.digest) && seen.add(item.digest));
};

export interface NewManifest {
  artifactType?: string;
  config: Descriptor;
  layers: readonly Descriptor[];
  annotations?: Readonly<Record<string, string>>;
}

/** The bytes of an image manifest; equal parts give equal bytes. */
export const manifestBytes = (parts: NewManifest): Buffer =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      ...(parts.artifactType === undefined ? {} : { artifactType: parts.artifactType }),
      config: parts.config,
      layers: parts.layers,
      ...(parts.annotations === undefined
        ? {}
        : { annotations: Object.fromEntries(Object.entries(parts.annotations).toSorted(([a], [b]) => (a < b ? -1 : 1))) }),
    }),
  );

/** `{}`: the config of artifacts that have none (image specification 1.1). */
export const emptyConfig = Buffer.from('{}');
export const emptyDescriptor: Descriptor = {
  mediaType: mediaTypes.empty,
  digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
  size: 2,
};
