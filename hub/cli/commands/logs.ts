import type { EventView } from '@groundplane/protocol/api/views';
import { connect, type Connection } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { formatOf, timeText, yamlText } from '../output/print.ts';
import { printable, safeData } from '../output/printable.ts';
import { painter, toneOf } from '../output/style.ts';
import { apiTrouble, exits, usage, type Outcome } from '../trouble.ts';
import { badName, parseKind } from './kinds.ts';

interface LogsOptions {
  follow: boolean;
  tail: number;
}

const pollMs = 1_000;
const failuresMax = 60;
const tailMax = 500;

const lineOf = (context: Context, event: EventView): string => {
  const paint = painter(context, context.io.stdout);
  const about = [event.cluster, event.host, event.layer].filter((part) => part !== undefined).join('/');
  const by = event.actor === undefined ? '' : ` (by ${event.actor})`;
  const message = printable(`${about === '' ? '' : `${about}: `}${event.message}${by}`);
  return `${paint('dim', timeText(event.atMs))} ${paint(toneOf(event.type), printable(event.reason))} ${message}\n`;
};

/** One event a line: text for people, a JSON object a line for programs, so that following and piping go together. */
const print = async (context: Context, events: readonly EventView[]): Promise<void> => {
  const format = formatOf(context);
  for (const event of events) {
    if (format === 'json') await context.io.stdout.write(`${safeData(JSON.stringify(event))}\n`);
    else if (format === 'yaml') await context.io.stdout.write(`---\n${await yamlText(event)}`);
    else if (format === 'name') await context.io.stdout.write(`event/${event.seq}\n`);
    else await context.io.stdout.write(lineOf(context, event));
  }
};

/** Asks for what came after the last event seen. Ends at the deadline, or when the hub stays away. */
const follow = async (context: Context, connection: Connection, filter: { cluster?: string; host?: string }, from: number): Promise<Outcome> => {
  const { clock } = context.io;
  const deadlineMs = context.globals.timeoutMs === undefined ? Infinity : clock.nowMs() + context.globals.timeoutMs;
  let after = from;
  let failures = 0;
  while (clock.nowMs() < deadlineMs) {
    const answer = await connection.client.call('listEvents', {
      params: { project: connection.project },
      query: { after: String(after), limit: tailMax, ...filter },
    });
    if (!answer.ok) {
      failures += 1;
      if (answer.failure.kind !== 'retry' || failures > failuresMax) return apiTrouble(answer.failure);
      if (failures === 1) await notice(context, printable(`${answer.failure.element} ${answer.failure.message}; trying on`));
      await clock.sleep(pollMs * Math.min(failures, 10));
      continue;
    }
    if (failures > 0) await notice(context, 'the hub is back');
    failures = 0;
    const fresh = answer.value.items.filter((event) => event.seq > after);
    await print(context, fresh);
    after = fresh.reduce((max, event) => Math.max(max, event.seq), after);
    // A full page means that there is more already.
    if (fresh.length < tailMax) await clock.sleep(pollMs);
  }
  return exits.ok;
};

const filterOf = (
  kindText: string | undefined,
  name: string | undefined,
): { ok: true; filter: { cluster?: string; host?: string } } | { ok: false; outcome: Outcome } => {
  if (kindText === undefined) return { ok: true, filter: {} };
  const kind = parseKind(kindText, ['cluster', 'host']);
  if (typeof kind !== 'string') return { ok: false, outcome: kind };
  const bad = name === undefined ? usage('logs', `say which ${kind}`, `gp logs ${kind} NAME`) : badName(kind, name);
  if (bad !== undefined || name === undefined) return { ok: false, outcome: bad ?? exits.usage };
  return { ok: true, filter: kind === 'cluster' ? { cluster: name } : { host: name } };
};

/** `gp logs [cluster NAME | host NAME] [-f]`: events, oldest first. */
export const logs = async (context: Context, kindText: string | undefined, name: string | undefined, options: LogsOptions): Promise<Outcome> => {
  const chosen = filterOf(kindText, name);
  if (!chosen.ok) return chosen.outcome;
  const connection = await connect(context, { isWaiting: options.follow });
  if (!connection.ok) return connection.trouble;
  const answer = await connection.value.client.call('listEvents', {
    params: { project: connection.value.project },
    query: { last: Math.min(options.tail, tailMax), ...chosen.filter },
  });
  if (!answer.ok) return apiTrouble(answer.failure);
  await print(context, answer.value.items);
  if (!options.follow) {
    if (answer.value.items.length === 0) await notice(context, 'no events');
    return exits.ok;
  }
  return follow(context, connection.value, chosen.filter, answer.value.items.at(-1)?.seq ?? 0);
};
