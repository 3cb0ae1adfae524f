import { Worker } from 'node:worker_threads';
import { fail } from '@groundplane/protocol/failure';
import { collectGarbage } from '../../system/collect.ts';
import { defaultWorkerUrl, loadHelmEngine, type HelmEngine } from './engine.ts';
import type { HelmJob, HelmOutcome } from './instance.ts';
import { helmLimits } from './limits.ts';
import { elementOf, guessChartName, readOutcome } from './outcome.ts';
import { encodeHelmRequest } from './request.ts';
import type { HelmRenderer, HelmRequest, HelmResult, HelmTimer } from './types.ts';

export interface HelmPoolOptions {
  /** Renders at a time. Each worker in use costs one core and up to `memoryMaxBytes`. */
  workers: number;
  /** A render that takes longer is stopped with its worker. */
  timeoutMs: number;
  /** Workers and engine are dropped after this long without work. */
  idleMs: number;
  /** Bound of one render's memory, for chart, values and output together. */
  memoryMaxBytes: number;
  /** Renders that may wait. */
  queueMax?: number;
  clock: HelmTimer;
  /** Where worker.ts (or its bundle) and the artefact lie; the defaults are beside this file. */
  workerUrl?: URL;
  artefactUrl?: URL;
}

export interface HelmPool extends HelmRenderer {
  stats(): { workers: number; busy: number; waiting: number; loaded: boolean };
}

interface Task {
  request: HelmRequest;
  job: HelmJob;
  settle(result: HelmResult): void;
}

interface Slot {
  worker: Worker;
  /** The running task and the cancel function of its deadline. */
  running: { task: Task; cancel: () => void } | undefined;
}

/** V8's own heap of a worker is small; the chart lives in WebAssembly memory. Helm allows templates 1000 levels deep, which needs stack. */
const resourceLimits = { maxOldGenerationSizeMb: 256, stackSizeMb: 32 };

interface State {
  options: HelmPoolOptions;
  workersMax: number;
  memoryMaxBytes: number;
  queue: Task[];
  slots: Set<Slot>;
  engine: { state: 'none' } | { state: 'loading' } | { state: 'loaded'; engine: HelmEngine };
  cancelIdle: () => void;
  closed: boolean;
}

const busySlots = (pool: State): Slot[] => [...pool.slots].filter((slot) => slot.running !== undefined);
const isIdle = (pool: State): boolean => pool.queue.length === 0 && busySlots(pool).length === 0;

const discard = async (pool: State, slot: Slot): Promise<void> => {
  pool.slots.delete(slot);
  slot.worker.removeAllListeners();
  // A terminating worker may still report an error; nobody is interested any more.
  slot.worker.on('error', () => {});
  await slot.worker.terminate();
};

const release = async (pool: State): Promise<void> => {
  if (!isIdle(pool)) return;
  if (pool.engine.state === 'loaded') pool.engine = { state: 'none' };
  await Promise.all([...pool.slots].map(async (slot) => await discard(pool, slot)));
  if (pool.engine.state === 'none') collectGarbage();
};

const armIdle = (pool: State): void => {
  pool.cancelIdle();
  if (!pool.closed && isIdle(pool)) pool.cancelIdle = pool.options.clock.after(pool.options.idleMs, () => void release(pool));
};

/** Ends the slot's task, with the worker kept or killed. */
const finish = (pool: State, slot: Slot, kill: boolean, result: (request: HelmRequest) => HelmResult): void => {
  const { running } = slot;
  slot.running = undefined;
  running?.cancel();
  if (kill) void discard(pool, slot);
  else slot.worker.unref();
  if (running !== undefined) running.task.settle(result(running.task.request));
  pump(pool);
};

const timeoutFailure = (request: HelmRequest, timeoutMs: number): HelmResult => {
  const chart = guessChartName(request);
  const at = chart === undefined ? {} : { chart };
  const message = `Rendering took longer than ${timeoutMs} ms and was stopped. Look for a template that repeats without end, or raise the limit.`;
  const { failure } = fail('fatal', 'render-timeout', elementOf(request, at), message);
  return { ok: false, failure: { ...failure, at } };
};

const crashFailure = (request: HelmRequest, why: string): HelmResult =>
  fail('fatal', 'render-crashed', elementOf(request), `The worker rendering this chart ended (${why}) and is replaced. Report this with the chart.`);

