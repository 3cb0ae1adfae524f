import { queryOptions } from '@tanstack/react-query';
import type { AccountView, InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import type { Environment } from '@groundplane/protocol/environment/environments';
import { ask } from './client.ts';
import { readPages } from './listing.ts';

export const cloudKeys = {
  accounts: (project: string) => ['accounts', project],
  infrastructure: (project: string, cluster: string) => ['infrastructure', project, cluster],
  offers: (project: string, account: string, place: string) => ['offers', project, account, place],
};

export const accountsQuery = (project: string) =>
  queryOptions({
    queryKey: cloudKeys.accounts(project),
    queryFn: () =>
      readPages<AccountView>(
        (query) => ask('listAccounts', { params: { project }, query }),
        () => undefined,
      ),
  });

/** While something happens it is read every few seconds, for the hub tells of machines by no other way. */
const busyMs = 4_000;
const calmMs = 30_000;
export const isBusy = (view: InfrastructureView | undefined): boolean => view?.steps.some((step) => step.state === 'doing') ?? true;

export const infrastructureQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: cloudKeys.infrastructure(project, cluster),
    queryFn: () => ask('getInfrastructure', { params: { project, name: cluster } }),
    refetchInterval: ({ state }) => (isBusy(state.data) ? busyMs : calmMs),
  });

/** What can be chosen. The environment itself is asked, so it may take a while, and is not asked again for each key. */
export const offersQuery = (project: string, account: string, environment: Environment, placement: Readonly<Record<string, unknown>>) =>
  queryOptions({
    queryKey: cloudKeys.offers(project, account, `${environment} ${JSON.stringify(placement)}`),
    queryFn: () => ask('accountOffers', { params: { project, name: account }, body: { environment, placement: { ...placement } } }),
    staleTime: 300_000,
    retry: false,
  });
