import { beforeEach, describe, expect, test } from 'vitest';
import { verifySignature } from '@groundplane/agent/identity/key';
import { writes } from '@groundplane/agent/store/state';
import { makeHubKeys } from '@groundplane/hub/trust/keys';
import { digestBytes } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { helloText, welcomeText, type Report } from '@groundplane/protocol/messages';
import { keyWords } from '@groundplane/protocol/words';
import { makeAgent, type Agent } from './session-rig.ts';

let agent: Agent;
beforeEach(() => {
  agent = makeAgent();
});
const failureCode = (): string | undefined => {
  const now = agent.session.state();
  return now.state === 'offline' ? now.failure?.code : now.state;
};

describe('connecting', () => {
  test('the hub proves itself and the agent comes online; the token is handed on', () => {
    agent.session.start();
    expect(agent.session.state().state).toBe('connecting');
    agent.wire().events.onOpen();
    expect(agent.wire().said).toEqual([]);
    agent.hear(agent.challenge);
    expect(agent.session.state().state).toBe('greeting');
    const hello = agent.hello();
    expect(verifySignature(hello.key, helloText(agent.challenge, hello), hello.proof)).toBe(true);
    expect(hello).toMatchObject({ key: agent.key.publicKey, bootId: 'boot', name: 'edge', resume: {} });
    expect(JSON.stringify(agent.wire().said)).not.toContain('"secret"');
    agent.hear(agent.welcome());
    expect(agent.session.state()).toMatchObject({ state: 'online', host: 'hos_00000000000000000000' });
    expect(agent.tokens).toEqual(['token']);
    expect(agent.state.trust('root')).toEqual(agent.keys.root);
  });

  test('it tries for ever, ever more slowly, with full jitter and a ceiling', async () => {
    const delays: number[][] = [];
    for (const seed of ['a', 'b', 'c', 'd', 'e', 'f']) {
      agent = makeAgent({ seed });
      agent.behaviour.refuse = true;
      agent.session.start();
      await agent.clock.advance(6 * 3_600_000);
      delays.push(agent.wires.slice(1).map((wire, index) => wire.atMs - (agent.wires[index]?.atMs ?? 0)));
    }
    for (const list of delays) {
      expect(list.length).toBeGreaterThan(60);
      for (const [index, delay] of list.entries()) {
        const ceiling = Math.min(limits.backoffMaxMs, limits.backoffMinMs * 2 ** Math.min(index + 1, 20));
        expect(delay).toBeGreaterThanOrEqual(limits.backoffMinMs / 2);
        expect(delay).toBeLessThanOrEqual(limits.backoffMinMs / 2 + ceiling + 1);
      }
    }
    const tenth = delays.map((list) => list[9] ?? 0);
    expect(new Set(tenth.map((delay) => Math.round(delay / 1_000))).size, 'a fleet does not come back in step').toBeGreaterThan(3);
  });

  test('a success begins the series anew', async () => {
    agent.behaviour.refuse = true;
    agent.session.start();
    await agent.clock.advance(3_600_000);
    agent.behaviour.refuse = false;
    for (let turn = 0; turn < 400 && (agent.session.state().state !== 'connecting' || agent.wire().isClosed); turn += 1) await agent.clock.advance(1_000);
    agent.hear(agent.challenge);
    agent.hear(agent.welcome());
    const before = agent.wires.length;
    agent.wire().events.onClose('gone');
    await agent.clock.advance(limits.backoffMinMs * 3);
    expect(agent.wires.length).toBe(before + 1);
  });

  test.each([
    ['says nothing', () => undefined],
    ['opens and says nothing', () => agent.wire().events.onOpen()],
    ['stops after its challenge', () => agent.hear(agent.challenge)],
  ])('a hub that %s is left after ten seconds', async (_, act) => {
    agent.session.start();
    act();
    const first = agent.wire();
    await agent.clock.advance(limits.handshakeMs + 1);
    expect(first.isClosed).toBe(true);
    expect(failureCode()).toBe('hub-silent');
  });

  test('frames and ends of an earlier connection change nothing', async () => {
    agent.online();
    const old = agent.wire();
    old.events.onClose('broken');
    await agent.clock.advance(limits.backoffMinMs * 3);
    expect(agent.wires).toHaveLength(2);
    agent.hear(agent.challenge);
    old.events.onFrame(JSON.stringify({ t: 'goodbye', retryMs: 5, reason: 'old' }));
    old.events.onClose('again');
    expect(agent.session.state().state).toBe('greeting');
    agent.hear(agent.welcome());
    expect(agent.session.state().state).toBe('online');
  });

  test.each([
    ['no JSON', '{'],
    ['an unknown message', '{"t":"format"}'],
    ['too large', `"${'x'.repeat(limits.frameBytes)}"`],
    ['too deep', '['.repeat(40)],
  ])('after %s it hangs up and comes back', async (_, text) => {
    agent.online();
    const first = agent.wire();
    first.events.onFrame(text);
    expect(first.isClosed).toBe(true);
    expect(agent.session.state().state).toBe('offline');
    await agent.clock.advance(limits.backoffMinMs * 3);
    expect(agent.wires).toHaveLength(2);
  });

  test('stopped, it stays away', async () => {
    agent.online();
    agent.session.stop();
    expect(agent.wire().isClosed).toBe(true);
    await agent.clock.advance(24 * 3_600_000);
    expect(agent.wires).toHaveLength(1);
    expect(agent.clock.waiting()).toBe(0);
  });
});

