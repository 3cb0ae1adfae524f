import type { BundleOci } from '@groundplane/protocol/bundle';
import { isDigest, type Digest } from '@groundplane/protocol/digest';

/** What somebody asks a registry for (OCI distribution specification 1.1, "Pulling"). */
export type RegistryRequest =
  | { what: 'base' }
  | { what: 'manifest'; registry: string | undefined; repository: string; tag?: string; digest?: Digest }
  | { what: 'blob'; registry: string | undefined; repository: string; digest: Digest }
  | { what: 'tags'; registry: string | undefined; repository: string }
  | { what: 'wrong'; code: 'NAME_INVALID' | 'DIGEST_INVALID' | 'MANIFEST_INVALID' | 'UNSUPPORTED'; message: string };

const repositoryPattern = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const registryPattern = /^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$/;

/** Docker Hub has several names, and its images without a user belong to `library`. */
const dockerNames: readonly string[] = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];
const canonical = (registry: string, repository: string): string => {
  if (!dockerNames.includes(registry)) return `${registry}/${repository}`;
  return `docker.io/${repository.includes('/') ? repository : `library/${repository}`}`;
};

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

/** Reads the address of a request. `ns` is how containerd names the registry that it would have asked. */
export const parseRegistryRequest = (url: string): RegistryRequest => {
  const parsed = url.length > 2_048 ? null : URL.parse(url, 'http://mirror');
  const path = parsed === null ? undefined : decode(parsed.pathname);
  if (parsed === null || path === undefined) return { what: 'wrong', code: 'NAME_INVALID', message: 'this is no address of a registry' };
  if (path === '/v2' || path === '/v2/') return { what: 'base' };
  const ns = parsed.searchParams.get('ns') ?? undefined;
  if (ns !== undefined && !registryPattern.test(ns)) return { what: 'wrong', code: 'NAME_INVALID', message: 'ns is no name of a registry' };
  const registry = ns?.toLowerCase();
  const match = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(path);
  if (match === null) return { what: 'wrong', code: 'UNSUPPORTED', message: 'this registry gives manifests, blobs and lists of tags' };
  const [, repository = '', kind, reference = ''] = match;
  if (repository.length > 255 || !repositoryPattern.test(repository))
    return { what: 'wrong', code: 'NAME_INVALID', message: 'this is no name of a repository' };
  if (kind === 'tags')
    return reference === 'list' ? { what: 'tags', registry, repository } : { what: 'wrong', code: 'UNSUPPORTED', message: 'tags/list is all there is' };
  if (kind === 'blobs')
    return isDigest(reference)
      ? { what: 'blob', registry, repository, digest: reference }
      : { what: 'wrong', code: 'DIGEST_INVALID', message: 'this is no digest of SHA-256' };
  if (reference.includes(':'))
    return isDigest(reference)
      ? { what: 'manifest', registry, repository, digest: reference }
      : { what: 'wrong', code: 'DIGEST_INVALID', message: 'this is no digest of SHA-256' };
  return tagPattern.test(reference)
    ? { what: 'manifest', registry, repository, tag: reference }
    : { what: 'wrong', code: 'MANIFEST_INVALID', message: 'this is no tag' };
};

export interface MirroredReference extends Pick<BundleOci, 'digest' | 'size' | 'mediaType'> {
  registry: string;
  repository: string;
  /** `registry/repository`, Docker Hub's short forms written out. */
  name: string;
  tag: string | undefined;
}

/** A reference as pods write it; undefined for what no registry could have. Docker Hub's rules for short names are those of the distribution project. */
export const parseMirrored = (item: BundleOci): MirroredReference | undefined => {
  const [beforeDigest = '', digest] = item.ref.split('@');
  const slash = beforeDigest.indexOf('/');
  const first = slash < 0 ? '' : beforeDigest.slice(0, slash);
  const isHost = first === 'localhost' || /[.:]/.test(first);
  const registry = (isHost ? first : 'docker.io').toLowerCase();
  const rest = isHost ? beforeDigest.slice(slash + 1) : beforeDigest;
  const colon = rest.lastIndexOf(':');
  const repository = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? (digest === undefined ? 'latest' : undefined) : rest.slice(colon + 1);
  if (!registryPattern.test(registry) || !repositoryPattern.test(repository) || (tag !== undefined && !tagPattern.test(tag))) return undefined;
  const { digest: root, size, mediaType } = item;
  return { registry, repository, name: canonical(registry, repository), tag, digest: root, size, mediaType };
};

/** Whether a request means this reference's repository. Who does not say which registry he wants means any that has such a name. */
export const isSameRepository = (request: { registry: string | undefined; repository: string }, item: MirroredReference): boolean =>
  request.registry === undefined
    ? item.repository === request.repository || item.name === canonical('docker.io', request.repository)
    : item.name === canonical(request.registry, request.repository);
