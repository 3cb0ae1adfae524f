import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestBytes } from '@groundplane/protocol/digest';
import { jsonDepth, parseAgentFrame, parseHubFrame, writeFrame } from '@groundplane/protocol/frame';
import { limits } from '@groundplane/protocol/limits';
import type { AgentMessage, HubMessage } from '@groundplane/protocol/messages';

const failureOf = (result: ReturnType<typeof parseAgentFrame> | ReturnType<typeof parseHubFrame>): string => (result.ok ? 'ok' : result.failure.code);

/** A refetch whose frame has exactly this many bytes. JSON allows white space, so that nothing else has to grow. */
const padded = (bytes: number, pad = ' '): string => {
  const text = JSON.stringify({ t: 'ping' });
  return text + pad.repeat(bytes - Buffer.byteLength(text));
};
const nest = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

const hello: AgentMessage = {
  t: 'hello',
  v: 1,
  key: `ed25519:${'A'.repeat(43)}`,
  nonce: 'n'.repeat(24),
  bootId: 'boot',
  capabilities: [],
  resume: {},
  name: 'a',
  ticket: { id: 'tic', mac: 'mac' },
  proof: 'p',
};
const version = { epoch: 'e', generation: 1, digest: digestBytes('d') };
const agentMessages: AgentMessage[] = [
  hello,
  { t: 'ping' },
  { t: 'refetch', generation: 1, reason: 'why' },
  {
    t: 'report',
    seq: 1,
    dropped: 3,
    events: [{ atMs: 1, type: 'warning', reason: 'R', message: 'm' }],
    status: { phase: 'idle', layers: [], kubernetes: { state: 'unknown' }, version },
  },
];
const hubMessages: HubMessage[] = [
  { t: 'challenge', v: 1, hub: 'h', nonce: 'n'.repeat(24) },
  { t: 'reject', failure: { kind: 'blocked', code: 'c', element: 'e', message: 'm' }, retryMs: 5 },
  { t: 'ack', seq: 4 },
  { t: 'pong', timeMs: 5 },
  { t: 'retry', version },
  { t: 'goodbye', retryMs: 0, reason: 'r' },
  { t: 'lobby', words: 'a b c d', retryMs: 1, timeMs: 1, proof: 'p' },
];