describe('a hub that cannot be trusted', () => {
  const stranger = makeHubKeys('hub');
  const cases: [string, () => void][] = [
    ['has another name', () => agent.hear({ ...agent.challenge, hub: 'other' })],
    ['shows another root', () => (agent.hear(agent.challenge), agent.hear(agent.welcome(stranger)))],
    ['shows our root and signs with another key', () => (agent.hear(agent.challenge), agent.hear({ ...agent.welcome(stranger), root: agent.keys.root }))],
    ['shows no root at first contact', () => (agent.hear(agent.challenge), agent.hear(agent.welcome(agent.keys, { root: undefined })))],
    ['repeats a welcome from before', () => (agent.hear(agent.challenge), agent.hear({ ...agent.welcome(), timeMs: agent.clock.wallMs() + 1 }))],
    ['welcomes another host than it signed', () => (agent.hear(agent.challenge), agent.hear({ ...agent.welcome(), host: 'hos_11111111111111111111' }))],
    [
      'signs with the director key',
      () => (
        agent.hear(agent.challenge),
        agent.hear(agent.welcome(agent.keys, { proof: agent.keys.sign('director', { schema: 'x' }).signatures[0]?.signature ?? '' }))
      ),
    ],
    [
      'welcomes without having asked',
      () =>
        agent.hear({
          t: 'welcome',
          host: 'h',
          tenant: 't',
          epoch: 'e',
          timeMs: 1,
          heartbeatMs: 1,
          capabilities: [],
          resume: 'unchanged',
          contentToken: 'x',
          root: agent.keys.root,
          proof: agent.keys.signTime(welcomeText({ key: agent.key.publicKey, nonce: 'n'.repeat(24) }, { t: 'welcome', timeMs: 1, host: 'h', epoch: 'e' })),
        }),
    ],
    [
      'puts us into a lobby that is not ours',
      () => (agent.hear(agent.challenge), agent.hear({ t: 'lobby', words: 'a b c d', retryMs: 1_000, timeMs: 1, proof: 'x', root: agent.keys.root })),
    ],
  ];
  test.each(cases)('%s: it is refused, and asked again later', async (_, act) => {
    agent.session.start();
    act();
    expect(failureCode()).toBe('hub-untrusted');
    expect(agent.tokens).toEqual([]);
    expect(agent.state.kv('host')).toBeUndefined();
    const before = agent.wires.length;
    await agent.clock.advance(limits.backoffMaxMs * 1.2 + 1);
    expect(agent.wires.length).toBeGreaterThan(before);
  });

  test('once known, the hub is believed without showing its root again, and a stranger with another root is not', async () => {
    agent.online();
    agent.wire().events.onClose('x');
    await agent.clock.advance(2_000);
    agent.hear(agent.challenge);
    agent.hear(agent.welcome(agent.keys, { root: undefined }));
    expect(agent.session.state().state).toBe('online');
    agent.wire().events.onClose('x');
    await agent.clock.advance(2_000);
    agent.hear(agent.challenge);
    agent.hear(agent.welcome(stranger));
    expect(failureCode()).toBe('hub-untrusted');
    expect(agent.state.trust('root')).toEqual(agent.keys.root);
  });

  test('before it proved itself, nothing it says has an effect', () => {
    agent.store.commit([
      ...agent.outbox.event({ atMs: 1, type: 'normal', reason: 'R', message: 'm' }),
      writes.poison({ version: { epoch: 'e', generation: 3, digest: digestBytes('d') }, failure: { kind: 'fatal', code: 'c', element: 'e', message: 'm' } }),
      writes.kv('failed', { epoch: 'e', generation: 3, digest: digestBytes('d') }),
    ]);
    agent.session.start();
    agent.hear(agent.challenge);
    const flight = agent.outbox.take();
    for (const message of [
      { t: 'ack', seq: flight?.seq },
      { t: 'pong', timeMs: 4_102_444_800_000 },
      { t: 'retry', version: { epoch: 'e', generation: 3, digest: digestBytes('d') } },
    ])
      agent.hear(message);
    expect(agent.store.keys('outbox')).toHaveLength(1);
    expect(agent.state.kv('trustedTimeMs')).toBeUndefined();
    expect(agent.state.poison()).toHaveLength(1);
    expect(agent.session.state().state).toBe('greeting');
  });
});

