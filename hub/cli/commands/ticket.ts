import { limits } from '@groundplane/protocol/limits';
import { readSerials, type SerialList } from '@groundplane/protocol/serials';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne, timeText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { resolve } from 'node:path';
import { readText } from '../authoring/read.ts';
import { apiTrouble, done, exits, trouble, type Attempt, type Outcome } from '../trouble.ts';
import { badName } from './kinds.ts';

interface TicketOptions {
  uses: number | undefined;
  ttlMs: number;
  labels: Readonly<Record<string, string>>;
  autoApprove: boolean;
  /** A file of serial numbers, one a line, each maybe with the name that the device gets. */
  serials: string | undefined;
}

const readList = async (context: Context, file: string): Promise<Attempt<SerialList>> => {
  const text = await readText(resolve(context.io.cwd, file), limits.serialListBytes);
  if (!text.ok) return text;
  const list = readSerials(text.value);
  const [first] = list.problems;
  if (first === undefined) return done(list);
  const others = list.problemCount - 1;
  const more = others === 0 ? '' : `; ${others} more ${others === 1 ? 'line is' : 'lines are'} wrong`;
  const where = first.line === 0 ? file : `${file}:${first.line}`;
  return { ok: false, trouble: trouble(where, `${printable(first.message)}${more}`, 'write one device a line, like: SN-4711,till-1') };
};

/** `gp ticket create NAME`: the secret is in this answer and nowhere else. */
export const createTicket = async (context: Context, name: string, options: TicketOptions): Promise<Outcome> => {
  const bad = badName('ticket', name, 'store-batch-7');
  if (bad !== undefined) return bad;
  const serials = options.serials === undefined ? undefined : await readList(context, options.serials);
  if (serials !== undefined && !serials.ok) return serials.trouble;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const body = {
    name,
    // A list of devices is for each of them once, unless somebody says another number.
    uses: options.uses ?? (serials === undefined ? 1 : serials.value.count),
    ...(serials === undefined ? {} : { serials: serials.value.devices }),
    ttlSeconds: Math.round(options.ttlMs / 1000),
    autoApprove: options.autoApprove,
    ...(Object.keys(options.labels).length === 0 ? {} : { labels: { ...options.labels } }),
  };
  const answer = await connection.value.client.call('createTicket', { params: { project: connection.value.project }, body });
  if (!answer.ok) return apiTrouble(answer.failure, answer.failure.code === 'name-taken' ? `gp ticket delete ${name}, or take another name` : undefined);
  const ticket = answer.value;
  await printOne(
    context,
    ticket,
    `ticket/${ticket.name}`,
    () =>
      `ticket ${printable(ticket.name)}: for ${ticket.usesLeft} host${ticket.usesLeft === 1 ? '' : 's'}, until ${timeText(ticket.expiresAtMs)}, ` +
      `${ticket.autoApprove ? 'lets hosts in by itself' : 'hosts wait in the lobby for approval'}\n` +
      `It is shown only now; give it to the agent:\n\n${printable(ticket.ticket)}\n`,
  );
  return exits.ok;
};
