import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createOutbox, type Outbox } from '@groundplane/agent/link/outbox';
import type { AgentStore } from '@groundplane/agent/port/store';
import { parseAgentFrame, writeFrame } from '@groundplane/protocol/frame';
import { limits } from '@groundplane/protocol/limits';
import type { Report } from '@groundplane/protocol/messages';
import type { HostEvent, HostStatus } from '@groundplane/protocol/observed';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { fakeInfo } from '../fake/host.ts';

const status = (message: string): HostStatus => ({
  phase: 'applying',
  layers: [],
  kubernetes: { state: 'unknown' },
  failure: { kind: 'retry', code: 'c', element: 'e', message },
});
const event = (message: string): HostEvent => ({ atMs: 1, type: 'normal', reason: 'R', message });
const say = (store: AgentStore, outbox: Outbox, ...messages: string[]): void => void store.commit(messages.flatMap((message) => outbox.event(event(message))));
const messagesOf = (report: Report | undefined): string[] => (report?.events ?? []).map((item) => item.message);
const open = (): { store: ReturnType<typeof fakeAgentStore>; outbox: Outbox } => {
  const store = fakeAgentStore();
  return { store, outbox: createOutbox(store) };
};

describe('outbox', () => {
  test('state is overwritten: the hub hears the last one once', () => {
    const { store, outbox } = open();
    for (const message of ['one', 'two', 'three']) store.commit(outbox.status(status(message)));
    expect(store.keys('outbox')).toEqual(['status']);
    const report = outbox.take();
    expect(report?.status?.failure?.message).toBe('three');
    store.commit(outbox.acknowledge(report?.seq ?? 0));
    expect(outbox.hasNews()).toBe(false);
    expect(outbox.take()).toBeUndefined();
    expect(store.keys('outbox')).toEqual([]);
  });

  test('what the hub confirmed is no news, also after a restart; what changed and changed back is', () => {
    const { store, outbox } = open();
    store.commit([...outbox.status(status('a')), ...outbox.info(fakeInfo)]);
    store.commit(outbox.acknowledge(outbox.take()?.seq ?? 0));
    for (const each of [outbox, createOutbox(store.reopen())]) {
      expect(each.status(status('a'))).toEqual([]);
      expect(each.info(fakeInfo)).toEqual([]);
    }
    store.commit(outbox.status(status('b')));
    store.commit(outbox.status(status('a')));
    expect(outbox.take()?.status?.failure?.message).toBe('a');
  });

  test('only one report is on its way, and its acknowledgement forgets exactly what it carried', () => {
    const { store, outbox } = open();
    say(store, outbox, 'one');
    store.commit(outbox.status(status('a')));
    const first = outbox.take();
    say(store, outbox, 'two');
    store.commit(outbox.status(status('b')));
    expect(outbox.take()).toBeUndefined();
    expect(outbox.hasNews()).toBe(false);
    store.commit(outbox.acknowledge(first?.seq ?? 0));
    expect(store.keys('outbox')).toHaveLength(2);
    const second = outbox.take();
    expect(messagesOf(second)).toEqual(['two']);
    expect(second?.status?.failure?.message).toBe('b');
    expect(second?.seq).toBeGreaterThan(first?.seq ?? 0);
  });

  test('acknowledgements of something else change nothing', () => {
    const { store, outbox } = open();
    expect(outbox.acknowledge(1)).toEqual([]);
    say(store, outbox, 'one');
    const report = outbox.take();
    for (const seq of [0, (report?.seq ?? 0) - 1, (report?.seq ?? 0) + 1]) expect(outbox.acknowledge(seq)).toEqual([]);
    expect(store.keys('outbox')).toHaveLength(1);
    expect(outbox.acknowledge(report?.seq ?? 0)).not.toEqual([]);
    expect(outbox.acknowledge(report?.seq ?? 0)).toEqual([]);
  });

  test('a report that was lost is said again, in the order in which things happened', () => {
    const { store, outbox } = open();
    say(store, outbox, 'one', 'two');
    outbox.take();
    say(store, outbox, 'three');
    outbox.lost();
    expect(messagesOf(outbox.take())).toEqual(['one', 'two', 'three']);
    outbox.lost();
    expect(messagesOf(createOutbox(store.reopen()).take())).toEqual(['one', 'two', 'three']);
  });

  test('a report carries at most so many events, and the rest follows', () => {
    const { store, outbox } = open();
    const all = Array.from({ length: limits.reportEvents * 2 + 1 }, (_, index) => `event ${index}`);
    say(store, outbox, ...all);
    const heard: string[] = [];
    for (let report = outbox.take(); report !== undefined; report = outbox.take()) {
      expect(messagesOf(report).length).toBeLessThanOrEqual(limits.reportEvents);
      heard.push(...messagesOf(report));
      store.commit(outbox.acknowledge(report.seq));
    }
    expect(heard).toEqual(all);
  });

  test('every report fits into a frame, however long and strange its events are', () => {
    const { store, outbox } = open();
    for (let index = 0; index < 300; index += 1) say(store, outbox, ['\u0001', '€', 'x', '"'][index % 4]?.repeat(3_000) ?? '');
    store.commit(
      outbox.status({
        ...status('m'.repeat(4_096)),
        layers: Array.from({ length: limits.layersPerProfile * 2 }, (_, index) => ({
          name: `l${index}`,
          kind: 'addon' as const,
          pack: { name: 'p', version: '1' },
          digest: 'd',
          state: 'ready' as const,
          message: 'm'.repeat(1_024),
          objects: { total: 1, ready: 1 },
          drift: { healed: 1, last: 'x'.repeat(512) },
        })),
      }),
    );
    let count = 0;
    for (let report = outbox.take(); report !== undefined; report = outbox.take()) {
      const text = writeFrame(report);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limits.frameBytes);
      const parsed = parseAgentFrame(text, true);
      expect(parsed.ok ? '' : parsed.failure.message).toBe('');
      count += report.events?.length ?? 0;
      store.commit(outbox.acknowledge(report.seq));
    }
    expect(count).toBe(300);
  });

  test('beyond its cap the oldest events go, and their number is told once', () => {
    const { store, outbox } = open();
    const extra = 7;
    say(store, outbox, ...Array.from({ length: limits.outboxEvents + extra }, (_, index) => `event ${index}`));
    expect(store.keys('outbox').filter((key) => key.startsWith('event/'))).toHaveLength(limits.outboxEvents);
    const report = outbox.take();
    expect(report?.dropped).toBe(extra);
    expect(messagesOf(report)[0]).toBe(`event ${extra}`);
    store.commit(outbox.acknowledge(report?.seq ?? 0));
    expect(outbox.take()?.dropped).toBeUndefined();
    expect(createOutbox(store.reopen()).size()).toBe(limits.outboxEvents - limits.reportEvents);
  });

  test('what is thrown away while a report is on its way is counted right', () => {
    const { store, outbox } = open();
    say(store, outbox, ...Array.from({ length: limits.outboxEvents + 5 }, (_, index) => `event ${index}`));
    const first = outbox.take();
    expect(first?.dropped).toBe(5);
    // The ten oldest are on their way and arrive; they are no loss.
    say(store, outbox, ...Array.from({ length: 10 }, (_, index) => `late ${index}`));
    store.commit(outbox.acknowledge(first?.seq ?? 0));
    expect(outbox.take()?.dropped).toBeUndefined();
  });

  test('nothing is lost, nothing is invented: every event is heard or counted, whatever happens', () => {
    const op = fc.oneof({ weight: 5, arbitrary: fc.constant('event') }, fc.constantFrom('take', 'ack', 'lost', 'restart', 'status'));
    fc.assert(
      fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
        let store = fakeAgentStore();
        let outbox = createOutbox(store);
        let made = 0;
        let flight: Report | undefined;
        const heard = new Set<string>();
        const step = (kind: string): void => {
          if (kind === 'event') say(store, outbox, `event ${(made += 1)}`);
          else if (kind === 'status') store.commit(outbox.status(status(String(made))));
          else if (kind === 'take') flight = outbox.take() ?? flight;
          else if (kind === 'ack' && flight !== undefined) {
            for (const message of messagesOf(flight)) heard.add(message);
            store.commit(outbox.acknowledge(flight.seq));
            flight = undefined;
          } else if (kind === 'lost') {
            outbox.lost();
            flight = undefined;
          } else if (kind === 'restart') {
            store = store.reopen();
            outbox = createOutbox(store);
            flight = undefined;
          }
        };
        for (const kind of ops) step(kind);
        for (let turn = 0; turn < 20 && (flight !== undefined || outbox.hasNews()); turn += 1) for (const kind of ['take', 'ack']) step(kind);
        expect(heard.size).toBe(made);
        expect(store.keys('outbox')).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

test('a hub that forgot what it confirmed is told again, and one that remembers is not', () => {
  const store = fakeAgentStore();
  const outbox = createOutbox(store);
  const version = { epoch: 'e', generation: 3, digest: `sha256:${'a'.repeat(64)}` as const };
  const status = { version, phase: 'converged' as const, layers: [], kubernetes: { state: 'unknown' as const } };
  store.commit([...outbox.status(status), ...outbox.info(fakeInfo)]);
  const report = outbox.take();
  store.commit(outbox.acknowledge(report?.seq ?? 0));
  store.commit(outbox.compare({ phase: 'converged', version }));
  expect([outbox.status(status), outbox.info(fakeInfo)]).toEqual([[], []]);
  store.commit(outbox.compare({ phase: 'converged', version: { ...version, generation: 2 } }));
  expect(outbox.status(status)).toHaveLength(1);
  // What the machine is, and what its agent can, may be as old there.
  expect(outbox.info(fakeInfo)).toHaveLength(1);
});
