import type { AccountKind, AccountSecret, AccountSettings } from '@groundplane/protocol/environment/account';
import type { Environment, MachineEnvironment, ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import type { Placement } from '@groundplane/protocol/environment/placement';
import type { Pool, StaticPlace } from '@groundplane/protocol/environment/pool';
import type { Result } from '@groundplane/protocol/failure';
import type { Taint } from '@groundplane/protocol/taint';
import type { Clock } from './clock.ts';
import type { Http } from './http.ts';
import type { Random } from './random.ts';

/**
 * Environments behind two ports. What both have in common:
 * - Every function is idempotent, and finds its own things by the tags below (by name where an API has no tags), never by what it remembers. It may be
 *   killed after any call, also between a call and its answer, and the next one goes on from what is there: nothing twice, nothing left.
 * - Nothing waits. What takes time answers `pending`, and is asked again.
 * - A thing of our name without our tag is not ours: `not-ours` (blocked), never taken over, never deleted.
 * - Failures that every environment has: `credentials-refused` (blocked), `permission-missing` (blocked: names what is missing), `quota-reached` (blocked),
 *   `capacity-missing` (retry: the environment has no such machine now), `throttled` (retry; the door behind `Http` keeps the wait that was asked for), `cloud-conflict` (retry: something else is at
 *   work on it), `cloud-refused` (fatal: the request can never succeed; the environment's own words), `cloud-unreachable` (retry), `cloud-failed` (retry: 5xx).
 */

/** Keys of tags; where an API forbids the slash, `-` stands for it. */
export const tagKeys = { cluster: 'groundplane/cluster', name: 'groundplane/name', pool: 'groundplane/pool', generation: 'groundplane/generation' } as const;

/** Something that takes time. `afterMs`: it makes no sense to ask earlier. */
export type Progress<T> = { state: 'ready'; value: T } | { state: 'pending'; what: string; afterMs?: number };
export const ready = <T>(value: T): { ok: true; value: Progress<T> } => ({ ok: true, value: { state: 'ready', value } });
export const pending = (what: string, afterMs?: number): { ok: true; value: { state: 'pending'; what: string; afterMs?: number } } => ({
  ok: true,
  value: { state: 'pending', what, ...(afterMs === undefined ? {} : { afterMs }) },
});

/** A cluster as environments see it. */
export interface ClusterScope<E extends Environment = Environment> {
  /** `clu_…`, value of the tag; unique over all hubs. */
  id: string;
  /** Name of the cluster, of at most 63 letters; beginning of the names of things. Not unique in an account. */
  name: string;
  placement: Placement<E>;
  /** Of all its pools, sorted; empty: the environment's choice. */
  zones: readonly string[];
}

/** Short text for names that have to be unique in an account: 10 letters of the cluster's id. */
export const shortId = (scope: Pick<ClusterScope, 'id'>): string => scope.id.replace(/^[a-z]+_/, '').slice(0, 10);

export interface MachineWant {
  /** Unique in its cluster, a DNS label of at most 63 letters; also its host name. */
  name: string;
  pool: string;
  role: Pool['role'];
  size: string;
  image?: string | undefined;
  diskGiB?: number | undefined;
  zone?: string | undefined;
  spot: boolean;
  place?: StaticPlace | undefined;
  /** cloud-init's `#cloud-config`; at most 16 KiB. */
  userData: string;
  /** Digest of what it was made from; a tag. */
  generation: string;
}

export interface MachineFacts {
  name: string;
  pool: string;
  generation: string;
  /** The environment's own id: `i-0abc…`. */
  instance: string;
  /** `failed`: it will never run; `going`: on its way out. What is gone is not listed. */
  state: 'starting' | 'running' | 'stopped' | 'failed' | 'going';
  zone?: string | undefined;
  addresses: readonly string[];
  message?: string | undefined;
}

export interface Endpoint {
  kind: 'vip' | 'external';
  host: string;
  port: number;
}

/** What an account can offer, for people who choose. Prices in US dollars an hour, where the environment tells them. */
export interface Offers {
  regions: { name: string; title?: string }[];
  zones: string[];
  sizes: { name: string; cpus: number; memoryMiB: number; price?: number; note?: string }[];
  images: { name: string; title?: string }[];
  networks: { name: string; title?: string; subnets?: { name: string; title?: string; zone?: string }[] }[];
  /** Kubernetes versions of a managed environment, newest first. */
  versions?: { name: string; isDefault?: boolean; endOfSupport?: string }[];
  /** Anything else that a placement names: template, datastore, folder, resource pool, project. */
  other?: Record<string, { name: string; title?: string }[]>;
}

export interface AccountFacts {
  /** Who we are there: an ARN, a service principal, a user. */
  identity: string;
  /** Where what it makes belongs, when credentials alone decide that: an AWS account, a project of OpenStack, a vCenter. With those of another one nothing is found. */
  owner?: string | undefined;
  /** What this account may not do and would have to, as the environment names permissions; empty where everything was found, or where nobody can tell. */
  missing: string[];
  /** What could not be checked, in words. */
  unchecked: string[];
}

/** Something with our tag, found in an account. */
export interface FoundThing {
  /** `vpc vpc-0abc`, in the environment's words. */
  thing: string;
  cluster: string;
  name?: string | undefined;
}

/** An operating system image of the catalogue, as this environment names it for each processor; with `:latest`, a family or a pattern, the newest of it. */
export interface ImageChoice {
  /** In the catalogue: `debian-13`. */
  name: string;
  amd64?: string | undefined;
  arm64?: string | undefined;
}

/** One image and no other, for as long as the environment keeps it. */
export interface ExactImage {
  /** What `MachineWant.image` takes: `ami-…`, `Debian:debian-13:13-gen2:0.20251117.2299`, an id. */
  exact: string;
  title?: string | undefined;
}

interface Provider<E extends Environment> {
  /** Whether the credentials work, and what they lack. */
  check(placement?: Placement<E>): Promise<Result<AccountFacts>>;
  /** `placement`: as far as it was chosen; region and network narrow the rest. */
  offers(placement: Partial<Placement<E>>): Promise<Result<Offers>>;
  /** Everything of a cluster, in the order in which it can be deleted, one round at a time; `pending` as long as something is there. */
  ensureNothingLeft(scope: ClusterScope<E>): Promise<Result<Progress<void>>>;
  /** What carries our tag, of whichever cluster. `where`: of which a region or a subscription is needed. */
  findTagged(where: Partial<Placement<E>>): Promise<Result<FoundThing[]>>;
}

export interface MachineProvider<E extends MachineEnvironment = MachineEnvironment> extends Provider<E> {
  ensureNetwork(scope: ClusterScope<E>): Promise<Result<Progress<void>>>;
  /** The address of the API server. `servers`: control planes that shall stand behind it, and nobody else; called again whenever they change. */
  ensureEndpoint(scope: ClusterScope<E>, servers: readonly MachineFacts[]): Promise<Result<Progress<Endpoint>>>;
  /** Makes the machine unless one of this name is there. */
  ensureMachine(scope: ClusterScope<E>, want: MachineWant): Promise<Result<MachineFacts>>;
  listMachines(scope: ClusterScope<E>): Promise<Result<MachineFacts[]>>;
  /** The newest image that a choice means for machines of this size. Absent: the environment keeps its images new under one name, so that the name is all there is. */
  resolveImage?(scope: ClusterScope<E>, size: string, choice: ImageChoice): Promise<Result<ExactImage>>;
  /** With its disks and addresses. Ready when it is gone, and for one that never was. */
  deleteMachine(scope: ClusterScope<E>, name: string): Promise<Result<Progress<void>>>;
}

export interface ManagedPoolWant {
  /** Of this generation of the pool: the pool's own name, or that of a successor, `workers-2`. A tag (`tagKeys.name`) where the API's alphabet does not have it. */
  name: string;
  /** Of the cluster's document; a tag (`tagKeys.pool`). */
  pool: string;
  /** Digest of what it is made from; a tag (`tagKeys.generation`). */
  generation?: string | undefined;
  size: string;
  count: number;
  min?: number | undefined;
  max?: number | undefined;
  zones: readonly string[];
  diskGiB?: number | undefined;
  image?: string | undefined;
  spot: boolean;
  labels: Readonly<Record<string, string>>;
  taints: readonly Taint[];
  update: Pick<Pool['update'], 'maxSurge' | 'maxUnavailable'>;
  /** Of its nodes; undefined: the control plane's. */
  version?: string | undefined;
}

export interface ManagedPoolFacts {
  /** As it was asked for. */
  name: string;
  /** Of the cluster's document. Where the tag is missing: its own name. */
  pool: string;
  /** It was made from exactly this. What of it differs all the same is how the environment writes it, and another pool would differ as well. */
  generation?: string | undefined;
  state: 'making' | 'ready' | 'changing' | 'failed' | 'going';
  /** Nodes wanted now (an autoscaler may have changed it). */
  count: number;
  version?: string | undefined;
  message?: string | undefined;
  /** Label selector of its nodes in the cluster, by the label that the environment puts on them: `eks.amazonaws.com/nodegroup=workers`. */
  nodes?: string | undefined;
  /** Compared with what is wanted of its pool: it is ready, and `ensurePool` of it would change nothing. Absent: not known, ask. */
  settled?: boolean | undefined;
  /** What of the wanted cannot be changed in place, and differs: `size`, `zones`, `diskGiB`, … It needs a new pool. Empty where nothing is wanted of it. */
  differs: readonly string[];
}

export interface ManagedClusterFacts {
  state: 'making' | 'ready' | 'changing' | 'failed' | 'going' | 'absent';
  /** As exact as the environment tells it: `1.34`, `1.34.1-gke.1`. */
  version?: string | undefined;
  message?: string | undefined;
  /** `https://…` */
  server?: string | undefined;
}

export interface ClusterCredentials {
  server: string;
  /** PEM; undefined: public authorities. */
  ca?: string | undefined;
  /** Absent where a client certificate is all there is. */
  token?: string | undefined;
  /** PEM; both or neither. */
  clientCertificate?: string | undefined;
  clientKey?: string | undefined;
  /** Milliseconds since 1970; undefined: it stays good. */
  expiresAtMs?: number | undefined;
}

export interface ManagedClusterProvider<E extends ManagedEnvironment = ManagedEnvironment> extends Provider<E> {
  observe(scope: ClusterScope<E>): Promise<Result<ManagedClusterFacts>>;
  /** Network, roles and control plane in `version`, with `first` as its first pool where one is needed to make a cluster. Never changes the version. */
  ensureCluster(scope: ClusterScope<E>, version: string, first: ManagedPoolWant | undefined): Promise<Result<Progress<ManagedClusterFacts>>>;
  /** Control plane only, one minor at a time; the caller asks for each step, pools follow by `ensurePool`. */
  upgrade(scope: ClusterScope<E>, version: string): Promise<Result<Progress<void>>>;
  /** Pools with our tag, and no other. `wants`: one for each pool of the document, to be compared with; what was made from its generation need not be. */
  listPools(scope: ClusterScope<E>, wants: readonly ManagedPoolWant[]): Promise<Result<ManagedPoolFacts[]>>;
  /** Makes it, or changes what can be changed in place and leaves the rest (`differs`); one change at a time, `pending` while one is under way. */
  ensurePool(scope: ClusterScope<E>, want: ManagedPoolWant): Promise<Result<Progress<void>>>;
  /** With its nodes, which the environment drains itself, each in its own way (README of the provider). */
  deletePool(scope: ClusterScope<E>, name: string): Promise<Result<Progress<void>>>;
  /** `refused`: a token of before that the API server did not take, whatever its time; what is kept of it is not given again. */
  credentials(scope: ClusterScope<E>, refused?: string): Promise<Result<ClusterCredentials>>;
  /** Versions of Kubernetes with the end of their standard support, where the environment tells that. */
  versions?(placement: Partial<Placement<E>>): Promise<Result<NonNullable<Offers['versions']>>>;
}

export interface ProviderDeps<K extends AccountKind> {
  settings: AccountSettings<K>;
  secret: AccountSecret<K>;
  http: Http;
  clock: Clock;
  random: Random;
}

/** Loads the environment's client on first use. */
export type OpenMachines<E extends MachineEnvironment, K extends AccountKind> = (deps: ProviderDeps<K>) => Promise<MachineProvider<E>>;
export type OpenManaged<E extends ManagedEnvironment, K extends AccountKind> = (deps: ProviderDeps<K>) => Promise<ManagedClusterProvider<E>>;
