import type { Digest } from '../digest.ts';
import type { TraitsNow } from './node-traits.ts';

/**
 * The way through Services: whether this host reaches the API server by the address of the Service `kubernetes`, as every pod does. The API server itself answers,
 * so what is closed is this host's kube-proxy.
 */
export type ServicePath =
  | { state: 'open' }
  /** `closedMs`: for how long; `healedAgoMs`: since kube-proxy was started anew for it. */
  | { state: 'closed'; closedMs: number; healedAgoMs: number | undefined };

/** What a host itself knows about its part of the cluster, without asking the API server. */
export interface LocalState {
  /** `partial`: a set-up or a join was begun and is not finished. */
  member: 'none' | 'partial' | 'joined';
  /** Kubernetes is here, and this agent has nothing to do with it. */
  isForeign: boolean;
  role: 'control-plane' | 'worker' | undefined;
  /** Digest of the layer that this host's Kubernetes was last brought to; it is written when that is done. */
  applied: Digest | undefined;
  /** The layer that it was made or joined with; known before `applied`. */
  arrived: Digest | undefined;
  /** Version of the control plane's own manifests or program on this host. */
  controlPlaneVersion: string | undefined;
  /** Version of the node agent's program on disk; absent when there is none. */
  kubeletVersion: string | undefined;
  /** The running node agent is another program than the one on disk, or was started before its configuration. */
  isStale: boolean;
  services: 'running' | 'stopped';
  /** Parts that are missing or unreadable, and that can be made anew from what the host has: `manifest kube-apiserver`, `kubeconfig kubelet`. */
  broken: readonly string[];
  /** `due`: less than a third of their life is left. */
  certificates: 'good' | 'due' | 'expired';
  /** A snapshot of the datastore is older than the layer asks for. */
  isSnapshotDue: boolean;
  /** Undefined: nobody knows, or nothing of ours is to make it. */
  servicePath: ServicePath | undefined;
  /** Failed attempts to go on with a set-up that was begun. */
  failedAttempts: number;
  /** The names of the cluster's hosts that this host resolves by itself. */
  names: Readonly<Record<string, string>>;
}

export interface NodeState {
  name: string;
  role: 'control-plane' | 'worker';
  isReady: boolean;
  isCordoned: boolean;
  kubeletVersion: string;
  /** Digest of the layer that it says it was brought to. */
  applied: string | undefined;
  /** The layer that it is allowed to change to now. */
  turn: string | undefined;
  /** It was made by an agent of ours. */
  isOurs: boolean;
  traits: TraitsNow;
}

/** What the API server says. A worker sees its own node only. */
export interface ClusterState {
  /** Version that the cluster's own configuration names, which is the first control plane's. */
  version: string;
  /** The layer that the cluster's shared configuration was last brought to. */
  configured: string | undefined;
  /** Address of the Service `kubernetes`; undefined when it could not be asked for. */
  apiService: { address: string; port: number } | undefined;
  nodes: readonly NodeState[];
}

/** Who belongs to the cluster, by the signed desired state. */
export interface Member {
  /** Id of the host. */
  host: string;
  /** Name of the host, and of its node. */
  name: string;
  role: 'control-plane' | 'worker';
}

/** What a host has told about itself, as the hub passes it on to the others. */
export interface Neighbour {
  host: string;
  name: string;
  address?: string | undefined;
  /** Public key that secrets for it are sealed with. */
  sealKey?: string | undefined;
  /** It is ready to join and has no valid invitation. */
  isWaiting: boolean;
}
