import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { defaultArtefactUrl } from '@groundplane/hub/render/helm/engine';
import type { createHelmPool } from '@groundplane/hub/render/helm/pool';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { reader, requestFor } from './helm-charts.ts';

test('bundled into one file, with worker and engine beside it, it renders', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'helm-bundle-'));
  try {
    const source = fileURLToPath(new URL('../../hub/src/render/helm/', import.meta.url));
    await build({
      entryPoints: [path.join(source, 'index.ts'), path.join(source, 'worker.ts')],
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node26',
      logLevel: 'silent',
    });
    for (const name of ['helm-engine.wasm.zst', 'helm-engine.json']) await copyFile(new URL(name, defaultArtefactUrl), path.join(folder, name));
    const here = (name: string): URL => pathToFileURL(path.join(folder, name));
    const bundle = (await import(/* @vite-ignore */ here('index.mjs').href)) as { createHelmPool: typeof createHelmPool };
    const clock = {
      after: (delayMs: number, callback: () => void) => {
        const abort = new AbortController();
        void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
        return () => abort.abort();
      },
    };
    const pool = bundle.createHelmPool({
      workers: 1,
      timeoutMs: 60_000,
      idleMs: 60_000,
      memoryMaxBytes: 256 * 2 ** 20,
      clock,
    });
    const result = await pool.render(requestFor(reader));
    await pool.close();
    expect(result).toMatchObject({ ok: true, value: { chart: { name: 'reader' } } });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);
