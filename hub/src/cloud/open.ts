import { fail } from '@groundplane/protocol/failure';
import type { HubAddresses } from '../gateway/ticket-line.ts';
import { createInsides } from '../inside/invite.ts';
import type { AcceptPeer } from '../port/carrier.ts';
import type { EgressPolicy } from '../registry/egress.ts';
import type { ContentStore } from '../port/content.ts';
import { createResidents } from '../resident/residents.ts';
import type { SealerFor } from '../port/sealer.ts';
import { createAccounts, type AccountsDeps } from './accounts.ts';
import { createCloudDriver } from './driver.ts';
import type { CloudDeps } from './turn.ts';

/** Environments that a hub makes clusters in. */
export type CloudOptions = Pick<AccountsDeps, 'table' | 'httpFor'> & {
  addresses: () => HubAddresses;
  egress: EgressPolicy;
  /** Where the agents of clusters without machines live; absent: there are none. */
  residents?: { data: string; version: string };
};

interface OpenDeps extends Omit<CloudDeps, 'accounts' | 'addresses' | 'egress'> {
  sealers: SealerFor;
  content: ContentStore;
  accept: () => AcceptPeer;
}

const noWay: AccountsDeps['httpFor'] = () => () => Promise.resolve(fail('blocked', 'cloud-unreachable', 'environment', 'this hub makes no clusters'));

/** Accounts, the driver of infrastructure, and the agents that live here, wired. Nothing is asked for before `start`. */
export const openCloud = (options: CloudOptions | undefined, deps: OpenDeps) => {
  const {
    table,
    httpFor,
    addresses,
    egress,
    residents: home,
  } = options ?? { table: { machines: {}, managed: {} }, httpFor: noWay, addresses: undefined, egress: { private: [] } };
  const accounts = createAccounts({ ...deps, table, httpFor });
  const residents = home === undefined ? undefined : createResidents({ ...deps, ...home });
  const driver = addresses === undefined ? undefined : createCloudDriver({ ...deps, accounts, addresses, egress }, residents);
  const insides = createInsides({ ...deps, addresses: addresses ?? (() => ({ links: [], content: '' })) });
  return {
    accounts,
    insides,
    /** Undefined in a hub that makes no clusters. */
    driver,
    start: async (): Promise<void> => driver?.start(),
    stop: async (): Promise<void> => {
      await driver?.stop();
      await residents?.stop();
    },
  };
};
