import type { z } from 'zod';
import type { Result } from '@groundplane/protocol/failure';
import type { Output } from '@groundplane/protocol/api/client';
import type { RouteName, Routes } from '@groundplane/protocol/api/routes';
import type { Accounts } from '../cloud/accounts.ts';
import type { CloudDriver } from '../cloud/driver.ts';
import type { Fleet } from '../fleet/index.ts';
import type { HubAddresses } from '../gateway/ticket-line.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Insides } from '../inside/invite.ts';
import type { Clock } from '../port/clock.ts';
import type { Throttle } from '../content/throttle.ts';
import type { ContentStore, StagingArea } from '../port/content.ts';
import type { Random } from '../port/random.ts';
import type { SealerFor } from '../port/sealer.ts';
import type { ListQuery, Row, Store } from '../port/store.ts';
import type { ClusterInputs } from '../reconcile/cluster-inputs.ts';
import type { EgressPolicy } from '../registry/egress.ts';
import type { Bundler } from '../render/bundle.ts';
import type { HubKeys } from '../trust/keys.ts';
import type { Auth, Principal } from './auth.ts';

/** How blobs come and go. */
export interface Transfers {
  staging: StagingArea;
  /** Of one blob that is streamed to the disk; what is read into memory keeps to `limits.contentBlobBytes`. */
  blobBytesMax: number;
  /** Paces all downloads together. */
  throttle?: Throttle;
}

/** What handlers work with. */
export interface ApiDeps {
  store: Store;
  fleet: Fleet;
  gateway: Gateway;
  content: ContentStore;
  transfers: Transfers;
  bundler: Bundler;
  inputs: ClusterInputs;
  auth: Auth;
  keys: HubKeys;
  sealers: SealerFor;
  accounts: Accounts;
  /** Undefined in a hub that makes no clusters. */
  driver: Pick<CloudDriver, 'kick'> | undefined;
  insides: Insides;
  clock: Clock;
  random: Random;
  /** Addresses that go into tickets: links in the order to try, and the base for content. */
  addresses: () => HubAddresses;
  systemTenant: string;
  /** People reach the hub by https (through a proxy that ends TLS): cookies are marked so. */
  isSecure: boolean;
  /** Private addresses that registries may be at; absent: none. */
  egress?: EgressPolicy;
}

type ParsedBody<N extends RouteName> = Routes[N]['body'] extends z.ZodType ? z.output<Routes[N]['body']> : undefined;

export interface Request<N extends RouteName> {
  principal: Principal;
  params: z.output<Routes[N]['params']>;
  query: z.output<Routes[N]['query']>;
  body: ParsedBody<N>;
  /** Id of the project named in the path; empty on routes of the tenant. */
  project: string;
}

/** Answers one route. The router has checked who calls, what they may do, and the form of everything. */
export type Handler<N extends RouteName> = (request: Request<N>, deps: ApiDeps) => Promise<Result<Output<N>>>;

export const stamp = (row: Pick<Row<'project'>, 'id' | 'createdAtMs' | 'updatedAtMs' | 'version'>) => ({
  id: row.id,
  createdAtMs: row.createdAtMs,
  updatedAtMs: row.updatedAtMs,
  rowVersion: row.version,
});

/** One page of rows as views; `next` is there when the page was full. */
export const page = <R extends { name: string; id: string }, V>(
  rows: readonly R[],
  limit: number,
  view: (row: R) => V,
  key: (row: R) => string = (row) => row.name,
): { items: V[]; next?: string } => {
  const last = rows.at(-1);
  return { items: rows.map(view), ...(rows.length === limit && last !== undefined ? { next: key(last) } : {}) };
};

/** What a paged list asks the store for; `project` is empty for what belongs to the whole tenant. */
export const pageQuery = (query: { after?: string | undefined; limit?: number | undefined }, project: string): ListQuery & { project: string } => ({
  project,
  limit: limitOf(query),
  ...(query.after === undefined ? {} : { after: query.after }),
});

export const limitOf = (query: { limit?: number | undefined }): number => query.limit ?? 100;
