import { parseArgs } from 'node:util';
import { environmentNames, type Environment } from '@groundplane/protocol/environment/environments';
import { killEverywhere, type KillReport } from './providers/kill.ts';
import { rigs } from './providers/rigs.ts';
import { runScenarios, type Scenarios } from './providers/scenarios.ts';

/**
 * `npm run conformance -- providers [name…] --json [--points N] [--from N]`: every provider against its counterpart, killed at every call, or at N of them
 * spread evenly, or from the Nth cut on, which goes on with a run that was ended; then the scenarios of its suite. Ends with one JSON object;
 * exit code 1 when there is a double, a leak, a life that did not end or a scenario that failed.
 */
type Tried = KillReport & { scenarios: string[]; failed: string[]; skipped: Scenarios['skipped'] };
type Line = Tried | { skipped: string };
const isTried = (line: Line): line is Tried => 'counterpart' in line;

const run = async (name: Environment, points: number, from: number): Promise<Line> => {
  const open = rigs[name];
  if (open === undefined) return { skipped: name === 'existing' ? 'has nothing that the hub makes' : 'has no counterpart' };
  let rig;
  try {
    rig = await open();
  } catch (error) {
    return { skipped: error instanceof Error ? error.message : String(error) };
  }
  let killed: KillReport;
  try {
    killed = await killEverywhere(rig, { points, from }, (report, of) => {
      // A run of hours says how far it is, and what it has found already.
      const tried = report.killPoints + report.notReached;
      if (tried % 20 === 0)
        process.stderr.write(
          `${name}: ${tried} of ${of} cuts${from > 1 ? ` from ${from} on` : ''}, ${report.doubles.length} doubles, ${report.leaks.length} leaks, ${report.stuck.length} stuck\n`,
        );
    });
  } finally {
    await rig.close();
  }
  const { passed, failed, skipped } = await runScenarios(name);
  return { ...killed, scenarios: passed, failed, skipped };
};

const badOf = (line: Tried): string[] => [...line.doubles, ...line.leaks, ...line.stuck, ...line.failed];

const tell = (name: string, line: Line): void => {
  if (!isTried(line)) return void process.stderr.write(`${name}: skipped, ${line.skipped}\n`);
  const { counterpart, calls, killPoints, doubles, leaks, stuck, seconds, scenarios, failed, skipped } = line;
  const cuts = `${calls} calls, ${killPoints} cuts, ${doubles.length} doubles, ${leaks.length} leaks, ${stuck.length} stuck, ${seconds} s`;
  process.stderr.write(
    `${name} (${counterpart}): ${cuts}; ${scenarios.length} scenarios passed, ${failed.length} failed, ${Object.keys(skipped).length} skipped\n`,
  );
  for (const [scenario, reason] of Object.entries(skipped)) process.stderr.write(`  skipped: ${scenario}: ${reason}\n`);
  for (const text of badOf(line).slice(0, 10)) process.stderr.write(`  ${text}\n`);
};

const main = async (argv: readonly string[]): Promise<number> => {
  const { values, positionals: words } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    strict: false,
    options: { points: { type: 'string' }, from: { type: 'string' }, json: { type: 'boolean' } },
  });
  const points = values.points === undefined ? Number.POSITIVE_INFINITY : Number(values.points);
  const from = values.from === undefined ? 1 : Number(values.from);
  const [what, ...given] = words;
  const names = given.length === 0 ? environmentNames.filter((name) => rigs[name] !== undefined) : given;
  const unknown = names.find((name) => !(environmentNames as readonly string[]).includes(name));
  if (what !== 'providers' || unknown !== undefined || Number.isNaN(points + from)) {
    process.stderr.write(`usage: npm run conformance -- providers [${environmentNames.join('|')} …] [--points N] [--from N] [--json]\n`);
    return 2;
  }
  const report: Record<string, Line> = {};
  for (const name of names as Environment[]) {
    const line = await run(name, points, from);
    report[name] = line;
    tell(name, line);
  }
  if (values.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  return Object.values(report).some((line) => isTried(line) && badOf(line).length > 0) ? 1 : 0;
};

process.exit(await main(process.argv.slice(2)));
