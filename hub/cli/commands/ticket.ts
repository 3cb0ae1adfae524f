import { limits } from '@groundplane/protocol/limits';
import { readSerials, type SerialList } from '@groundplane/protocol/serials';
import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne, timeText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { open, rm } from 'node:fs/promises';
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
  /** A file that must not be there yet. */
  out: string | undefined;
}

/** Before the ticket is made, since its secret comes only once. */
const openOut = async (context: Context, name: string): Promise<Attempt<{ keep: (text: string) => Promise<void>; drop: () => Promise<void> }>> => {
  const path = resolve(context.io.cwd, name);
  try {
    const file = await open(path, 'wx', 0o600);
    return done({
      keep: async (text) => {
        await file.writeFile(text);
        await file.close();
      },
      drop: async () => {
        await file.close();
        await rm(path, { force: true });
      },
    });
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? String(cause);
    return { ok: false, trouble: trouble(`--out ${name}`, code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`, 'name another file') };
  }
};

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
  const out = options.out === undefined ? undefined : await openOut(context, options.out);
  if (out !== undefined && !out.ok) return out.trouble;
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
  if (!answer.ok) {
    await out?.value.drop();
    return apiTrouble(answer.failure, answer.failure.code === 'name-taken' ? `gp ticket delete ${name}, or take another name` : undefined);
  }
  await out?.value.keep(`${answer.value.ticket}\n`);
  const { ticket: secret, ...facts } = answer.value;
  const ticket = out === undefined ? answer.value : facts;
  await printOne(
    context,
    ticket,
    `ticket/${ticket.name}`,
    () =>
      `ticket ${printable(ticket.name)}: for ${ticket.usesLeft} host${ticket.usesLeft === 1 ? '' : 's'}, until ${timeText(ticket.expiresAtMs)}, ` +
      `${ticket.autoApprove ? 'lets hosts in by itself' : 'hosts wait in the lobby for approval'}\n` +
      (options.out === undefined
        ? `It is shown only now; give it to the agent:\n\n${printable(secret)}\n`
        : `It is in ${printable(options.out)}; give that to the agent\n`),
  );
  return exits.ok;
};