describe('waiting', () => {
  test('in the lobby the words are shown, and it asks again when it was told to', async () => {
    agent.session.start();
    agent.hear(agent.challenge);
    const timeMs = agent.clock.wallMs();
    agent.hear({
      t: 'lobby',
      words: 'lies lies lies lies',
      retryMs: 5_000,
      timeMs,
      root: agent.keys.root,
      proof: agent.keys.signTime(welcomeText(agent.hello(), { t: 'lobby', timeMs })),
    });
    expect(agent.session.state()).toMatchObject({ state: 'lobby', words: keyWords(agent.key.publicKey, 'hub') });
    expect(agent.wire().isClosed).toBe(true);
    await agent.clock.advance(3_999);
    expect(agent.wires).toHaveLength(1);
    expect(agent.session.state().state).toBe('lobby');
    await agent.clock.advance(2_002);
    expect(agent.wires).toHaveLength(2);
    expect(agent.session.state().state, 'still in the lobby while it asks').toBe('lobby');
  });

  test.each([
    ['goodbye', { t: 'goodbye', retryMs: 60_000, reason: 'restart' }, 'hub-goodbye'],
    ['reject', { t: 'reject', retryMs: 60_000, failure: { kind: 'blocked', code: 'ticket-refused', element: 'ticket', message: 'no' } }, 'ticket-refused'],
  ])('after %s it comes back when it was told to, give or take a fifth', async (_, message, code) => {
    agent.online();
    agent.hear(message);
    expect(failureCode()).toBe(code);
    await agent.clock.advance(47_999);
    expect(agent.wires).toHaveLength(1);
    await agent.clock.advance(24_002);
    expect(agent.wires).toHaveLength(2);
  });

  test.each(['goodbye', 'reject'])('nobody sends it away for ever: %s with an absurd delay', async (t) => {
    agent.session.start();
    agent.hear({ t, retryMs: Number.MAX_SAFE_INTEGER, reason: 'never come back', failure: { kind: 'blocked', code: 'c', element: 'e', message: 'm' } });
    await agent.clock.advance(limits.backoffMaxMs * 1.2 + 1);
    expect(agent.wires.length).toBeGreaterThan(1);
  });
});

