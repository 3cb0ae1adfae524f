import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import { lineSplitter } from '@groundplane/agent/cluster/lines';
import { backoffMs } from '@groundplane/agent/cluster/watch';
import type { Random } from '@groundplane/agent/port/random';
import { systemClock } from '@groundplane/agent/system/clock';
import { eventually } from '../../conformance/cluster-objects.ts';
import { answer, scriptedApi, type ScriptedApi } from './scripted-api.ts';

const random = (fraction: number): Random => ({ fraction: () => fraction, bytes: (length) => new Uint8Array(length) });

describe('lineSplitter', () => {
  const split = (chunks: Buffer[], max: number = 100): { lines: string[]; isGood: boolean } => {
    const lines: string[] = [];
    const splitter = lineSplitter(max, (line) => lines.push(line) > 0);
    return { isGood: chunks.every((chunk) => splitter.push(chunk)), lines };
  };

  test('puts lines together however the bytes arrive, characters of several bytes included', () => {
    const bytes = Buffer.from('{"a":"ä€😀"}\n\n  \nsecond\nunfinished');
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_unused, index) => bytes.subarray(index * size, (index + 1) * size));
      expect(split(chunks)).toEqual({ isGood: true, lines: ['{"a":"ä€😀"}', 'second'] });
    }
  });

  test('takes a line of exactly the limit and refuses one byte more', () => {
    expect(split([Buffer.from('x'.repeat(100)), Buffer.from('\n')])).toEqual({ isGood: true, lines: ['x'.repeat(100)] });
    expect(split([Buffer.from('x'.repeat(60)), Buffer.from('x'.repeat(41))])).toEqual({ isGood: false, lines: [] });
  });
});

test('back-off is spread over the whole interval, doubles and has an end', () => {
  expect([0, 1, 2, 3, 30].map((attempt) => backoffMs(attempt, random(0.5)))).toEqual([100, 200, 400, 800, 15_000]);
  expect(backoffMs(5, random(0))).toBe(0);
});

const event = (type: string, name: string, resourceVersion: string): string =>
  `${JSON.stringify({ type, object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name, resourceVersion } } })}\n`;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** The script answers the watches only; lists have resourceVersion 5. */
const start = async (
  script: (response: ServerResponse, watch: number, path: string) => void,
): Promise<{ server: ScriptedApi; seen: string[]; froms: () => string[]; stop: () => void }> => {
  let watches = 0;
  const server = await scriptedApi((asked, response) => {
    if (!asked.path.includes('watch=true')) return answer(response, 200, { metadata: { resourceVersion: '5' }, items: [] });
    watches += 1;
    script(response, watches, asked.path);
  });
  const cluster = kubernetesCluster({ connection: server.connection(), clock: systemClock, random: random(0.1) });
  open.push(server, cluster);
  const seen: string[] = [];
  const stopped = new AbortController();
  cluster.watch(
    { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n' },
    (one) => void seen.push(one.type === 'reset' ? 'reset' : `${one.type} ${one.object.metadata.name ?? ''}`),
    stopped.signal,
  );
  const froms = (): string[] => server.asked.map((one) => /resourceVersion=(\w+)/.exec(one.path)?.[1] ?? 'list');
  return { server, seen, froms, stop: () => stopped.abort() };
};

describe('watch', () => {
  test('goes on from the last resourceVersion, bookmarks included, after an orderly end', async () => {
    const { seen, froms, stop } = await start((response, watch) => {
      response.writeHead(200);
      if (watch === 1) response.end(event('ADDED', 'a', '6') + event('BOOKMARK', '', '9') + event('NEWKIND', 'b', '10'));
      else if (watch === 2) response.write(event('MODIFIED', 'a', '11'));
    });
    await eventually(() => expect(seen).toEqual(['reset', 'added a', 'reset', 'modified a']));
    expect(froms()).toEqual(['list', '5', '10']);
    stop();
  });

  test('lists anew when the history is gone, as an answer or as an event', async () => {
    const { seen, froms, stop } = await start((response, watch) => {
      if (watch === 1) return answer(response, 410, { kind: 'Status', reason: 'Expired' });
      response.writeHead(200);
      if (watch === 2) response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`);
      else response.write(event('ADDED', 'a', '6'));
    });
    await eventually(() => expect(seen).toEqual(['reset', 'reset', 'reset', 'added a']));
    expect(froms()).toEqual(['list', '5', 'list', '5', 'list', '5']);
    stop();
  });

  test('a broken stream, garbage and an endless line are resets, and the watch goes on', async () => {
    const { seen, froms, stop } = await start((response, watch) => {
      response.writeHead(200);
      if (watch === 1) response.write(event('ADDED', 'a', '6'), () => response.socket?.destroy());
      else if (watch === 2) response.write('{"type":\n');
      else if (watch === 3) response.write('x'.repeat(8 * 1024 * 1024 + 1));
      else response.write(event('ADDED', 'b', '7'));
    });
    await eventually(() => expect(seen.at(-1)).toBe('added b'));
    expect(seen).toEqual(['reset', 'added a', 'reset', 'reset', 'reset', 'reset', 'reset', 'reset', 'added b']);
    expect(froms()).toEqual(['list', '5', '6', '6', '6']);
    stop();
  });

  test('abort closes the connection and ends all attempts', async () => {
    let isClosed = false;
    const { server, seen, stop } = await start((response) => {
      response.writeHead(200);
      response.flushHeaders();
      response.on('close', () => {
        isClosed = true;
      });
    });
    await eventually(() => expect(seen).toEqual(['reset']));
    stop();
    await eventually(() => expect(isClosed).toBe(true));
    await delay(50);
    expect(server.asked.length).toBe(2);
    expect(seen).toEqual(['reset']);
  });
});
