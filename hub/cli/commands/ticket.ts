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

const linesMax = 10_000;

/** `SERIAL`, `SERIAL,NAME` or `SERIAL NAME`, one a line; `#` begins a remark. */
const readSerials = async (context: Context, file: string): Promise<Attempt<Record<string, string>>> => {
  const text = await readText(resolve(context.io.cwd, file), 4 * 1024 * 1024);
  if (!text.ok) return text;
  const found = new Map<string, string>();
  for (const [index, line] of text.value.split('\n').entries()) {
    const plain = line.replace(/#.*$/, '').trim();
    if (plain === '') continue;
    const [serial = '', name = '', ...more] = plain.split(/[\s,;]+/);
    const wrong = (why: string): Attempt<never> => ({
      ok: false,
      trouble: trouble(`${file}:${index + 1}`, why, 'write one device a line, like: SN-4711,till-1'),
    });
    if (more.length > 0) return wrong('has more than a serial number and a name');
    if (name !== '' && badName('host', name, 'till-1') !== undefined) return wrong(`${name} is not a possible name of a host`);
    if (found.has(serial)) return wrong(`${serial} is in the list twice`);
    found.set(serial, name);
  }
  if (found.size === 0 || found.size > linesMax)
    return {
      ok: false,
      trouble: trouble(file, found.size === 0 ? 'names no device' : `names more than ${linesMax} devices`, 'write one device a line, like: SN-4711,till-1'),
    };
  return done(Object.fromEntries(found));
};

/** `gp ticket create NAME`: the secret is in this answer and nowhere else. */
export const createTicket = async (context: Context, name: string, options: TicketOptions): Promise<Outcome> => {
  const bad = badName('ticket', name, 'store-batch-7');
  if (bad !== undefined) return bad;
  const serials = options.serials === undefined ? undefined : await readSerials(context, options.serials);
  if (serials !== undefined && !serials.ok) return serials.trouble;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const body = {
    name,
    // A list of devices is for each of them once, unless somebody says another number.
    uses: options.uses ?? (serials === undefined ? 1 : Object.keys(serials.value).length),
    ...(serials === undefined ? {} : { serials: serials.value }),
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
