import { isEnclosed } from '../../lab/hosts/enclosure.ts';
import { createHostSite } from '../../lab/hosts/site.ts';
import { scenarios } from './all.ts';
import type { Outcome, Prepared } from './scenario.ts';

/** One scenario, inside an enclosure. It says its outcome as one line of JSON on standard output; everything else goes to standard error. */
export interface InsideOptions {
  scenario: string;
  folder: string;
  prepared: Prepared;
  points: number;
  seed: number;
}

export type InsideOutcome = Outcome & { failure?: string };

const runInside = async (options: InsideOptions): Promise<InsideOutcome> => {
  const scenario = scenarios.find((each) => each.name === options.scenario);
  if (scenario === undefined) return { failure: `there is no scenario ${options.scenario}` };
  const began = performance.now();
  const say = (line: string): void =>
    void process.stderr.write(`${scenario.name.padEnd(16)} ${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
  const site = await createHostSite({ base: options.prepared.base, folder: options.folder });
  try {
    return await scenario.run({ site, say, ...options });
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    await site.stop();
  }
};

if (!isEnclosed()) throw new Error('this runs in an enclosure only: npm run e2e -- hosts');
const outcome = await runInside(JSON.parse(process.argv[2] ?? '{}') as InsideOptions).catch((error: unknown): InsideOutcome => ({ failure: String(error) }));
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0));
