import { createHmac, timingSafeEqual } from 'node:crypto';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId, nameSchema } from '@groundplane/protocol/ids';
import { limits } from '@groundplane/protocol/limits';
import { ticketText, type Hello } from '@groundplane/protocol/messages';
import { keyWords } from '@groundplane/protocol/words';
import type { Fleet, HostEntry } from '../fleet/index.ts';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import type { Row, Store, Write } from '../port/store.ts';

const attemptsMax = 5;

const refused = (why: string): Result<never> => fail('blocked', 'ticket-refused', 'ticket', `${why}. Make a new one with: gp ticket create`);

const checkMac = (row: Row<'ticket'>, hello: Hello, challenge: { hub: string; nonce: string }): boolean => {
  const expected = createHmac('sha256', Buffer.from(row.value.keyHash, 'hex'))
    .update(ticketText(challenge, hello.key, hello.nonce))
    .digest();
  const given = Buffer.from(hello.ticket?.mac ?? '', 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
};

/** The list's name for this device, else its own wish; a taken one gets an ending. */
const freeName = async (store: Store, ticket: Row<'ticket'>, hello: Hello, salt: string): Promise<string> => {
  if (ticket.value.machine !== undefined) return ticket.value.machine.name;
  const listed = hello.serial === undefined ? undefined : ticket.value.serials?.[hello.serial];
  const wished = nameSchema.safeParse(listed === undefined || listed === '' ? hello.name : listed);
  const base = wished.success ? wished.data.slice(0, 56) : 'host';
  const isTaken = !wished.success || (await store.byName('host', ticket.tenant, ticket.project, base)) !== undefined;
  return isTaken ? `${base}-${salt}` : base;
};

interface EnrolDeps {
  store: Store;
  fleet: Fleet;
  clock: Clock;
  random: Random;
  hub: string;
}

/**
 * Lets unknown keys into the lobby, or straight in when the ticket says so. A ticket's uses are given away once each, however many devices ask at the same
 * moment: its row is written under the version that was read. Devices with the same ticket take turns, or all but one of them would read in vain; other
 * replicas of the hub are still met by the version. Failures: `ticket-refused` (blocked), `hub-busy` (retry).
 */
export const createEnrolment = (deps: EnrolDeps): ((hello: Hello, challenge: { hub: string; nonce: string }) => Promise<Result<Row<'host'>>>) => {
  const turns = new Map<string, Promise<unknown>>();
  return async (hello, challenge) => {
    const id = hello.ticket?.id ?? '';
    const known = await deps.store.byLookup('ticket', id);
    // Nobody waits for, or makes others wait with, a ticket whose secret they do not know.
    if (known === undefined || !checkMac(known, hello, challenge))
      return refused(hello.ticket === undefined ? 'this key is unknown and brings no ticket' : 'there is no such ticket');
    const turn = (turns.get(id) ?? Promise.resolve()).catch(() => undefined).then(() => enrol(deps, hello, challenge));
    turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(id) === turn) turns.delete(id);
    }
  };
};

/** Whether a ticket still lets somebody in, and this device among them. */
const admits = (ticket: Row<'ticket'>, hello: Hello, nowMs: number): Result<void> => {
  if (ticket.value.expiresAtMs < nowMs) return refused(`ticket ${ticket.name} has expired`);
  const listed = ticket.value.serials;
  if (listed !== undefined && (hello.serial === undefined || !Object.hasOwn(listed, hello.serial)))
    return refused(
      `ticket ${ticket.name} is for listed devices, and this one ${hello.serial === undefined ? 'says no serial number' : `says ${hello.serial}`}`,
    );
  if (ticket.value.usesLeft < 1) return refused(`ticket ${ticket.name} is used up`);
  return ok(undefined);
};

/** Notes a listed device as come. A device that is set up anew comes twice and counts once. */
const cameWith = (ticket: Row<'ticket'>, serial: string | undefined): { came?: string[] } => {
  const came = ticket.value.came ?? [];
  return ticket.value.serials === undefined || serial === undefined || came.includes(serial) ? {} : { came: [...came, serial] };
};

/** An approved host of the same project with this serial number: the same hardware, set up anew, or a board that was changed. */
const placeOf = ({ fleet }: EnrolDeps, ticket: Row<'ticket'>, serial: string | undefined): HostEntry | undefined =>
  serial === undefined
    ? undefined
    : [...fleet.hosts()].find(
        (host) => host.serial === serial && host.state === 'approved' && host.tenant === ticket.tenant && host.project === ticket.project,
      );