describe('frames', () => {
  test('go there and back', () => {
    for (const message of agentMessages) expect(parseAgentFrame(writeFrame(message), true)).toEqual({ ok: true, value: message });
    for (const message of hubMessages) expect(parseHubFrame(writeFrame(message))).toEqual({ ok: true, value: message });
  });

  test.each([
    ['before the handshake', limits.frameBytesBeforeAuth, (text: string) => parseAgentFrame(text, false)],
    ['from an agent', limits.frameBytes, (text: string) => parseAgentFrame(text, true)],
  ] as const)('%s: exactly the limit passes, one byte more does not', (_, max, parse) => {
    expect(failureOf(parse(padded(max)))).toBe('ok');
    expect(failureOf(parse(padded(max + 1)))).toBe('frame-too-large');
  });

  test('from the hub: exactly the limit passes, one byte more does not', () => {
    const text = JSON.stringify({ t: 'ack', seq: 1 });
    expect(failureOf(parseHubFrame(text + ' '.repeat(limits.frameBytes - text.length)))).toBe('ok');
    expect(failureOf(parseHubFrame(text + ' '.repeat(limits.frameBytes - text.length + 1)))).toBe('frame-too-large');
  });

  test('the limit counts bytes, not characters', () => {
    const name = '€'.repeat(1_400);
    const text = JSON.stringify({ ...hello, serial: name });
    expect(text.length).toBeLessThan(limits.frameBytesBeforeAuth);
    expect(Buffer.byteLength(text)).toBeGreaterThan(limits.frameBytesBeforeAuth);
    expect(failureOf(parseAgentFrame(text, false))).toBe('frame-too-large');
  });

  test('32 levels are read, 33 are not, and no depth exhausts the stack', () => {
    expect(jsonDepth(nest(32), 32)).toBe(32);
    expect(jsonDepth(nest(33), 32)).toBe(33);
    expect(failureOf(parseAgentFrame(nest(32), true))).toBe('frame-invalid');
    expect(failureOf(parseAgentFrame(nest(33), true))).toBe('frame-too-deep');
    expect(failureOf(parseAgentFrame('['.repeat(limits.frameBytes), true))).toBe('frame-too-deep');
    expect(failureOf(parseHubFrame('{"a":'.repeat(100_000)))).toBe('frame-too-deep');
  });

  test('brackets inside of texts do not count as depth', () => {
    expect(jsonDepth(JSON.stringify({ a: `"${'[{'.repeat(50)}\\"` }), 32)).toBe(1);
    expect(jsonDepth('"\\\\"[[', 32)).toBe(2);
    fc.assert(fc.property(fc.string(), (text) => void expect(jsonDepth(JSON.stringify([text]), 32)).toBe(1)));
  });

  test.each([
    ['nothing', '', 'frame-malformed'],
    ['no JSON', 'hello', 'frame-malformed'],
    ['cut off', '{"t":"ping"', 'frame-malformed'],
    ['two messages', '{"t":"ping"}{"t":"ping"}', 'frame-malformed'],
    ['a byte-order mark', '\ufeff{"t":"ping"}', 'frame-malformed'],
    ['null', 'null', 'frame-invalid'],
    ['a list', '[]', 'frame-invalid'],
    ['a text', '"ping"', 'frame-invalid'],
    ['a number', '1e999', 'frame-invalid'],
    ['no type', '{}', 'frame-invalid'],
    ['an unknown type', '{"t":"format-disk"}', 'frame-invalid'],
    ['a type of another form', '{"t":["ping"]}', 'frame-invalid'],
    ['a type from the prototype', '{"t":"constructor"}', 'frame-invalid'],
    ['what only a hub says', '{"t":"ack","seq":1}', 'frame-invalid'],
    ['wrong fields', '{"t":"report","seq":"1"}', 'frame-invalid'],
    ['a sequence that is no whole number', '{"t":"report","seq":1.5}', 'frame-invalid'],
    ['a sequence of nought', '{"t":"report","seq":0}', 'frame-invalid'],
  ])('%s is a failure with a name', (_, text, code) => expect(failureOf(parseAgentFrame(text, true))).toBe(code));

  test('too many events in one report', () => {
    const event = { atMs: 1, type: 'normal', reason: 'R', message: 'm' };
    const report = (count: number): string => JSON.stringify({ t: 'report', seq: 1, events: Array.from({ length: count }, () => event) });
    expect(failureOf(parseAgentFrame(report(limits.reportEvents), true))).toBe('ok');
    expect(failureOf(parseAgentFrame(report(limits.reportEvents + 1), true))).toBe('frame-invalid');
  });

  test('every field of a hello is checked', () => {
    for (const key of Object.keys(hello)) {
      for (const value of [null, 1, [], {}, 'x'.repeat(5_000), true]) {
        const isSame = JSON.stringify((hello as Record<string, unknown>)[key]) === JSON.stringify(value);
        const isOptionalObject = key === 'resume' && JSON.stringify(value) === '{}';
        const isList = key === 'capabilities' && Array.isArray(value);
        const isNumber = key === 'v' && typeof value === 'number';
        if (isSame || isOptionalObject || isList || isNumber) continue;
        expect(failureOf(parseAgentFrame(JSON.stringify({ ...hello, [key]: value }), true)), `${key} = ${JSON.stringify(value).slice(0, 20)}`).toBe(
          'frame-invalid',
        );
      }
    }
  });

  test('no text makes the parser throw', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 500 }),
      fc.json({ maxDepth: 40 }),
      fc
        .record({
          t: fc.constantFrom('hello', 'report', 'ping', 'desired', 'welcome', 'ack', '__proto__'),
          status: fc.anything(),
          seq: fc.anything(),
          desired: fc.anything(),
          bundle: fc.anything(),
        })
        .map((value) => {
          try {
            return JSON.stringify(value) ?? '';
          } catch {
            return '';
          }
        }),
    );
    fc.assert(
      fc.property(anything, (text) => {
        for (const result of [parseAgentFrame(text, false), parseAgentFrame(text, true), parseHubFrame(text)]) {
          if (!result.ok) expect(['frame-malformed', 'frame-invalid', 'frame-too-deep', 'frame-too-large']).toContain(result.failure.code);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
