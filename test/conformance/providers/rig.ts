import type { MachineEnvironment, ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';
import type { ClusterScope, MachineProvider, MachineWant, ManagedClusterProvider, ManagedPoolWant } from '@groundplane/hub/port/provider';

/** What the suite has to know about a counterpart. The answers are the vendor's own words for it, told on any request. */
interface Rig<Provider, Scope> {
  /** `moto server 5.1.0`: what it ran against. */
  counterpart: string;
  /** The way to the counterpart. */
  http: Http;
  open(http: Http): Promise<Provider>;
  /** With credentials that the counterpart refuses; absent where it refuses none. */
  openWrong?(http: Http): Promise<Provider>;
  scope(id: string, name: string): Scope;
  /**
   * Everything that is there now and was not in the empty account, read past the provider: one line for each thing that costs money or stands in the way,
   * its kind first: `instance i-0abc`. Kinds are counted, the rest is for people.
   */
  inventory(): Promise<string[]>;
  /** Milliseconds to wait before something pending is asked again; the counterparts' time is quick. */
  pollMs: number;
  answers: {
    throttled(request: HttpRequest): HttpResponse;
    /** For the request that makes a machine, a cluster or a pool; undefined for every other one. */
    quota(request: HttpRequest): HttpResponse | undefined;
    /** The answer to a read of something that was made just now, where the environment is eventually consistent. */
    notYet?(request: HttpRequest): HttpResponse | undefined;
  };
  /** What of the suite cannot be had with this counterpart, by scenario, and why. */
  skipped?: Readonly<Record<string, string>>;
  /** Forgets what is long gone, where that makes a counterpart slower with each life; called only while nothing is there. */
  forgetPast?(): Promise<void>;
  close(): Promise<void>;
}

export interface MachineRig<E extends MachineEnvironment = MachineEnvironment> extends Rig<MachineProvider<E>, ClusterScope<E>> {
  kind: 'machines';
  want(name: string, pool: 'servers' | 'workers', generation: string): MachineWant;
  /** Takes a machine away without telling anybody. */
  deleteBehind(scope: ClusterScope<E>, name: string): Promise<void>;
}

export interface ManagedRig<E extends ManagedEnvironment = ManagedEnvironment> extends Rig<ManagedClusterProvider<E>, ClusterScope<E>> {
  kind: 'managed';
  /** Two minors, the older first. */
  versions: readonly [string, string];
  pool(name: string, count: number): ManagedPoolWant;
  /** Calls of one look at a cluster with two pools that are as wanted. */
  callsPerLook: number;
  /** Puts a pool into the cluster past the provider, without our tags; where somebody could. */
  strangerIn?(scope: ClusterScope<E>, pool: string): void;
  /** Takes our tags from the cluster, or from one of its pools, past the provider: as if somebody else had made it. Answers how they come back. */
  untag(scope: ClusterScope<E>, pool?: string): Promise<() => void>;
  /** Of nodes: what a pool cannot change in place anywhere. */
  otherSize: string;
  deleteBehind(scope: ClusterScope<E>, pool: string): Promise<void>;
}
