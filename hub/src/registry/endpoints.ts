import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Credentials, DockerConfig } from './docker-config.ts';
import { isLoopbackHost } from './egress.ts';
import { registryLimits } from './limits.ts';
import type { Endpoint } from './oci-auth.ts';
import { checkEndpoint } from './oci-connection.ts';
import { endpointHost } from './oci-reference.ts';

/** What is known about one registry besides its name. */
export interface RegistrySettings {
  credentials?: Credentials;
  /** Plain http to another machine. */
  insecure?: boolean;
  /** PEM. */
  ca?: string;
  tokenHosts?: readonly string[];
  /** Servers to ask first when reading, in order: `https://mirror.example/path`. They never see the registry's credentials. */
  mirrors?: readonly (Omit<Endpoint, 'origin' | 'prefix'> & { url: string })[];
}

/** This machine speaks plain http unless an authority for it was named: Docker's convention for references, which carry no scheme. */
export const originOf = (registry: string, settings: Pick<RegistrySettings, 'insecure' | 'ca'> = {}): string => {
  const host = endpointHost(registry);
  const hostname = host.startsWith('[') ? host.replace(/\].*$/, ']') : host.replace(/:\d+$/, '');
  const isPlain = settings.ca === undefined && (settings.insecure === true || isLoopbackHost(hostname));
  return `${isPlain ? 'http' : 'https'}://${host}`;
};

const trimmed = (path: string): string => path.replaceAll(/^\/+|\/+$/g, '');

/** Mirrors first, the registry itself last. */
export const endpointsOf = (registry: string, settings: RegistrySettings, docker: DockerConfig | undefined): Result<readonly Endpoint[]> => {
  const { mirrors = [], ...own } = settings;
  if (mirrors.length > registryLimits.mirrors)
    return fail('fatal', 'registry-malformed', `registry ${registry}`, `has more than ${registryLimits.mirrors} mirrors`);
  const credentials = own.credentials ?? docker?.credentials(registry);
  const endpoints: Endpoint[] = [];
  for (const { url: text, ...mirror } of mirrors) {
    const url = URL.parse(text);
    if (url === null || url.username !== '' || url.password !== '')
      return fail(
        'fatal',
        'registry-malformed',
        `registry ${registry}`,
        `its mirror ${JSON.stringify(text.slice(0, 100))} is no plain address like https://mirror.example/path`,
      );
    endpoints.push({ ...mirror, origin: url.origin, ...(trimmed(url.pathname) === '' ? {} : { prefix: trimmed(url.pathname) }) });
  }
  endpoints.push({
    origin: originOf(registry, own),
    ...(credentials === undefined ? {} : { credentials }),
    ...(own.insecure === undefined ? {} : { insecure: own.insecure }),
    ...(own.ca === undefined ? {} : { ca: own.ca }),
    ...(own.tokenHosts === undefined ? {} : { tokenHosts: own.tokenHosts }),
  });
  for (const endpoint of endpoints) {
    const checked = checkEndpoint(endpoint);
    if (!checked.ok) return checked;
  }
  return ok(endpoints);
};