/** Whoever brings a new ticket of a machine is what that machine is now; the host with the key before is nobody any more. A revoked key stays known as such. */
const formerOf = async ({ fleet, store }: EnrolDeps, machine: string | undefined): Promise<Write[]> => {
  const former = machine === undefined ? undefined : fleet.hostOfMachine(machine);
  if (former === undefined) return [];
  const row = former.state === 'revoked' ? await store.get('host', former.tenant, former.id) : undefined;
  if (row !== undefined) {
    const { tenant, id, project, name } = row;
    const { machine: _machine, ...value } = row.value;
    return [{ op: 'put', kind: 'host', tenant, id, project, name, lookup: value.key, expect: row.version, value }];
  }
  return (['host', 'desired', 'observed', 'presence'] as const).map((kind): Write => ({ op: 'delete', kind, tenant: former.tenant, id: former.id }));
};

const arrived = (
  deps: EnrolDeps,
  ticket: Row<'ticket'>,
  hello: Hello,
  { name, state, replaces }: { name: string; state: 'approved' | 'lobby'; replaces: HostEntry | undefined },
): Write => ({
  op: 'event',
  event: {
    tenant: ticket.tenant,
    project: ticket.project,
    host: name,
    atMs: deps.clock.wallMs(),
    type: 'normal',
    reason: state === 'approved' ? 'HostApproved' : 'HostWaiting',
    message: `host ${name} (${keyWords(hello.key, deps.hub)}) came with ticket ${ticket.name}${state === 'approved' ? ' and was let in by its rule' : ` and waits for approval${replaces === undefined ? '' : `; it has the serial number of ${replaces.name}, whose place it can take`}`}`,
  },
});

const enrol = async (deps: EnrolDeps, hello: Hello, challenge: { hub: string; nonce: string }): Promise<Result<Row<'host'>>> => {
  const { store, clock, random } = deps;
  if (hello.ticket === undefined) return refused('this key is unknown and brings no ticket');
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const ticket = await store.byLookup('ticket', hello.ticket.id);
    if (ticket === undefined || !checkMac(ticket, hello, challenge)) return refused('there is no such ticket');
    const earlier = await store.byLookup('host', hello.key);
    if (earlier !== undefined) return ok(earlier);
    const admitted = admits(ticket, hello, clock.wallMs());
    if (!admitted.ok) return admitted;
    const id = makeId('host', (length) => random.bytes(length));
    const name = await freeName(store, ticket, hello, id.slice(-6));
    // A machine of ours is nobody's replacement: who made it also lets the old one go.
    const { machine } = ticket.value;
    const replaces = machine === undefined ? placeOf(deps, ticket, hello.serial) : undefined;
    // A device that says it is one that we know already waits for a person, whatever the ticket says.
    const state = ticket.value.autoApprove && replaces === undefined ? 'approved' : 'lobby';
    const done = await store.commit([
      ...(await formerOf(deps, machine?.id)),
      {
        op: 'put',
        kind: 'ticket',
        tenant: ticket.tenant,
        id: ticket.id,
        project: ticket.project,
        name: ticket.name,
        value: { ...ticket.value, usesLeft: ticket.value.usesLeft - 1, ...cameWith(ticket, hello.serial) },
        lookup: ticket.id,
        expect: ticket.version,
      },
      {
        op: 'put',
        kind: 'host',
        tenant: ticket.tenant,
        id,
        project: ticket.project,
        name,
        lookup: hello.key,
        expect: 'absent',
        value: {
          key: hello.key,
          state,
          labels: ticket.value.labels,
          bootId: hello.bootId,
          ...(hello.serial === undefined ? {} : { serial: hello.serial }),
          ...(replaces === undefined ? {} : { replaces: replaces.id }),
          ...(machine === undefined ? {} : { machine: machine.id }),
        },
      },
      arrived(deps, ticket, hello, { name, state, replaces }),
    ]);
    if (done.ok) {
      const row = await store.get('host', ticket.tenant, id);
      return row === undefined ? refused('the host was removed at once') : ok(row);
    }
    if (done.failure.code === 'name-taken') {
      const known = await store.byLookup('host', hello.key);
      if (known !== undefined) return ok(known);
    }
  }
  return fail('retry', 'hub-busy', 'hub', `too many devices use this ticket at the same moment; at most ${limits.handshakesPerSecond} a second`);
};
