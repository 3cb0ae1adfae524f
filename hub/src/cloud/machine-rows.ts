import { createHash, createHmac } from 'node:crypto';
import { canonicalJson } from '@groundplane/protocol/canonical';
import type { Pool } from '@groundplane/protocol/environment/pool';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import { ticketLine } from '../gateway/ticket-line.ts';
import { bootPackages, machineUserData } from '../plan/machine-boot.ts';
import type { PoolStep } from '../plan/pools.ts';
import type { MachineWant } from '../port/provider.ts';
import type { Row, Write } from '../port/store.ts';
import type { MachineValue } from './state.ts';
import { event, type CloudDeps, type Turn } from './turn.ts';

/** Enough for the slowest bare metal to be installed, and for a hub that was away in between. */
const ticketMs = 24 * 3_600_000;

export const ticketSecret = (deps: Pick<CloudDeps, 'secret'>, ticket: string): string =>
  createHmac('sha256', deps.secret).update(`groundplane machine 1\n${ticket}`).digest('base64url');
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Whoever holds the ticket may fetch exactly the packages that its user data names. */
export const bootMac = (keyHash: string, digest: string): string =>
  createHmac('sha256', Buffer.from(keyHash, 'hex')).update(`groundplane boot 1\n${digest}`).digest('base64url');

/** What a machine is made from; when it changes, the machine is of an older generation. Labels and taints are not part of it: the agent changes them in place. */
export const generationOf = (turn: Pick<Turn, 'spec' | 'scope'> & { infra: Pick<Turn['infra'], 'images'> }, pool: Pool): string => {
  const { size, image, diskGiB, spot, role, zones } = pool;
  const { boot } = turn.scope.placement as { boot?: string };
  const { isChosen = false, exact } = turn.infra.images?.[pool.name] ?? {};
  // The first image that a name was found to mean is no reason to replace what was made before; one that somebody took is.
  const taken = isChosen && exact !== undefined ? { exact } : {};
  return createHash('sha256')
    .update(
      canonicalJson({
        ...taken,
        size,
        image: image ?? null,
        diskGiB: diskGiB ?? null,
        spot,
        role,
        zones,
        boot: boot ?? null,
        environment: turn.spec.environment,
      }),
    )
    .digest('hex')
    .slice(0, 16);
};

/** A ticket that only one machine can use, once. */
export const machineTicket = (
  deps: Pick<CloudDeps, 'secret'>,
  at: Pick<Row<'cluster'>, 'tenant' | 'project'>,
  { id, expiresAtMs }: { id: string; expiresAtMs: number },
  machine: { id: string; name: string },
): Write => ({
  op: 'put',
  kind: 'ticket',
  tenant: at.tenant,
  id,
  project: at.project,
  name: `machine-${id.slice(-12)}`,
  lookup: id,
  value: {
    keyHash: hashOf(ticketSecret(deps, id)),
    expiresAtMs,
    usesLeft: 1,
    labels: {},
    autoApprove: true,
    machine,
  },
});

/** The ticket of one machine, new or good again. */
export const ticketWrite = ({ deps, row, nowMs }: Turn, id: string, machine: { id: string; name: string }): Write =>
  machineTicket(deps, row, { id, expiresAtMs: nowMs + ticketMs }, machine);

/** Notes a machine before it is asked for, with a ticket that only it can use. */
export const noteMachine = async (turn: Turn, pool: Pool, step: PoolStep & { kind: 'make' }): Promise<Result<Row<'machine'> | undefined>> => {
  const { deps, row } = turn;
  const id = makeId('machine', (length) => deps.random.bytes(length));
  const ticket = makeId('ticket', (length) => deps.random.bytes(length));
  // 63 letters at most, in names of hosts, nodes and machines.
  const name = `${row.name.slice(0, 42)}-${pool.name}-${id.slice(-6)}`;
  const value: MachineValue = {
    cluster: row.id,
    pool: pool.name,
    role: pool.role,
    size: pool.size,
    generation: generationOf(turn, pool),
    ...(step.zone === undefined ? {} : { zone: step.zone }),
    ...(step.place === undefined ? {} : { place: step.place }),
    phase: 'wanted',
    sinceMs: turn.nowMs,
    reason: step.reason,
    ticket,
  };
  const done = await deps.store.commit([
    { op: 'put', kind: 'machine', tenant: row.tenant, id, project: row.project, name, value, expect: 'absent' },
    ticketWrite(turn, ticket, { id, name }),
    event(turn, 'normal', 'MachineWanted', `machine ${name}: ${step.reason}`),
  ]);
  return done.ok ? ok(await deps.store.get('machine', row.tenant, id)) : done;
};