describe('online', () => {
  test('it asks whether the hub is there, and leaves one that does not answer', async () => {
    agent.online();
    for (let turn = 0; turn < 70 && !agent.wire().said.some((message) => message.t === 'ping'); turn += 1) await agent.clock.advance(1_000);
    expect(agent.clock.monotonicMs()).toBeLessThanOrEqual(limits.heartbeatMinMs * 1.1);
    await agent.clock.advance(28_000);
    expect(agent.session.state().state).toBe('online');
    await agent.clock.advance(2_001);
    expect(agent.wires[0]?.isClosed).toBe(true);
    expect(agent.session.state().state).not.toBe('online');
  });

  test('a hub that answers is kept for days, and is not asked more often than it must', async () => {
    agent.online();
    let answered = 0;
    for (let turn = 0; turn < 24 * 360; turn += 1) {
      await agent.clock.advance(10_000);
      const pings = agent.wire().said.filter((message) => message.t === 'ping').length;
      for (; answered < pings; answered += 1) agent.hear({ t: 'pong', timeMs: agent.clock.wallMs() });
      if (agent.session.state().state !== 'online') throw new Error(`lost after ${turn * 10} seconds`);
    }
    expect(agent.wires).toHaveLength(1);
    expect(answered).toBeGreaterThan(24 * 6 - 20);
    expect(answered).toBeLessThan(24 * 60 * 1.3);
    expect(agent.clock.wallMs() - (agent.state.kv<number>('trustedTimeMs') ?? 0)).toBeLessThanOrEqual(limits.heartbeatMaxMs);
  });

  test('reports go one at a time, gathered, and again when the connection broke', async () => {
    agent.online();
    const reports = (): Report[] => agent.wires.flatMap((wire) => wire.said.filter((message) => message.t === 'report'));
    const tell = (text: string): void => {
      agent.store.commit(agent.outbox.event({ atMs: 1, type: 'normal', reason: 'R', message: text }));
      agent.session.onNews(false);
    };
    tell('one');
    tell('two');
    expect(reports()).toHaveLength(0);
    await agent.clock.advance(10_000);
    expect(reports().map((report) => report.events?.length)).toEqual([2]);
    tell('three');
    await agent.clock.advance(5_000);
    expect(reports()).toHaveLength(1);
    agent.wire().events.onClose('broken');
    await agent.clock.advance(limits.backoffMinMs * 3);
    agent.hear(agent.challenge);
    agent.hear(agent.welcome());
    expect(reports().at(-1)?.events).toHaveLength(3);
    agent.hear({ t: 'ack', seq: reports().at(-1)?.seq });
    expect(agent.store.keys('outbox')).toEqual([]);
    agent.store.commit(agent.outbox.event({ atMs: 1, type: 'normal', reason: 'R', message: 'urgent' }));
    agent.session.onNews(true);
    expect(reports().at(-1)?.events).toHaveLength(1);
  });

  test('offline, news waits quietly', async () => {
    agent.behaviour.refuse = true;
    agent.session.start();
    agent.store.commit(agent.outbox.event({ atMs: 1, type: 'normal', reason: 'R', message: 'm' }));
    agent.session.onNews(true);
    await agent.clock.advance(60_000);
    expect(agent.wires.every((wire) => wire.said.length === 0)).toBe(true);
    expect(agent.store.keys('outbox')).toHaveLength(1);
  });

  test('a desired state that is not genuine is refused, said so, and the connection lives on', () => {
    agent.online();
    const director = agent.keys.sign('director', { schema: 'groundplane.dev/director/1', hub: 'hub', epoch: 'e', root: digestBytes('r'), size: 1, atMs: 1 });
    agent.hear({
      t: 'desired',
      desired: { schema: 'groundplane.dev/desired/1', epoch: 'e', generation: 1, tenant: 'ten_00000000000000000000', host: 'hos_00000000000000000000' },
      proof: { index: 0, size: 1, path: [] },
      director,
    });
    expect(agent.state.slot('candidate')).toBeUndefined();
    expect(
      agent.store
        .entries('outbox')
        .map((row) => row.value)
        .join(''),
    ).toContain('DesiredRefused');
    expect(agent.session.state().state).toBe('online');
  });
});

test('what has changed on the machine is told while nothing else happens: it does not lie there until something does', async () => {
  const agent = makeAgent();
  agent.online();
  await agent.engine.tellInfo();
  const told = (): Report[] =>
    agent
      .wire()
      .said.filter((message) => message.t === 'report')
      .filter((report) => report.info !== undefined);
  await agent.clock.advance(10_000);
  expect(told()).toHaveLength(1);
  agent.hear({ t: 'ack', seq: told()[0]?.seq });
  expect(agent.store.keys('outbox')).toEqual([]);
  // As it was: no news.
  await agent.engine.tellInfo();
  await agent.clock.advance(10_000);
  expect(told()).toHaveLength(1);
});
