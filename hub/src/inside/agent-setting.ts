import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { insideAgentSchema, type InsideAgent } from '@groundplane/protocol/inside/agent';
import { z } from 'zod';
import type { Row, Store, Write } from '../port/store.ts';

/** Of those before, so many can still be had. */
const olderMax = 4;
/**
 * Which agent the pods inside of a tenant's clusters run, and which ones they ran before, the last one first: a pod goes back to the one that was healthy in it,
 * which is older than the one before when several were bad in a row, and one that cannot get it is lost for good.
 */
const schema = z.object({ agent: insideAgentSchema, before: insideAgentSchema.optional(), older: z.array(insideAgentSchema).max(olderMax).default([]) });
export type InsideAgents = z.infer<typeof schema>;

const prefix = 'inside-agent-';

const read = (row: Pick<Row<'setting'>, 'value'> | undefined): InsideAgents | undefined =>
  row === undefined ? undefined : schema.parse(JSON.parse(row.value.value));

export const insideAgents = async (store: Pick<Store, 'get'>, tenant: string): Promise<InsideAgents | undefined> =>
  read(await store.get('setting', tenant, prefix + tenant));

/** For a cluster whose pod needs one. Failure `agent-package-missing` (blocked). */
export const neededAgents = async (store: Pick<Store, 'get'>, tenant: string, cluster: string): Promise<Result<InsideAgents>> => {
  const agents = await insideAgents(store, tenant);
  return agents === undefined
    ? fail(
        'blocked',
        'agent-package-missing',
        `cluster ${cluster}`,
        'the pod needs the agent, and this hub was given none. Upload it: gp agent upload FILE… --inside',
      )
    : ok(agents);
};

export const insideAgentWrite = (tenant: string, agent: InsideAgent, last: InsideAgents | undefined): Write => {
  const isSame = JSON.stringify(last?.agent) === JSON.stringify(agent);
  const earlier = last?.before === undefined ? [] : [last.before, ...last.older];
  const next: InsideAgents = { agent, ...(last === undefined ? {} : { before: last.agent }), older: earlier.slice(0, olderMax) };
  const value = isSame && last !== undefined ? last : next;
  const id = prefix + tenant;
  return { op: 'put', kind: 'setting', tenant, id, project: '', name: id, value: { value: JSON.stringify(value) } };
};

export const isInsideAgentRow = (row: Pick<Row<'setting'>, 'id'>): boolean => row.id.startsWith(prefix);

/** Digests that a row of this kind keeps from being thrown away. */
export const insideDigests = (agents: InsideAgents | undefined): string[] =>
  [agents?.agent, agents?.before, ...(agents?.older ?? [])].flatMap((item) =>
    Object.values(item?.packages ?? {}).flatMap((found) => (found === undefined ? [] : [found.digest])),
  );

export const insideDigestsOf = (row: Pick<Row<'setting'>, 'id' | 'value'>): string[] => (isInsideAgentRow(row) ? insideDigests(read(row)) : []);
