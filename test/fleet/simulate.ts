import { parseArgs } from 'node:util';
import { createAgent } from '@groundplane/agent/agent';
import { makeDeviceKey } from '@groundplane/agent/identity/key';
import { parseTicket } from '@groundplane/agent/identity/ticket';
import { httpContent } from '@groundplane/agent/link/content-http';
import { linkFor } from '@groundplane/agent/link/link-for';
import type { Link } from '@groundplane/agent/port/link';
import { systemClock } from '@groundplane/agent/system/clock';
import { systemRandom } from '@groundplane/agent/system/random';
import { ok } from '@groundplane/protocol/failure';
import { fakeBlobs } from '../fake/blobs.ts';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { emptyHostState, fakeHost, fakeInfo } from '../fake/host.ts';

/**
 * Many hosts in one process: the real agent code against in-memory machines and clusters, over real sockets. It answers `stats` on its IPC channel, and says
 * which host's report was confirmed when.
 */
export interface FleetStats {
  bytesReceived: number;
  bytesSent: number;
  /** For each host, wall time in ms of the last acknowledgement. */
  ackedAtMs: number[];
}

const stats: FleetStats = { bytesReceived: 0, bytesSent: 0, ackedAtMs: [] };

/**
 * Real hosts have a processor each, these share one: desired states are handed over to a few of them at a time, so that each works as fast as a real one would,
 * and not all of them at a thousandth of the speed. The hub sees the same messages either way.
 */
const atOnce = 16;
const giveUpMs = 10_000;
const queue: (() => void)[] = [];
let working = 0;
const release = new Map<number, () => void>();

const startNext = (): void => {
  while (working < atOnce) {
    const next = queue.shift();
    if (next === undefined) return;
    working += 1;
    next();
  }
};

const handOver = (index: number, deliver: () => void): void => {
  queue.push(() => {
    const done = (): void => {
      if (release.get(index) !== done) return;
      release.delete(index);
      cancel();
      working -= 1;
      startNext();
    };
    release.set(index, done);
    const cancel = systemClock.after(giveUpMs, done);
    deliver();
  });
  startNext();
};

const counted = (inner: Link, index: number): Link => ({
  connect: (events) => {
    const connection = inner.connect({
      ...events,
      onFrame: (text) => {
        stats.bytesReceived += Buffer.byteLength(text);
        if (text.startsWith('{"t":"desired"')) return handOver(index, () => events.onFrame(text));
        events.onFrame(text);
        if (!text.startsWith('{"t":"ack"')) return;
        stats.ackedAtMs[index] = performance.timeOrigin + performance.now();
        release.get(index)?.();
      },
    });
    return {
      send: (text) => {
        stats.bytesSent += Buffer.byteLength(text);
        connection.send(text);
      },
      close: () => connection.close(),
    };
  },
});

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '100' },
    ticket: { type: 'string', default: '' },
    carrier: { type: 'string', default: 'ws' },
    prefix: { type: 'string', default: 'sim' },
    offset: { type: 'string', default: '0' },
  },
});
const ticket = parseTicket(values.ticket);
if (!ticket.ok) throw new Error(ticket.failure.message);
const urls = ticket.value.hubs.filter((url) => url.startsWith('mqtt') === (values.carrier === 'mqtt'));
const stop = new AbortController();
const runs: Promise<void>[] = [];

const boot = (index: number): void => {
  const cluster = fakeCluster({ clock: systemClock });
  cluster.controllers({ readyMs: 20 });
  const name = `${values.prefix}-${String(index + Number(values.offset)).padStart(5, '0')}`;
  const agent = createAgent({
    store: fakeAgentStore(),
    host: fakeHost(emptyHostState(), { ...fakeInfo, hostname: name }),
    openCluster: () => Promise.resolve(ok(cluster)),
    links: urls.map((url) => counted(linkFor(url, undefined), index)),
    content: (token) => httpContent(ticket.value.content, { token }),
    blobs: () => fakeBlobs(new Map()),
    architecture: 'x64',
    key: makeDeviceKey(),
    ticket: ticket.value,
    clock: systemClock,
    random: systemRandom,
    bootId: name,
    name,
  });
  runs.push(agent.run(stop.signal));
};

for (let index = 0; index < Number(values.hosts); index += 1) {
  boot(index);
  if (index % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 20));
}
process.stdout.write(`${JSON.stringify({ ready: true, hosts: Number(values.hosts) })}\n`);
process.on('message', () => process.send?.(stats));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
await Promise.all(runs);
process.exit(0);
