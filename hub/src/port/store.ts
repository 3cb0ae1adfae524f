import type { AccountValue, InfrastructureValue, MachineValue } from '../cloud/state.ts';
import type { Desired, Version } from '@groundplane/protocol/bundle';
import type { Result } from '@groundplane/protocol/failure';
import type { Labels } from '@groundplane/protocol/ids';
import type { HostEvent, HostInfo, HostStatus } from '@groundplane/protocol/observed';
import type { ClusterSpec, ProfileSpec } from '@groundplane/protocol/profile';
import type { Grant } from '@groundplane/protocol/access';
import type { MerkleProof } from '@groundplane/protocol/merkle';
import type { DirectorStatement, ReleaseStatement, Signed } from '@groundplane/protocol/trust';

/** What a blob is that came from a registry: the one thing that says so before a profile uses it. */
interface ImportedUnit {
  kind: 'chart' | 'pack' | 'zarf';
  name: string;
  version: string;
  /** Id of the project that it was imported into. */
  project: string;
  registry: string;
}

/** What each kind of row holds. Times are milliseconds since 1970; secrets are hashes. */
export interface RowValues {
  tenant: { trustMode: 'hub' | 'signed' | 'signed+operator' };
  project: Record<string, never>;
  /** Name is `name@version`. */
  profile: {
    profile: string;
    version: string;
    labels: Labels;
    spec: ProfileSpec;
    state: 'draft' | 'released';
    digest: string;
    release?: Signed<ReleaseStatement>;
  };
  /** `forced`: it goes without waiting for its hosts. Sensitive variables stand in `spec` as redacted, and sealed in `secrets`. */
  cluster: { labels: Labels; spec: ClusterSpec; deleting: boolean; forced?: boolean; secrets?: Record<string, string> };
  /** Looked up by its public key, never by a name in a request. */
  host: {
    key: string;
    state: 'lobby' | 'approved' | 'revoked';
    serial?: string;
    labels: Labels;
    bootId: string;
    info?: HostInfo;
    /** Number of the last receipt that was carried here. */
    receipt?: number;
    /** In the lobby: id of an approved host with the same serial number, whose place it may take. */
    replaces?: string;
    /** In the lobby, put back from approved: why, and what to do. */
    suspected?: { atMs: number; message: string };
    /** Row of the machine that the hub made for it. */
    machine?: string;
  };
  /** What a host should be. `inputs`: digest of what the bundle was made from, so that a new engine alone changes nothing. */
  desired: { version: Version; desired: Desired; inputs: string; proof: MerkleProof; director: string; adopted?: Version };
  /** Sealed by a host of its cluster for this host; the hub cannot read it. */
  invitation: { cluster: string; sealed: string };
  observed: { status: HostStatus; reportedAtMs: number };
  presence: { lastSeenMs: number };
  director: Signed<DirectorStatement>;
  ticket: {
    keyHash: string;
    expiresAtMs: number;
    usesLeft: number;
    labels: Labels;
    autoApprove: boolean;
    /** Only these devices, by serial number; the name that each gets, or nothing. */
    serials?: Record<string, string>;
    /** Those of the list that came with this ticket, each once. */
    came?: string[];
    /** For this machine of ours only: its row and its name. */
    machine?: { id: string; name: string };
  };
  user: { passwordHash: string; grants: Grant[] };
  apiKey: { grants: Grant[]; expiresAtMs?: number };
  session: { user: string; expiresAtMs: number };
  /** The value of a sensitive one is sealed. */
  macro: { value: string; sensitive?: boolean };
  /** Blobs that a tenant uploaded; the bytes are in the content store. */
  blob: { size: number; unit?: ImportedUnit };
  /** A tag of the hub's own registry; name is `repository:tag`. */
  artifact: { repository: string; tag: string; digest: string; mediaType: string; size: number };
  /** What a repository holds; name is `repository@digest`. Manifests have a media type, and the digests of what they need. */
  artifactBlob: { repository: string; digest: string; size: number; mediaType?: string; needs?: string[] };
  /** A registry of other people that a project takes charts, packs and images from. The password is sealed. */
  registry: {
    kind: 'oci' | 'helm' | 'pack' | 'zarf';
    url: string;
    username?: string;
    sealed?: string;
    mirrors: string[];
    insecure: boolean;
    ca?: string;
    tokenHosts: string[];
  };
  account: AccountValue;
  /** Has the id and the name of its cluster. */
  infrastructure: InfrastructureValue;
  machine: MachineValue;
  setting: { value: string };
}
export type Kind = keyof RowValues;

export interface Row<K extends Kind> {
  kind: K;
  tenant: string;
  id: string;
  /** Empty for what belongs to the whole tenant. */
  project: string;
  name: string;
  /** Counts writes, from 1. */
  version: number;
  createdAtMs: number;
  updatedAtMs: number;
  value: RowValues[K];
}
export type AnyRow = { [K in Kind]: Row<K> }[Kind];

export interface StoredEvent extends HostEvent {
  seq: number;
  tenant: string;
  project: string;
  cluster?: string;
  host?: string;
  actor?: string;
}
export type NewEvent = Omit<StoredEvent, 'seq'>;

type Put = {
  [K in Kind]: {
    op: 'put';
    kind: K;
    tenant: string;
    id: string;
    project: string;
    name: string;
    value: RowValues[K];
    lookup?: string;
    expect?: 'absent' | number;
  };
}[Kind];
export type Write = Put | { op: 'delete'; kind: Kind; tenant: string; id: string; expect?: number } | { op: 'event'; event: NewEvent };

/** What a commit changed, in order. */
export type Change = { op: 'put'; row: AnyRow } | { op: 'delete'; row: AnyRow } | { op: 'event'; event: StoredEvent };

export interface ListQuery {
  project?: string;
  /** Name after which to go on; names are in byte order. */
  after?: string;
  limit: number;
}

export interface EventQuery {
  project?: string;
  cluster?: string;
  host?: string;
  afterSeq?: number;
  /** The newest n instead of the first ones. */
  last?: number;
  limit: number;
}

/**
 * The hub's memory. Every key starts with the tenant. A commit is atomic and durable when it resolves; commits of the same moment share one transaction.
 * Failures of `commit`: `row-conflict` (retry: `expect` did not hold), `name-taken` (blocked: another row of the kind has this project and name, or this lookup),
 * `store-unavailable` (retry). Names are unique per kind, tenant and project; look-ups per kind.
 */
export interface Store {
  get<K extends Kind>(kind: K, tenant: string, id: string): Promise<Row<K> | undefined>;
  byName<K extends Kind>(kind: K, tenant: string, project: string, name: string): Promise<Row<K> | undefined>;
  byLookup<K extends Kind>(kind: K, lookup: string): Promise<Row<K> | undefined>;
  list<K extends Kind>(kind: K, tenant: string, query: ListQuery): Promise<Row<K>[]>;
  /** Every row of a kind over all tenants, for building indexes at start. */
  scan<K extends Kind>(kind: K): AsyncIterable<Row<K>>;
  events(tenant: string, query: EventQuery): Promise<StoredEvent[]>;
  /** `patient`: may wait some ten milliseconds so that many share one transaction; for reports, of which thousands come and nobody waits for one. */
  commit(writes: readonly Write[], options?: { patient?: boolean }): Promise<Result<Change[]>>;
  /** Called after each transaction with everything that changed in it. */
  onChange(listener: (changes: readonly Change[]) => void): void;
  close(): Promise<void>;
}
