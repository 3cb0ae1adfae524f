#!/usr/bin/env node
// Sets the workspace up on a machine that has only git, Node >= 20 and npm, then hands over to the pinned Node. Plain JavaScript, since any Node must read it.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const scripts = {
  start: ['test/lab/start.ts'],
  test: ['test/run.ts'],
  lab: ['test/lab/real.ts'],
  break: ['test/lab/break.ts'],
  sim: ['test/sim/main.ts'],
  conformance: ['test/conformance/main.ts'],
  bench: ['test/fleet/main.ts'],
  e2e: ['test/e2e/main.ts'],
  build: ['installer/src/main.ts'],
  installer: ['installer/src/main.ts'],
  check: ['test/run.ts', '--only', 'check'],
  gp: ['hub/cli/main.ts'],
};

const fail = (text, code = 1) => {
  process.stderr.write(`${text}\n`);
  process.exit(code);
};

const [major] = process.versions.node.split('.').map(Number);
if (major < 20) fail(`Groundplane needs Node 20 or newer to set itself up, and this is ${process.version}. It brings its own Node for everything else.`);

const [name, ...args] = process.argv.slice(2);
const script = scripts[name];
if (script === undefined) fail(`unknown command ${name ?? ''}; there are: ${Object.keys(scripts).join(', ')}`, 2);

const pnpm = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager;
const inputs = [
  'pnpm-lock.yaml',
  'pnpm-workspace.yaml',
  'package.json',
  ...['protocol', 'agent', 'hub', 'installer', 'test'].map((folder) => `${folder}/package.json`),
];
const wanted = createHash('sha256')
  .update(inputs.map((file) => readFileSync(join(root, file), 'utf8')).join('\n'))
  .digest('hex');
const stamp = join(root, 'node_modules', '.groundplane-setup');
const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted || !existsSync(node)) {
  process.stderr.write(`setting up (first time, or dependencies changed): ${pnpm} brings the pinned packages and Node …\n`);
  const began = Date.now();
  const done = spawnSync('npx', ['--yes', pnpm, 'install', '--frozen-lockfile', '--reporter', process.stderr.isTTY ? 'default' : 'append-only'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
    env: { ...process.env, npm_config_loglevel: 'error', CI: process.env.CI ?? '' },
  });
  if (done.status !== 0)
    fail(`the set-up failed (${done.error?.message ?? `exit ${done.status}`}). Is the npm registry reachable? Try again with: npx ${pnpm} install`);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
  process.stderr.write(`set up in ${Math.round((Date.now() - began) / 1000)} s\n`);
}

const child = spawn(node, [join(root, script[0]), ...script.slice(1), ...args], {
  stdio: 'inherit',
  env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
});
// The terminal sends Ctrl-C to the whole group; other signals are passed on. Either way the child decides when it is done.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
