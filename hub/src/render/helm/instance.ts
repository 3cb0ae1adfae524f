import { globalPrefix, helmLimits } from './limits.ts';
import { createWasiHost, type WasiHost } from './wasi.ts';

/** A render as bytes, the way it crosses to a worker. */
export interface HelmJob {
  requestJson: string;
  bundle: Uint8Array;
  seed: string;
  nowMs: number;
}

/** What came out: the engine's JSON, or why there is none. */
export type HelmOutcome =
  | { ended: 'answered'; answer: Uint8Array<ArrayBuffer>; usedRandom: boolean }
  | { ended: 'memory' | 'stack' | 'too-large' | 'broken'; detail: string };

interface EngineExports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(size: number): number;
  render(requestAt: number, requestSize: number, chartAt: number, chartSize: number): bigint;
}

/** Go's words for a refused `memory.grow`, and V8's. */
const outOfMemory = /out of memory|cannot allocate memory|could not allocate memory/i;

const put = (engine: EngineExports, data: Uint8Array): number => {
  const at = engine.allocate(data.length) >>> 0;
  new Uint8Array(engine.memory.buffer, at, data.length).set(data);
  return at;
};

const stopped = (host: WasiHost, thrown: unknown): HelmOutcome => {
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  const detail = `${said} ${host.stderr()}`.trim().slice(0, 2_000);
  if (outOfMemory.test(detail)) return { ended: 'memory', detail };
  if (thrown instanceof RangeError && /call stack/i.test(said)) return { ended: 'stack', detail };
  return { ended: 'broken', detail };
};

/** What differs between an instance that was started and one that was only made; chunks of memory, and Go's registers. */
export interface StartedState {
  bytes: number;
  chunks: { at: number; data: Uint8Array }[];
  globals: [name: string, value: number | bigint][];
  monotonicNs: bigint;
}

const chunkBytes = 4_096;

const makeInstance = (module: WebAssembly.Module, host: WasiHost): EngineExports => {
  const engine = new WebAssembly.Instance(module, { wasi_snapshot_preview1: host.imports }).exports as unknown as EngineExports;
  host.attach(engine.memory);
  return engine;
};

const globalsOf = (engine: EngineExports): [string, WebAssembly.Global][] =>
  Object.entries(engine as unknown as Record<string, unknown>).filter((item): item is [string, WebAssembly.Global] => item[0].startsWith(globalPrefix));

/**
 * Starts Go once and keeps what that changed. Starting costs more than rendering a small chart, and it depends on nothing of the job: the clock stands at
 * zero and the random bytes are constant.
 */
export const startEngine = (module: WebAssembly.Module): StartedState => {
  const host = createWasiHost(module, { seed: '', nowMs: 0 });
  const engine = makeInstance(module, host);
  const fresh = new Uint8Array(engine.memory.buffer).slice();
  engine._initialize();
  const memory = new Uint8Array(engine.memory.buffer);
  const chunks: StartedState['chunks'] = [];
  for (let at = 0; at < memory.length; at += chunkBytes) {
    const after = Buffer.from(memory.buffer, at, chunkBytes);
    const isSame = at < fresh.length ? after.equals(fresh.subarray(at, at + chunkBytes)) : after.every((byte) => byte === 0);
    if (isSame) continue;
    const last = chunks.at(-1);
    // Neighbours are one copy.
    if (last !== undefined && last.at + last.data.length === at) last.data = memory.subarray(last.at, at + chunkBytes);
    else chunks.push({ at, data: memory.subarray(at, at + chunkBytes) });
  }
  return {
    bytes: memory.length,
    chunks: chunks.map(({ at, data }) => ({ at, data: data.slice() })),
    globals: globalsOf(engine).map(([name, item]) => [name, item.value as number | bigint]),
    monotonicNs: host.monotonicNs(),
  };
};

/** A new instance that stands where the started one stood. */
const restored = (module: WebAssembly.Module, host: WasiHost, started: StartedState): EngineExports => {
  const engine = makeInstance(module, host);
  const missing = started.bytes - engine.memory.buffer.byteLength;
  if (missing > 0) engine.memory.grow(missing / helmLimits.wasmPageBytes);
  const memory = new Uint8Array(engine.memory.buffer);
  for (const { at, data } of started.chunks) memory.set(data, at);
  const values = new Map(started.globals);
  for (const [name, item] of globalsOf(engine)) item.value = values.get(name);
  return engine;
};

/**
 * Renders in an instance made for this job and dropped after it, so that nothing of one chart reaches the next. Synchronous: runs in a worker.
 * Never throws.
 */
export const renderInInstance = (module: WebAssembly.Module, started: StartedState, job: HelmJob): HelmOutcome => {
  const host = createWasiHost(module, { ...job, monotonicNs: started.monotonicNs });
  try {
    const engine = restored(module, host, started);
    const request = Buffer.from(job.requestJson);
    const requestAt = put(engine, request);
    const bundleAt = put(engine, job.bundle);
    host.beginRender();
    const packed = BigInt.asUintN(64, engine.render(requestAt, request.length, bundleAt, job.bundle.length));
    const size = Number(packed & 0xffff_ffffn);
    if (size > helmLimits.answerBytes) return { ended: 'too-large', detail: `${size} bytes` };
    const answer = new Uint8Array(engine.memory.buffer, Number(packed >> 32n), size).slice();
    return { ended: 'answered', answer, usedRandom: host.usedRandom() };
  } catch (thrown) {
    return stopped(host, thrown);
  }
};
