import { createEngine, type Engine } from './engine.ts';
import type { OpenCluster } from './engine-facts.ts';
import { verifySignature, type DeviceKey } from './identity/key.ts';
import type { EnrolmentTicket } from './identity/ticket.ts';
import { createOutbox } from './link/outbox.ts';
import { createSession, type Session } from './link/session.ts';
import type { HostEvent } from '@groundplane/protocol/observed';
import type { Verify } from '@groundplane/protocol/trust';
import type { Clock } from './port/clock.ts';
import type { ContentSource } from './port/content.ts';
import type { OsParts } from './observe/machine.ts';
import type { Host } from './port/host.ts';
import type { Link } from './port/link.ts';
import type { Random } from './port/random.ts';
import type { AgentStore } from './port/store.ts';

export interface AgentDeps {
  store: AgentStore;
  host: Host;
  /** What looks after the machine as a whole. */
  os?: OsParts | undefined;
  openCluster: OpenCluster;
  links: readonly Link[];
  /** Given the function that knows the token of the current session. */
  content: (token: () => string) => ContentSource;
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
  /** Events from before this start, such as a return to an older agent. In the outbox when `createAgent` returns. */
  news?: readonly Omit<HostEvent, 'atMs'>[];
}

export interface Agent {
  engine: Engine;
  session: Session;
  /** Runs until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** The whole agent without its doors: every effect is a port. Real hosts, the lab, benchmarks and the simulator run exactly this. */
export const createAgent = (deps: AgentDeps): Agent => {
  const { store, clock, random } = deps;
  const outbox = createOutbox(store);
  store.commit((deps.news ?? []).flatMap((item) => outbox.event({ ...item, atMs: clock.wallMs() })));
  let token = '';
  const late: { session?: Session } = {};
  const engine = createEngine({
    store,
    host: deps.host,
    os: deps.os,
    verify: deps.verify,
    hasContact: () => late.session?.state().state === 'online',
    openCluster: deps.openCluster,
    content: deps.content(() => token),
    clock,
    random,
    outbox,
    onNews: (isUrgent) => late.session?.onNews(isUrgent),
  });
  const session = createSession({
    links: deps.links,
    engine,
    store,
    outbox,
    key: deps.key,
    ticket: deps.ticket,
    verify: deps.verify ?? verifySignature,
    clock,
    random,
    bootId: deps.bootId,
    name: deps.name,
    serial: deps.serial,
    onContentToken: (next) => (token = next),
    capabilities: deps.capabilities,
  });
  late.session = session;
  return {
    engine,
    session,
    run: async (signal) => {
      session.start();
      await engine.run(signal);
      session.stop();
    },
  };
};
