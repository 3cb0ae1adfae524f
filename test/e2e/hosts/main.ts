import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { ok, type Result } from '@groundplane/protocol/failure';
import { makeAgentPackages, makeInsidePackages } from '../../lab/hosts/agent-package.ts';
import { hostsCache } from '../../lab/hosts/cache.ts';
import { ensureContent } from '../../lab/hosts/content.ts';
import { ensureImages, ensureImageTools } from '../../lab/image-builds.ts';
import { runEnclosed } from '../../lab/hosts/enclosure.ts';
import { ensureNodeImage } from '../../lab/hosts/node-image.ts';
import { missingForContent, missingForHosts } from '../../lab/hosts/prerequisite.ts';
import type { KubernetesVersion } from '../../lab/hosts/recipe.ts';
import { ensureRoot } from '../../lab/hosts/root-file-system.ts';
import { scenarios } from './all.ts';
import type { InsideOptions, InsideOutcome } from './inside.ts';
import { secondsSince, type Outcome, type Prepared, type Scenario } from './scenario.ts';

interface ScenarioReport extends Outcome {
  name: string;
  ok: boolean;
  seconds: number;
  cpuSeconds: number;
  points: number;
  stuck: number;
  failure?: string;
}

const usage = `npm run e2e -- hosts [NAME…] [--json] [--points N] [--seed N] [--list]

${scenarios.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`).join('\n')}
`;

const note = (line: string): void => void process.stderr.write(`${line}\n`);

const newest: KubernetesVersion = 'v1.37.2';
const before: KubernetesVersion = 'v1.36.3';

type Maker<T> = (progress: (line: string) => void, runFolder: string) => Promise<Result<T>>;

/** Nothing is made that no scenario of this run needs. What takes long is made once and kept. */
const makers: { [Key in keyof Prepared]-?: Maker<Prepared[Key]> } = {
  base: ensureRoot,
  imageTools: ensureImageTools,
  images: async (progress) => await ensureImages('x64', progress),
  imagesArm64: async (progress) => await ensureImages('arm64', progress),
  content: async (progress) => await ensureContent(newest, progress),
  contentBefore: async (progress) => await ensureContent(before, progress),
  agent: async (_progress, runFolder) => {
    await makeAgentPackages(join(runFolder, 'agent'));
    return ok(join(runFolder, 'agent'));
  },
  insideAgents: async (_progress, runFolder) => {
    await makeInsidePackages(join(runFolder, 'inside-agents'));
    return ok(join(runFolder, 'inside-agents'));
  },
  nodeImage: ensureNodeImage,
};

const versionsOf = (chosen: readonly Scenario[]): KubernetesVersion[] => {
  const needs = new Set(chosen.flatMap((scenario) => scenario.needs));
  return [...(needs.has('content') ? [newest] : []), ...(needs.has('contentBefore') ? [before] : [])];
};

/** What this machine can run, and what it cannot, with the reason. */
const split = (asked: readonly Scenario[]): { chosen: Scenario[]; skipped: { name: string; reason: string }[] } => {
  const judged = asked.map((scenario) => ({ scenario, missing: scenario.missing?.() ?? [] }));
  return {
    chosen: judged.flatMap(({ scenario, missing }) => (missing.length === 0 ? [scenario] : [])),
    skipped: judged.flatMap(({ scenario, missing }) => (missing.length === 0 ? [] : [{ name: scenario.name, reason: missing.join(' ') }])),
  };
};

const prepare = async (chosen: readonly Scenario[], runFolder: string): Promise<Result<Prepared>> => {
  const prepared: Record<string, unknown> = {};
  for (const key of new Set(chosen.flatMap((scenario) => ['base' as const, ...scenario.needs]))) {
    const made = await makers[key](note, runFolder);
    if (!made.ok) return made;
    prepared[key] = made.value;
  }
  return ok(prepared as unknown as Prepared);
};

const runPrefix = 'run-';

/** Disks of runs that were killed. */
const sweepRuns = (): void => {
  for (const name of readdirSync(hostsCache()))
    if (name.startsWith(runPrefix) && !existsSync(`/proc/${name.slice(runPrefix.length)}`)) rmSync(join(hostsCache(), name), { recursive: true, force: true });
};

const runScenario = async (scenario: Scenario, options: Omit<InsideOptions, 'scenario'>): Promise<ScenarioReport> => {
  const began = performance.now();
  const inside: InsideOptions = { ...options, scenario: scenario.name };
  const report = (outcome: InsideOutcome, cpuSeconds: number): ScenarioReport => ({
    name: scenario.name,
    ok: outcome.failure === undefined && (outcome.stuck ?? 0) === 0,
    seconds: secondsSince(began),
    cpuSeconds: Math.round(cpuSeconds * 100) / 100,
    points: outcome.points ?? 0,
    stuck: outcome.stuck ?? 0,
    ...(outcome.figures === undefined ? {} : { figures: outcome.figures }),
    ...(outcome.failure === undefined ? {} : { failure: outcome.failure }),
  });
  const enclosed = await runEnclosed(join(import.meta.dirname, 'inside.ts'), [JSON.stringify(inside)]);
  const stop = (): void => enclosed.kill();
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const said = enclosed.child.stdout === null ? '' : await text(enclosed.child.stdout);
    const { cpuSeconds } = await enclosed.done;
    const last = said.trim().split('\n').at(-1) ?? '';
    return report(last.startsWith('{') ? (JSON.parse(last) as InsideOutcome) : { failure: `it ended without an outcome: ${said.slice(-500)}` }, cpuSeconds);
  } catch (error) {
    return report({ failure: String(error) }, 0);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    rmSync(options.folder, { recursive: true, force: true });
  }
};

const positive = (value: string): number | undefined => (/^[1-9]\d{0,5}$/.test(value) ? Number(value) : undefined);

/** Ends with 0 when all went well, 1 when a scenario failed, 2 for wrong arguments, 3 when this machine lacks something. */
export const runHosts = async (args: readonly string[]): Promise<number> => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      points: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
    },
  });
  const unknown = positionals.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  const [points, seed] = [positive(values.points), positive(values.seed)];
  if (values.list || values.help || unknown.length > 0 || points === undefined || seed === undefined) {
    process.stderr.write(unknown.length > 0 ? `there is no scenario ${unknown.join(', ')}\n${usage}` : usage);
    return values.list || values.help ? 0 : 2;
  }
  const asked = scenarios.filter((scenario) => positionals.length === 0 || positionals.includes(scenario.name));
  const { chosen, skipped } = split(asked);
  const finish = (reports: readonly ScenarioReport[], code: number, failure?: string): number => {
    const summary = { ok: code === 0, scenarios: reports, skipped, ...(failure === undefined ? {} : { failure }) };
    process.stdout.write(`${JSON.stringify(summary, undefined, values.json ? undefined : 2)}\n`);
    return code;
  };
  for (const { name, reason } of skipped) note(`skipped ${name}: ${reason}`);
  // Whoever names a scenario wants it, and CI wants all.
  const isWanted = positionals.length > 0 || process.env['GROUNDPLANE_TEST_REQUIRE'] === 'all';
  const missing = [
    ...missingForHosts(),
    ...(await missingForContent(versionsOf(chosen))),
    ...(isWanted ? skipped.map(({ name, reason }) => `${name}: ${reason}`) : []),
  ];
  if (missing.length > 0) {
    note(`test hosts cannot run on this machine:\n${missing.map((line) => `  ${line}`).join('\n')}`);
    return finish([], 3, missing.join(' '));
  }
  sweepRuns();
  const runFolder = join(hostsCache(), `${runPrefix}${process.pid}`);
  try {
    const prepared = await prepare(chosen, runFolder);
    if (!prepared.ok) {
      note(`${prepared.failure.element}: ${prepared.failure.message}`);
      return finish([], 3, prepared.failure.message);
    }
    const reports: ScenarioReport[] = [];
    for (const scenario of chosen) {
      const report = await runScenario(scenario, { prepared: prepared.value, folder: join(runFolder, 'site'), points, seed });
      reports.push(report);
      const failure = report.failure === undefined ? '' : `\n${report.failure}`;
      note(`${report.ok ? 'ok    ' : 'FAILED'} ${report.name} (${report.seconds} s, ${report.cpuSeconds} CPU s)${failure}`);
    }
    return finish(reports, reports.every((report) => report.ok) ? 0 : 1);
  } finally {
    rmSync(runFolder, { recursive: true, force: true });
  }
};
