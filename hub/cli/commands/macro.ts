import { connect, type Connection } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';

const valueBytesMax = 65_536;

export interface MacroOptions {
  /** Of the whole tenant, instead of the project. */
  tenant: boolean;
  sensitive: boolean | undefined;
  /** Command lines are seen by others; a secret comes by standard input. */
  stdin: boolean;
}

const send = (connection: Connection, name: string, value: string, { tenant, sensitive }: MacroOptions) => {
  const body = { value, ...(sensitive === undefined ? {} : { sensitive }) };
  return tenant
    ? connection.client.call('setTenantMacro', { params: { name }, body })
    : connection.client.call('setMacro', { params: { project: connection.project, name }, body });
};

/** `gp macro set NAME [VALUE]`. */
export const setMacro = async (context: Context, name: string, given: string | undefined, options: MacroOptions): Promise<Outcome> => {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name))
    return usage(`macro ${name.slice(0, 80)}`, 'is not a possible name: letters, digits and underscores', 'gp macro set registryHost registry.example');
  if ((given === undefined) !== options.stdin)
    return usage(
      `macro ${name}`,
      given === undefined ? 'needs a value' : 'has a value already, and --value-stdin wants to read one',
      `gp macro set ${name} VALUE   or   … | gp macro set ${name} --value-stdin`,
    );
  const value = given ?? new TextDecoder().decode(await context.io.stdin.read(valueBytesMax)).replace(/\r?\n$/, '');
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await send(connection.value, name, value, options);
  if (!answer.ok) return apiTrouble(answer.failure);
  await printOne(context, answer.value, `macro/${name}`, () => `macro ${name} set${options.tenant ? ' for the tenant' : ''}; clusters that use it follow\n`);
  return exits.ok;
};

/** `gp macro delete NAME --tenant`; those of a project go by `gp delete macro`. */
export const deleteTenantMacro = async (context: Context, name: string): Promise<Outcome> => {
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('deleteTenantMacro', { params: { name } });
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.status === 404 ? 'gp get macros' : undefined);
  await printOne(context, { kind: 'macro', name, result: 'deleted' }, `macro/${name}`, () => `macro ${name} of the tenant deleted\n`);
  return exits.ok;
};
