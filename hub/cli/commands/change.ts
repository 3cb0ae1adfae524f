import type { RoleName } from '@groundplane/protocol/access';
import { connect } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { printOne, timeText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { badName, parseKind, parseProfileName } from './kinds.ts';

/** `gp create project NAME`. */
export const createProject = async (context: Context, name: string): Promise<Outcome> => {
  const bad = badName('project', name, 'stores');
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('createProject', { body: { name } });
  if (!answer.ok) return apiTrouble(answer.failure);
  await printOne(context, answer.value, `project/${name}`, () => `project ${name} created\n`);
  return exits.ok;
};

/** `gp create tenant NAME`: the set-up link of its first administrator is in this answer and nowhere else. */
export const createTenant = async (context: Context, name: string): Promise<Outcome> => {
  const bad = badName('tenant', name, 'retail');
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('createTenant', { body: { name } });
  if (!answer.ok) return apiTrouble(answer.failure);
  const link = `${connection.value.hub}/setup#${encodeURIComponent(answer.value.setupToken)}`;
  await printOne(
    context,
    { ...answer.value, setupLink: link },
    `tenant/${name}`,
    () => `tenant ${name} created. Its first administrator opens this link once:\n\n${link}\n`,
  );
  return exits.ok;
};

interface ApiKeyOptions {
  role: string;
  ttlMs?: number;
}

/** `gp create api-key NAME --role ROLE`: for the project of `--project`, otherwise for the whole tenant. */
export const createApiKey = async (context: Context, name: string, options: ApiKeyOptions): Promise<Outcome> => {
  const bad = badName('api-key', name, 'ci');
  if (bad !== undefined) return bad;
  const { roleNames } = await import('@groundplane/protocol/access');
  const role = roleNames.find((item) => item.toLowerCase() === options.role.toLowerCase()) satisfies RoleName | undefined;
  if (role === undefined) return usage(`role ${options.role}`, 'is not known', `use one of ${roleNames.join(', ')}`);
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { project } = context.globals;
  const body = {
    name,
    role,
    ...(project === undefined ? {} : { project }),
    ...(options.ttlMs === undefined ? {} : { ttlSeconds: Math.round(options.ttlMs / 1000) }),
  };
  const answer = await connection.value.client.call('createApiKey', { body });
  if (!answer.ok) return apiTrouble(answer.failure);
  const { key, expiresAtMs } = answer.value;
  await printOne(
    context,
    answer.value,
    `api-key/${name}`,
    () =>
      `API key ${name}: ${role} of ${project === undefined ? 'the whole tenant' : `project ${printable(project)}`}, ` +
      `${expiresAtMs === undefined ? 'without end' : `until ${timeText(expiresAtMs)}`}\nIt is shown only now:\n\n${printable(key)}\n`,
  );
  return exits.ok;
};

/** `gp retry cluster NAME`. */
export const retry = async (context: Context, name: string): Promise<Outcome> => {
  const bad = badName('cluster', name);
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('retryCluster', { params: { project: connection.value.project, name } });
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? 'gp get clusters' : undefined);
  await printOne(context, { kind: 'cluster', name, result: 'retrying' }, `cluster/${name}`, () => `cluster ${name}: the failed version is tried again\n`);
  await notice(context, `watch: gp wait cluster ${name} --for ready`);
  return exits.ok;
};

/** `gp release profile NAME@VERSION`. */
export const release = async (context: Context, kindText: string, text: string): Promise<Outcome> => {
  const kind = parseKind(kindText, ['profile']);
  if (typeof kind !== 'string') return kind;
  const { name, version } = parseProfileName(text);
  const bad = badName('profile', name);
  if (bad !== undefined) return bad;
  if (version === '') return usage(`profile ${name}`, 'say which version', `gp release profile ${name}@VERSION`);
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('releaseProfile', { params: { project: connection.value.project, name, version } });
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? 'gp get profiles' : undefined);
  await printOne(context, answer.value, `profile/${name}@${version}`, () => `profile ${name}@${version} released; it cannot change any more\n`);
  return exits.ok;
};
