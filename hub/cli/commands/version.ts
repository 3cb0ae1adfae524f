import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { exits, type Outcome } from '../trouble.ts';
import { version } from '../version.ts';

/** `gp version`. */
export const showVersion = async (context: Context): Promise<Outcome> => {
  await printOne(context, { version }, version, () => `gp ${version}\n`);
  return exits.ok;
};