const startWorker = (pool: State, engine: HelmEngine): Slot => {
  const workerUrl = pool.options.workerUrl ?? defaultWorkerUrl;
  const worker = new Worker(workerUrl, { workerData: { module: engine.module }, resourceLimits, env: {}, execArgv: [] });
  const slot: Slot = { worker, running: undefined };
  worker.on('message', (outcome: HelmOutcome) => finish(pool, slot, outcome.ended !== 'answered', (request) => readOutcome(request, outcome, engine.identity)));
  worker.on('error', (cause) => finish(pool, slot, true, (request) => crashFailure(request, cause instanceof Error ? cause.message : String(cause))));
  worker.on('exit', (code) => finish(pool, slot, true, (request) => crashFailure(request, `exit code ${code}`)));
  pool.slots.add(slot);
  return slot;
};

const assign = (pool: State, slot: Slot, task: Task): void => {
  const { clock, timeoutMs } = pool.options;
  const cancel = clock.after(timeoutMs, () => finish(pool, slot, true, (request) => timeoutFailure(request, timeoutMs)));
  slot.running = { task, cancel };
  slot.worker.ref();
  slot.worker.postMessage(task.job);
};

const load = async (pool: State): Promise<void> => {
  pool.engine = { state: 'loading' };
  const loaded = await loadHelmEngine({ artefactUrl: pool.options.artefactUrl, memoryMaxBytes: pool.memoryMaxBytes });
  pool.engine = loaded.ok && !pool.closed ? { state: 'loaded', engine: loaded.value } : { state: 'none' };
  if (!loaded.ok) for (const task of pool.queue.splice(0)) task.settle(loaded);
  pump(pool);
};

/** Hands waiting tasks to free workers, starting what is missing; called whenever either side changes. */
const pump = (pool: State): void => {
  if (pool.engine.state === 'none' && pool.queue.length > 0 && !pool.closed) void load(pool);
  while (pool.engine.state === 'loaded' && pool.queue.length > 0) {
    const free =
      [...pool.slots].find((slot) => slot.running === undefined) ?? (pool.slots.size < pool.workersMax ? startWorker(pool, pool.engine.engine) : undefined);
    if (free === undefined) break;
    const task = pool.queue.shift();
    if (task !== undefined) assign(pool, free, task);
  }
  armIdle(pool);
};

const close = async (pool: State): Promise<void> => {
  const closing = (request: HelmRequest): HelmResult =>
    fail('blocked', 'render-closed', elementOf(request), 'The renderer was closed, because the hub is stopping, before this render ended.');
  pool.closed = true;
  pool.cancelIdle();
  for (const { request, settle } of pool.queue.splice(0)) settle(closing(request));
  await Promise.all(
    [...pool.slots].map(async (slot) => {
      const { running } = slot;
      slot.running = undefined;
      running?.cancel();
      running?.task.settle(closing(running.task.request));
      await discard(pool, slot);
    }),
  );
  if (pool.engine.state === 'loaded') pool.engine = { state: 'none' };
};

/**
 * A Helm renderer on worker threads. Nothing runs until the first render; everything is released after `idleMs` without one.
 * A worker that ran too long, out of memory or into a fault is killed and replaced, so one chart cannot spoil the next.
 */
export const createHelmPool = (options: HelmPoolOptions): HelmPool => {
  const queueMax = Math.min(options.queueMax ?? helmLimits.queue, helmLimits.queue);
  const pool: State = {
    options,
    workersMax: Math.min(Math.max(1, options.workers), helmLimits.workers),
    memoryMaxBytes: Math.min(Math.max(options.memoryMaxBytes, helmLimits.memoryMinBytes), helmLimits.memoryMaxBytes),
    queue: [],
    slots: new Set(),
    engine: { state: 'none' },
    cancelIdle: () => {},
    closed: false,
  };
  return {
    render: async (request) => {
      const element = elementOf(request);
      if (pool.closed) return fail('blocked', 'render-closed', element, 'The renderer is closed, because the hub is stopping.');
      if (pool.queue.length >= queueMax) return fail('retry', 'render-queue-full', element, `${queueMax} renders are waiting already; try again later.`);
      const job = encodeHelmRequest(request, pool.memoryMaxBytes);
      if (!job.ok) return job;
      const { promise, resolve } = Promise.withResolvers<HelmResult>();
      pool.queue.push({ request, job: job.value, settle: resolve });
      pump(pool);
      return await promise;
    },
    close: async () => await close(pool),
    stats: () => ({
      workers: pool.slots.size,
      busy: busySlots(pool).length,
      waiting: pool.queue.length,
      loaded: pool.engine.state === 'loaded',
    }),
  };
};
