import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, type Metafile, type OutputFile } from 'esbuild';
import { manifestFile, manifestSchema, nonceMark, pageFile, type Manifest } from './manifest.ts';
import { slimProtocol } from './slim-protocol.ts';

const here = import.meta.dirname;
const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

export interface DashboardBuild {
  outDir: string;
  manifest: Manifest;
}

export interface DashboardBuildOptions {
  /** `best` for what ships (seconds), `fast` for development (milliseconds). */
  compression?: 'fast' | 'best';
}

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8' };
const typeOf = (path: string): string => types[path.slice(path.lastIndexOf('.'))] ?? 'application/octet-stream';
const webPath = (file: string): string => `/assets/${basename(file)}`;

const bundle = async (): Promise<{ outputFiles: OutputFile[]; metafile: Metafile }> => {
  const result = await build({
    absWorkingDir: here,
    entryPoints: { main: 'src/main.tsx', app: 'src/style/app.css' },
    outdir: '/out/assets',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'silent',
    plugins: [slimProtocol],
  });
  return { outputFiles: result.outputFiles, metafile: result.metafile };
};

/** The entry and every chunk that it imports statically: what the browser needs before anything is drawn. */
const firstChunks = (metafile: Metafile, entry: string): string[] => {
  const seen = new Set<string>();
  const queue = [entry];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    for (const used of metafile.outputs[name]?.imports ?? []) if (used.kind === 'import-statement') queue.push(used.path);
  }
  return [...seen];
};

const findEntry = (metafile: Metafile, entryPoint: string): string => {
  const found = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entryPoint)?.[0];
  if (found === undefined) throw new Error(`the bundle has no output for ${entryPoint}`);
  return found;
};

const page = async (scripts: readonly string[], style: string): Promise<string> => {
  const [entry, ...chunks] = scripts;
  const lines = [
    `<link rel="stylesheet" href="${style}">`,
    ...chunks.map((chunk) => `<link rel="modulepreload" href="${chunk}">`),
    // The nonce is for the style elements that the editor makes; the page reads it back from this element.
    `<script type="module" src="${entry ?? ''}" nonce="${nonceMark}"></script>`,
  ];
  const template = await readFile(join(here, pageFile), 'utf8');
  return template.replace('<!-- assets -->', lines.join('\n    '));
};

const emit = async (folder: string, compression: 'fast' | 'best'): Promise<Manifest> => {
  const { outputFiles, metafile } = await bundle();
  const files: Manifest['files'] = {};
  const hash = createHash('sha256');
  await mkdir(join(folder, 'assets'), { recursive: true });
  for (const file of outputFiles.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const path = webPath(file.path);
    const quality = compression === 'best' ? 11 : 4;
    const [small, smaller] = await Promise.all([
      zip(file.contents, { level: compression === 'best' ? 9 : 6 }),
      brotli(file.contents, { params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: file.contents.length } }),
    ]);
    hash.update(path).update(file.contents);
    files[path] = { type: typeOf(path), bytes: file.contents.length, gzipBytes: small.length, brotliBytes: smaller.length };
    const target = join(folder, path);
    await Promise.all([writeFile(target, file.contents), writeFile(`${target}.gz`, small), writeFile(`${target}.br`, smaller)]);
  }
  const scripts = firstChunks(metafile, findEntry(metafile, 'src/main.tsx')).map(webPath);
  const style = webPath(findEntry(metafile, 'src/style/app.css'));
  const html = await page(scripts, style);
  hash.update(html);
  await writeFile(join(folder, pageFile), html);
  const firstLoadBytes = (await zip(html)).length + [...scripts, style].reduce((sum, path) => sum + (files[path]?.gzipBytes ?? 0), 0);
  return manifestSchema.parse({ schema: 'groundplane.dev/dashboard/1', digest: hash.digest('hex').slice(0, 16), firstLoadBytes, files });
};

/**
 * Builds the page into `outDir`: hashed assets with their compressed forms, `index.html` and `manifest.json`. The folder is replaced as a whole and only when
 * everything is written, so a half-built page is never served. Throws when the sources do not compile.
 */
export const buildDashboard = async (outDir: string, options: DashboardBuildOptions = {}): Promise<DashboardBuild> => {
  await mkdir(dirname(outDir), { recursive: true });
  const folder = await mkdtemp(`${outDir}.new-`);
  try {
    const manifest = await emit(folder, options.compression ?? 'best');
    await writeFile(join(folder, manifestFile), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await rm(outDir, { recursive: true, force: true });
    await rename(folder, outDir);
    return { outDir, manifest };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
};

/** `node hub/dashboard/build.ts [folder]`: the build that ships. */
if (import.meta.main) {
  const { outDir, manifest } = await buildDashboard(process.argv[2] ?? join(here, '..', 'dist', 'dashboard'));
  process.stdout.write(`${outDir}: ${Object.keys(manifest.files).length} files, first load ${(manifest.firstLoadBytes / 1024).toFixed(1)} KiB gzipped\n`);
}
