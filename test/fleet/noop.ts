import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '@groundplane/agent/engine';
import { createOutbox } from '@groundplane/agent/link/outbox';
import type { Clock } from '@groundplane/agent/port/clock';
import { openSqliteStore } from '@groundplane/agent/store/sqlite';
import { systemClock } from '@groundplane/agent/system/clock';
import { linuxHost } from '@groundplane/agent/system/linux';
import { fail, ok } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { blobs, configMap, desiredOf, osLayer, packLayer } from '../agent/rig.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeInfo } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';

const packs = 29;
const objectsPerKind = 3;
const files = 40;
const warmUp = 50;
const rounds = 200;
/** A settled engine rests for this long or longer; nothing else waits as long then. */
const restMs = 30_000;

/** The clock of the machine, but a settled engine does not rest: its next look comes at once. */
const restlessClock = (isSettled: () => boolean, onRest: () => void): Clock => ({
  ...systemClock,
  after: (ms, run) => {
    if (ms < restMs || !isSettled()) return systemClock.after(ms, run);
    onRest();
    return systemClock.after(0, run);
  },
});

const layers = (root: string) => {
  const service = (name: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  });
  writeFileSync(join(root, 'ip_forward'), '1\n');
  return [
    osLayer('os', Object.fromEntries(Array.from({ length: files }, (_, index) => [`/etc/site/${index}.conf`, `value ${index}\n`.repeat(50)])), {
      ip_forward: '1',
    }),
    ...Array.from({ length: packs }, (_, pack) =>
      packLayer(
        `pack-${pack}`,
        Array.from({ length: objectsPerKind }, (_, index) => `p${pack}-${index}`).flatMap((name) => [
          configMap(name, 'text '.repeat(200)),
          configMap(`${name}-more`, 'text '.repeat(50)),
          service(name),
        ]),
      ),
    ),
  ];
};

/**
 * One look of the agent at a host on which all is as it should be: real files and the real database of the agent, an API server in memory (its watches are what the
 * agent goes by, so a quiet one is not asked).
 */
export const noop = async (): Promise<Record<string, number>> => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-bench-noop-'));
  const root = join(folder, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  const store = openSqliteStore(join(folder, 'agent.db'));
  const cluster = fakeCluster({ clock: systemClock });
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }, { fieldManager: 'bench', force: true });
  const stop = new AbortController();
  let looks = 0;
  const isSettled = (): boolean => engine.status().phase === 'converged';
  let began = process.cpuUsage();
  const costs: number[] = [];
  const clock = restlessClock(isSettled, () => {
    const { user, system } = process.cpuUsage(began);
    looks += 1;
    if (looks > warmUp) costs.push((user + system) / 1000);
    if (costs.length >= rounds) stop.abort();
    began = process.cpuUsage();
  });
  const engine = createEngine({
    store,
    host: linuxHost({ root, sysctlRoot: folder, systemctl: 'systemctl', info: fakeInfo }),
    blobs: fakeBlobs(blobs),
    architecture: 'x64',
    clock,
    outbox: createOutbox(store),
    random: seededRandom('noop'),
    onNews: () => undefined,
    openCluster: () => Promise.resolve(ok(cluster)),
    content: {
      fetch: (digest) => {
        const text = blobs.get(digest);
        return Promise.resolve(text === undefined ? fail('retry', 'content-missing', digest, 'not there') : ok(text));
      },
    },
  });
  try {
    const wanted = layers(folder);
    engine.offer(desiredOf(1, wanted), {}, undefined);
    await engine.run(stop.signal);
    const sorted = costs.toSorted((a, b) => a - b);
    const { phase } = engine.status();
    if (phase !== 'converged') throw new Error(`the host is ${phase}`);
    const round = (value: number): number => Math.round(value * 100) / 100;
    return {
      layers: wanted.length,
      objects: packs * objectsPerKind * 3,
      files,
      looks: costs.length,
      cpuMsMedian: round(sorted[Math.floor(sorted.length / 2)] ?? 0),
      cpuMsMean: round(costs.reduce((sum, each) => sum + each, 0) / Math.max(1, costs.length)),
      cpuMsWorst: round(sorted.at(-1) ?? 0),
    };
  } finally {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  }
};
