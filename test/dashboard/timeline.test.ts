import { describe, expect, test } from 'vitest';
import { inOrderOfSending, readReceipt } from '@groundplane/hub/dashboard/src/model/receipts';
import { momentsMax, timeline } from '@groundplane/hub/dashboard/src/model/timeline';
import type { JournalEntry } from '@groundplane/protocol/ask';
import type { EventView } from '@groundplane/protocol/api/views';
import { limits } from '@groundplane/protocol/limits';
import type { SignedReceipt } from '@groundplane/protocol/media';

const event = (seq: number, atMs: number): EventView => ({ seq, atMs, type: 'normal', reason: `E${seq}`, message: 'm' });
const step = (seq: number, atMs: number, over: Partial<JournalEntry> = {}): JournalEntry => ({
  seq,
  atMs,
  generation: 1,
  step: 's',
  text: `step ${seq}`,
  state: 'done',
  attempt: 1,
  ...over,
});
const keysOf = (...given: Parameters<typeof timeline>): string[] => timeline(...given).map((moment) => moment.key);

describe('a timeline', () => {
  test('newest first, of both, or of one kind', () => {
    const events = [event(1, 10), event(2, 30)];
    const steps = [step(1, 20), step(2, 40)];
    expect(keysOf(events, steps, 'all')).toEqual(['s2', 'e2', 's1', 'e1']);
    expect(keysOf(events, steps, 'events')).toEqual(['e2', 'e1']);
    expect(keysOf(events, steps, 'steps')).toEqual(['s2', 's1']);
    expect(keysOf([], [], 'all')).toEqual([]);
  });

  test('a clock that jumped back changes no order of what one source says', () => {
    expect(keysOf([], [step(1, 9_000), step(2, 10), step(3, 20)], 'all')).toEqual(['s3', 's2', 's1']);
    expect(keysOf([event(1, 9_000), event(2, 5)], [step(1, 7), step(2, 8)], 'all')).toEqual(['s2', 's1', 'e2', 'e1']);
  });

  test('tries of one step are the last of them; another step between them keeps them apart', () => {
    const failed = { text: 'install', state: 'failed' as const, failure: { code: 'busy', message: 'the lock is held' } };
    const steps = [
      step(1, 1, failed),
      step(2, 2, { ...failed, attempt: 2 }),
      step(3, 3, { ...failed, attempt: 3, state: 'done' }),
      step(4, 4),
      step(5, 5, { ...failed, generation: 2 }),
    ];
    expect(timeline([], steps, 'all').map((moment) => [moment.key, moment.attempt, moment.tone])).toEqual([
      ['s5', 1, 'bad'],
      ['s4', 1, 'good'],
      ['s3', 3, 'good'],
    ]);
    expect(timeline([], steps, 'all')[0]?.text).toBe('the lock is held');
    expect(timeline([], [step(1, 1, { state: 'intent' })], 'all')[0]).toMatchObject({ tone: 'idle', text: expect.stringContaining('begun') });
  });

  test('a long one is cut at its oldest end', () => {
    const many = Array.from({ length: momentsMax + 5 }, (_, index) => event(index + 1, index));
    const keys = keysOf(many, [], 'all');
    expect([keys.length, keys[0], keys.at(-1)]).toEqual([momentsMax, `e${momentsMax + 5}`, 'e6']);
  });
});

describe('a file that may be a receipt', () => {
  const receipt = { schema: 'groundplane.dev/site-receipt/1', host: 'hos_1', seq: 3 };
  test.each<[string, string, string | undefined]>([
    ['one', JSON.stringify({ receipt, signature: 's' }), undefined],
    ['no JSON', 'x', 'not JSON'],
    ['nothing', '', 'not JSON'],
    ['null', 'null', 'no receipt'],
    ['a list', '[]', 'no receipt'],
    ['without a signature', JSON.stringify({ receipt }), 'no receipt'],
    ['of another kind', JSON.stringify({ receipt: { ...receipt, schema: 'other' }, signature: 's' }), 'no receipt'],
    ['with a number that is none', JSON.stringify({ receipt: { ...receipt, seq: '3' }, signature: 's' }), 'no receipt'],
  ])('%s', (_, text, problem) => {
    const read = readReceipt('f.json', text.length, text);
    if (problem === undefined) expect(read).toHaveProperty('receipt');
    else expect('problem' in read ? read.problem : '').toContain(problem);
  });

  test('the longest is read, and one byte more is not', () => {
    const text = JSON.stringify({ receipt, signature: 's' });
    expect(readReceipt('f', limits.receiptBytes, text)).toHaveProperty('receipt');
    expect(readReceipt('f', limits.receiptBytes + 1, text)).toHaveProperty('problem');
  });

  test('are sent in the order in which they were written', () => {
    const of = (seq: number) => ({ receipt: { receipt: { seq }, signature: '' } as unknown as SignedReceipt });
    expect(inOrderOfSending([of(3), of(1), of(2)]).map((item) => item.receipt.receipt.seq)).toEqual([1, 2, 3]);
  });
});
