import { connect } from '../../connect.ts';
import { notice, type Context } from '../../io.ts';
import { printOne } from '../../output/print.ts';
import { safeData } from '../../output/printable.ts';
import { apiTrouble, exits, usage, type Outcome } from '../../trouble.ts';
import { badName } from '../kinds.ts';

export interface ImportOptions {
  mode?: 'full' | 'read-only';
  /** `NAME@VERSION` */
  profile: string[];
  image?: string;
  storage?: string;
  httpProxy?: string;
  httpsProxy?: string;
  proxyExcept: string[];
  /** Milliseconds. */
  ttl: number;
}

/** `gp cloud import NAME`: the manifest on standard output, so that it can be read, kept, or piped into kubectl. */
export const importCluster = async (context: Context, name: string, options: ImportOptions): Promise<Outcome> => {
  const bad = badName('cluster', name, 'plant-7');
  if (bad !== undefined) return bad;
  const profiles = options.profile.map((text) => ({ name: text.split('@')[0] ?? '', version: text.split('@')[1] ?? '' }));
  if (profiles.some((item) => item.name === '' || item.version === ''))
    return usage('gp cloud import', '--profile is NAME@VERSION', `gp cloud import ${name} --mode full --profile shop@1.2.0`);
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const { mode, image, storage, httpProxy: http, httpsProxy: https, proxyExcept: except, ttl } = options;
  const isProxied = http !== undefined || https !== undefined;
  const answer = await client.call('importCluster', {
    params: { project, name },
    body: {
      ...(mode === undefined ? {} : { mode }),
      ...(profiles.length === 0 ? {} : { profiles }),
      ttlSeconds: Math.round(ttl / 1_000),
      ...(image === undefined ? {} : { image }),
      ...(storage === undefined ? {} : { storage }),
      ...(isProxied ? { proxy: { ...(http === undefined ? {} : { http }), ...(https === undefined ? {} : { https }), except } } : {}),
    },
  });
  if (!answer.ok) return apiTrouble(answer.failure);
  const { manifest, url } = answer.value;
  if (context.globals.output !== undefined && context.globals.output !== 'table') {
    await printOne(context, answer.value, `cluster/${name}`, () => manifest);
    return exits.ok;
  }
  await context.io.stdout.write(safeData(manifest));
  await notice(context, `one agent may come with this. Apply it in the cluster: gp cloud import ${name} | kubectl apply -f -, or: kubectl apply -f ${url}`);
  return exits.ok;
};
