import { z } from 'zod';
import { accountKindNames } from '../environment/account.ts';
import { catalogueSchema } from '../environment/catalogue.ts';
import { environmentNames } from '../environment/environments.ts';
import { failureSchema } from '../failure.ts';
import { nameSchema } from '../ids.ts';
import { limits } from '../limits.ts';
import { insideAgentSchema } from '../inside/agent.ts';
import { stamp } from './views.ts';

const accountFacts = z.object({ identity: z.string(), owner: z.string().optional(), missing: z.array(z.string()), unchecked: z.array(z.string()) });

export const accountBody = z.strictObject({
  kind: z.enum(accountKindNames),
  settings: z.record(z.string(), z.unknown()).default({}),
  /** Absent: the one that was given before stays. */
  secret: z.record(z.string(), z.unknown()).optional(),
});

export const accountView = z.object({
  ...stamp,
  name: z.string(),
  /** Empty: of the whole tenant. */
  project: z.string(),
  kind: z.enum(accountKindNames),
  settings: z.record(z.string(), z.unknown()),
  /** How it signs in: `keys`, `identity`, … */
  signsInWith: z.string(),
  checked: z.object({ atMs: z.number(), facts: accountFacts.optional(), failure: failureSchema.optional() }),
  /** Clusters that use it. */
  usedBy: z.array(z.string()),
});
export type AccountView = z.infer<typeof accountView>;

const named = z.object({ name: z.string(), title: z.string().optional() });
export const placementBody = z.strictObject({ environment: z.enum(environmentNames), placement: z.record(z.string(), z.unknown()).default({}) });

export const offersView = z.object({
  regions: z.array(named),
  zones: z.array(z.string()),
  /** Prices in US dollars an hour. */
  sizes: z.array(z.object({ name: z.string(), cpus: z.number(), memoryMiB: z.number(), price: z.number().optional(), note: z.string().optional() })),
  images: z.array(named),
  networks: z.array(named.extend({ subnets: z.array(named.extend({ zone: z.string().optional() })).optional() })),
  versions: z.array(z.object({ name: z.string(), isDefault: z.boolean().optional(), endOfSupport: z.string().optional() })).optional(),
  other: z.record(z.string(), z.array(named)).optional(),
});

export const orphansView = z.object({
  items: z.array(
    z.object({
      thing: z.string(),
      /** Id of a cluster that this hub does not know. */
      cluster: z.string(),
      name: z.string().optional(),
    }),
  ),
  /** Things of clusters that are known here. */
  known: z.int(),
});

const costView = z.object({
  /** US dollars an hour. */
  perHour: z.number(),
  /** Sizes that the price list does not have. */
  unknown: z.array(z.string()),
});

const machineView = z.object({
  name: z.string(),
  pool: z.string(),
  phase: z.enum(['wanted', 'made', 'leaving', 'deleting']),
  sinceMs: z.number(),
  size: z.string(),
  zone: z.string().optional(),
  instance: z.string().optional(),
  state: z.string().optional(),
  health: z.string().optional(),
  message: z.string().optional(),
  reason: z.string(),
  addresses: z.array(z.string()),
  /** Name of the host that runs on it. */
  host: z.string().optional(),
  /** What it was made from, exactly, where its pool names an image of the catalogue. */
  image: z.string().optional(),
  /** It is of an older generation than its pool. */
  outdated: z.boolean(),
});

const poolPartView = z.object({
  name: z.string(),
  count: z.int(),
  state: z.enum(['making', 'ready', 'changing', 'failed', 'going']),
  /** What of it cannot be changed in place, and differs from what is wanted; it goes. */
  differs: z.array(z.string()),
  version: z.string().optional(),
  message: z.string().optional(),
});

export const infrastructureView = z.object({
  environment: z.enum(environmentNames),
  account: z.string(),
  /** What happens, in order. */
  steps: z.array(z.object({ name: z.string(), state: z.enum(['done', 'doing', 'waiting', 'failed']), message: z.string(), sinceMs: z.number() })),
  endpoint: z.object({ kind: z.enum(['vip', 'external']), host: z.string(), port: z.int() }).optional(),
  server: z.string().optional(),
  /** Name of the host whose agent makes the calls. */
  gateway: z.string().optional(),
  version: z.string().optional(),
  pools: z.array(
    z.object({
      name: z.string(),
      role: z.enum(['control-plane', 'worker']),
      size: z.string(),
      wanted: z.int(),
      total: z.int(),
      ready: z.int(),
      outdated: z.int(),
      min: z.int().optional(),
      max: z.int().optional(),
      needsApproval: z.boolean(),
      waits: z.array(z.string()),
      version: z.string().optional(),
      message: z.string().optional(),
      /** Of managed clusters: the environment's own pools for it, while one replaces another or bears another name. */
      parts: z.array(poolPartView).optional(),
      /** What its name of the catalogue stands for; `newer`: there is one that nobody has taken yet (gp pool repave). */
      image: z.object({ name: z.string(), exact: z.string(), newer: z.string().optional() }).optional(),
      cost: costView.optional(),
    }),
  ),
  machines: z.array(machineView),
  cost: costView.optional(),
  protected: z.boolean(),
  /** What somebody should know in time: support that ends. */
  notices: z.array(z.string()),
});
export type InfrastructureView = z.infer<typeof infrastructureView>;

/** An agent that runs as a pod in somebody else's cluster. */
export const importBody = z.strictObject({
  /** Absent: as it was; a new cluster is only looked at. */
  mode: z.enum(['read-only', 'full']).optional(),
  /** Absent: as they were. */
  profiles: z
    .array(z.strictObject({ name: nameSchema, version: z.string().max(128) }))
    .max(limits.profilesPerCluster)
    .optional(),
  image: z.string().max(256).optional(),
  storage: z.string().max(16).optional(),
  proxy: z
    .strictObject({ http: z.string().max(512).optional(), https: z.string().max(512).optional(), except: z.array(z.string().max(256)).max(50).optional() })
    .optional(),
  ttlSeconds: z.int().min(60).max(86_400).default(3_600),
});
export const importView = z.object({
  /** For `kubectl apply -f -`; holds a secret that lets one agent in. */
  manifest: z.string(),
  /** For `kubectl apply -f URL`: the same, until an agent has come or the time is over. */
  url: z.string(),
  expiresAtMs: z.number(),
});
export type ImportView = z.infer<typeof importView>;
export const insideAgentsView = z.object({ agent: insideAgentSchema.optional(), before: insideAgentSchema.optional() });

export const scaleBody = z.strictObject({ count: z.int().min(0).max(1_000) });

/** A price list: US dollars an hour by environment, region (`*` for any) and size. */
export const pricesBody = z.strictObject({
  source: z.string().max(256),
  prices: z.partialRecord(z.enum(environmentNames), z.record(z.string().max(64), z.record(z.string().max(128), z.number().min(0).max(100_000)))),
});
export const catalogueView = catalogueSchema.extend({ isBuiltIn: z.boolean() });
export const pricesView = pricesBody.extend({ isBuiltIn: z.boolean() });
export const poolName = z.object({ name: nameSchema, pool: nameSchema });
