import type { HostView } from '@groundplane/protocol/api/views';
import { confirm } from '../confirm.ts';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { everyPage } from '../pages.ts';
import { formatOf, jsonText, yamlText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { painter } from '../output/style.ts';
import { apiTrouble, exits, troubleText, usage, type Outcome } from '../trouble.ts';
import { badName } from './kinds.ts';

interface ApproveOptions {
  words?: string;
  rename?: string;
  /** Takes the place of the host with its serial number. */
  replace?: boolean;
  all: boolean;
  yes: boolean;
}

const print = async (context: Context, hosts: readonly HostView[], isList: boolean): Promise<void> => {
  const format = formatOf(context);
  const { stdout } = context.io;
  if (format === 'json') return stdout.write(jsonText(isList ? hosts : hosts[0]));
  if (format === 'yaml') return stdout.write(await yamlText(isList ? hosts : hosts[0]));
  return stdout.write(
    hosts
      .map((host) => (format === 'name' ? `host/${printable(host.name)}\n` : `host ${printable(host.name)} let in${host.simulated ? ' (simulated)' : ''}\n`))
      .join(''),
  );
};

const approveOne = async (context: Context, connection: Connection, name: string, options: ApproveOptions): Promise<Outcome> => {
  const params = { project: connection.project, name };
  const host = await connection.client.call('getHost', { params });
  if (!host.ok) return apiTrouble(host.failure, host.failure.status === 404 ? 'gp get hosts --state lobby' : undefined);
  if (host.value.state === 'approved') {
    await notice(context, `host ${printable(name)} was let in before`);
    await print(context, [host.value], false);
    return exits.ok;
  }
  if (host.value.replaces !== undefined && options.replace !== true)
    await notice(
      context,
      `host ${printable(name)} has the serial number of ${printable(host.value.replaces)}; --replace lets it take that one's place instead`,
    );
  const isTerminal = context.io.stdin.isTTY && context.io.stderr.isTTY;
  if (options.words === undefined && isTerminal) {
    await context.io.stderr.write(`The console of the device shows four words. The key that waits here has:\n\n    ${printable(host.value.words)}\n\n`);
    const refused = await confirm(context, 'Are they the same?', `host ${name}`, options.yes);
    if (refused !== undefined) return refused;
  } else if (options.words === undefined)
    await notice(context, `host ${printable(name)}: the words were not compared (${printable(host.value.words)}); --words "…" does that`);
  const body = {
    ...(options.words === undefined ? {} : { words: options.words }),
    ...(options.rename === undefined ? {} : { rename: options.rename }),
    ...(options.replace === true ? { replace: true } : {}),
  };
  const answer = await connection.client.call('approveHost', { params, body });
  if (!answer.ok) return apiTrouble(answer.failure);
  await print(context, [answer.value], false);
  return exits.ok;
};

const approveAll = async (context: Context, connection: Connection, options: ApproveOptions): Promise<Outcome> => {
  const lobby = await everyPage((query) =>
    connection.client.call('listHosts', { params: { project: connection.project }, query: { ...query, state: 'lobby' } }),
  );
  if (!lobby.ok) return apiTrouble(lobby.failure);
  // Whoever claims the place of a known host, or shares a key with another machine, is for a person to decide, one by one.
  const questions = { replaces: 'has the serial number of a known host', clone: 'has a key that two machines use' } as const;
  const waiting = lobby.value.filter((host) => host.question === undefined);
  const isAsked = waiting.length < lobby.value.length;
  for (const { name, question } of lobby.value)
    if (question !== undefined)
      await notice(context, `host ${printable(name)} ${questions[question]} and was left in the lobby: gp describe host ${printable(name)}`);
  if (waiting.length === 0) {
    if (!isAsked) await notice(context, 'nobody waits in the lobby');
    await print(context, [], true);
    return isAsked ? exits.partly : exits.ok;
  }
  const shown = waiting
    .slice(0, 20)
    .map((host) => host.name)
    .join(', ');
  const isTerminal = context.io.stdin.isTTY && context.io.stderr.isTTY;
  const refused = await confirm(
    context,
    `Let in ${waiting.length} hosts without comparing words: ${shown}${waiting.length > 20 ? ', …' : ''}?`,
    'lobby',
    options.yes || !isTerminal,
  );
  if (refused !== undefined) return refused;
  const hosts: HostView[] = [];
  let denied = 0;
  let failed = 0;
  for (const { name } of waiting) {
    const answer = await connection.client.call('approveHost', { params: { project: connection.project, name }, body: {} });
    if (answer.ok) {
      hosts.push(answer.value);
      continue;
    }
    failed += 1;
    const item = apiTrouble(answer.failure);
    if (item.exit === exits.denied) denied += 1;
    await context.io.stderr.write(troubleText(item, (text) => painter(context, context.io.stderr)('bad', text)));
  }
  await print(context, hosts, true);
  if (failed === 0) return isAsked ? exits.partly : exits.ok;
  return hosts.length > 0 ? exits.partly : denied === failed ? exits.denied : exits.error;
};

/** `gp approve HOST` or `gp approve --all`. */
export const approve = async (context: Context, name: string | undefined, options: ApproveOptions): Promise<Outcome> => {
  if ((name === undefined) === !options.all)
    return usage(
      'approve',
      name === undefined ? 'say which host' : 'give a host or --all, not both',
      'gp get hosts --state lobby, then: gp approve HOST --words "…"',
    );
  if (options.all && (options.words !== undefined || options.rename !== undefined || options.replace === true))
    return usage('approve --all', 'words, new names and --replace belong to one host', 'gp approve HOST --words "…"');
  const bad = name === undefined ? undefined : badName('host', name);
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  return name === undefined ? approveAll(context, connection.value, options) : approveOne(context, connection.value, name, options);
};
