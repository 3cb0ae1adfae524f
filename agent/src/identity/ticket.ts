import { createHash, createHmac } from 'node:crypto';
import { digestSchema } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { z } from 'zod';

/** What an image carries: where hubs are, which trust root to believe, and a ticket to be let in. No password, no certificate authority of the world. */
const ticketSchema = z.object({
  /** `ws://…`, `wss://…`, `mqtt://…` or `mqtts://…`; tried in turn. */
  hubs: z.array(z.string().max(512)).min(1).max(8),
  /** `http(s)://…` base for content. */
  content: z.string().max(512),
  hub: z.string().max(64),
  root: digestSchema,
  id: z.string().max(64),
  secret: z.string().max(128),
  caPem: z.string().max(limits.ticketCaChars).optional(),
});
export type EnrolmentTicket = z.infer<typeof ticketSchema>;

const prefix = 'gpt1.';

/** Reads the one-line ticket that the hub printed. */
export const parseTicket = (text: string): Result<EnrolmentTicket> => {
  const bad = (why: string): Result<never> => fail('fatal', 'ticket-invalid', 'ticket', `${why}. Copy it again from: gp ticket create`);
  const line = text.trim();
  if (!line.startsWith(prefix)) return bad(`a ticket begins with ${prefix}`);
  if (line.length > 32_768) return bad('this is too long to be a ticket');
  try {
    const parsed = ticketSchema.safeParse(JSON.parse(Buffer.from(line.slice(prefix.length), 'base64url').toString('utf8')));
    return parsed.success ? ok(parsed.data) : bad(`field ${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? ''}`);
  } catch {
    return bad('the ticket is cut off or damaged');
  }
};

/** Proves knowledge of the ticket's secret without sending it. The hub keeps only its hash, which is the key here. */
export const ticketMac = (secret: string, text: string): string =>
  createHmac('sha256', createHash('sha256').update(secret).digest()).update(text).digest('base64url');
