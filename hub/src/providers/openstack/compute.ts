import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import { listAll, oneOf } from './list.ts';
import type { Session } from './session.ts';

/** Tags when a server is made (2.52, Pike of 2017); a volume's type needs 2.67. */
const microversion = '2.52';
const volumeTypeMicroversion = '2.67';

export const serverSchema = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  created: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).default({}),
  tags: z.array(z.string()).default([]),
  'OS-EXT-STS:task_state': z.string().nullish(),
  'OS-EXT-AZ:availability_zone': z.string().nullish(),
  addresses: z.record(z.string(), z.array(z.object({ addr: z.string() }))).default({}),
  fault: z.object({ message: z.string() }).nullish(),
});
export type Server = z.infer<typeof serverSchema>;
export const flavorSchema = z.object({ id: z.string(), name: z.string(), vcpus: z.number(), ram: z.number(), disk: z.number() });
export type Flavor = z.infer<typeof flavorSchema>;
const imageSchema = z.object({ id: z.string(), name: z.string().nullish(), status: z.string(), created_at: z.string().nullish() });
export type Image = z.infer<typeof imageSchema>;
const groupSchema = z.object({ id: z.string(), name: z.string() });
const zoneSchema = z.object({ zoneName: z.string(), zoneState: z.object({ available: z.boolean() }) });
const made = z.object({ id: z.string() });

/** Nova's and glance's calls, as far as a cluster needs them. */
export const computeCalls = (session: Session, region: string | undefined) => {
  const compute = { service: 'compute', microversion } as const;
  return {
    servers: (query: Readonly<Record<string, string>>): Promise<Result<Server[]>> =>
      listAll(session, { ...compute, path: '/servers/detail', query }, 'servers', serverSchema, region),
    createServer: async (body: Record<string, unknown>, hints: Record<string, unknown>, withVolumeType: boolean): Promise<Result<{ id: string }>> => {
      const answer = await session.call(
        {
          service: 'compute',
          method: 'POST',
          path: '/servers',
          body: { server: body, ...(Object.keys(hints).length === 0 ? {} : { 'os:scheduler_hints': hints }) },
          microversion: withVolumeType ? volumeTypeMicroversion : microversion,
        },
        region,
      );
      return answer.ok ? oneOf(answer.value.body, 'server', made, 'OpenStack compute POST /servers') : answer;
    },
    /** Of one that is gone already: the same. */
    deleteServer: async (id: string): Promise<Result<void>> => {
      const gone = await session.call({ ...compute, method: 'DELETE', path: `/servers/${encodeURIComponent(id)}`, takes: [404] }, region);
      return gone.ok ? ok(undefined) : gone;
    },
    flavors: (): Promise<Result<Flavor[]>> => listAll(session, { ...compute, path: '/flavors/detail' }, 'flavors', flavorSchema, region),
    groups: (): Promise<Result<{ id: string; name: string }[]>> =>
      listAll(session, { ...compute, path: '/os-server-groups' }, 'server_groups', groupSchema, region),
    createGroup: async (name: string): Promise<Result<{ id: string }>> => {
      const body = { server_group: { name, policies: ['soft-anti-affinity'] } };
      const answer = await session.call({ ...compute, method: 'POST', path: '/os-server-groups', body }, region);
      return answer.ok ? oneOf(answer.value.body, 'server_group', made, 'OpenStack compute POST /os-server-groups') : answer;
    },
    deleteGroup: async (id: string): Promise<Result<void>> => {
      const gone = await session.call({ ...compute, method: 'DELETE', path: `/os-server-groups/${encodeURIComponent(id)}`, takes: [404] }, region);
      return gone.ok ? ok(undefined) : gone;
    },
    zones: async (): Promise<Result<string[]>> => {
      const found = await listAll(session, { ...compute, path: '/os-availability-zone' }, 'availabilityZoneInfo', zoneSchema, region);
      return found.ok ? ok(found.value.filter((zone) => zone.zoneState.available).map((zone) => zone.zoneName)) : found;
    },
    images: (query: Readonly<Record<string, string>>): Promise<Result<Image[]>> =>
      listAll(session, { service: 'image', path: '/images', query: { status: 'active', ...query } }, 'images', imageSchema, region),
  };
};
export type ComputeCalls = ReturnType<typeof computeCalls>;
