import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** `npm run break -- SITE`: damages a simulated site by hand, so that one can watch it heal. */
const { values, positionals } = parseArgs({ allowPositionals: true, options: { data: { type: 'string', default: '.groundplane' } } });
const site = positionals[0] ?? 'store-berlin';
const file = join(resolve(values.data), 'lab', site, 'lab.json');
if (!existsSync(file)) {
  process.stderr.write(`there is no simulated site ${site} in ${values.data}. Start the lab with: npm start\n`);
  process.exit(1);
}
const { door } = JSON.parse(readFileSync(file, 'utf8')) as { door: string };
const answer = await fetch(`${door}/break`, { method: 'POST' }).catch(() => undefined);
if (answer === undefined) {
  process.stderr.write(`site ${site} does not run. Start it with: npm start\n`);
  process.exit(1);
}
process.stdout.write(await answer.text());
