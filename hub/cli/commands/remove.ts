import type { ApiResult } from '@groundplane/protocol/api/client';
import { confirm } from '../confirm.ts';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { formatOf, jsonText, yamlText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { apiTrouble, exits, usage, type Outcome, type Trouble } from '../trouble.ts';
import { badName, parseKind, parseProfileName, pluralOf, type KindName } from './kinds.ts';
import { waitUntil } from './wait.ts';

interface RemoveOptions {
  wait: boolean;
  force: boolean;
  yes: boolean;
}

type Removable = Exclude<KindName, 'event'>;
const removable: readonly Removable[] = ['cluster', 'profile', 'host', 'project', 'ticket', 'macro', 'api-key'];

/** What deleting means, said before it is done. */
const meaning: Readonly<Record<Removable, string>> = {
  cluster: 'Take all its layers off its hosts and delete it',
  profile: 'Delete this version',
  host: 'Revoke its key and forget it',
  project: 'Delete the project',
  ticket: 'Withdraw the ticket',
  macro: 'Delete the macro; clusters that use it will not resolve',
  'api-key': 'Delete the key; its sessions end at once',
};

const call = (connection: Connection, kind: Removable, text: string, force: boolean): Promise<ApiResult<undefined>> => {
  const { client, project } = connection;
  const params = { project, name: text };
  switch (kind) {
    case 'cluster':
      return client.call('deleteCluster', { params, ...(force ? { query: { force: 'true' as const } } : {}) });
    case 'profile':
      return client.call('deleteProfile', { params: { project, ...parseProfileName(text) } });
    case 'host':
      return client.call('revokeHost', { params });
    case 'project':
      return client.call('deleteProject', { params: { project: text } });
    case 'ticket':
      return client.call('deleteTicket', { params });
    case 'macro':
      return client.call('deleteMacro', { params });
    case 'api-key':
      return client.call('deleteApiKey', { params: { name: text } });
    default:
      return kind satisfies never;
  }
};

const checkName = (kind: Removable, text: string): Trouble | undefined => {
  const { name, version } = parseProfileName(text);
  if (kind === 'macro')
    return /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(text) ? undefined : usage(`macro ${text.slice(0, 80)}`, 'is not a possible name', 'gp get macros');
  if (kind === 'profile' && version === '') return usage(`profile ${text}`, 'say which version', `gp get profiles, then: gp delete profile ${name}@VERSION`);
  return badName(kind, kind === 'profile' ? name : text);
};

const print = async (context: Context, kind: string, name: string, result: string): Promise<void> => {
  const format = formatOf(context);
  const value = { kind, name, result };
  const { stdout } = context.io;
  await stdout.write(
    format === 'json'
      ? jsonText(value)
      : format === 'yaml'
        ? await yamlText(value)
        : format === 'name'
          ? `${kind}/${name}\n`
          : `${kind} ${printable(name)} ${result}\n`,
  );
};

/** By force a cluster is forgotten at once, unless it has things in a cloud: those go first. */
const isThere = async ({ client, project }: Pick<Connection, 'client' | 'project'>, name: string): Promise<boolean> =>
  (await client.call('getCluster', { params: { project, name } })).ok;

/** `gp delete KIND NAME`. Deleting a cluster begins a tear-down; `--wait` stays until it is gone. */
export const remove = async (context: Context, kindText: string, name: string, options: RemoveOptions): Promise<Outcome> => {
  const kind = parseKind(kindText, removable);
  if (typeof kind !== 'string' || kind === 'event') return typeof kind === 'string' ? exits.usage : kind;
  const bad = checkName(kind, name);
  if (bad !== undefined) return bad;
  if (options.force && kind !== 'cluster')
    return usage('--force', 'forgets a cluster whose hosts are lost; other things need no force', `gp delete ${kind} ${name}`);
  const connection = await connect(context, { isWaiting: options.wait });
  if (!connection.ok) return connection.trouble;
  const refused = await confirm(
    context,
    `${kind} ${name}: ${options.force ? 'Forget it without taking its layers away' : meaning[kind]}?`,
    `${kind} ${name}`,
    options.yes,
  );
  if (refused !== undefined) return refused;
  const answer = await call(connection.value, kind, name, options.force);
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? `gp get ${pluralOf(kind)}` : undefined);
  const isBegun = kind === 'cluster' && (!options.force || (await isThere(connection.value, name)));
  if (!isBegun || !options.wait) {
    await print(context, kind, name, isBegun ? 'is being deleted' : 'deleted');
    if (isBegun)
      await notice(
        context,
        `${options.force ? 'what it has in a cloud is deleted' : 'its hosts take its layers away'}; watch: gp wait cluster ${name} --for deleted`,
      );
    return exits.ok;
  }
  const outcome = await waitUntil(
    context,
    connection.value,
    { project: connection.value.project, name },
    'deleted',
    context.io.clock.nowMs() + (context.globals.timeoutMs ?? 300_000),
  );
  if (outcome === exits.ok) await print(context, kind, name, 'deleted');
  return outcome;
};
