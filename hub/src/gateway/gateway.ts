import { parseAgentFrame, writeFrame } from '@groundplane/protocol/frame';
import { limits } from '@groundplane/protocol/limits';
import {
  capabilities,
  helloText,
  protocolVersion,
  welcomeText,
  type AgentMessage,
  type Hello,
  type HubMessage,
  type Report,
} from '@groundplane/protocol/messages';
import type { Verify } from '@groundplane/protocol/trust';
import { keyWords } from '@groundplane/protocol/words';
import type { Fleet, HostEntry } from '../fleet/index.ts';
import type { AcceptPeer, Peer } from '../port/carrier.ts';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import type { Row, Store, Write } from '../port/store.ts';
import type { HubKeys } from '../trust/keys.ts';
import type { Assigner } from '../reconcile/assign.ts';
import { createDoor, isSigned } from './door.ts';
import type { Delivery } from './delivery.ts';
import { createAsker, type AskSession } from './ask.ts';
import { createAdoption } from './adopt.ts';
import { createCloneWatch } from './clones.ts';
import { createEnrolment } from './enrol.ts';
import { keepReport } from './report.ts';
import { createSites, siteMark } from './site.ts';
import { createIntroductions } from './neighbours.ts';

export interface GatewayDeps {
  store: Store;
  fleet: Fleet;
  keys: HubKeys;
  epoch: string;
  clock: Clock;
  random: Random;
  delivery: Delivery;
  assigner: Assigner;
  log: (text: string) => void;
  /** From which secrets of clusters are made. */
  secret: string;
  /** Checks signatures of devices; the simulator brings a cheaper kind of signature. */
  verify?: Verify;
}

/** One authenticated connection. */
interface Session {
  host: string;
  tenant: string;
  peer: Peer;
  token: string;
  bootId: string;
  /** Digest of the bundle that the host is known to hold; patches are made against it. */
  holds: string | undefined;
  sentGeneration: number;
  canPatch: boolean;
  canAttach: boolean;
  canSite: boolean;
  asking: AskSession;
  /** The last that it was told of its neighbours. */
  site: string | undefined;
  /** What it was told of its neighbours last; undefined: it does not want to know. */
  neighbours: string | undefined;
  /** On the monotonic clock: silent for longer than this, and the host is taken as gone. */
  silentAfterMs: number;
}