export const saveMachine = async (turn: Turn, machine: Row<'machine'>, fields: Partial<MachineValue>, extra: readonly Write[] = []): Promise<boolean> => {
  const value = { ...machine.value, ...fields };
  if (extra.length === 0 && JSON.stringify(value) === JSON.stringify(machine.value)) return true;
  const { tenant, id, project, name } = machine;
  const done = await turn.deps.store.commit([{ op: 'put', kind: 'machine', tenant, id, project, name, value, expect: machine.version }, ...extra]);
  return done.ok;
};

/** What goes with a machine: its ticket, and the host that ran on it, which is nobody any more. */
export const machineGone = ({ deps, row: { tenant } }: Pick<Turn, 'deps' | 'row'>, machine: Row<'machine'>): Write[] => {
  const host = deps.fleet.hostOfMachine(machine.id);
  return [
    { op: 'delete', kind: 'machine', tenant, id: machine.id },
    { op: 'delete', kind: 'ticket', tenant, id: machine.value.ticket },
    ...(host === undefined ? [] : (['host', 'desired', 'observed', 'presence'] as const).map((kind): Write => ({ op: 'delete', kind, tenant, id: host.id }))),
  ];
};

export const forgetMachine = async (turn: Turn, machine: Row<'machine'>): Promise<void> => {
  await turn.deps.store.commit([
    ...machineGone(turn, machine),
    event(turn, 'normal', 'MachineGone', `machine ${machine.name} is gone: ${machine.value.reason}`),
  ]);
};

/** What the environment is asked for. Failures: `agent-package-missing` (blocked), those of the profile's layers. */
export const wantOf = async (turn: Turn, pool: Pool, machine: Row<'machine'>): Promise<Result<MachineWant>> => {
  const { deps, scope } = turn;
  const placement = scope.placement as { boot?: 'cloud-init' | 'groundplane'; sshKeys?: string[] };
  const secret = ticketSecret(deps, machine.value.ticket);
  const keyHash = hashOf(secret);
  const packages = placement.boot === 'groundplane' ? ok([]) : await packagesOf(turn, machine.value.ticket, keyHash);
  if (!packages.ok) return packages;
  const userData = machineUserData({
    hostname: machine.name,
    ticket: ticketLine(deps.addresses(), deps.keys, { id: machine.value.ticket, secret }),
    sshKeys: placement.sshKeys ?? [],
    packages: packages.value,
    ca: deps.addresses().ca,
  });
  if (!userData.ok) return userData;
  return ok({
    name: machine.name,
    pool: pool.name,
    role: pool.role,
    size: pool.size,
    image: turn.infra.images?.[pool.name]?.exact ?? pool.image,
    diskGiB: pool.diskGiB,
    zone: machine.value.zone,
    spot: pool.spot,
    place: machine.value.place === undefined ? undefined : pool.static[machine.value.place],
    userData: userData.value,
    // Of what it is made from now: what was wrong when it was noted may have been put right.
    generation: generationOf(turn, pool),
  });
};

const packagesOf = async (turn: Turn, ticket: string, keyHash: string) => {
  const { deps, row } = turn;
  const input = await deps.inputs.ofRow(row);
  if (!input.ok) return input;
  const os = input.value.profiles.flatMap((profile) => profile.spec.layers).find((layer) => layer.os !== undefined)?.os;
  const agent = os !== undefined && 'agent' in os ? os.agent : undefined;
  const base = deps.addresses().content;
  const packages = bootPackages(agent, (digest) => `${base}/api/v1/boot/${ticket}/${digest}?mac=${bootMac(keyHash, digest)}`);
  return packages.length > 0
    ? ok(packages)
    : fail(
        'blocked',
        'agent-package-missing',
        `cluster ${row.name}`,
        'its machines start from a stock image and need the agent, and its profile names none. Upload one (gp agent upload) and put what that prints into the OS layer; or use an image that has the agent, with placement.boot: groundplane',
      );
};
