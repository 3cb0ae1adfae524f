import type { Version } from '@groundplane/protocol/bundle';
import type { Fleet } from '../fleet/index.ts';
import { assignmentTree, planAssignments, type Assignment } from '../plan/assignments.ts';
import type { Clock } from '../port/clock.ts';
import type { Row, Store, Write } from '../port/store.ts';
import type { HubKeys } from '../trust/keys.ts';

export interface Assigner {
  /** Numbers, signs and stores what changed. Returns the new desired states. */
  assign(wanted: readonly Assignment[], ahead?: ReadonlyMap<string, Version>): Promise<Row<'desired'>[]>;
}

/** One signature for a whole batch: a Merkle tree over (host, generation, digest). Allocation and storage are one transaction. */
export const createAssigner = (deps: { store: Store; fleet: Fleet; keys: HubKeys; epoch: string; clock: Clock }): Assigner => ({
  assign: async (wanted, ahead) => {
    const { store, fleet, keys, epoch, clock } = deps;
    const entries = new Map(wanted.map((item) => [item.host, fleet.host(item.host)]));
    const before = new Map<string, { version: Version; desired: NonNullable<Awaited<ReturnType<typeof readDesired>>>['value']['desired'] }>();
    const readDesired = (tenant: string, host: string) => store.get('desired', tenant, host);
    for (const item of wanted) {
      if (entries.get(item.host)?.desired === undefined) continue;
      const row = await readDesired(item.tenant, item.host);
      if (row !== undefined) before.set(item.host, row.value);
    }
    const held = (host: string): Version | undefined => ahead?.get(host) ?? (before.has(host) ? undefined : entries.get(host)?.held);
    // A host of another history is given a new number in any case, since only a new desired state can say that its history was read.
    const above = (host: string): number => (held(host) === undefined ? 0 : Math.max(held(host)?.generation ?? 0, before.get(host)?.version.generation ?? 0));
    const numbered = planAssignments(epoch, wanted, (host) => before.get(host), above);
    if (numbered.length === 0) return [];
    const tree = assignmentTree(numbered);
    const director = keys.sign('director', {
      schema: 'groundplane.dev/director/1',
      hub: keys.hub,
      epoch,
      root: tree.root,
      size: numbered.length,
      atMs: clock.wallMs(),
    } as const);
    // Every key starts with the tenant, so each tenant of the batch gets its own copy of the one statement.
    const tenants = new Set(numbered.map((item) => item.assignment.tenant));
    const writes: Write[] = [...tenants].map((tenant) => ({
      op: 'put',
      kind: 'director',
      tenant,
      id: tree.root,
      project: '',
      name: tree.root,
      value: director,
    }));
    for (const [index, { assignment, desired, version }] of numbered.entries()) {
      const adopted = held(assignment.host);
      writes.push({
        op: 'put',
        kind: 'desired',
        tenant: assignment.tenant,
        id: assignment.host,
        project: '',
        name: assignment.host,
        value: { version, desired, inputs: assignment.inputs, proof: tree.proof(index), director: tree.root, ...(adopted === undefined ? {} : { adopted }) },
      });
    }
    const done = await store.commit(writes);
    // The runner takes the batch up again; a host is never told what is not on disk.
    if (!done.ok) throw new Error(`desired states could not be kept: ${done.failure.message}`);
    return done.value.flatMap((item) => (item.op === 'put' && item.row.kind === 'desired' ? [item.row] : []));
  },
});
