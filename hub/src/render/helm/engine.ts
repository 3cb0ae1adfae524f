import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { z } from 'zod';
import { globalPrefix, helmLimits } from './limits.ts';
import type { HelmEngineIdentity } from './types.ts';

const inflate = promisify(zstdDecompress);

/** In a bundle everything lies beside it; in the sources the artefact is in a folder of its own. */
const isBundle = !import.meta.url.endsWith('.ts');
export const defaultArtefactUrl = new URL(isBundle ? './helm-engine.wasm.zst' : '../../../helm-engine/helm-engine.wasm.zst', import.meta.url);
export const defaultWorkerUrl = new URL(isBundle ? './worker.mjs' : './worker.ts', import.meta.url);

const provenanceSchema = z.object({
  engine: z.string(),
  wasm: z.object({
    bytes: z
      .int()
      .positive()
      .max(256 * 1024 * 1024),
    sha256: z.string().length(64),
  }),
});

export interface HelmEngine {
  module: WebAssembly.Module;
  identity: HelmEngineIdentity;
}

/** LEB128 of an unsigned number, as WebAssembly writes sizes. */
const leb = (value: number): number[] => {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return bytes;
};

const readLeb = (wasm: Uint8Array, from: number): { value: number; next: number } => {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = wasm[from + index] ?? 0;
    value += (byte & 127) * 2 ** (7 * index);
    if (byte < 128) return { value, next: from + index + 1 };
  }
  throw new RangeError('a WebAssembly size is longer than five bytes');
};

/**
 * Writes a maximum into the module's memory section. Then `memory.grow` itself refuses, and a chart that wants too much ends with Go's
 * "out of memory" instead of taking the machine's. (Worker resource limits do not count WebAssembly memory.) The module must declare one memory.
 */
export const capMemory = (wasm: Uint8Array, memoryMaxBytes: number): Uint8Array<ArrayBuffer> => {
  const memorySection = 5;
  for (let at = 8; at < wasm.length;) {
    const { value: size, next: start } = readLeb(wasm, at + 1);
    if (wasm[at] === memorySection) {
      const pagesMin = readLeb(wasm, start + 2).value;
      const pagesMax = Math.max(pagesMin, Math.floor(memoryMaxBytes / helmLimits.wasmPageBytes));
      const payload = [1, 1, ...leb(pagesMin), ...leb(pagesMax)];
      const section = Uint8Array.from([memorySection, ...leb(payload.length), ...payload]);
      const capped = new Uint8Array(wasm.length - (start + size - at) + section.length);
      capped.set(wasm.subarray(0, at));
      capped.set(section, at);
      capped.set(wasm.subarray(start + size), at + section.length);
      return capped;
    }
    at = start + size;
  }
  throw new RangeError('the WebAssembly module has no memory section');
};

interface Section {
  id: number;
  at: number;
  start: number;
  end: number;
}

const sectionsOf = (wasm: Uint8Array): Section[] => {
  const sections: Section[] = [];
  for (let at = 8; at < wasm.length;) {
    const { value: size, next: start } = readLeb(wasm, at + 1);
    sections.push({ id: wasm[at] ?? 0, at, start, end: start + size });
    at = start + size;
  }
  return sections;
};

/**
 * Exports the module's own globals (Go's stack pointer and registers) as `global0`, `global1`, …, so that a started instance can be copied: its state is its
 * memory and these. The module imports none, which is checked by WebAssembly itself: a wrong index does not compile.
 */
export const exportGlobals = (wasm: Uint8Array): Uint8Array<ArrayBuffer> => {
  const sections = sectionsOf(wasm);
  const globals = sections.find((section) => section.id === 6);
  const exports = sections.find((section) => section.id === 7);
  if (globals === undefined || exports === undefined) throw new RangeError('the WebAssembly module has no globals or no exports');
  const count = readLeb(wasm, globals.start).value;
  const had = readLeb(wasm, exports.start);
  const added = Array.from({ length: count }, (_, index) => {
    const name = Buffer.from(`${globalPrefix}${index}`);
    return [...leb(name.length), ...name, 3, ...leb(index)];
  }).flat();
  const payload = [...leb(had.value + count), ...wasm.subarray(had.next, exports.end), ...added];
  const section = Uint8Array.from([7, ...leb(payload.length), ...payload]);
  return new Uint8Array(Buffer.concat([wasm.subarray(0, exports.at), section, wasm.subarray(exports.end)]));
};

/** Who the engine is, from the provenance beside the artefact (`helm-engine.json`), without loading it. */
export const readHelmEngineIdentity = async (artefactUrl: URL = defaultArtefactUrl): Promise<Result<HelmEngineIdentity & { bytes: number }>> => {
  try {
    const provenance = provenanceSchema.parse(JSON.parse(await readFile(new URL('helm-engine.json', artefactUrl), 'utf8')));
    return ok({ version: provenance.engine, digest: provenance.wasm.sha256, bytes: provenance.wasm.bytes });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `helm-engine.json beside ${artefactUrl.pathname} cannot be read: ${why}. Reinstall the hub.`;
    return fail('blocked', 'render-engine-missing', 'Helm engine', message);
  }
};

/** Reads, checks and compiles the engine once. About a second of CPU; V8 compiles most functions only when they are called. */
export const loadHelmEngine = async (options: { artefactUrl?: URL | undefined; memoryMaxBytes: number }): Promise<Result<HelmEngine>> => {
  const artefactUrl = options.artefactUrl ?? defaultArtefactUrl;
  const identity = await readHelmEngineIdentity(artefactUrl);
  if (!identity.ok) return identity;
  const { version, digest, bytes } = identity.value;
  try {
    const wasm = await inflate(await readFile(artefactUrl), { maxOutputLength: bytes });
    const found = createHash('sha256').update(wasm).digest('hex');
    if (found !== digest) {
      const message = `${artefactUrl.pathname} has SHA-256 ${found}, expected ${digest}. Reinstall the hub.`;
      return fail('blocked', 'render-engine-damaged', 'Helm engine', message);
    }
    return ok({ module: await WebAssembly.compile(exportGlobals(capMemory(wasm, options.memoryMaxBytes))), identity: { version, digest } });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return fail('blocked', 'render-engine-damaged', 'Helm engine', `${artefactUrl.pathname} cannot be loaded: ${why}. Reinstall the hub.`);
  }
};
