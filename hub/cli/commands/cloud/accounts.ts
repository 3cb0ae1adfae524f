import type { AccountView } from '@groundplane/protocol/api/cloud-views';
import { accountBody } from '@groundplane/protocol/api/cloud-views';
import { connect } from '../../connect.ts';
import type { Context } from '../../io.ts';
import { printList, printOne } from '../../output/print.ts';
import { everyPage } from '../../pages.ts';
import { apiTrouble, exits, usage, type Outcome } from '../../trouble.ts';
import { badName } from '../kinds.ts';
import { failureTrouble } from '../pack-registry.ts';
import { readYamlFile } from './yaml-file.ts';

interface PlaceFlag {
  tenant?: boolean;
}

const checkedText = ({ checked }: AccountView): string => {
  if (checked.failure !== undefined) return `${checked.failure.element}: ${checked.failure.message}`;
  if (checked.facts === undefined) return 'not looked at yet';
  const { missing } = checked.facts;
  return missing.length === 0 ? 'works' : `lacks ${missing.join(', ')}`;
};

const described = (view: AccountView): string =>
  [
    `account ${view.name} (${view.kind}, signs in with ${view.signsInWith})`,
    ...(view.checked.facts === undefined ? [] : [`is ${view.checked.facts.identity}`]),
    checkedText(view),
    ...(view.checked.facts?.unchecked ?? []).map((text) => `not checked: ${text}`),
    '',
  ].join('\n');

/** `gp cloud account set NAME -f FILE`. The file is YAML or JSON: kind, settings, secret; `-` reads it from standard input, so that no secret lies on a disk. */
export const setAccount = async (context: Context, name: string, options: PlaceFlag & { file: string; validate: boolean }): Promise<Outcome> => {
  const bad = badName('account', name);
  if (bad !== undefined) return bad;
  const read = await readYamlFile(context, options.file);
  if (!read.ok) return read.trouble;
  const body = accountBody.safeParse(read.value);
  if (!body.success) {
    const issue = body.error.issues[0];
    return usage(
      `file ${options.file}`,
      `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
      'it has kind, settings and secret; see the documentation of providers',
    );
  }
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const query = { validate: options.validate ? ('true' as const) : ('false' as const) };
  const answer =
    options.tenant === true
      ? await client.call('setTenantAccount', { params: { name }, query, body: body.data })
      : await client.call('setAccount', { params: { project, name }, query, body: body.data });
  if (!answer.ok) return apiTrouble(answer.failure);
  await printOne(context, answer.value, `account/${name}`, () => described(answer.value));
  return exits.ok;
};

/** `gp cloud account list`. */
export const listAccounts = async (context: Context, options: PlaceFlag): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const found = await everyPage((page) =>
    options.tenant === true ? client.call('listTenantAccounts', { query: page }) : client.call('listAccounts', { params: { project }, query: page }),
  );
  if (!found.ok) return apiTrouble(found.failure);
  await printList<AccountView>(context, found.value, {
    name: (item) => `account/${item.name}`,
    empty: 'no cloud accounts yet; add one: gp cloud account set NAME -f FILE',
    columns: [
      { title: 'NAME', value: (item) => item.name },
      { title: 'OF', value: (item) => (item.project === '' ? 'tenant' : item.project) },
      { title: 'KIND', value: (item) => item.kind },
      { title: 'SIGNS IN WITH', value: (item) => item.signsInWith },
      { title: 'CLUSTERS', value: (item) => String(item.usedBy.length) },
      { title: 'STATE', value: checkedText, max: 60 },
    ],
  });
  return exits.ok;
};

/** `gp cloud account check NAME`. Ends with `partly` when permissions are missing. */
export const checkAccount = async (context: Context, name: string): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer = await client.call('checkAccount', { params: { project, name } });
  if (!answer.ok) return apiTrouble(answer.failure);
  await printOne(context, answer.value, `account/${name}`, () => described(answer.value));
  const { checked } = answer.value;
  if (checked.failure !== undefined) return failureTrouble(checked.failure);
  return (checked.facts?.missing.length ?? 0) > 0 ? exits.partly : exits.ok;
};

/** `gp cloud account delete NAME`. */
export const deleteAccount = async (context: Context, name: string, options: PlaceFlag): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const { client, project } = connection.value;
  const answer =
    options.tenant === true
      ? await client.call('deleteTenantAccount', { params: { name } })
      : await client.call('deleteAccount', { params: { project, name } });
  return answer.ok ? exits.ok : apiTrouble(answer.failure);
};
