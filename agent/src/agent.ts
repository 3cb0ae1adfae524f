import type { AgentArch } from '@groundplane/protocol/agent-package';
import type { Transfer } from '@groundplane/protocol/transfer';
import type { KnownNeighbours } from './blobs/neighbours.ts';
import type { HubTime } from './blobs/pace.ts';
import { createEngine, type Engine } from './engine.ts';
import type { OpenCluster } from './engine-facts.ts';
import { verifySignature, type DeviceKey } from './identity/key.ts';
import type { EnrolmentTicket } from './identity/ticket.ts';
import { createAnswers } from './link/answers.ts';
import { createOutbox } from './link/outbox.ts';
import { createSession, type Session } from './link/session.ts';
import type { HostEvent } from '@groundplane/protocol/observed';
import type { Verify } from '@groundplane/protocol/trust';
import type { KubernetesDeps } from './observe/distribution.ts';
import type { Blobs } from './port/blobs.ts';
import type { Clock } from './port/clock.ts';
import type { ContentSource } from './port/content.ts';
import type { OsParts } from './observe/machine.ts';
import type { Host } from './port/host.ts';
import type { Link } from './port/link.ts';
import type { Random } from './port/random.ts';
import type { AgentSlots } from './port/slots.ts';
import type { AgentStore } from './port/store.ts';
import type { VitalsSource } from './port/vitals.ts';
import { createState } from './store/state.ts';

/** What the place of large content has to know from the rest of the agent. */
export interface BlobFacts {
  /** Of the session that is open. */
  token: () => string;
  transfer: () => Transfer | undefined;
  hubTime: () => HubTime | undefined;
  /** Of the cluster that this host is in now. */
  neighbours: () => KnownNeighbours | undefined;
  self: () => string | undefined;
}

export interface AgentDeps {
  store: AgentStore;
  host: Host;
  /** What looks after the machine as a whole. */
  os?: OsParts | undefined;
  /** Absent: this host has none to tell. */
  vitals?: VitalsSource | undefined;
  openCluster: OpenCluster;
  links: readonly Link[];
  /** Given the function that knows the token of the current session. */
  content: (token: () => string) => ContentSource;
  /** Given what the place of large content needs to know from the rest. */
  blobs: (facts: BlobFacts) => Blobs;
  /** Undefined on a machine that agents are not built for. */
  architecture: AgentArch | undefined;
  slots?: AgentSlots | undefined;
  key: DeviceKey;
  ticket: EnrolmentTicket;
  clock: Clock;
  random: Random;
  bootId: string;
  /** Checks signatures; the simulator brings a cheaper kind of signature. */
  verify?: Verify;
  /** Optional abilities of the protocol that it claims; all by default. */
  capabilities?: readonly string[];
  name?: string | undefined;
  serial?: string | undefined;
  kubernetes?: KubernetesDeps | undefined;
  /** Namespace for what it knows, where its own memory may go at any moment. */
  inventory?: string | undefined;
  /** Events from before this start, such as a return to an older agent. In the outbox when `createAgent` returns. */
  news?: readonly Omit<HostEvent, 'atMs'>[];
}

export interface Agent {
  engine: Engine;
  session: Session;
  neighbours: () => KnownNeighbours | undefined;
  /** Runs until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** The whole agent without its doors: every effect is a port. Real hosts, the lab, benchmarks and the simulator run exactly this. */
export const createAgent = (deps: AgentDeps): Agent => {
  const { store, clock, random } = deps;
  const outbox = createOutbox(store);
  store.commit((deps.news ?? []).flatMap((item) => outbox.event({ ...item, atMs: clock.wallMs() })));
  let token = '';
  let told: HubTime | undefined;
  const state = createState(store);
  const neighbours = (): KnownNeighbours | undefined => {
    const known = state.kv<KnownNeighbours>('neighbours');
    return known?.cluster === (state.slot('candidate') ?? state.slot('current'))?.desired.cluster?.id ? known : undefined;
  };
  const late: { session?: Session } = {};
  const engine = createEngine({
    store,
    host: deps.host,
    os: deps.os,
    verify: deps.verify,
    hasContact: () => late.session?.state().state === 'online',
    openCluster: deps.openCluster,
    content: deps.content(() => token),
    blobs: deps.blobs({
      token: () => token,
      neighbours,
      self: () => state.kv<{ host: string }>('host')?.host,
      transfer: () => (state.slot('candidate') ?? state.slot('current'))?.desired.cluster?.transfer,
      hubTime: () => {
        const wallMs = state.kv<number>('trustedTimeMs');
        return told ?? (wallMs === undefined ? undefined : { wallMs, monotonicMs: undefined });
      },
    }),
    architecture: deps.architecture,
    slots: deps.slots,
    clock,
    random,
    outbox,
    kubernetes: deps.kubernetes,
    inventory: deps.inventory,
    onNews: (isUrgent) => late.session?.onNews(isUrgent),
  });
  const session = createSession({
    links: deps.links,
    engine,
    store,
    outbox,
    answers: createAnswers({ store, clock, vitals: deps.vitals }),
    key: deps.key,
    ticket: deps.ticket,
    verify: deps.verify ?? verifySignature,
    clock,
    random,
    bootId: deps.bootId,
    name: deps.name,
    serial: deps.serial,
    onContentToken: (next) => (token = next),
    onHubTime: (wallMs) => (told = { wallMs, monotonicMs: clock.monotonicMs() }),
    capabilities: deps.capabilities,
  });
  late.session = session;
  return {
    engine,
    session,
    neighbours,
    run: async (signal) => {
      session.start();
      await engine.run(signal);
      session.stop();
    },
  };
};
