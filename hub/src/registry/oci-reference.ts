import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

/** Where an artifact is: `host[:port]/repository[:tag][@digest]`. */
export interface Reference {
  /** With port when it was given: `registry.example:5000`. */
  registry: string;
  repository: string;
  tag?: string;
  digest?: Digest;
}

export type RepositoryName = Pick<Reference, 'registry' | 'repository'>;

interface WellKnown {
  /** The name in references, as people write it. */
  names: readonly string[];
  /** Where its API is. */
  endpoint: string;
  /** What a repository of one word lies in. */
  namespace: string;
  /** Under which names its credentials lie in Docker's config.json. */
  credentialKeys: readonly string[];
}

/** Registries whose references are not where their API is. Docker's own one is the only one known; another is one line. */
const wellKnown: readonly WellKnown[] = [
  {
    names: ['docker.io', 'index.docker.io', 'registry-1.docker.io'],
    endpoint: 'registry-1.docker.io',
    namespace: 'library',
    credentialKeys: ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io'],
  },
];

/** What a reference without a host means: Docker's convention, which Kubernetes follows. */
const defaultRegistry = 'docker.io';

const wellKnownOf = (registry: string): WellKnown | undefined => wellKnown.find((item) => item.names.includes(registry));

/** Host of the API for a host of a reference. */
export const endpointHost = (registry: string): string => wellKnownOf(registry)?.endpoint ?? registry;
/** Names under which Docker's config.json may hold the credentials, in the order to try. */
export const credentialKeysOf = (registry: string): readonly string[] => [...(wellKnownOf(registry)?.credentialKeys ?? []), registry];

/** Grammar of the OCI distribution specification 1.1. */
const repositoryPattern = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const hostPattern = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$/;

export const isRepository = (text: string): boolean => text.length <= 255 && repositoryPattern.test(text);
export const isTag = (text: string): boolean => tagPattern.test(text);

/** The first part is a host when it looks like one (Docker's rule): it has a dot or a port, or is `localhost`. */
const isHost = (text: string): boolean => hostPattern.test(text) && (text.includes('.') || text.includes(':') || text === 'localhost' || text.startsWith('['));

const invalid = (text: string, why: string): Result<never> =>
  fail('fatal', 'reference-invalid', `reference ${JSON.stringify(text.slice(0, 200))}`, `${why}. Write host[:port]/repository[:tag][@sha256:…]`);

/** Reads a reference. `oci://` in front is taken as Helm writes it. Without tag and digest both stay away: the caller decides what that means. */
export const parseReference = (given: string): Result<Reference> => {
  const text = given.trim().replace(/^oci:\/\//, '');
  if (text.length > 1_024) return invalid(given, 'it has more than 1024 characters');
  if (/^[a-z]+:\/\//i.test(text)) return invalid(given, 'it is an address of another kind; only oci:// may stand in front');
  const [beforeDigest = '', digest, ...more] = text.split('@');
  if (more.length > 0) return invalid(given, 'it has more than one @');
  if (digest !== undefined && !isDigest(digest))
    return invalid(given, `the digest ${JSON.stringify(digest.slice(0, 100))} is not sha256: and 64 lower-case hex digits`);
  const slash = beforeDigest.indexOf('/');
  const first = slash === -1 ? '' : beforeDigest.slice(0, slash);
  const registry = isHost(first) ? first : defaultRegistry;
  const path = isHost(first) ? beforeDigest.slice(slash + 1) : beforeDigest;
  const colon = path.indexOf(':');
  const plain = colon === -1 ? path : path.slice(0, colon);
  const tag = colon === -1 ? undefined : path.slice(colon + 1);
  const namespace = wellKnownOf(registry)?.namespace;
  const repository = namespace !== undefined && !plain.includes('/') ? `${namespace}/${plain}` : plain;
  if (!isRepository(repository))
    return invalid(given, `${JSON.stringify(plain.slice(0, 100))} is no repository name: lower-case letters, digits and single . _ - between them`);
  if (tag !== undefined && !isTag(tag))
    return invalid(given, `${JSON.stringify(tag.slice(0, 140))} is no tag: letters, digits and . _ -, at most 128, not beginning with . or -`);
  const port = /:(\d+)$/.exec(registry.replace(/^\[.*\]/, ''))?.[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return invalid(given, `${port} is no port`);
  return ok({
    registry: registry.toLowerCase(),
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  });
};

export const referenceText = (reference: Reference): string =>
  `${reference.registry}/${reference.repository}${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`;

/** A tag cannot hold the `+` of a semantic version; Helm writes `_` instead, and so do we. */
export const tagOfVersion = (version: string): string => version.replaceAll('+', '_');
export const versionOfTag = (tag: string): string => tag.replaceAll('_', '+');
