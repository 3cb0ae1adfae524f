import type { AccountKind } from '@groundplane/protocol/environment/account';
import type { Environment } from '@groundplane/protocol/environment/environments';
import type { Pool } from '@groundplane/protocol/environment/pool';
import type { Failure } from '@groundplane/protocol/failure';
import type { CordonNote } from '../plan/pool-cordon.ts';
import type { AccountFacts, Endpoint, MachineFacts, ManagedPoolFacts } from '../port/provider.ts';

/** A cloud account. Of a project, or of the whole tenant where the row's project is empty. */
export interface AccountValue {
  kind: AccountKind;
  settings: Record<string, unknown>;
  /** The secret as sealed JSON. */
  sealed: string;
  /** What the last look at it found. */
  checked: { atMs: number; facts?: AccountFacts; failure?: Failure };
}

/** One line of what happens to a cluster's infrastructure, for people. */
export interface InfrastructureStep {
  name: 'account' | 'network' | 'endpoint' | 'control-plane' | 'machines' | 'pools' | 'upgrade' | 'layers' | 'deletion';
  state: 'done' | 'doing' | 'waiting' | 'failed';
  message: string;
  sinceMs: number;
}

/** One of the pools that an environment has for a pool of the document: two while the one replaces the other. */
export interface PoolPart {
  name: string;
  count: number;
  state: ManagedPoolFacts['state'];
  /** What of it cannot be changed in place, and differs. */
  differs: string[];
  version?: string | undefined;
  message?: string | undefined;
}

/** What a name of the catalogue stands for in a pool. It stays until its spec changes, or somebody takes a newer one. */
export interface PoolImage {
  name: string;
  /** Of the pool's machines; an image is for one kind of processor. */
  size: string;
  exact: string;
  title?: string | undefined;
  /** There is a newer one of this name. */
  newer?: string | undefined;
  /** It was taken as the newer one, and machines with the one before are of an older generation. */
  isChosen?: boolean | undefined;
  lookedMs: number;
}

export interface PoolState {
  wanted: number;
  total: number;
  ready: number;
  outdated: number;
  /** Digest of what its machines are made from now. */
  generation: string;
  needsApproval: boolean;
  waits: string[];
  version?: string | undefined;
  message?: string | undefined;
  /** Of managed clusters, when there are others than the one of its name. */
  parts?: PoolPart[] | undefined;
}

/** What the hub knows of the infrastructure of a cluster; its row has the cluster's id and name. */
export interface InfrastructureValue {
  environment: Environment;
  steps: InfrastructureStep[];
  endpoint?: Endpoint | undefined;
  /** Digest of placement and zones that the network stands for. */
  networkOf?: string | undefined;
  /** Machines behind the endpoint. */
  servers: string[];
  pools: Record<string, PoolState>;
  /** By pool: the generation that somebody let replace the older ones. */
  approved: Record<string, string>;
  /** By pool: the size that an autoscaler or a person set, within its bounds. */
  scale: Record<string, number>;
  /** By pool: successors of a generation that the environment could not make, and when the last one was taken away for another attempt. */
  failedSuccessors?: Record<string, { generation: string; times: number; atMs: number }> | undefined;
  /** By name in the environment: pools that are about to go, whose nodes were told to take no new pods. Since when nothing got on, and how many were left then. */
  cordoned?: Record<string, CordonNote> | undefined;
  /** By pool: when so many of its machines were not heard of last that something else was wrong. */
  crowdSilentMs?: Record<string, number> | undefined;
  /** By pool: what its image is now. */
  images?: Record<string, PoolImage> | undefined;
  /** By pool: the newer image that somebody took. */
  approvedImages?: Record<string, string> | undefined;
  /**
   * Until when the Kubernetes version has support: of a managed cluster the one that it runs, by its environment; of a cluster of machines the one of its profile,
   * by the Kubernetes project. `row`: version of the cluster's row that it was taken from.
   */
  support?: { version: string; row?: number | undefined; ends?: string | undefined; notice?: string | undefined; lookedMs: number } | undefined;
  /** The agent inside was started by a manifest of another release. */
  manifestNotice?: string | undefined;
  /** Managed clusters. */
  version?: string | undefined;
  server?: string | undefined;
}

/** A machine that the hub makes. It is noted here before it is asked for, so that none is ever forgotten. */
export interface MachineValue {
  cluster: string;
  pool: string;
  role: Pool['role'];
  size: string;
  generation: string;
  zone?: string | undefined;
  place?: number | undefined;
  phase: 'wanted' | 'made' | 'leaving' | 'deleting';
  /** Of the phase. */
  sinceMs: number;
  madeAtMs?: number | undefined;
  reason: string;
  ticket: string;
  /** What it was made from, exactly, where its pool's image is a name of the catalogue. */
  image?: string | undefined;
  instance?: string | undefined;
  state?: MachineFacts['state'] | undefined;
  addresses?: string[] | undefined;
  health?: string | undefined;
  message?: string | undefined;
}
