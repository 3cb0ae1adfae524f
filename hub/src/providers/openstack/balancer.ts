import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import { listAll, oneOf } from './list.ts';
import type { Session } from './session.ts';

const balancerSchema = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullish(),
  created_at: z.string().nullish(),
  provisioning_status: z.string(),
  vip_address: z.string(),
  vip_port_id: z.string(),
  pools: z.array(z.object({ id: z.string() })).default([]),
});
export type Balancer = z.infer<typeof balancerSchema>;
const memberSchema = z.object({ id: z.string(), address: z.string(), protocol_port: z.number() });

/** Octavia's calls. One call makes a balancer with everything in it, so that no cut leaves half of one. */
export const balancerCalls = (session: Session, region: string | undefined) => {
  const service = 'load-balancer' as const;
  return {
    list: (query: Readonly<Record<string, string>>): Promise<Result<Balancer[]>> =>
      listAll(session, { service, path: '/lbaas/loadbalancers', query }, 'loadbalancers', balancerSchema, region),
    create: async (name: string, description: string, subnet: string, port: number, sources: readonly string[]): Promise<Result<Balancer>> => {
      const healthmonitor = { type: 'TCP', delay: 5, timeout: 3, max_retries: 3 };
      const pool = { name, protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN', healthmonitor, members: [] };
      const listener = { name, protocol: 'TCP', protocol_port: port, allowed_cidrs: sources, default_pool: pool };
      const body = { loadbalancer: { name, description, vip_subnet_id: subnet, listeners: [listener] } };
      const answer = await session.call({ service, method: 'POST', path: '/lbaas/loadbalancers', body }, region);
      return answer.ok ? oneOf(answer.value.body, 'loadbalancer', balancerSchema, 'OpenStack load-balancer POST /lbaas/loadbalancers') : answer;
    },
    remove: async (id: string): Promise<Result<void>> => {
      const path = `/lbaas/loadbalancers/${encodeURIComponent(id)}`;
      const gone = await session.call({ service, method: 'DELETE', path, query: { cascade: 'true' }, takes: [404] }, region);
      return gone.ok ? ok(undefined) : gone;
    },
    members: (pool: string): Promise<Result<z.infer<typeof memberSchema>[]>> =>
      listAll(session, { service, path: `/lbaas/pools/${encodeURIComponent(pool)}/members` }, 'members', memberSchema, region),
    /** Exactly these and nobody else. */
    setMembers: async (pool: string, addresses: readonly string[], port: number): Promise<Result<void>> => {
      const body = { members: addresses.map((address) => ({ address, protocol_port: port })) };
      const done = await session.call({ service, method: 'PUT', path: `/lbaas/pools/${encodeURIComponent(pool)}/members`, body }, region);
      return done.ok ? ok(undefined) : done;
    },
  };
};
export type BalancerCalls = ReturnType<typeof balancerCalls>;
