import { ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { parseHubFrame, writeFrame } from '@groundplane/protocol/frame';
import { limits } from '@groundplane/protocol/limits';
import {
  capabilities,
  helloText,
  protocolVersion,
  ticketText,
  welcomeText,
  type AgentMessage,
  type Hello,
  type HubMessage,
} from '@groundplane/protocol/messages';
import type { RootStatement, Signed, Verify } from '@groundplane/protocol/trust';
import { keyWords } from '@groundplane/protocol/words';
import type { Engine } from '../engine.ts';
import type { DeviceKey } from '../identity/key.ts';
import { ticketMac, type EnrolmentTicket } from '../identity/ticket.ts';
import type { Clock } from '../port/clock.ts';
import type { Link, LinkConnection } from '../port/link.ts';
import type { Random } from '../port/random.ts';
import type { AgentStore } from '../port/store.ts';
import type { GivenInvitation } from '../observe/distribution.ts';
import { writes } from '../store/state.ts';
import type { Answers } from './answers.ts';
import type { Outbox } from './outbox.ts';
import { isTrustedRoot, verifyDesired } from './verify.ts';

/** Where the connection to the hub stands. */
export type SessionState =
  | { state: 'offline'; retryAtMs: number; failure: Failure | undefined }
  | { state: 'connecting' }
  | { state: 'greeting' }
  | { state: 'lobby'; words: string; retryAtMs: number }
  | { state: 'online'; host: string; heartbeatMs: number };

export interface SessionDeps {
  /** Tried in turn. */
  links: readonly Link[];
  engine: Engine;
  store: AgentStore;
  outbox: Outbox;
  /** Absent: the hub asks in vain. */
  answers?: Answers | undefined;
  key: DeviceKey;
  ticket: EnrolmentTicket;
  verify: Verify;
  clock: Clock;
  random: Random;
  bootId: string;
  name: string | undefined;
  serial: string | undefined;
  onContentToken: (token: string) => void;
  /** The hub said what time it is, in milliseconds since 1970. */
  onHubTime?: (wallMs: number) => void;
  /** Fewer than this build has; for older agents in tests. */
  capabilities?: readonly string[] | undefined;
}

/** Reports that are not urgent wait this long for company. */
const gatherMs = 1_500;
const pongMs = 30_000;
const pingGrowth = 1.5;

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/**
 * Keeps one conversation with the hub alive: challenge, hello, welcome, then desired states down and reports up, one report in flight. It reconnects with full
 * jitter for ever; being offline is a state, not an error.
 */
export const createSession = (deps: SessionDeps) => {
  const { clock, store, outbox, engine } = deps;
  const { state } = engine;
  let now: SessionState = { state: 'offline', retryAtMs: 0, failure: undefined };
  let connection: LinkConnection | undefined;
  let attempt = 0;
  let cancelTimer = (): void => undefined;
  let cancelSend = (): void => undefined;
  let cancelPing = (): void => undefined;
  let stopped = false;
  let wasRefused = false;
  let invitationsSent = new Set<string>();
  let greeting: { nonce: string } | undefined;
  /** The hub of this connection understands answers. */
  let canAnswer = false;
  /** Counts connections, so that a late callback of an old one changes nothing. */
  let incarnation = 0;

  const send = (message: AgentMessage): void => connection?.send(writeFrame(message));
  const knownRoot = (): RootStatement | undefined => state.trust<Signed<RootStatement>>('root')?.signed;

  const flush = (): void => {
    cancelSend();
    if (now.state !== 'online') return;
    sendInvitations();
    const report = outbox.take();
    if (report !== undefined) send(report);
  };

  /** Sends what was found out meanwhile, unless the connection that wanted it is gone. */
  const sendLater = (finding: Promise<AgentMessage | undefined> | undefined): void => {
    const mine = incarnation;
    void finding?.then((message) => (message === undefined || mine !== incarnation || now.state !== 'online' ? undefined : send(message)));
  };

  /** Invitations that this host gave, each once in a connection: the hub keeps them, and a host that has joined needs none. */
  const sendInvitations = (): void => {
    if (now.state !== 'online') return;
    for (const item of Object.values(state.kv<Record<string, GivenInvitation>>('invitations') ?? {})) {
      if (invitationsSent.has(item.sealed)) continue;
      invitationsSent.add(item.sealed);
      send({ t: 'invite', cluster: item.cluster, host: item.host, sealed: item.sealed });
    }
  };

  const onNews = (isUrgent: boolean): void => {
    if (now.state !== 'online') return;
    if (isUrgent) return flush();
    cancelSend();
    cancelSend = clock.after(gatherMs, flush);
  };

  const leave = (failure: Failure | undefined, retryMs: number | undefined): void => {
    incarnation += 1;
    connection?.close();
    connection = undefined;
    greeting = undefined;
    cancelPing();
    cancelSend();
    cancelTimer();
    outbox.lost();
    if (stopped) return;
    attempt += 1;
    const ceilingMs = Math.min(limits.backoffMaxMs, limits.backoffMinMs * 2 ** Math.min(attempt, 20));
    // Whoever answers may ask for patience, also before it proved who it is; nobody can send a device away for ever.
    const askedMs = retryMs === undefined ? undefined : Math.min(retryMs, limits.backoffMaxMs);
    const delayMs = askedMs === undefined ? limits.backoffMinMs / 2 + ceilingMs * deps.random.fraction() : askedMs * (0.8 + 0.4 * deps.random.fraction());
    const retryAtMs = clock.wallMs() + delayMs;
    if (now.state === 'lobby' && retryMs !== undefined && failure === undefined) now = { ...now, retryAtMs };
    else now = { state: 'offline', retryAtMs, failure };
    cancelTimer = clock.after(delayMs, connect);
  };

  const makeHello = (challenge: { hub: string; nonce: string }): Hello => {
    const nonce = base64url(deps.random.bytes(18));
    const good = [state.slot('candidate'), state.slot('current')].find((item) => item !== undefined);
    const failed = engine.status().poisoned?.version;
    const version = failed ?? good?.version;
    const hello: Omit<Hello, 'proof'> = {
      t: 'hello',
      v: protocolVersion,
      key: deps.key.publicKey,
      nonce,
      bootId: deps.bootId,
      capabilities: [...(deps.capabilities ?? capabilities.filter((item) => item !== 'ask' || deps.answers !== undefined))],
      resume: {
        ...(version === undefined ? {} : { version }),
        ...(good?.desired.bundle === undefined ? {} : { bundle: good.desired.bundle }),
        ...(failed === undefined ? {} : { poisoned: failed }),
      },
      ...(deps.name === undefined ? {} : { name: deps.name }),
      ...(deps.serial === undefined ? {} : { serial: deps.serial }),
      ...(state.kv('host') === undefined || wasRefused ? { ticket: ticketProof(challenge, nonce) } : {}),
    };
    greeting = { nonce };
    return { ...hello, proof: deps.key.sign(helloText(challenge, hello)) };
  };

  /** Only until we are known: later the key alone opens the door. A hub that forgot us (an older backup) gets it once more. */
  const ticketProof = (challenge: { hub: string; nonce: string }, nonce: string): NonNullable<Hello['ticket']> => ({
    id: deps.ticket.id,
    mac: ticketMac(deps.ticket.secret, ticketText(challenge, deps.key.publicKey, nonce)),
  });

  /** Pins the root on first contact, by the digest that the ticket brought. A hub that cannot show it is not our hub. */
  const learnRoot = (root: Signed<RootStatement> | undefined): Result<RootStatement> => {
    const known = knownRoot();
    if (root !== undefined && isTrustedRoot(root, { digest: deps.ticket.root, known }, deps.verify)) {
      const kept = store.commit([writes.trust('root', root)]);
      return kept.ok ? ok(root.signed) : kept;
    }
    if (known !== undefined) return ok(known);
    return {
      ok: false,
      failure: {
        kind: 'blocked',
        code: 'hub-untrusted',
        element: 'hub',
        message: 'it does not show the trust root that the ticket names. Is this the right hub?',
      },
    };
  };

  const checkHub = (message: Extract<HubMessage, { t: 'welcome' | 'lobby' }>): Result<void> => {
    const root = learnRoot(message.root);
    if (!root.ok) return root;
    const text = welcomeText(
      { key: deps.key.publicKey, nonce: greeting?.nonce ?? '' },
      message.t === 'welcome' ? { t: 'welcome', timeMs: message.timeMs, host: message.host, epoch: message.epoch } : { t: 'lobby', timeMs: message.timeMs },
    );
    const proof = { signed: { schema: text }, signatures: root.value.roles.time.keys.map((key) => ({ key, signature: message.proof })) };
    const good = proof.signatures.some(({ key, signature }) => deps.verify(key, text, signature));
    return good
      ? ok(undefined)
      : { ok: false, failure: { kind: 'blocked', code: 'hub-untrusted', element: 'hub', message: 'it cannot prove that it is the hub this device trusts' } };
  };

  const onWelcome = (message: Extract<HubMessage, { t: 'welcome' }>): void => {
    const trusted = checkHub(message);
    if (!trusted.ok) return leave(trusted.failure, limits.backoffMaxMs);
    attempt = 0;
    invitationsSent = new Set();
    canAnswer = message.capabilities.includes('ask');
    deps.answers?.forget();
    store.commit([writes.kv('host', { host: message.host, tenant: message.tenant, epoch: message.epoch }), writes.kv('trustedTimeMs', message.timeMs)]);
    deps.onContentToken(message.contentToken);
    deps.onHubTime?.(message.timeMs);
    cancelTimer();
    now = { state: 'online', host: message.host, heartbeatMs: message.heartbeatMs };
    schedulePing(message.heartbeatMs);
    store.commit(outbox.compare(message.reported));
    engine.wake();
    flush();
  };

  /** A quiet connection is asked less and less often: the interval grows with each answer, up to the limit. */
  const schedulePing = (heartbeatMs: number): void => {
    cancelPing();
    cancelPing = clock.after(heartbeatMs * (0.8 + 0.2 * deps.random.fraction()), () => {
      const nextMs = Math.min(limits.heartbeatMaxMs, Math.round(heartbeatMs * pingGrowth));
      if (now.state === 'online') now = { ...now, heartbeatMs: nextMs };
      send({ t: 'ping', nextMs });
      cancelPing = clock.after(pongMs, () => leave({ kind: 'retry', code: 'hub-silent', element: 'hub', message: 'did not answer a ping' }, undefined));
    });
  };

  const onDesired = (message: Extract<HubMessage, { t: 'desired' }>): void => {
    const self = state.kv<{ host: string; tenant: string; epoch: string }>('host');
    const root = knownRoot();
    if (self === undefined || root === undefined) return;
    const base = [state.slot('candidate'), state.slot('current'), state.slot('good')].find(
      (item) => item?.desired.bundle !== undefined && item.desired.bundle === (message.patch?.base ?? message.desired.bundle),
    );
    const record = verifyDesired({ message, root, ...self, base, verify: deps.verify });
    if (!record.ok) {
      if (record.failure.code === 'refetch') send({ t: 'refetch', generation: message.desired.generation, reason: record.failure.message });
      else store.commit(outbox.event({ atMs: clock.wallMs(), type: 'warning', reason: 'DesiredRefused', message: record.failure.message }));
      return flush();
    }
    const taken = engine.offer(record.value, message.attach ?? {}, message.adopted);
    if (taken.ok && (taken.value.accept === 'stale' || taken.value.accept === 'foreign')) {
      store.commit(
        outbox.event({
          atMs: clock.wallMs(),
          type: 'warning',
          reason: 'DesiredRefused',
          generation: record.value.version.generation,
          message: taken.value.message,
        }),
      );
      flush();
    }
  };

  /** All that is heard from a hub that has not proven itself yet. */
  const isEarly = (message: HubMessage): boolean => ['challenge', 'welcome', 'lobby', 'reject', 'goodbye'].includes(message.t);

  const onMessage = (message: HubMessage): void => {
    if (now.state !== 'online' && !isEarly(message)) return;
    switch (message.t) {
      case 'challenge':
        if (message.hub !== deps.ticket.hub)
          return leave(
            { kind: 'blocked', code: 'hub-untrusted', element: 'hub', message: `this is hub ${message.hub}, and the device belongs to ${deps.ticket.hub}` },
            limits.backoffMaxMs,
          );
        now = { state: 'greeting' };
        return send(makeHello(message));
      case 'welcome':
        return onWelcome(message);
      case 'lobby': {
        const trusted = checkHub(message);
        if (!trusted.ok) return leave(trusted.failure, limits.backoffMaxMs);
        now = { state: 'lobby', words: keyWords(deps.key.publicKey, deps.ticket.hub), retryAtMs: 0 };
        return leave(undefined, message.retryMs);
      }
      case 'reject':
        wasRefused = message.failure.code === 'ticket-refused';
        return leave(message.failure, message.retryMs);
      case 'desired':
        return onDesired(message);
      case 'ack':
        store.commit(outbox.acknowledge(message.seq));
        return flush();
      case 'pong':
        deps.onHubTime?.(message.timeMs);
        store.commit([writes.kv('trustedTimeMs', message.timeMs)]);
        if (canAnswer) sendLater(deps.answers?.unasked());
        return now.state === 'online' ? schedulePing(now.heartbeatMs) : undefined;
      case 'ask':
        return sendLater(deps.answers?.answer(message));
      case 'retry':
        return engine.retry(message.version);
      case 'site': {
        const { t: _, ...site } = message;
        store.commit([writes.kv('site', site)]);
        return engine.wake();
      }
      case 'neighbours': {
        const { t: _t, ...known } = message;
        store.commit([writes.kv('neighbours', known)]);
        return undefined;
      }
      case 'goodbye':
        return leave({ kind: 'retry', code: 'hub-goodbye', element: 'hub', message: message.reason }, message.retryMs);
      default:
        return message satisfies never;
    }
  };

  const connect = (): void => {
    if (stopped) return;
    const mine = incarnation;
    const link = deps.links[attempt % deps.links.length];
    if (link === undefined) return;
    if (now.state !== 'lobby') now = { state: 'connecting' };
    cancelTimer = clock.after(limits.handshakeMs, () =>
      leave({ kind: 'retry', code: 'hub-silent', element: 'hub', message: 'did not complete the handshake' }, undefined),
    );
    connection = link.connect({
      onOpen: () => undefined,
      onFrame: (text) => {
        if (mine !== incarnation) return;
        const message = parseHubFrame(text);
        if (message.ok) onMessage(message.value);
        else leave(message.failure, undefined);
      },
      onClose: (reason) => {
        if (mine === incarnation) leave({ kind: 'retry', code: 'hub-unreachable', element: 'hub', message: reason }, undefined);
      },
    });
  };

  return {
    start: connect,
    stop: (): void => {
      stopped = true;
      leave(undefined, undefined);
      cancelTimer();
    },
    state: (): SessionState => now,
    onNews,
  };
};
export type Session = ReturnType<typeof createSession>;
