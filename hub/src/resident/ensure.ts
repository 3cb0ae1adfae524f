import { createHash, createHmac } from 'node:crypto';
import { limits } from '@groundplane/protocol/limits';
import type { Write } from '../port/store.ts';
import { ticketSecret, ticketWrite } from '../cloud/machine-rows.ts';
import { event, type Turn } from '../cloud/turn.ts';
import type { Residents, Wanted } from './residents.ts';

/** Always the same for a cluster: there is one such agent in it. */
export const residentId = (prefix: 'mch' | 'tic', cluster: string): string => {
  const digest = createHash('sha256').update(`groundplane resident 1\n${prefix}\n${cluster}`).digest();
  return `${prefix}_${[...digest.subarray(0, 20)].map((byte) => '0123456789abcdefghjkmnpqrstvwxyz'.charAt(byte & 31)).join('')}`;
};

/** Pool name of the agent that reaches a cluster through its API server, from the hub or as a pod. No pool of a cluster can be called so: it is longer than a pool's name may be. */
export const residentPool = 'groundplane-hub';
if (residentPool.length <= limits.poolNameChars) throw new Error('a pool could be called like the resident agent');

/** The agent of a cluster without machines: noted as a machine that needs none, let in by a ticket of its own, and started. */
export const ensureResident = async (turn: Turn, residents: Pick<Residents, 'start' | 'has'>, connect: Wanted['connect']): Promise<void> => {
  const { deps, row } = turn;
  const [id, ticket] = [residentId('mch', row.id), residentId('tic', row.id)];
  const name = `${row.name.slice(0, 59)}-hub`;
  const known = await deps.store.get('machine', row.tenant, id);
  const writes: Write[] = [];
  if (known === undefined)
    writes.push(
      {
        op: 'put',
        kind: 'machine',
        tenant: row.tenant,
        id,
        project: row.project,
        name,
        expect: 'absent',
        value: {
          cluster: row.id,
          pool: residentPool,
          role: 'control-plane',
          size: '',
          generation: '',
          phase: 'made',
          sinceMs: turn.nowMs,
          madeAtMs: turn.nowMs,
          reason: 'reaches the cluster through its API server',
          ticket,
        },
      },
      event(turn, 'normal', 'AgentResident', `the hub looks after the layers of ${row.name} through its API server`),
    );
  if (deps.fleet.hostOfMachine(id) === undefined && !residents.has(row.id)) writes.push(ticketWrite(turn, ticket, { id, name }));
  if (writes.length > 0 && !(await deps.store.commit(writes)).ok) return;
  residents.start({
    cluster: row.id,
    name,
    ticket: { id: ticket, secret: ticketSecret(deps, ticket) },
    seed: createHmac('sha256', deps.secret).update(`groundplane resident key 1\n${row.id}`).digest(),
    connect,
  });
};
