import { insideAgentSchema, type InsideAgent } from '@groundplane/protocol/inside/agent';
import { z } from 'zod';
import type { Row, Store, Write } from '../port/store.ts';

/** Which agent the pods inside of a tenant's clusters run, and which one they ran before: a pod that goes back still has to get that. */
const schema = z.object({ agent: insideAgentSchema, before: insideAgentSchema.optional() });
export type InsideAgents = z.infer<typeof schema>;

const prefix = 'inside-agent-';

const read = (row: Pick<Row<'setting'>, 'value'> | undefined): InsideAgents | undefined =>
  row === undefined ? undefined : schema.parse(JSON.parse(row.value.value));

export const insideAgents = async (store: Pick<Store, 'get'>, tenant: string): Promise<InsideAgents | undefined> =>
  read(await store.get('setting', tenant, prefix + tenant));

export const insideAgentWrite = (tenant: string, agent: InsideAgent, last: InsideAgents | undefined): Write => {
  const isSame = JSON.stringify(last?.agent) === JSON.stringify(agent);
  const value: InsideAgents = isSame && last !== undefined ? last : { agent, ...(last === undefined ? {} : { before: last.agent }) };
  const id = prefix + tenant;
  return { op: 'put', kind: 'setting', tenant, id, project: '', name: id, value: { value: JSON.stringify(value) } };
};

export const isInsideAgentRow = (row: Pick<Row<'setting'>, 'id'>): boolean => row.id.startsWith(prefix);

/** Digests that a row of this kind keeps from being thrown away. */
export const insideDigests = (agents: InsideAgents | undefined): string[] =>
  [agents?.agent, agents?.before].flatMap((item) => Object.values(item?.packages ?? {}).flatMap((found) => (found === undefined ? [] : [found.digest])));

export const insideDigestsOf = (row: Pick<Row<'setting'>, 'id' | 'value'>): string[] => (isInsideAgentRow(row) ? insideDigests(read(row)) : []);
