import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildAgent } from '@groundplane/installer/build';
import { percentile, readProcess } from './measure.ts';
import { startRig, type Rig } from './rig.ts';

/** Figures of one benchmark; those that apply. */
type Figures = Record<string, number | string>;

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

const bringUp = async (rig: Rig, hosts: number): Promise<{ onlineMs: number; readyMs: number }> => {
  const began = performance.now();
  await rig.startFleet(hosts);
  await rig.waitOnline(hosts, 300_000);
  const onlineMs = performance.now() - began;
  await rig.createClusters(hosts);
  await rig.waitReady(hosts, 600_000);
  await delay(2_000);
  return { onlineMs, readyMs: performance.now() - began };
};

/** From first contact to first desired state applied and reported; the API calls that create one cluster a host are part of it. */
const enrol = async (rig: Rig, hosts: number): Promise<Figures> => {
  const before = readProcess(rig.hubPid);
  const { onlineMs, readyMs } = await bringUp(rig, hosts);
  const after = readProcess(rig.hubPid);
  const fleet = await rig.fleet();
  return {
    ratePerSecond: round(hosts / (readyMs / 1000)),
    enrolledPerSecond: round(hosts / (onlineMs / 1000)),
    hubCpuMicrosPerHost: round((after.cpuMicros - before.cpuMicros) / hosts),
    hubRssBytes: after.rssBytes,
    hubRssBytesPerHost: round((after.rssBytes - before.rssBytes) / hosts, 0),
    bytesPerHost: round((fleet.bytesReceived + fleet.bytesSent) / hosts, 0),
  };
};

/** One value changes for everybody: until applied, and until the hub has confirmed the report as durable. */
const change = async (rig: Rig, hosts: number): Promise<Figures> => {
  const idle = readProcess(rig.hubPid);
  await bringUp(rig, hosts);
  const runs: { cpu: number; p50: number; p99: number; bytes: number; seconds: number }[] = [];
  for (let run = 1; run <= 5; run += 1) {
    const bytesBefore = await rig.fleet();
    const before = readProcess(rig.hubPid);
    const began = performance.timeOrigin + performance.now();
    await rig.setValue(`value ${run}`);
    await delay(300);
    await rig.waitReady(hosts, 120_000);
    await delay(1_500);
    const after = readProcess(rig.hubPid);
    const fleet = await rig.fleet();
    const latencies = fleet.ackedAtMs.map((atMs) => atMs - began).filter((ms) => ms > 0);
    if (latencies.length < hosts) throw new Error(`only ${latencies.length} of ${hosts} hosts had their report confirmed`);
    runs.push({
      cpu: (after.cpuMicros - before.cpuMicros) / hosts,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      bytes: (fleet.bytesReceived + fleet.bytesSent - bytesBefore.bytesReceived - bytesBefore.bytesSent) / hosts,
      seconds: Math.max(...latencies) / 1000,
    });
  }
  const median = (pick: (run: (typeof runs)[number]) => number): number => percentile(runs.map(pick), 0.5);
  const memory = readProcess(rig.hubPid);
  return {
    hubCpuMicrosPerHost: round(median((run) => run.cpu)),
    hubCpuMicrosPerHostMin: round(Math.min(...runs.map((run) => run.cpu))),
    hubCpuMicrosPerHostMax: round(Math.max(...runs.map((run) => run.cpu))),
    p50Ms: round(
      median((run) => run.p50),
      0,
    ),
    p99Ms: round(
      median((run) => run.p99),
      0,
    ),
    bytesPerHost: round(
      median((run) => run.bytes),
      0,
    ),
    ratePerSecond: round(hosts / median((run) => run.seconds), 0),
    hubRssBytes: memory.rssBytes,
    hubRssBytesPerHost: round((memory.rssBytes - idle.rssBytes) / hosts, 0),
  };
};

const idleSeconds = 120;

const idle = async (rig: Rig, hosts: number): Promise<Figures> => {
  const start = readProcess(rig.hubPid);
  await bringUp(rig, hosts);
  const bytesBefore = await rig.fleet();
  const before = readProcess(rig.hubPid);
  await delay(idleSeconds * 1_000);
  const after = readProcess(rig.hubPid);
  const fleet = await rig.fleet();
  const perDay = 86_400 / idleSeconds;
  return {
    seconds: idleSeconds,
    hubCpuMicrosPerHost: round((after.cpuMicros - before.cpuMicros) / hosts),
    hubCpuSecondsPerHostAndDay: round(((after.cpuMicros - before.cpuMicros) / hosts / 1e6) * perDay, 3),
    bytesPerHost: round((fleet.bytesReceived + fleet.bytesSent - bytesBefore.bytesReceived - bytesBefore.bytesSent) / hosts, 0),
    bytesPerHostAndDay: round(((fleet.bytesReceived + fleet.bytesSent - bytesBefore.bytesReceived - bytesBefore.bytesSent) / hosts) * perDay, 0),
    hubRssBytes: after.rssBytes,
    hubRssBytesPerHost: round((after.rssBytes - start.rssBytes) / hosts, 0),
  };
};

