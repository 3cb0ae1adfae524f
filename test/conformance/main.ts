import { parseArgs } from 'node:util';
import { environmentNames, type Environment } from '@groundplane/protocol/environment/environments';
import { killEverywhere, type KillReport } from './providers/kill.ts';
import { rigs } from './providers/rigs.ts';

/**
 * `npm run conformance -- providers [name…] --json [--points N] [--from N]`: every provider against its counterpart, killed at every call, or at N of them
 * spread evenly, or from the Nth cut on, which goes on with a run that was ended. Ends with one JSON object;
 * exit code 1 when there is a double, a leak or a life that did not end.
 */
type Line = KillReport | { skipped: string };

const run = async (name: Environment, points: number, from: number): Promise<Line> => {
  const open = rigs[name];
  if (open === undefined) return { skipped: name === 'existing' ? 'has nothing that the hub makes' : 'has no counterpart' };
  let rig;
  try {
    rig = await open();
  } catch (error) {
    return { skipped: error instanceof Error ? error.message : String(error) };
  }
  try {
    return await killEverywhere(rig, { points, from }, (report, of) => {
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
};

const isBad = (line: Line): boolean => !('skipped' in line) && line.doubles.length + line.leaks.length + line.stuck.length > 0;

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
    process.stderr.write(
      'skipped' in line
        ? `${name}: skipped, ${line.skipped}\n`
        : `${name} (${line.counterpart}): ${line.calls} calls, ${line.killPoints} cuts, ${line.doubles.length} doubles, ${line.leaks.length} leaks, ${line.stuck.length} stuck, ${line.seconds} s\n`,
    );
    if (!('skipped' in line)) for (const text of [...line.doubles, ...line.leaks, ...line.stuck].slice(0, 10)) process.stderr.write(`  ${text}\n`);
  }
  if (values.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  return Object.values(report).some(isBad) ? 1 : 0;
};

process.exit(await main(process.argv.slice(2)));
