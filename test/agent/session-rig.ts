import { expect } from 'vitest';
import { createEngine } from '@groundplane/agent/engine';
import { makeDeviceKey, verifySignature } from '@groundplane/agent/identity/key';
import { createAnswers } from '@groundplane/agent/link/answers';
import { createOutbox } from '@groundplane/agent/link/outbox';
import { createSession, type Session } from '@groundplane/agent/link/session';
import type { Link, LinkEvents } from '@groundplane/agent/port/link';
import type { VitalsSource } from '@groundplane/agent/port/vitals';
import type { State } from '@groundplane/agent/store/state';
import { makeHubKeys, type HubKeys } from '@groundplane/hub/trust/keys';
import { fail } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { welcomeText, type AgentMessage, type Hello, type HubMessage } from '@groundplane/protocol/messages';
import { fakeBlobs } from '../fake/blobs.ts';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { fakeHost } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';

/** One connection of the scripted link, as the test holds it. */
interface Wire {
  events: LinkEvents;
  said: AgentMessage[];
  isClosed: boolean;
  atMs: number;
}

/** A session with everything around it that it needs, and a hub that the test plays. */
export const makeAgent = (options: { keys?: HubKeys; ticketHub?: string; seed?: string; vitals?: VitalsSource } = {}) => {
  const clock: VirtualClock = virtualClock();
  const keys = options.keys ?? makeHubKeys('hub');
  const store = fakeAgentStore();
  const outbox = createOutbox(store);
  const random = seededRandom(options.seed ?? 'session');
  const wires: Wire[] = [];
  const behaviour = { refuse: false };
  const link: Link = {
    connect: (events) => {
      const wire: Wire = { events, said: [], isClosed: false, atMs: clock.monotonicMs() };
      wires.push(wire);
      if (behaviour.refuse) clock.after(0, () => events.onClose('refused'));
      return { send: (text) => void wire.said.push(JSON.parse(text) as AgentMessage), close: () => void (wire.isClosed = true) };
    },
  };
  const late: { session?: Session } = {};
  const engine = createEngine({
    store,
    host: fakeHost(),
    blobs: fakeBlobs(new Map()),
    architecture: 'x64',
    openCluster: () => Promise.resolve(fail('retry', 'api-unreachable', 'k', 'no')),
    content: { fetch: () => Promise.resolve(fail('retry', 'content-missing', 'd', 'no')) },
    clock,
    random,
    outbox,
    onNews: (urgent) => late.session?.onNews(urgent),
  });
  const key = makeDeviceKey();
  const tokens: string[] = [];
  const session = createSession({
    links: [link],
    engine,
    store,
    outbox,
    ...(options.vitals === undefined ? {} : { answers: createAnswers({ store, clock, vitals: options.vitals }) }),
    key,
    verify: verifySignature,
    clock,
    random,
    bootId: 'boot',
    name: 'edge',
    serial: undefined,
    onContentToken: (token) => void tokens.push(token),
    ticket: { hubs: ['ws://h'], content: 'http://h', hub: options.ticketHub ?? 'hub', root: keys.rootDigest, id: 'tic', secret: 'secret' },
  });
  late.session = session;
  const wire = (): Wire => wires.at(-1) as Wire;
  const hear = (message: HubMessage | Record<string, unknown>): void => wire().events.onFrame(JSON.stringify(message));
  const challenge = { t: 'challenge' as const, v: 1, hub: 'hub', nonce: 'n'.repeat(24) };
  const hello = (): Hello => wire().said.find((message) => message.t === 'hello') as Hello;
  const welcome = (by: HubKeys = keys, fields: Record<string, unknown> = {}): Record<string, unknown> => {
    const timeMs = clock.wallMs();
    return {
      t: 'welcome',
      host: 'hos_00000000000000000000',
      tenant: 'ten_00000000000000000000',
      epoch: 'e',
      timeMs,
      heartbeatMs: limits.heartbeatMinMs,
      capabilities: [],
      resume: 'unchanged',
      contentToken: 'token',
      root: by.root,
      proof: by.signTime(welcomeText(hello(), { t: 'welcome', timeMs, host: 'hos_00000000000000000000', epoch: 'e' })),
      ...fields,
    };
  };
  const state: State = engine.state;
  return {
    clock,
    keys,
    store,
    outbox,
    engine,
    session,
    wires,
    wire,
    hear,
    hello,
    welcome,
    challenge,
    tokens,
    key,
    behaviour,
    state,
    online: (): void => {
      session.start();
      wire().events.onOpen();
      hear(challenge);
      hear(welcome());
      expect(session.state().state).toBe('online');
    },
  };
};
export type Agent = ReturnType<typeof makeAgent>;
