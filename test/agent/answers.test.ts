import { describe, expect, test } from 'vitest';
import { createAnswers, lastSteps } from '@groundplane/agent/link/answers';
import { isNotable } from '@groundplane/agent/link/notable';
import { createJournal } from '@groundplane/agent/store/state';
import type { VitalsSource } from '@groundplane/agent/port/vitals';
import { systemVitals } from '@groundplane/agent/system/vitals';
import { answerSchema, usedPercent, vitalsSchema, type Answer, type Vitals } from '@groundplane/protocol/ask';
import { fail, ok } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { virtualClock } from '../fake/clock.ts';
import { calmVitals } from '../fake/vitals.ts';
import { makeAgent } from './session-rig.ts';

const gib = 1024 ** 3;

/** A machine whose vitals the test sets. */
const machine = () => {
  const state = { vitals: calmVitals, reads: 0 };
  const source: VitalsSource = {
    read: () => {
      state.reads += 1;
      return Promise.resolve(ok(state.vitals));
    },
  };
  return { state, source };
};

const filled = (count: number, text = 'install package curl') => {
  const store = fakeAgentStore();
  const journal = createJournal(store);
  for (let index = 0; index < count; index += 1) {
    const row = { generation: 3, layer: 'base', step: 'installPackage', text, atMs: index };
    const begun = journal.begin(row);
    store.commit(begun.writes);
    store.commit([journal.end({ ...row, seq: begun.seq, state: 'failed', failure: fail('retry', 'apt-busy', 'apt', `try ${index}`).failure })]);
  }
  return store;
};

describe('what is worth telling unasked', () => {
  const disk = (availableBytes: number): Vitals => ({ ...calmVitals, disks: [{ path: '/', totalBytes: 100, availableBytes }] });
  test.each<[string, Vitals | undefined, Vitals, boolean]>([
    ['the first', undefined, calmVitals, true],
    ['the same', calmVitals, { ...calmVitals, uptimeMs: calmVitals.uptimeMs + 1 }, false],
    ['a restart', calmVitals, { ...calmVitals, uptimeMs: 1_000 }, true],
    ['29 points of processor', calmVitals, { ...calmVitals, cpuPercent: 41 }, false],
    ['30 points of processor', calmVitals, { ...calmVitals, cpuPercent: 42.5 }, true],
    ['a disk by 2 points', disk(50), disk(48), false],
    ['a disk by 3 points', disk(50), disk(47), true],
    ['a disk that is new', calmVitals, { ...calmVitals, disks: [...calmVitals.disks, { path: '/data', totalBytes: 1, availableBytes: 1 }] }, true],
    ['a disk of no size', { ...disk(0), disks: [] }, { ...calmVitals, disks: [] }, false],
    ['nine degrees', calmVitals, { ...calmVitals, temperature: 60 }, false],
    ['ten degrees', calmVitals, { ...calmVitals, temperature: 61.5 }, true],
    ['memory by a tenth', calmVitals, { ...calmVitals, memory: { totalBytes: 8 * gib, availableBytes: 4.1 * gib } }, true],
  ])('%s', (_, told, now, expected) => expect(isNotable(told, now)).toBe(expected));
});

test.each([
  [0, 0, 0],
  [100, 100, 0],
  [100, 0, 100],
  [100, 120, 0],
  [3, 1, 67],
])('of %i with %i free, so much is used in percent: %i', (totalBytes, availableBytes, percent) =>
  expect(usedPercent({ totalBytes, availableBytes })).toBe(percent),
);

describe('the journal that is told', () => {
  test('the newest steps, oldest first, with how often each was tried', () => {
    const steps = lastSteps(filled(30), 5);
    expect(steps.map((step) => [step.seq, step.attempt])).toEqual([
      [26, 26],
      [27, 27],
      [28, 28],
      [29, 29],
      [30, 30],
    ]);
    expect(steps[0]).toMatchObject({ generation: 3, layer: 'base', step: 'installPackage', state: 'failed', failure: { code: 'apt-busy', message: 'try 25' } });
  });

  test('looks at no more rows than its bound, however long the journal is', () => {
    const store = filled(limits.journalLook + 50);
    let reads = 0;
    const counted = { keys: store.keys, get: (...of: Parameters<typeof store.get>) => ((reads += 1), store.get(...of)) };
    expect(lastSteps(counted, 3).at(-1)?.attempt).toBe(limits.journalLook);
    expect(reads).toBe(limits.journalLook);
  });

  test('an empty one is an answer too', async () => {
    const answers = createAnswers({ store: fakeAgentStore(), clock: virtualClock(), vitals: undefined });
    expect(await answers.answer({ t: 'ask', id: 1, want: 'journal' })).toEqual({ t: 'answer', id: 1, journal: [] });
  });

  test('texts of signs that need room are cut until they fit into a frame, the newest kept', async () => {
    const answers = createAnswers({ store: filled(limits.journalAnswer, '\u0001'.repeat(5_000)), clock: virtualClock(), vitals: undefined });
    const answer = await answers.answer({ t: 'ask', id: 1, want: 'journal', last: limits.journalAnswer });
    expect(answerSchema.safeParse(answer).success).toBe(true);
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThan(limits.frameBytes);
    expect(answer.journal?.at(-1)?.seq).toBe(limits.journalAnswer);
    expect(answer.journal?.at(-1)?.text).toHaveLength(limits.journalTextChars);
  });

  test('a row that nobody thought of becomes a failure, not a broken line', async () => {
    const store = fakeAgentStore();
    store.commit([{ table: 'journal', key: '1', value: JSON.stringify({ seq: -1, generation: 1, step: 's', text: 't', state: 'done', atMs: 0 }) }]);
    const answer = await createAnswers({ store, clock: virtualClock(), vitals: undefined }).answer({ t: 'ask', id: 4, want: 'journal' });
    expect(answer).toMatchObject({ id: 4, failure: { code: 'answer-invalid' } });
    expect(answer.journal).toBeUndefined();
  });
});

