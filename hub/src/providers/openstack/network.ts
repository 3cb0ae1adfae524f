import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import { listAll, oneOf } from './list.ts';
import type { Session } from './session.ts';

const base = { id: z.string(), name: z.string(), description: z.string().nullish(), created_at: z.string().nullish() };
export const shapes = {
  network: z.object({ ...base, 'router:external': z.boolean().optional(), subnets: z.array(z.string()).default([]) }),
  subnet: z.object({ ...base, network_id: z.string(), cidr: z.string(), ip_version: z.number() }),
  router: z.object({ ...base }),
  port: z.object({
    ...base,
    network_id: z.string(),
    device_id: z.string().default(''),
    device_owner: z.string().default(''),
    fixed_ips: z.array(z.object({ subnet_id: z.string(), ip_address: z.string() })).default([]),
  }),
  security_group: z.object({
    ...base,
    security_group_rules: z
      .array(
        z.object({
          direction: z.string(),
          ethertype: z.string(),
          protocol: z.string().nullish(),
          port_range_min: z.number().nullish(),
          port_range_max: z.number().nullish(),
          remote_ip_prefix: z.string().nullish(),
          remote_group_id: z.string().nullish(),
        }),
      )
      .default([]),
  }),
  floatingip: z.object({ id: z.string(), description: z.string().nullish(), created_at: z.string().nullish(), floating_ip_address: z.string(), port_id: z.string().nullish() }), // prettier-ignore
} as const;
export type Kind = keyof typeof shapes;
export type Thing<K extends Kind> = z.infer<(typeof shapes)[K]>;

const paths: Record<Kind, string> = {
  network: '/networks',
  subnet: '/subnets',
  router: '/routers',
  port: '/ports',
  security_group: '/security-groups',
  floatingip: '/floatingips',
};
export const networkKinds = Object.keys(paths) as Kind[];

/** The oldest of several that were made at once is the one; the id decides between equals, so that every hub decides alike. */
export const oldestFirst = <T extends { id: string; created_at?: string | null | undefined }>(items: readonly T[]): T[] =>
  items.toSorted((a, b) => (a.created_at ?? '').localeCompare(b.created_at ?? '') || a.id.localeCompare(b.id));

/** Neutron's calls, as far as a cluster needs them. */
export const networkCalls = (session: Session, region: string | undefined) => {
  const list = <K extends Kind>(kind: K, query: Readonly<Record<string, string>>): Promise<Result<Thing<K>[]>> =>
    listAll(session, { service: 'network', path: paths[kind], query }, `${kind}s`, shapes[kind], region) as Promise<Result<Thing<K>[]>>;
  const create = async <K extends Kind>(kind: K, body: Record<string, unknown>): Promise<Result<Thing<K>>> => {
    const made = await session.call({ service: 'network', method: 'POST', path: paths[kind], body: { [kind]: body } }, region);
    return made.ok ? (oneOf(made.value.body, kind, shapes[kind], `OpenStack network POST ${paths[kind]}`) as Result<Thing<K>>) : made;
  };
  /** Of one that is gone already: the same. */
  const remove = async (kind: Kind, id: string): Promise<Result<void>> => {
    const gone = await session.call({ service: 'network', method: 'DELETE', path: `${paths[kind]}/${encodeURIComponent(id)}`, takes: [404] }, region);
    return gone.ok ? ok(undefined) : gone;
  };
  const routerInterface = async (action: 'add' | 'remove', router: string, subnet: string): Promise<Result<void>> => {
    const path = `/routers/${encodeURIComponent(router)}/${action}_router_interface`;
    const done = await session.call(
      { service: 'network', method: 'PUT', path, body: { subnet_id: subnet }, ...(action === 'remove' ? { takes: [404] } : {}) },
      region,
    );
    return done.ok ? ok(undefined) : done;
  };
  const addRule = async (rule: Record<string, unknown>): Promise<Result<void>> => {
    // 409: this rule is there.
    const made = await session.call(
      { service: 'network', method: 'POST', path: '/security-group-rules', body: { security_group_rule: rule }, takes: [409] },
      region,
    );
    return made.ok ? ok(undefined) : made;
  };
  const update = async (kind: Kind, id: string, body: Record<string, unknown>): Promise<Result<void>> => {
    const done = await session.call({ service: 'network', method: 'PUT', path: `${paths[kind]}/${encodeURIComponent(id)}`, body: { [kind]: body } }, region);
    return done.ok ? ok(undefined) : done;
  };
  return { list, create, remove, routerInterface, addRule, update };
};
export type NetworkCalls = ReturnType<typeof networkCalls>;
