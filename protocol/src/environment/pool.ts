import { z } from 'zod';
import { labelsSchema, nameSchema } from '../ids.ts';
import { limits } from '../limits.ts';
import { taintSchema } from '../taint.ts';

/** Short enough that `cluster-pool-abc123` stays a name everywhere: managed node pools allow 12 characters on Azure. */
export const poolNameSchema = nameSchema.max(limits.poolNameChars);

const ipv4Network = z.cidrv4({ error: 'must be an address with its prefix, like 10.0.0.21/24' });

/** A place that is given by hand: the machine that takes it has this address, and runs on this host of the data centre. */
const staticPlaceSchema = z.strictObject({
  address: ipv4Network.optional(),
  gateway: z.ipv4().optional(),
  dns: z.array(z.ipv4()).max(3).default([]),
  /** vSphere: host or cluster; MAAS: system id; Nutanix: host. */
  host: z.string().max(253).optional(),
});

/** How machines are changed: at most `maxSurge` more and `maxUnavailable` fewer than wanted at any moment. Control planes always go one by one. */
const updateSchema = z
  .strictObject({
    maxSurge: z.int().min(0).max(100).default(1),
    maxUnavailable: z.int().min(0).max(100).default(0),
    /** `manual`: machines are not replaced before somebody says so (gp pool repave). */
    approval: z.enum(['auto', 'manual']).default('auto'),
  })
  .refine((update) => update.maxSurge + update.maxUnavailable > 0, 'maxSurge and maxUnavailable cannot both be 0: nothing could ever be replaced');

/** When a machine counts as lost and is made anew; not when more than `maxUnhealthyPercent` of the pool are, since then something else is wrong. */
const healthSchema = z.strictObject({
  remediate: z.boolean().default(true),
  unhealthyAfterSeconds: z.int().min(60).max(86_400).default(600),
  /** From its making until its agent reported for the first time. */
  startupSeconds: z.int().min(60).max(86_400).default(1_800),
  maxUnhealthyPercent: z.int().min(0).max(100).default(40),
});

export const poolSchema = z
  .strictObject({
    name: poolNameSchema,
    role: z.enum(['control-plane', 'worker']).default('worker'),
    count: z.int().min(0).max(limits.hostsPerCluster),
    /** Bounds for whoever scales it (cluster autoscaler, gp pool scale). Given both, `count` is where it starts. */
    min: z.int().min(0).max(limits.hostsPerCluster).optional(),
    max: z.int().min(0).max(limits.hostsPerCluster).optional(),
    /** Instance type, flavour, or `4x16` for 4 CPUs and 16 GiB where there are none. */
    size: z.string().min(1).max(128),
    /** Image, template or distribution series; by default the environment's own. */
    image: z.string().min(1).max(512).optional(),
    diskGiB: z.int().min(8).max(65_536).optional(),
    zones: z.array(z.string().min(1).max(64)).max(10).default([]),
    spot: z.boolean().default(false),
    labels: labelsSchema.default({}),
    taints: z.array(taintSchema).max(50).default([]),
    static: z.array(staticPlaceSchema).max(1_000).default([]),
    update: updateSchema.prefault({}),
    health: healthSchema.prefault({}),
    /** Nothing of it is changed, whatever happens. */
    paused: z.boolean().default(false),
  })
  .superRefine((pool, context) => {
    const issue = (message: string): void => void context.addIssue({ code: 'custom', message: `pool ${pool.name}: ${message}` });
    if ((pool.min === undefined) !== (pool.max === undefined)) issue('min and max are given together');
    if (pool.min !== undefined && pool.max !== undefined && (pool.min > pool.max || pool.count < pool.min || pool.count > pool.max))
      issue(`min ≤ count ≤ max does not hold (${pool.min}, ${pool.count}, ${pool.max})`);
    if (pool.static.length > 0 && pool.static.length < (pool.max ?? pool.count))
      issue(`has ${pool.static.length} static places for ${pool.max ?? pool.count} machines`);
    if (pool.role === 'control-plane' && pool.spot) issue('control planes do not run on spot machines: the datastore would lose its quorum');
    if (pool.role === 'control-plane' && pool.min !== undefined) issue('control planes are not scaled automatically');
  });
export type Pool = z.infer<typeof poolSchema>;
export type StaticPlace = z.infer<typeof staticPlaceSchema>;
