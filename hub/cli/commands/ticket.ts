import { connect } from '../connect.ts';
import type { Context } from '../io.ts';
import { printOne, timeText } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { apiTrouble, exits, type Outcome } from '../trouble.ts';
import { badName } from './kinds.ts';

interface TicketOptions {
  uses: number;
  ttlMs: number;
  labels: Readonly<Record<string, string>>;
  autoApprove: boolean;
}

/** `gp ticket create NAME`: the secret is in this answer and nowhere else. */
export const createTicket = async (context: Context, name: string, options: TicketOptions): Promise<Outcome> => {
  const bad = badName('ticket', name, 'store-batch-7');
  if (bad !== undefined) return bad;
  const connection = await connect(context);
  if (!connection.ok) return connection.trouble;
  const body = {
    name,
    uses: options.uses,
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
