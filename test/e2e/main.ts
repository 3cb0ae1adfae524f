import { runHosts } from './hosts/main.ts';

/** `npm run e2e -- AREA …`: the heavy tests, which make real machines. */
const areas: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = { hosts: runHosts };

const [name = '', ...args] = process.argv.slice(2);
const run = areas[name];
if (run === undefined) {
  process.stderr.write(`usage: npm run e2e -- ${Object.keys(areas).join('|')} [NAME…] [--json]\n`);
  process.exit(2);
}
process.exit(await run(args));
