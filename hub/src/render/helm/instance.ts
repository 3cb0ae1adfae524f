import { helmLimits } from './limits.ts';
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

/**
 * Renders in an instance made for this job and dropped after it, so that nothing of one chart reaches the next. Synchronous: runs in a worker.
 * Never throws.
 */
export const renderInInstance = (module: WebAssembly.Module, job: HelmJob): HelmOutcome => {
  const host = createWasiHost(module, job);
  try {
    const engine = new WebAssembly.Instance(module, { wasi_snapshot_preview1: host.imports }).exports as unknown as EngineExports;
    host.attach(engine.memory);
    engine._initialize();
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
