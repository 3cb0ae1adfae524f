import { z } from 'zod';
import { journalEntrySchema, vitalsSchema } from '../ask.ts';
import { clusterStates } from '../cluster-state.ts';
import { nameSchema } from '../ids.ts';
import { can, page, project, route, type Route } from './route.ts';
import { hostSummaryView, pageOf } from './views.ts';

const keysOf = <T extends Record<string, string>>(table: T): [keyof T & string, ...(keyof T & string)[]] => Object.keys(table) as [keyof T & string];

/** `live`: the host told it just now. `last`: the last that was known. `none`: nothing is known. `why`: why it is not live. */
const heard = {
  state: z.enum(['live', 'last', 'none']),
  /** When the hub heard it. */
  asOfMs: z.number().optional(),
  why: z.object({ code: z.string(), message: z.string() }).optional(),
};

export const hostVitalsView = z.object({ ...heard, vitals: vitalsSchema.optional() });
export const hostJournalView = z.object({ ...heard, /** Oldest first. */ steps: z.array(journalEntrySchema) });

/** The last receipt of a host that came here on a medium. */
export const carriedView = z.object({
  seq: z.int(),
  /** As the host's clock said. */
  atMs: z.number().optional(),
  receivedAtMs: z.number().optional(),
  generation: z.int().optional(),
});

/** A place: hosts with the same `site` label, or else those of one cluster. */
export const siteSummaryView = z.object({
  name: z.string(),
  /** What makes it one: the label, or that these hosts are one cluster. */
  by: z.enum(['label', 'cluster']),
  hosts: z.int(),
  online: z.int(),
  lobby: z.int(),
  simulated: z.boolean(),
  clusters: z.array(z.object({ name: z.string(), state: z.enum(keysOf(clusterStates)) })),
  /** When the last of those that are offline was seen; absent when none is, or none was ever seen. */
  offlineSinceMs: z.number().optional(),
  /** Hosts that give large content to their neighbours. */
  sharing: z.int(),
  /** When the newest receipt of it came back on a medium. */
  carriedMs: z.number().optional(),
});
export const siteHostView = hostSummaryView.extend({
  /** Where its neighbours get large content from it. */
  shares: z.object({ addresses: z.array(z.string()), port: z.int() }).optional(),
  carried: carriedView.optional(),
});
export const siteView = siteSummaryView.extend({ members: z.array(siteHostView) });
export const siteListView = pageOf(siteSummaryView).extend({ /** Hosts that have neither the label nor a cluster. */ elsewhere: z.int() });

/** A host that a medium was brought back from. */
export const carriedHostView = carriedView.extend({ host: z.string(), cluster: z.string().optional(), online: z.boolean(), generationWanted: z.int() });

const siteName = z.string().min(1).max(63);
const oneHost = z.object({ ...project, name: nameSchema });

/** What hosts tell when they are asked, and where hosts are. */
export const siteRoutes = {
  hostVitals: route('GET', '/projects/{project}/hosts/{name}/vitals', can('host.get'), 'How the machine does: asked of the host now, else the last known', {
    params: oneHost,
    response: hostVitalsView,
  }),
  hostJournal: route(
    'GET',
    '/projects/{project}/hosts/{name}/journal',
    can('host.get'),
    'The last steps that the agent took: asked of the host now, else the last known',
    { params: oneHost, response: hostJournalView },
  ),
  listSites: route('GET', '/projects/{project}/sites', can('host.get'), 'Sites of a project', {
    params: z.object(project),
    query: z.object(page),
    response: siteListView,
  }),
  getSite: route('GET', '/projects/{project}/sites/{name}', can('host.get'), 'A site with its hosts', {
    params: z.object({ ...project, name: siteName }),
    response: siteView,
  }),
  listReceipts: route('GET', '/projects/{project}/media/receipts', can('host.get'), 'Hosts that sent a receipt on a medium, and the last one of each', {
    params: z.object(project),
    query: z.object(page),
    response: pageOf(carriedHostView),
  }),
} as const satisfies Record<string, Route>;

export type HostVitalsView = z.infer<typeof hostVitalsView>;
export type HostJournalView = z.infer<typeof hostJournalView>;
export type SiteSummaryView = z.infer<typeof siteSummaryView>;
export type SiteView = z.infer<typeof siteView>;
export type SiteHostView = z.infer<typeof siteHostView>;
export type CarriedHostView = z.infer<typeof carriedHostView>;
