import { createHmac } from 'node:crypto';
import { helmLimits } from './limits.ts';

/** Error numbers of WASI preview 1. */
const errno = { success: 0, badFileDescriptor: 8, notSupported: 58 } as const;
const programName = Buffer.from('helm\0');
const monotonicStepNs = 1_000n;
const pollEventsMax = 64;

/** What the module asked of its host, and how it ended. */
export interface WasiHost {
  imports: WebAssembly.ModuleImports;
  attach(memory: WebAssembly.Memory): void;
  /** From here on random bytes belong to the chart: they come from the seed, and asking for them is noted. */
  beginRender(): void;
  usedRandom(): boolean;
  /** Set when the program ended itself, which a reactor only does when it is broken or out of memory. */
  exitCode(): number | undefined;
  stderr(): string;
  /** What the counting clock says. */
  monotonicNs(): bigint;
}

/** An endless byte sequence that depends on the key only: HMAC-SHA-256 over a counter. */
const keyedBytes = (key: string): ((target: Uint8Array) => void) => {
  let counter = 0;
  return (target) => {
    for (let at = 0; at < target.length; at += 32) {
      const block = createHmac('sha256', key).update(String(counter)).digest();
      counter += 1;
      target.set(block.subarray(0, Math.min(32, target.length - at)), at);
    }
  };
};

type Syscall = (...args: never[]) => number;

interface Process {
  view(): DataView;
  bytes(at: number, size: number): Uint8Array;
  random(target: Uint8Array): void;
  write(chunk: Uint8Array): void;
  exit(code: number): never;
  nowNs: bigint;
  monotonicNs: bigint;
}

/**
 * The monotonic clock counts calls, so that Go's scheduler takes the same turns in every run; a wait ends at once and moves it forward.
 * There are no files: `fd_prestat_get` says so, and everything else is "not supported".
 */
const syscalls = (self: Process): Record<string, Syscall> => {
  const empty = (count: number, size: number): number => {
    self.view().setUint32(count, 0, true);
    self.view().setUint32(size, 0, true);
    return errno.success;
  };
  return {
    args_sizes_get: (count: number, size: number) => {
      self.view().setUint32(count, 1, true);
      self.view().setUint32(size, programName.length, true);
      return errno.success;
    },
    args_get: (pointers: number, text: number) => {
      self.view().setUint32(pointers, text, true);
      self.bytes(text, programName.length).set(programName);
      return errno.success;
    },
    environ_sizes_get: empty,
    environ_get: () => errno.success,
    clock_time_get: (id: number, _precision: bigint, out: number) => {
      self.monotonicNs += monotonicStepNs;
      self.view().setBigUint64(out, id === 0 ? self.nowNs : self.monotonicNs, true);
      return errno.success;
    },
    random_get: (at: number, size: number) => {
      self.random(self.bytes(at, size));
      return errno.success;
    },
    fd_write: (_descriptor: number, vectors: number, count: number, written: number) => {
      let total = 0;
      for (let index = 0; index < count; index += 1) {
        const at = self.view().getUint32(vectors + 8 * index, true);
        const size = self.view().getUint32(vectors + 8 * index + 4, true);
        self.write(self.bytes(at, size));
        total += size;
      }
      self.view().setUint32(written, total, true);
      return errno.success;
    },
    fd_prestat_get: () => errno.badFileDescriptor,
    poll_oneoff: (subscriptions: number, events: number, count: number, happened: number) => {
      const view = self.view();
      if (count > pollEventsMax) return errno.notSupported;
      for (let index = 0; index < count; index += 1) {
        const from = subscriptions + 48 * index;
        const isClock = view.getUint8(from + 8) === 0;
        if (isClock && (view.getUint16(from + 40, true) & 1) === 0) self.monotonicNs += view.getBigUint64(from + 24, true);
        view.setBigUint64(events + 32 * index, view.getBigUint64(from, true), true);
        view.setUint16(events + 32 * index + 8, errno.success, true);
        view.setUint8(events + 32 * index + 10, view.getUint8(from + 8));
      }
      view.setUint32(happened, count, true);
      return errno.success;
    },
    sched_yield: () => errno.success,
    proc_exit: (code: number) => self.exit(code),
  };
};

/**
 * A host for one instance of a WASI preview 1 reactor: one argument, a fixed clock, bytes from the seed, and nothing else: no files, no network,
 * no environment. What the module writes to any descriptor is kept up to a bound.
 * Go seeds its own generator (order of maps, hashes) when it starts; that seed is a constant, or equal charts would differ by cluster.
 */
export const createWasiHost = (module: WebAssembly.Module, options: { seed: string; nowMs: number; monotonicNs?: bigint }): WasiHost => {
  let memory: WebAssembly.Memory | undefined;
  let rendering = false;
  let usedRandom = false;
  let exitCode: number | undefined;
  let stderr = '';
  const startBytes = keyedBytes('groundplane helm engine start');
  const chartBytes = keyedBytes(options.seed);
  const buffer = (): ArrayBuffer => {
    if (memory === undefined) throw new Error('the module called its host before it had a memory');
    return memory.buffer;
  };
  const process: Process = {
    view: () => new DataView(buffer()),
    bytes: (at, size) => new Uint8Array(buffer(), at >>> 0, size >>> 0),
    random: (target) => {
      usedRandom ||= rendering;
      (rendering ? chartBytes : startBytes)(target);
    },
    write: (chunk) => {
      if (stderr.length < helmLimits.stderrBytes)
        stderr += Buffer.from(chunk)
          .toString('utf8')
          .slice(0, helmLimits.stderrBytes - stderr.length);
    },
    exit: (code) => {
      exitCode = code;
      throw new Error(`the engine ended itself with code ${code}`);
    },
    nowNs: BigInt(Math.trunc(options.nowMs)) * 1_000_000n,
    monotonicNs: options.monotonicNs ?? 1n,
  };
  const calls = syscalls(process);
  const imports: WebAssembly.ModuleImports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === 'wasi_snapshot_preview1') imports[name] = calls[name] ?? ((): number => errno.notSupported);
  }
  return {
    imports,
    attach: (attached) => {
      memory = attached;
    },
    beginRender: () => {
      rendering = true;
    },
    usedRandom: () => usedRandom,
    exitCode: () => exitCode,
    stderr: () => stderr,
    monotonicNs: () => process.monotonicNs,
  };
};