const agentIdleSeconds = 300;

/** The shipped agent bundle alone: its memory when connected and quiet, and the CPU its start costs. */
const agent = async (rig: Rig): Promise<Figures> => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-bench-agent-'));
  await buildAgent(join(folder, 'dist'));
  const ticket = await rig.client.call('createTicket', { params: { project: 'bench' }, body: { name: 'one', autoApprove: true } });
  if (!ticket.ok) throw new Error(ticket.failure.message);
  const args = [
    ...readFileSync(join(folder, 'dist', 'node-flags'), 'utf8')
      .trim()
      .split(' '),
    join(folder, 'dist', 'agent.mjs'),
    '--data',
    join(folder, 'data'),
    '--root',
    join(folder, 'root'),
    '--local-port',
    '0',
    '--name',
    'sim-00000',
    '--ticket',
    ticket.value.ticket,
  ];
  // As its unit says.
  const memory = { MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...memory } });
  try {
    await rig.waitOnline(1, 30_000);
    await delay(3_000);
    const started = readProcess(child.pid ?? 0);
    await delay(60_000);
    const firstMinute = readProcess(child.pid ?? 0);
    await delay(agentIdleSeconds * 1_000);
    const quiet = readProcess(child.pid ?? 0);
    return {
      agentRssBytes: quiet.rssBytes,
      agentPrivateBytes: quiet.privateBytes,
      startCpuMs: round(started.cpuMicros / 1000, 0),
      // What is compiled late and collected first belongs to the start; a day has one of it.
      firstMinuteCpuMs: round((firstMinute.cpuMicros - started.cpuMicros) / 1000, 0),
      idleSeconds: agentIdleSeconds,
      cpuSecondsPerDayIdle: round(((quiet.cpuMicros - firstMinute.cpuMicros) / 1e6) * (86_400 / agentIdleSeconds), 0),
    };
  } finally {
    const exited = Promise.withResolvers<void>();
    child.on('exit', () => exited.resolve());
    child.kill('SIGTERM');
    await exited.promise;
    rmSync(folder, { recursive: true, force: true });
  }
};

const benchmarks = { enrol, change, idle, agent } as const;
/** Benchmarks that need no hub and no fleet. */
const alone: Readonly<Record<string, () => Promise<readonly Figures[]>>> = {
  render: async () => [await (await import('./render.ts')).render()],
  clouds: async () => [await (await import('./clouds.ts')).clouds(200, 1_000)],
  noop: async () => [await (await import('./noop.ts')).noop()],
  resolve: async () => [await (await import('./resolve.ts')).resolve()],
  delta: async () => [
    ...(await (await import('./delta.ts')).deltaFigures()).map((figures) => ({ ...figures })),
    ...(await (await import('./chunks.ts')).chunkFigures()).map((figures) => ({ ...figures })),
  ],
};

const isFleetBenchmark = (name: string): name is keyof typeof benchmarks => Object.hasOwn(benchmarks, name);

const show = (figures: Figures, isJson: boolean): void => {
  if (!isJson) for (const [key, value] of Object.entries(figures)) process.stdout.write(`${key.padEnd(28)} ${value}\n`);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
};

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { hosts: { type: 'string', default: '1000' }, json: { type: 'boolean', default: false } },
  });
  const name = positionals[0] ?? '';
  if (Object.hasOwn(alone, name)) {
    for (const figures of (await alone[name]?.()) ?? []) show({ name, ...figures }, values.json);
    process.exit(0);
  }
  if (!isFleetBenchmark(name)) {
    process.stderr.write(`npm run bench -- ${[...Object.keys(benchmarks), ...Object.keys(alone)].join('|')} [--hosts N] [--json]\n`);
    process.exit(2);
  }
  const hosts = name === 'agent' ? 1 : Number(values.hosts);
  const rig = await startRig();
  try {
    show({ name, hosts, ...(await benchmarks[name](rig, hosts)) }, values.json);
  } finally {
    await rig.stop();
  }
  process.exit(0);
};

await main();
