import { openapi as describeRoutes } from '@groundplane/protocol/api/openapi';
import type { Context } from '../io.ts';
import { jsonText, yamlText } from '../output/print.ts';
import { exits, type Outcome } from '../trouble.ts';
import { version } from '../version.ts';

/** `gp openapi`: the API that this version speaks, without asking a hub. */
export const openapi = async (context: Context): Promise<Outcome> => {
  const document = describeRoutes(version);
  await context.io.stdout.write(context.globals.output === 'yaml' ? await yamlText(document) : jsonText(document));
  return exits.ok;
};
