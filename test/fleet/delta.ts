import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { applyPatch, makePatch } from '@groundplane/hub/content/delta';
import { digestBytes } from '@groundplane/protocol/digest';

interface DeltaFigures {
  change: string;
  wholeBytes: number;
  /** The new blob alone, compressed by zstd at its default level. */
  compressedBytes: number;
  patchBytes: number;
  makeMs: number;
  applyMs: number;
  /** Bytes of `zstd -19 --patch-from`, and ours divided by them; absent without the command. */
  zstdBytes?: number;
  ratio?: number;
}

/** The same numbers at each run. */
export const dice = (): ((max: number) => number) => {
  let state = 12_345;
  return (max) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % max;
  };
};

/** A linker's work: code moves by some bytes here and there, and every address behind it changes. */
const relinked = (old: Buffer): Buffer => {
  const roll = dice();
  const parts: Buffer[] = [];
  for (let at = 0; at < old.length;) {
    const length = 2_000 + roll(8_000);
    const part = Buffer.from(old.subarray(at, at + length));
    for (let index = 0; index < part.length - 4; index += 150 + roll(300)) part.writeUInt32LE((part.readUInt32LE(index) + 64) >>> 0, index);
    parts.push(part);
    if (roll(4) === 0) parts.push(Buffer.from(Array.from({ length: roll(64) }, () => roll(256))));
    at += length;
  }
  return Buffer.concat(parts);
};

const settings = (version: string, count: number): Buffer =>
  Buffer.from(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', labels: { 'app.kubernetes.io/version': version } },
      data: Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, digestBytes(`value ${index}`)])),
    }),
  );

/** All objects of a layer as one text. */
const layer = (version: string): Buffer => Buffer.concat(Array.from({ length: 40 }, (_, index) => settings(index % 8 === 0 ? version : '1.0.0', 60 + index)));

const chart = (version: string): Buffer => {
  const roll = dice();
  const lines = Array.from({ length: 20_000 }, (_, index) => `{{- if .Values.part${index % 700} }} ${digestBytes(String(index)).slice(7, 60)} {{ end }}`);
  if (version !== '1.0.0') for (let turn = 0; turn < 400; turn += 1) lines[roll(lines.length)] = `changed in ${version} ${roll(1_000_000)}`;
  return Buffer.from(lines.join('\n'));
};

/** A real executable that every checkout has: the bundler's. */
const binary = (): Buffer => {
  const file =
    execFileSync('find', [join(import.meta.dirname, '../../node_modules/.pnpm'), '-path', '*@esbuild*/bin/esbuild', '-size', '+9M'], {
      encoding: 'utf8',
    }).split('\n')[0] ?? '';
  return readFileSync(file).subarray(0, 10 * 1024 * 1024);
};

/** What `zstd --patch-from` makes of it at a level; undefined without the command. */
export const zstdBytes = (from: Buffer, to: Buffer, options: readonly string[] = ['-19', '--long=27']): number | undefined => {
  if (!['/usr/bin/zstd', '/usr/local/bin/zstd', '/bin/zstd'].some((path) => existsSync(path))) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'gp-delta-'));
  try {
    for (const [name, bytes] of [
      ['old', from],
      ['new', to],
    ] as const)
      writeFileSync(join(folder, name), bytes);
    execFileSync('zstd', [...options, '-q', `--patch-from=${join(folder, 'old')}`, join(folder, 'new'), '-o', join(folder, 'patch')], {
      stdio: 'ignore',
    });
    return statSync(join(folder, 'patch')).size;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const measure = async (change: string, from: Buffer, to: Buffer): Promise<DeltaFigures> => {
  const began = performance.now();
  const patch = await makePatch(from, to);
  if (!patch.ok) throw new Error(patch.failure.message);
  const made = performance.now();
  const back = await applyPatch(from, patch.value, digestBytes(to), to.length);
  if (!back.ok) throw new Error(back.failure.message);
  const applied = performance.now();
  const theirs = zstdBytes(from, to);
  return {
    change,
    wholeBytes: to.length,
    compressedBytes: zstdCompressSync(to).length,
    patchBytes: patch.value.length,
    makeMs: Math.round(made - began),
    applyMs: Math.round(applied - made),
    ...(theirs === undefined ? {} : { zstdBytes: theirs, ratio: Number((patch.value.length / theirs).toFixed(3)) }),
  };
};

/** Bytes that travel for usual changes, against `zstd -19 --patch-from` when the command is there. */
export const deltaFigures = async (): Promise<DeltaFigures[]> => {
  const old = binary();
  return [
    await measure('one value', settings('1.0.0', 200), settings('1.0.1', 200)),
    await measure('one layer', layer('1.0.0'), layer('1.1.0')),
    await measure('one chart version', chart('1.0.0'), chart('1.1.0')),
    await measure('one 10 MB binary', old, relinked(old)),
  ];
};
