import type { HostIdentity, JoinSecrets } from '@groundplane/protocol/distribution/kubeadm-config';
import type { ManagedKubernetes } from '@groundplane/protocol/distribution/spec';
import type { Result } from '@groundplane/protocol/failure';

/** What a distribution is told about this host and its cluster; all of it follows from the desired state. */
export interface DistributionSetup {
  spec: ManagedKubernetes;
  cluster: string;
  role: 'control-plane' | 'worker';
  identity: HostIdentity;
}

/** A file of the distribution's own that is kept in shape. */
export interface KeptFile {
  content: string;
  mode: string;
  /** `exact`: any other content is a drift. `valid`: another content that can be read is somebody's renewal, and is kept instead. */
  rule: 'exact' | 'valid';
}

/** What the machine shows of a distribution, without asking the API server. */
export interface MachineState {
  /** Something of it is here, finished or not. */
  hasTraces: boolean;
  controlPlaneVersion: string | undefined;
  kubeletVersion: string | undefined;
  /** The running node agent is not the program on disk. */
  isStale: boolean;
  services: 'running' | 'stopped';
  /** The file with the smallest part of its life left, 0 when over; undefined when none is here. */
  certificates: { left: number } | undefined;
  /** Kept files that are not as they should be, by path. */
  broken: readonly string[];
  /** Kept files that somebody renewed: to be kept as they are now. */
  renewed: readonly string[];
  /** Its own kube-proxy runs here, or should. */
  hasProxy: boolean;
  /** Age of the newest snapshot, milliseconds; undefined when there is none or this host takes none. */
  snapshotAgeMs: number | undefined;
}

/**
 * A Kubernetes distribution on this host: kubeadm, k3s, rke2. Every call can be made again after it was cut anywhere.
 * Failures: `kubernetes-failed` (retry: with the tool's last words), `kubernetes-refused` (blocked: it will not work until something is changed),
 * `program-missing` (blocked: which, and where it should come from), `join-refused` (retry: the invitation is not good any more), `node-not-alive` (retry).
 */
export interface Distribution {
  /** Where the kubeconfig of an administrator lies on a control plane. */
  adminConfig: string;
  /** Where the node's own kubeconfig lies. */
  nodeConfig: string;
  /** The cluster itself holds a configuration that the first host to change brings up to date. */
  hasSharedConfig: boolean;
  look(setup: Pick<DistributionSetup, 'spec' | 'role'>, kept: Readonly<Record<string, KeptFile>>): Promise<Result<MachineState>>;
  /** Files to be kept in shape from now on, as they are. */
  keep(role: DistributionSetup['role']): Promise<Result<Record<string, KeptFile>>>;
  repair(kept: Readonly<Record<string, KeptFile>>, parts: readonly string[]): Promise<Result<void>>;
  init(setup: DistributionSetup): Promise<Result<void>>;
  join(setup: DistributionSetup, secrets: JoinSecrets): Promise<Result<void>>;
  start(restart: boolean): Promise<Result<void>>;
  /** When the node agent that runs now was started, milliseconds since 1970 by this machine's clock; undefined when nobody knows. */
  startedAtMs(): Promise<number | undefined>;
  /** Brings this host to the specification; `isFirst`: the cluster's shared configuration too. `before`: what it was brought to last. */
  upgrade(setup: DistributionSetup, isFirst: boolean, before: DistributionSetup | undefined): Promise<Result<void>>;
  /** Starts what serves Services on this host anew. */
  healServicePath(setup: DistributionSetup): Promise<Result<void>>;
  renewCertificates(setup: DistributionSetup): Promise<Result<void>>;
  /** Keeps the newest `keep` of them. */
  saveDatastore(setup: DistributionSetup, keep: number): Promise<Result<void>>;
  /** Removes everything of it but its programs; `isLast`: nobody else has to be told. */
  wipe(setup: Pick<DistributionSetup, 'spec' | 'role'>, isLast: boolean): Promise<Result<void>>;
  /** Secrets for one host to join with, good for two hours. */
  invite(role: DistributionSetup['role']): Promise<Result<JoinSecrets>>;
  /** Moves the pods of a node away, within the budgets they have. Failure `drain-blocked` (retry) names what holds it up. */
  drain(node: string, timeoutMs: number): Promise<Result<void>>;
  /** Takes a control plane that is gone for good out of the datastore. */
  forgetServer(node: string): Promise<Result<void>>;
}