describe('vitals', () => {
  test('of this very machine', async () => {
    const read = await systemVitals(['/', process.cwd(), '/no/such/folder']).read();
    expect(read.ok && vitalsSchema.safeParse(read.value).success, JSON.stringify(read)).toBe(true);
    if (!read.ok) return;
    expect(read.value.memory.totalBytes).toBeGreaterThan(1_000_000);
    expect(read.value.disks.map((disk) => disk.path)).toContain('/');
    expect(read.value.uptimeMs).toBeGreaterThan(0);
  });

  test('many who ask at once cost one reading, and a simulated host says that it has none', async () => {
    const { state, source } = machine();
    const answers = createAnswers({ store: fakeAgentStore(), clock: virtualClock(), vitals: source });
    const all = await Promise.all([1, 2, 3].map((id) => answers.answer({ t: 'ask', id, want: 'vitals' })));
    expect(all.map((answer) => [answer.id, answer.vitals?.cpuPercent])).toEqual([1, 2, 3].map((id) => [id, 12.5]));
    expect(state.reads).toBe(1);
    const none = createAnswers({ store: fakeAgentStore(), clock: virtualClock(), vitals: undefined });
    expect(await none.answer({ t: 'ask', id: 1, want: 'vitals' })).toMatchObject({ failure: { code: 'vitals-unknown' } });
  });

  test('a sensor that says nonsense does not cost the host its line', async () => {
    const source: VitalsSource = { read: () => Promise.resolve(ok({ ...calmVitals, cpuPercent: Number.NaN })) };
    const answers = createAnswers({ store: fakeAgentStore(), clock: virtualClock(), vitals: source });
    expect(await answers.answer({ t: 'ask', id: 1, want: 'vitals' })).toMatchObject({ failure: { code: 'answer-invalid' } });
  });
});

describe('in a conversation', () => {
  const told = (agent: ReturnType<typeof makeAgent>): Answer[] => agent.wires.flatMap((wire) => wire.said.filter((message) => message.t === 'answer'));
  const quietHours = async (agent: ReturnType<typeof makeAgent>, hours: number): Promise<void> => {
    for (let minute = 0; minute < hours * 60; minute += 1) {
      await agent.clock.advance(60_000);
      agent.hear({ t: 'pong', timeMs: agent.clock.wallMs() });
      await agent.clock.advance(0);
    }
  };

  test('a calm day costs one message, and a disk that fills is told within ten minutes', async () => {
    const { state, source } = machine();
    const agent = makeAgent({ vitals: source });
    agent.session.start();
    agent.wire().events.onOpen();
    agent.hear(agent.challenge);
    agent.hear(agent.welcome(agent.keys, { capabilities: ['ask'] }));
    await quietHours(agent, 24);
    expect(told(agent)).toEqual([{ t: 'answer', id: 0, vitals: calmVitals }]);
    expect(state.reads).toBeLessThanOrEqual(24 * 6 + 1);
    state.vitals = { ...calmVitals, disks: [{ path: '/', totalBytes: 100, availableBytes: 1 }] };
    await quietHours(agent, 0.25);
    expect(told(agent).at(-1)?.vitals?.disks[0]?.availableBytes).toBe(1);
    agent.hear({ t: 'ask', id: 7, want: 'vitals' });
    agent.hear({ t: 'ask', id: 8, want: 'journal' });
    await agent.clock.advance(0);
    expect(
      told(agent)
        .map((answer) => answer.id)
        .toSorted(),
    ).toEqual([0, 0, 7, 8]);
  });

  test('a hub that does not understand answers is told nothing; a question that outlives its connection is not answered on the next', async () => {
    const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<VitalsSource['read']>>>();
    const agent = makeAgent({ vitals: { read: () => promise } });
    agent.online();
    expect(agent.hello().capabilities).toContain('ask');
    await quietHours(agent, 1);
    agent.hear({ t: 'ask', id: 3, want: 'vitals' });
    agent.wire().events.onClose('cut');
    await agent.clock.advance(limits.backoffMaxMs);
    resolve(ok(calmVitals));
    await agent.clock.advance(0);
    expect(told(agent)).toEqual([]);
  });

  test('an agent without answers does not claim to have them', () => {
    const agent = makeAgent();
    agent.online();
    expect(agent.hello().capabilities).not.toContain('ask');
  });
});
