import semver from 'semver';
import type { BundleLayer } from '../bundle.ts';
import type { Failure } from '../failure.ts';
import type { HostFacts } from './facts.ts';

/**
 * Whether a server version is inside a range. Vendors append `-eks-…` or `+k3s1`, which semver would read as pre-release or build: only
 * major.minor.patch counts. An unreadable range is outside.
 */
export const isVersionAllowed = (serverVersion: string, range: string): boolean => {
  const version = semver.coerce(serverVersion);
  return version !== null && semver.validRange(range) !== null && semver.satisfies(version, range);
};

/** Why Kubernetes layers and everything above them must wait; undefined when they need not. */
export const kubernetesFailure = (facts: HostFacts, layer: BundleLayer | undefined): Failure | undefined => {
  const seen = facts.kubernetes;
  const element = layer === undefined ? 'Kubernetes' : `layer ${layer.name}`;
  switch (seen.state) {
    case 'unreachable':
      return seen.failure;
    case 'unknown':
      return { kind: 'retry', code: 'kubernetes-unknown', element, message: 'the API server was not asked yet' };
    case 'reachable': {
      // One that the agents bring up is at the version that its own plan says.
      const range = layer?.kubernetes?.managed === undefined ? layer?.kubernetes?.version : undefined;
      if (range === undefined || isVersionAllowed(seen.version, range)) return undefined;
      return {
        kind: 'blocked',
        code: 'kubernetes-version',
        element,
        message: `the API server runs ${seen.version}, and the layer allows ${range}. Upgrade the cluster, or change the range in the profile`,
      };
    }
    default:
      return seen satisfies never;
  }
};
