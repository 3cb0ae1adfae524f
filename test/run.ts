import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** `npm test`: everything this machine can run, one after the other, and a plain summary that names what was skipped and why. */
const root = join(import.meta.dirname, '..');
const bin = (name: string, file: string): string => join(root, 'node_modules', name, file);

interface Outcome {
  name: string;
  ok: boolean;
  seconds: number;
  passed: number;
  failed: number;
  skipped: string[];
}

const run = async (command: string, args: readonly string[], isQuiet: boolean): Promise<{ code: number; output: string }> => {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', isQuiet ? 'pipe' : 'inherit', isQuiet ? 'pipe' : 'inherit'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const done = Promise.withResolvers<number>();
  child.on('exit', (code) => done.resolve(code ?? 1));
  return { code: await done.promise, output };
};

const check = async (name: string, command: string, args: readonly string[]): Promise<Outcome> => {
  const began = performance.now();
  const { code, output } = await run(command, args, true);
  if (code !== 0) process.stdout.write(`${output}\n`);
  return { name, ok: code === 0, seconds: (performance.now() - began) / 1000, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [] };
};

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  success: boolean;
  testResults: { status: string; name: string; assertionResults: { status: string; fullName: string }[] }[];
}

const suites = async (filters: readonly string[]): Promise<Outcome> => {
  const began = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'gp-test-'));
  const file = join(folder, 'report.json');
  const { code } = await run(
    process.execPath,
    [bin('vitest', 'vitest.mjs'), 'run', '--reporter=dot', '--reporter=json', `--outputFile.json=${file}`, ...filters],
    false,
  );
  const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  rmSync(folder, { recursive: true });
  const all = report.testResults.flatMap((suite) => suite.assertionResults);
  const brokenFiles = report.testResults.filter((suite) => suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed'));
  return {
    name: 'test suites',
    ok: code === 0 && report.success,
    seconds: (performance.now() - began) / 1000,
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: all.filter((test) => test.status === 'skipped' || test.status === 'pending').map((test) => test.fullName),
  };
};

const simulate = (what: string, seeds: number, steps: number, ...flags: string[]): Promise<Outcome> =>
  check(`simulator${what}, ${seeds} seeds of ${steps} steps`, process.execPath, [
    join(root, 'test/sim/main.ts'),
    '--seeds',
    String(seeds),
    '--steps',
    String(steps),
    ...flags,
  ]);
const simulations: readonly (() => Promise<Outcome>)[] = [
  () => simulate('', 200, 500),
  () => simulate(' with several hosts of one cluster', 60, 150, '--shared'),
];

const checks: readonly (() => Promise<Outcome>)[] = [
  () => check('types', process.execPath, [bin('typescript', 'bin/tsc'), '-p', '.']),
  () => check('lint', process.execPath, [bin('oxlint', 'bin/oxlint'), '--type-aware', '--deny-warnings', '--quiet']),
  () => check('format', process.execPath, [bin('oxfmt', 'bin/oxfmt'), '--check', '.']),
  () => check('unused code and dependencies', process.execPath, [bin('knip', 'bin/knip.js'), '--no-progress']),
];

const grouped = (names: readonly string[]): Map<string, number> => {
  const groups = new Map<string, number>();
  for (const name of names) {
    const reason = /\(([^()]*(?:missing|not run|needs|skipped|no )[^()]*)\)/i.exec(name)?.[1] ?? name;
    groups.set(reason, (groups.get(reason) ?? 0) + 1);
  }
  return groups;
};

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });
  const outcomes: Outcome[] = [];
  const say = async (work: () => Promise<Outcome>): Promise<void> => {
    const outcome = await work();
    process.stdout.write(`${outcome.ok ? 'ok    ' : 'FAILED'} ${outcome.name} (${outcome.seconds.toFixed(1)} s)\n`);
    outcomes.push(outcome);
  };
  process.stdout.write(`Node ${process.version}, ${cpus().length} cores\n`);
  if (positionals.length === 0) for (const work of checks) await say(work);
  if (values.only !== 'check') await say(() => suites(positionals));
  if (values.only !== 'check' && positionals.length === 0) for (const work of simulations) await say(work);
  const sum = (key: 'passed' | 'failed'): number => outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  process.stdout.write(skipped.length === 0 ? '\nnothing was skipped\n' : '\nskipped on this machine:\n');
  for (const [reason, count] of grouped(skipped)) process.stdout.write(`  ${count} × ${reason}\n`);
  process.stdout.write(`\n${sum('passed')} passed, ${sum('failed')} failed, ${skipped.length} skipped\n`);
  process.exit(outcomes.every((outcome) => outcome.ok) ? 0 : 1);
};

await main();
