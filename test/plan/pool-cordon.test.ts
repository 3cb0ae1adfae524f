import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterCordon, cordonWaitMs, lettingIn, type CordonAnswer, type CordonNote } from '@groundplane/hub/plan/pool-cordon';

const away: CordonAnswer = { kind: 'failed', failure: { kind: 'retry', code: 'api-unreachable', element: 'server', message: 'does not answer' } };
const denied: CordonAnswer = { kind: 'failed', failure: { kind: 'blocked', code: 'denied', element: 'Node a', message: 'cannot patch nodes' } };
const cordoned = (nodes: number, left: number): CordonAnswer => ({ kind: 'cordoned', nodes, left });

test('a pool goes when none of its nodes takes new pods any more, or when it has none', () => {
  expect(afterCordon('old', undefined, cordoned(3, 0), 5)).toEqual({ kind: 'delete', note: { sinceMs: 5, left: 0 } });
  expect(afterCordon('old', undefined, cordoned(0, 0), 5)).toMatchObject({ kind: 'delete' });
});

test('a cluster that does not answer is waited for, for ten minutes and no longer; until when is said', () => {
  const note = { sinceMs: 1_000 };
  expect(afterCordon('old', undefined, away, 1_000)).toEqual({
    kind: 'wait',
    note,
    message: 'the nodes of pool old cannot be cordoned (server: does not answer); it goes all the same in 10 min',
  });
  expect(afterCordon('old', note, away, 1_000 + cordonWaitMs - 1)).toMatchObject({ kind: 'wait', message: expect.stringContaining('in 1 min') });
  expect(afterCordon('old', note, away, 1_000 + cordonWaitMs)).toMatchObject({ kind: 'delete', without: expect.stringContaining('does not answer') });
});

test('what no waiting helps against is not waited for, and is said', () => {
  expect(afterCordon('old', undefined, denied, 0)).toMatchObject({ kind: 'delete', without: expect.stringContaining('cannot patch nodes') });
});

test('a large pool takes several looks; one that does not get on is not waited for for ever', () => {
  const first = afterCordon('old', { sinceMs: 0 }, cordoned(500, 300), 1_000);
  expect(first).toMatchObject({ kind: 'wait', note: { sinceMs: 1_000, left: 300 }, message: expect.stringContaining('300 of the 500 nodes') });
  const second = afterCordon('old', first.note, cordoned(500, 100), cordonWaitMs);
  expect(second).toMatchObject({ kind: 'wait', note: { sinceMs: cordonWaitMs, left: 100 } });
  expect(afterCordon('old', second.note, cordoned(500, 100), cordonWaitMs + 60_000)).toMatchObject({ kind: 'wait', note: { sinceMs: cordonWaitMs } });
  expect(afterCordon('old', second.note, cordoned(500, 100), 2 * cordonWaitMs)).toMatchObject({ kind: 'delete', without: expect.any(String) });
});

test('whatever the cluster answers, and whatever the clock does, a replacement comes to its end', () => {
  const answers = fc.oneof(
    fc.constant(away),
    fc.constant(denied),
    fc.record({ nodes: fc.nat({ max: 1_000 }), left: fc.nat({ max: 1_000 }) }).map(({ nodes, left }) => cordoned(nodes, left)),
  );
  fc.assert(
    fc.property(fc.array(answers, { minLength: 1, maxLength: 20 }), fc.nat({ max: 1e9 }), (said, startMs) => {
      let note: CordonNote | undefined = { sinceMs: startMs + 1e9 };
      let nowMs = startMs;
      // Each step of progress takes one more wait at most, and what is left only falls.
      for (let look = 0; look < 1_000 * 2 + 20; look += 1) {
        const decision = afterCordon('p', note, said[look % said.length] ?? away, nowMs);
        if (decision.kind === 'delete') return;
        note = decision.note;
        nowMs += cordonWaitMs / 2;
      }
      throw new Error('it waits for ever');
    }),
  );
});

test('a pool that stays after all lets pods in again; one that is gone is forgotten', () => {
  const note = { sinceMs: 1 };
  const listed = ['stays', 'goes', 'going', 'paused'].map((name) => ({ name, pool: name, state: name === 'going' ? 'going' : 'ready' }));
  const all = Object.fromEntries([...listed.map((item) => item.name), 'gone', 'constructor'].map((name) => [name, note]));
  expect(lettingIn(all, listed, new Set(['goes']), new Set(['paused']))).toEqual({ forget: ['gone', 'constructor'], letIn: ['stays'] });
});
