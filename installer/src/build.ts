import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';

/**
 * `npm run build`: one file each for agent, hub and gp, plus what they load beside them. A bundle starts about ten times quicker than type stripping some hundred
 * files and takes half the memory, which decides at the edge.
 */
const root = join(import.meta.dirname, '..', '..');
const banner = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/** The schema library brings its messages in forty languages, and ours are English: 200 KiB that every agent would hold in memory. */
const englishOnly: Plugin = {
  name: 'english-only',
  setup: (hooks) => {
    hooks.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({ contents: "export { default as en } from './en.js';", loader: 'js' }));
  },
};

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  minify: true,
  keepNames: false,
  legalComments: 'none',
  sourcemap: false,
  logLevel: 'warning',
  banner: { js: banner },
  absWorkingDir: root,
};

const sqliteFolder = (): string => join(root, 'agent/node_modules/better-sqlite3');

/** For whom a bundle is; by default for this machine. */
export interface BuildTarget {
  platform: string;
  arch: string;
  /** What the agent says about itself; by default the version of its source. */
  version?: string;
}
const here: BuildTarget = { platform: process.platform, arch: process.arch };

/** The native module is chosen at build time; its loader's way of finding it does not survive bundling. */
const sqlite = (out: string, target: BuildTarget): BuildOptions => ({
  plugins: [
    englishOnly,
    {
      name: 'sqlite-binary',
      setup: (hooks) => {
        hooks.onResolve({ filter: /^better-sqlite3$/ }, () => ({ path: join(sqliteFolder(), 'lib', `${target.platform}-${target.arch}.js`) }));
        hooks.onResolve({ filter: /\.node$/ }, () => ({ path: './better_sqlite3.node', external: true }));
        hooks.onEnd(() => {
          mkdirSync(out, { recursive: true });
          cpSync(join(sqliteFolder(), 'prebuilds', `${target.platform}-${target.arch}.node`), join(out, 'better_sqlite3.node'));
        });
      },
    },
  ],
});

export const buildAgent = async (out: string, target: BuildTarget = here): Promise<void> => {
  await build({
    ...common,
    ...sqlite(out, target),
    define: target.version === undefined ? {} : { 'process.env.GROUNDPLANE_AGENT_VERSION': JSON.stringify(target.version) },
    entryPoints: { agent: 'agent/src/main.ts', inside: 'agent/src/inside/main.ts', 'first-boot': 'agent/src/first-boot/main.ts' },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    chunkNames: 'agent-[hash]',
    external: ['bufferutil', 'utf-8-validate', 'osx-temperature-sensor'],
  });
  cpSync(join(root, 'installer/agent/node-flags'), join(out, 'node-flags'));
};

/** Charts are rendered by whoever has a renderer: the hub, and gp without one. */
const copyEngine = (out: string): void => {
  for (const file of ['helm-engine.wasm.zst', 'helm-engine.json']) cpSync(join(root, 'hub/helm-engine', file), join(out, file));
};

export const buildHub = async (out: string): Promise<void> => {
  await build({
    ...common,
    ...sqlite(out, here),
    entryPoints: { hub: 'hub/src/main.ts', worker: 'hub/src/render/helm/worker.ts' },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    chunkNames: 'hub-[hash]',
    external: ['bufferutil', 'utf-8-validate', '*/dashboard/build.ts'],
  });
  copyEngine(out);
  const { buildDashboard } = (await import(join(root, 'hub/dashboard/build.ts'))) as { buildDashboard: (out: string) => Promise<unknown> };
  await buildDashboard(join(out, 'dashboard'));
};

export const buildCli = async (out: string): Promise<void> => {
  await build({
    ...common,
    plugins: [englishOnly],
    entryPoints: { gp: 'hub/cli/main.ts', worker: 'hub/src/render/helm/worker.ts' },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    chunkNames: 'gp-[hash]',
    external: ['bufferutil', 'utf-8-validate'],
  });
  copyEngine(out);
};

const describe = (file: string): string => {
  const bytes = readFileSync(file);
  return `${file.slice(root.length + 1)}  ${(statSync(file).size / 1024).toFixed(0)} KiB  sha256:${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
};

/** What `npm run build` makes: all three, each in the `dist` folder of its package. */
export const buildAll = async (): Promise<void> => {
  const out = { agent: join(root, 'agent/dist'), hub: join(root, 'hub/dist'), gp: join(root, 'hub/dist/cli') };
  for (const folder of Object.values(out)) if (existsSync(folder)) rmSync(folder, { recursive: true });
  await buildAgent(out.agent);
  await buildHub(out.hub);
  await buildCli(out.gp);
  for (const folder of Object.values(out)) writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  for (const file of [join(out.agent, 'agent.mjs'), join(out.hub, 'hub.mjs'), join(out.gp, 'gp.mjs')]) process.stdout.write(`${describe(file)}\n`);
};