/** A connection that the network takes nothing from is cut rather than buffered for. */
const backlogBytesMax = 4 * 1024 * 1024;
const lobbyRetryMs = 5_000;
const unkeptRetryMs = 15_000;
const sweepMs = 15_000;
/** A device whose power went says no goodbye; it gets two intervals and a little more. */
const graceMs = (intervalMs: number): number => 2 * intervalMs + 30_000;

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** Where agents arrive, whatever carried them: greeting, lobby, desired states down, reports up, presence. */
export const createGateway = (deps: GatewayDeps) => {
  const { store, fleet, keys, epoch, clock, random, delivery } = deps;
  const sessions = new Map<string, Session>();
  const tokens = new Map<string, Session>();
  const mayEnter = createDoor(clock);
  const enrol = createEnrolment({ store, fleet, clock, random, hub: keys.hub });
  const clones = createCloneWatch({ store, clock });
  const sites = createSites({ store, fleet, sessionOf: (host) => sessions.get(host) });
  const adopt = createAdoption({ store, fleet, assigner: deps.assigner, clock });
  const asker = createAsker({ clock, sessionOf: (host) => sessions.get(host)?.asking });
  let closing = false;

  const send = (peer: Peer, message: HubMessage): void => peer.send(writeFrame(message));

  const deliver = async (session: Session, force = false, known?: Row<'desired'>): Promise<void> => {
    const host = fleet.host(session.host);
    const row = known ?? (host?.desired === undefined ? undefined : await store.get('desired', session.tenant, session.host));
    if (row === undefined || host === undefined || sessions.get(session.host) !== session) return;
    if (!force && row.value.version.generation <= session.sentGeneration) return;
    const text = await delivery.message(row, host.project, { base: session.canPatch && !force ? session.holds : undefined, attach: session.canAttach });
    if (text === undefined) return deps.log(`gateway: the desired state of host ${host.name} cannot be written; its bundle is missing`);
    if (session.peer.backlogBytes() > backlogBytesMax) return session.peer.close();
    session.sentGeneration = row.value.version.generation;
    session.holds = row.value.desired.bundle ?? session.holds;
    session.peer.send(text);
  };

  const { introduce, introduceAll } = createIntroductions({ fleet, secret: deps.secret, sessionOf: (host) => sessions.get(host) });

  const clusterName = (host: HostEntry): string | undefined => (host.cluster === undefined ? fleet.clusterOf(host.id) : fleet.cluster(host.cluster))?.name;

  const onReport = async (session: Session, report: Report): Promise<void> => {
    const host = fleet.host(session.host);
    if (host === undefined) return;
    const before = siteMark(host);
    const placeBefore = JSON.stringify(host.blobs);
    const kept = await keepReport(store, { report, host, cluster: clusterName(host), nowMs: clock.wallMs() });
    if (!kept.ok) {
      deps.log(`gateway: a report of ${host.name} could not be kept: ${kept.failure.message}`);
      // It says nothing more before it hears that this one arrived; when it comes anew, it says it again.
      send(session.peer, { t: 'goodbye', retryMs: unkeptRetryMs, reason: 'the hub cannot write down what it is told' });
      return session.peer.close();
    }
    send(session.peer, { t: 'ack', seq: report.seq });
    const after = fleet.host(session.host);
    if (after !== undefined && siteMark(after) !== before) await sites.tellAll(after);
    if (report.info !== undefined && JSON.stringify(fleet.host(session.host)?.blobs) !== placeBefore)
      introduceAll(host.cluster ?? fleet.clusterOf(host.id)?.id);
  };

  const onSessionMessage = async (session: Session, message: AgentMessage): Promise<void> => {
    switch (message.t) {
      case 'report':
        return onReport(session, message);
      case 'ping':
        session.silentAfterMs = clock.monotonicMs() + graceMs(message.nextMs ?? limits.heartbeatMinMs);
        fleet.setOnline(session.host, true, clock.wallMs());
        return send(session.peer, { t: 'pong', timeMs: clock.wallMs() });
      case 'refetch':
        return deliver(session, true);
      case 'invite': {
        const from = fleet.host(session.host);
        const to = from === undefined ? undefined : await sites.invite(from, message);
        const other = to === undefined ? undefined : sessions.get(to.id);
        return other === undefined ? undefined : sites.tell(other);
      }
      case 'answer':
        return asker.onAnswer(session.host, session.asking, message);
      case 'hello':
        return session.peer.close();
      default:
        return message satisfies never;
    }
  };

  const open = async (peer: Peer, hello: Hello, host: HostEntry): Promise<Session | undefined> => {
    await adopt(host, hello.resume.version);
    // From here to `sessions.set` nothing waits: of many connections with one key the last one wins, and none of the others stays open unseen.
    if (fleet.host(host.id)?.state !== 'approved') return void peer.close();
    const other = sessions.get(host.id);
    if (other !== undefined) {
      send(other.peer, { t: 'goodbye', retryMs: lobbyRetryMs, reason: 'another connection with the same key came later' });
      tokens.delete(other.token);
      other.peer.close();
    }
    const { version, bundle } = hello.resume;
    const isUnchanged = host.desired === undefined || (version?.digest === host.desired.digest && version.generation === host.desired.generation);
    const session: Session = {
      host: host.id,
      tenant: host.tenant,
      peer,
      token: base64url(random.bytes(24)),
      bootId: hello.bootId,
      holds: bundle,
      sentGeneration: isUnchanged ? (host.desired?.generation ?? 0) : 0,
      canPatch: hello.capabilities.includes('bundle-patch'),
      canAttach: hello.capabilities.includes('attach'),
      canSite: hello.capabilities.includes('site'),
      asking: { canAsk: hello.capabilities.includes('ask'), say: (message) => send(peer, message) },
      site: undefined,
      neighbours: hello.capabilities.includes('neighbours') ? '' : undefined,
      silentAfterMs: clock.monotonicMs() + graceMs(limits.heartbeatMinMs),
    };
    sessions.set(host.id, session);
    tokens.set(session.token, session);
    const timeMs = clock.wallMs();
    send(peer, {
      t: 'welcome',
      host: host.id,
      tenant: host.tenant,
      epoch,
      timeMs,
      heartbeatMs: limits.heartbeatMinMs,
      capabilities: capabilities.filter((item) => hello.capabilities.includes(item)),
      resume: isUnchanged ? 'unchanged' : 'follows',
      ...(host.phase === undefined ? {} : { reported: { phase: host.phase, ...(host.reported === undefined ? {} : { version: host.reported }) } }),
      contentToken: session.token,
      ...(hello.resume.version === undefined ? { root: keys.root } : {}),
      proof: keys.signTime(welcomeText(hello, { t: 'welcome', timeMs, host: host.id, epoch })),
    });
    fleet.setOnline(host.id, true, timeMs);
    if (!isUnchanged) await deliver(session);
    await sites.tell(session);
    introduce(session);
    return session;
  };

  const greet = async (peer: Peer, hello: Hello, challenge: { hub: string; nonce: string }): Promise<Session | undefined> => {
    const reject = (code: string, message: string, retryMs: number): undefined => {
      send(peer, { t: 'reject', retryMs, failure: { kind: 'blocked', code, element: 'hub', message } });
      peer.close();
    };
    if (hello.v < protocolVersion - 2 || hello.v > protocolVersion + 1)
      return reject('version-unknown', `this hub speaks protocol ${protocolVersion} and the agent ${hello.v}. Update the older one`, limits.backoffMaxMs);
    if (!(deps.verify ?? isSigned)(hello.key, helloText(challenge, hello), hello.proof))
      return reject('key-unproven', 'the hello is not signed by the key it names', limits.backoffMaxMs);
    if (fleet.hostByKey(hello.key) === undefined) {
      const enrolled = await enrol(hello, challenge);
      if (!enrolled.ok) return reject(enrolled.failure.code, enrolled.failure.message, 60_000);
    }
    const host = fleet.hostByKey(hello.key);
    if (host === undefined || host.state === 'revoked')
      return reject('host-revoked', 'this device was revoked. To bring it back, remove its key and enrol it again', limits.backoffMaxMs);
    const isClone = host.state === 'approved' && clones.isClone(host.id, hello.bootId);
    if (isClone) {
      await clones.quarantine(host);
      dismiss(host.id, 'another machine says that it is this one', lobbyRetryMs);
    } else if (host.state === 'approved') return open(peer, hello, host);
    const timeMs = clock.wallMs();
    fleet.setOnline(host.id, false, timeMs);
    send(peer, {
      t: 'lobby',
      words: keyWords(hello.key, keys.hub),
      retryMs: lobbyRetryMs,
      timeMs,
      root: keys.root,
      proof: keys.signTime(welcomeText(hello, { t: 'lobby', timeMs })),
    });
    return undefined;
  };

  /** Vitals ride along: they are worth no write of their own. */
  const presence = (session: Session, lastSeenMs: number): Write => {
    const vitals = asker.lastVitals(session.host);
    const value = { lastSeenMs, ...(vitals === undefined ? {} : { vitals }) };
    return { op: 'put', kind: 'presence', tenant: session.tenant, id: session.host, project: '', name: session.host, value };
  };

  const leave = (session: Session | undefined): void => {
    if (session === undefined) return;
    tokens.delete(session.token);
    asker.onLeave(session.host, session.asking);
    if (sessions.get(session.host) !== session) return;
    sessions.delete(session.host);
    const lastSeenMs = clock.wallMs();
    fleet.setOnline(session.host, false, lastSeenMs);
    // Of a host that is forgotten nothing is noted any more.
    if (!closing && fleet.host(session.host) !== undefined) void store.commit([presence(session, lastSeenMs)]);
  };

  const dismiss = (id: string, reason: string, retryMs: number): void => {
    const session = sessions.get(id);
    if (session === undefined) return;
    send(session.peer, { t: 'goodbye', retryMs, reason });
    session.peer.close();
    leave(session);
  };

  // Whoever is forgotten is nobody at once: its line and its token would last as long as it stays connected.
  store.onChange((changes) => {
    for (const change of changes) {
      if (change.op !== 'delete' || change.row.kind !== 'host') continue;
      dismiss(change.row.id, 'this host is no longer known here', limits.backoffMaxMs);
      asker.forget(change.row.id);
    }
  });

  const accept: AcceptPeer = (peer) => {
    const challenge = { hub: keys.hub, nonce: base64url(random.bytes(18)) };
    let session: Session | undefined;
    let closed = false;
    let greeted = false;
    /** Frames of one connection are worked on in order; the queue is as long as the peer may run ahead. */
    let work = Promise.resolve();
    let waiting = 0;
    if (closing || !mayEnter()) {
      send(peer, { t: 'goodbye', retryMs: 1_000 + Math.round(random.fraction() * 10_000), reason: 'the hub is busy' });
      peer.close();
      return { onFrame: () => undefined, onClose: () => undefined };
    }
    send(peer, { t: 'challenge', v: protocolVersion, ...challenge });
    const cancel = clock.after(limits.handshakeMs, () => (session === undefined && !closed ? peer.close() : undefined));

    const handle = async (text: string): Promise<void> => {
      const message = parseAgentFrame(text, session !== undefined);
      if (closed) return;
      if (!message.ok) {
        send(peer, { t: 'reject', retryMs: 60_000, failure: message.failure });
        return peer.close();
      }
      if (session !== undefined) return onSessionMessage(session, message.value);
      if (message.value.t !== 'hello' || greeted) return peer.close();
      greeted = true;
      session = await greet(peer, message.value, challenge);
      if (closed) leave(session);
    };

    return {
      onFrame: (text) => {
        waiting += 1;
        if (waiting > 64) return peer.close();
        work = work
          .then(() => handle(text))
          .catch((error: unknown) => {
            deps.log(`gateway: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
            peer.close();
          })
          .finally(() => (waiting -= 1));
      },
      onClose: () => {
        closed = true;
        cancel();
        leave(session);
      },
    };
  };

  const sweep = (): void => {
    const nowMs = clock.monotonicMs();
    for (const session of sessions.values()) {
      if (session.silentAfterMs >= nowMs) continue;
      session.peer.close();
      leave(session);
    }
    if (!closing) cancelSweep = clock.after(sweepMs, sweep);
  };
  let cancelSweep = clock.after(sweepMs, sweep);

  return {
    accept,
    /** New desired states: whoever is connected gets his now. */
    push: async (rows: readonly Row<'desired'>[]): Promise<void> => {
      for (const row of rows) {
        const session = sessions.get(row.id);
        if (session === undefined) continue;
        await deliver(session, false, row);
        await sites.tell(session);
      }
      for (const cluster of new Set(rows.map((row) => row.value.desired.cluster?.id))) introduceAll(cluster);
    },
    retry: async (id: string): Promise<void> => {
      const session = sessions.get(id);
      const version = fleet.host(id)?.desired;
      if (session === undefined || version === undefined) return;
      send(session.peer, { t: 'retry', version });
      await deliver(session, true);
    },
    revoke: (id: string): void => {
      dismiss(id, 'this device was revoked', limits.backoffMaxMs);
      asker.forget(id);
    },
    /** The key of this host changed; whoever still has the old one is nobody any more. */
    replaced: (id: string): void => {
      dismiss(id, 'another device took the place of this one', limits.backoffMaxMs);
      asker.forget(id);
    },
    asker,
    /** The host behind a content token. */
    hostByToken: (token: string): string | undefined => tokens.get(token)?.host,
    online: (): number => sessions.size,
    close: async (): Promise<void> => {
      closing = true;
      cancelSweep();
      const lastSeenMs = clock.wallMs();
      const last = [...sessions.values()].map((session) => presence(session, lastSeenMs));
      for (const session of sessions.values()) {
        send(session.peer, { t: 'goodbye', retryMs: 1_000, reason: 'the hub stops' });
        session.peer.close();
      }
      sessions.clear();
      if (last.length > 0) await store.commit(last);
    },
  };
};
export type Gateway = ReturnType<typeof createGateway>;
