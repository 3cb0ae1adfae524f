import { minorOf } from '@groundplane/protocol/distribution/spec';

export type VersionStep = { kind: 'stay' } | { kind: 'go'; version: string } | { kind: 'blocked'; why: string };

const plain = (version: string): string => version.replace(/^v/, '');

/**
 * The next version of a managed control plane: one minor at a time (Kubernetes' version skew policy), never down. A wanted `1.34` is met by any `1.34.x`; a more
 * exact one is asked for as it stands, once the minor is right.
 */
export const nextVersion = (current: string, wanted: string): VersionStep => {
  const [has, wants] = [minorOf(`${plain(current)}.`), minorOf(`${plain(wanted)}.`)];
  if (has === undefined || wants === undefined) return { kind: 'blocked', why: `${current} or ${wanted} is no version of Kubernetes` };
  if (wants < has)
    return { kind: 'blocked', why: `it runs ${current}, and no environment goes back to ${wanted}. Set the Kubernetes layer to 1.${has} or newer` };
  if (wants > has + 1) return { kind: 'go', version: `1.${has + 1}` };
  if (wants === has + 1) return { kind: 'go', version: plain(wanted) };
  const isExact = plain(wanted).split('.').length > 2;
  return !isExact || plain(current) === plain(wanted) || plain(current).startsWith(`${plain(wanted)}-`)
    ? { kind: 'stay' }
    : { kind: 'go', version: plain(wanted) };
};
