import type { HubKeys } from '../trust/keys.ts';

/** Where this hub is reached, for agents and for content. */
export interface HubAddresses {
  links: string[];
  content: string;
  /** PEM of the authority of these addresses, where it is none that everybody trusts. */
  ca?: string | undefined;
}

/** The one line that a device needs to come in. */
export const ticketLine = (addresses: HubAddresses, keys: Pick<HubKeys, 'hub' | 'rootDigest'>, ticket: { id: string; secret: string }): string => {
  const { links, content, ca } = addresses;
  const text = JSON.stringify({ hubs: links, content, hub: keys.hub, root: keys.rootDigest, ...ticket, ...(ca === undefined ? {} : { caPem: ca }) });
  return `gpt1.${Buffer.from(text).toString('base64url')}`;
};
