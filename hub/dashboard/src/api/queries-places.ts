import { queryOptions } from '@tanstack/react-query';
import type { CarriedHostView, SiteSummaryView } from '@groundplane/protocol/api/site-routes';
import { ask } from './client.ts';
import { readPages, type Listing } from './listing.ts';

/** `live.ts` invalidates sites and receipts; what is asked of a host is read again by time only, since each reading costs the host something. */
export const placeKeys = {
  vitals: (project: string, name: string) => ['vitals', project, name],
  journal: (project: string, name: string) => ['journal', project, name],
  sites: (project: string) => ['sites', project],
  site: (project: string, name: string) => ['site', project, name],
  siteOf: (project: string) => ['site', project],
  receipts: (project: string) => ['receipts', project],
};

const vitalsEveryMs = 10_000;
const journalEveryMs = 15_000;

/** Read while the page is looked at, and only of a host that can answer. */
export const vitalsQuery = (project: string, name: string, isOnline: boolean) =>
  queryOptions({
    queryKey: [...placeKeys.vitals(project, name), isOnline],
    queryFn: () => ask('hostVitals', { params: { project, name } }),
    refetchInterval: isOnline ? vitalsEveryMs : false,
    retry: false,
  });

/** Read again by itself only while the host is at work. */
export const journalQuery = (project: string, name: string, isOnline: boolean, isBusy: boolean) =>
  queryOptions({
    queryKey: [...placeKeys.journal(project, name), isOnline],
    queryFn: () => ask('hostJournal', { params: { project, name } }),
    refetchInterval: isOnline && isBusy ? journalEveryMs : false,
    retry: false,
  });

export const sitesQuery = (project: string) =>
  queryOptions({
    queryKey: placeKeys.sites(project),
    queryFn: async (): Promise<Listing<SiteSummaryView> & { elsewhere: number }> => {
      let elsewhere = 0;
      const listing = await readPages<SiteSummaryView>(
        async (query) => {
          const page = await ask('listSites', { params: { project }, query });
          elsewhere = page.elsewhere;
          return page;
        },
        () => undefined,
      );
      return { ...listing, elsewhere };
    },
  });

export const siteQuery = (project: string, name: string) =>
  queryOptions({ queryKey: placeKeys.site(project, name), queryFn: () => ask('getSite', { params: { project, name } }) });

export const receiptsQuery = (project: string) =>
  queryOptions({
    queryKey: placeKeys.receipts(project),
    queryFn: () =>
      readPages<CarriedHostView>(
        (query) => ask('listReceipts', { params: { project }, query }),
        () => undefined,
      ),
  });

export const mediumQuery = (project: string, cluster: string) =>
  queryOptions({ queryKey: ['medium', project, cluster], queryFn: () => ask('clusterMedia', { params: { project, name: cluster } }), retry: false });
