import { parse } from 'yaml';
import type { ManagedKubernetes } from '@groundplane/protocol/distribution/spec';
import type { ClusterState } from '@groundplane/protocol/distribution/state';
import type { Tools } from '../port/tools.ts';

/** On the host itself: an answer takes less than a millisecond there, a way to another control plane some more. Below the second after which TCP asks again. */
const answerMs = 900;

/** What somebody merged over our configuration; nothing where it cannot be read, since then nothing comes up with it either. */
const merged = (text: string | undefined): Record<string, unknown> => {
  try {
    const value: unknown = parse(text ?? '');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

/** Whether the distribution brings kube-proxy. Where it does not, a layer above may serve Services, and comes when it comes. */
export const hasProxy = ({ proxy, config }: ManagedKubernetes): boolean => {
  const own = merged(config.cluster)['proxy'];
  const isDisabled = typeof own === 'object' && own !== null && (own as { disabled?: unknown }).disabled === true;
  return proxy !== 'none' && !isDisabled && merged(config.server)['disable-kube-proxy'] !== true;
};

/**
 * Whether this host reaches the API server by the address of its Service. kube-proxy can be alive and healthy by its own word while its tables are empty, so this is
 * tried and not asked. Undefined: the API server itself does not say where that would be.
 */
export const isServicePathOpen = async (tools: Tools, cluster: ClusterState | undefined): Promise<boolean | undefined> =>
  cluster?.apiService === undefined ? undefined : tools.connects(cluster.apiService.address, cluster.apiService.port, answerMs);
