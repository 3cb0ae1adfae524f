import type { Result } from '@groundplane/protocol/failure';
import type { HostEvent } from '@groundplane/protocol/observed';
import type { StepArgs, StepKind } from '@groundplane/protocol/plan/steps';
import type { KubernetesDeps } from '../observe/distribution.ts';
import type { Verify } from '@groundplane/protocol/trust';
import type { ObjectView } from '../observe/packs.ts';
import type { Blobs } from '../port/blobs.ts';
import type { Clock } from '../port/clock.ts';
import type { Cluster } from '../port/cluster.ts';
import type { Extensions } from '../port/extensions.ts';
import type { Host } from '../port/host.ts';
import type { Machine } from '../port/machine.ts';
import type { OsImages } from '../port/os-images.ts';
import type { AgentSlots } from '../port/slots.ts';
import type { AgentWrite } from '../port/store.ts';
import type { DesiredRecord, State } from '../store/state.ts';

/** Everything an executor may touch. */
export interface ExecuteContext {
  state: State;
  host: Host;
  /** Large content that the target's layers name; it is all here. */
  blobs: Blobs;
  slots?: AgentSlots | undefined;
  cluster: Cluster | undefined;
  view: ObjectView | undefined;
  /** Opens the connection when it could not be opened before the plan: a cluster that the plan itself made. */
  openCluster?: (() => Promise<Cluster | undefined>) | undefined;
  kubernetes?: KubernetesDeps | undefined;
  clock: Clock;
  target: DesiredRecord;
  /** Aborts when a newer generation supersedes this plan, or the agent stops. */
  signal: AbortSignal;
  /** Aborts when the agent stops, and only then. */
  stop: AbortSignal;
  machine: Machine | undefined;
  extensions: Extensions | undefined;
  images: OsImages | undefined;
  verify: Verify;
  hasContact: () => boolean;
  event: (event: Omit<HostEvent, 'atMs' | 'generation'>) => void;
}

/** Does one kind of step. The writes it returns become durable together with the step's result row. */
export type Executor<K extends StepKind> = (args: StepArgs[K], context: ExecuteContext) => Promise<Result<AgentWrite[]>>;
