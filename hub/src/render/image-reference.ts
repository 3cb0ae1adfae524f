/** A container image's name taken apart, by the grammar of the distribution project (docker, containerd and the OCI registry API use it). */
export interface ImageReference {
  /** `docker.io`, `registry.example.com:5000`. */
  registry: string;
  /** `library/nginx`. */
  repository: string;
  tag?: string;
  /** `sha256:…`; wins over the tag where both are given. */
  digest?: string;
}

const referenceCharsMax = 512;
const nameCharsMax = 255;
const hostPattern =
  /^(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*(?::\d{1,5})?$|^\[[0-9a-fA-F:]+\](?::\d{1,5})?$/;
const partPattern = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

const defaultRegistry = 'docker.io';
/** Names of Docker Hub that mean the same. */
const hubNames: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

const isHost = (part: string): boolean => part === 'localhost' || /[.:[]/.test(part) || part !== part.toLowerCase();

/**
 * `nginx` → docker.io, library/nginx. The first part is a registry when it has a dot, a colon or a capital, or is `localhost`. Undefined for what no
 * container runtime would take. The tag is not invented: `imageName` adds `latest`.
 */
export const parseImage = (text: string): ImageReference | undefined => {
  if (text.length > referenceCharsMax) return undefined;
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !digestPattern.test(digest)) return undefined;
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) return undefined;
  const name = hasTag ? named.slice(0, colon) : named;
  if (name.length > nameCharsMax) return undefined;
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasHost = slash > 0 && isHost(first);
  const registry = hasHost ? first : defaultRegistry;
  const path = hasHost ? name.slice(slash + 1) : name;
  if ((hasHost && !hostPattern.test(first)) || !path.split('/').every((part) => partPattern.test(part))) return undefined;
  const isHub = hubNames.has(registry);
  return {
    registry: isHub ? defaultRegistry : registry,
    repository: isHub && !path.includes('/') ? `library/${path}` : path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
};

export const imageText = ({ registry, repository, tag, digest }: ImageReference): string =>
  `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;

/** One spelling for all that mean the same image: `nginx` → `docker.io/library/nginx:latest`. What is no reference stays as it is. */
export const normaliseImage = (text: string): string => {
  const parsed = parseImage(text);
  if (parsed === undefined) return text;
  return imageText(parsed.tag === undefined && parsed.digest === undefined ? { ...parsed, tag: 'latest' } : parsed);
};
