import { z } from 'zod';
import type { Environment } from './environments.ts';

/** Ids, names and paths of other people's things: no blanks, and nothing that could leave a URL or an XML element. */
const thing = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\s"'<>&?#\\]+$/, 'has characters that no id has');
/** Names that people gave: blanks are allowed. */
const named = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^"'<>&\\\p{Cc}]+$/u, 'has characters that no name has');
export const regionSchema = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9-]*$/, 'not the name of a region');
const network = z.cidrv4({ error: 'must be a network like 10.0.0.0/16' });
const sources = z.array(network).min(1).max(50).default(['0.0.0.0/0']);
const vip = z.ipv4({ error: 'must be an IPv4 address' });
const tags = z
  .record(z.string().min(1).max(128), z.string().max(256))
  .refine((record) => Object.keys(record).length <= 30 && !Object.keys(record).some((key) => key.startsWith('groundplane')), 'at most 30, and none of ours')
  .default({});
const sshKeys = z.array(z.string().max(16_384)).max(10).default([]);

/** What the agent boots on: `cloud-init` installs it on a stock image; `groundplane` is an image that has it. */
const boot = z.enum(['cloud-init', 'groundplane']).default('cloud-init');
/** Who may reach the API server's public address; `private`: it has none. */
const apiAccess = { access: z.enum(['public', 'private']).default('public'), apiSources: sources };

const aws = z.strictObject({
  region: regionSchema,
  /** An existing one; the subnets have to lie in it. Without it, one is made. */
  vpc: thing.optional(),
  subnets: z.array(thing).max(16).default([]),
  cidr: network.default('10.0.0.0/16'),
  /** One gateway is cheaper, one for each zone survives a zone. */
  nat: z.enum(['one', 'each-zone', 'none']).default('one'),
  ...apiAccess,
  boot,
  sshKeys,
  tags,
});

const eks = z.strictObject({
  region: regionSchema,
  vpc: thing.optional(),
  subnets: z.array(thing).max(16).default([]),
  cidr: network.default('10.0.0.0/16'),
  nat: z.enum(['one', 'each-zone', 'none']).default('one'),
  ...apiAccess,
  addons: z
    .array(z.strictObject({ name: thing, version: thing.optional(), configuration: z.string().max(65_536).optional() }))
    .max(30)
    .default([]),
  accessEntries: z
    .array(z.strictObject({ principal: thing, policies: z.array(thing).max(20).default([]), groups: z.array(named).max(20).default([]) }))
    .max(100)
    .default([]),
  logging: z.array(z.enum(['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'])).default([]),
  tags,
});

const azureNetwork = z.strictObject({ resourceGroup: named, name: named, subnet: named });

const azure = z.strictObject({
  subscription: z.guid({ error: 'must be the id of a subscription' }),
  location: regionSchema,
  /** By default one is made for the cluster. An existing one is never deleted. */
  resourceGroup: named.optional(),
  network: azureNetwork.optional(),
  cidr: network.default('10.0.0.0/16'),
  /** Workers in scale sets; static places need single machines. */
  scaleSets: z.boolean().default(false),
  ...apiAccess,
  boot,
  sshKeys,
  tags,
});

const aks = z.strictObject({
  subscription: z.guid({ error: 'must be the id of a subscription' }),
  location: regionSchema,
  resourceGroup: named.optional(),
  network: azureNetwork.optional(),
  ...apiAccess,
  tier: z.enum(['Free', 'Standard', 'Premium']).default('Free'),
  networkPlugin: z.enum(['azure', 'kubenet', 'none']).default('azure'),
  dnsServiceIp: z.ipv4().optional(),
  serviceCidr: network.optional(),
  podCidr: network.optional(),
  tags,
});

const google = z.strictObject({
  project: thing,
  region: regionSchema,
  network: thing.optional(),
  subnetwork: thing.optional(),
  cidr: network.default('10.0.0.0/16'),
  ...apiAccess,
  serviceAccount: thing.optional(),
  boot,
  sshKeys,
  tags,
});

const gke = z.strictObject({
  project: thing,
  /** Region or zone. */
  location: regionSchema,
  network: thing.optional(),
  subnetwork: thing.optional(),
  ...apiAccess,
  releaseChannel: z.enum(['UNSPECIFIED', 'RAPID', 'REGULAR', 'STABLE', 'EXTENDED']).default('UNSPECIFIED'),
  privateNodes: z.boolean().default(false),
  masterCidr: network.optional(),
  serviceAccount: thing.optional(),
  tags,
});

const vsphere = z.strictObject({
  datacenter: named,
  /** Template or machine that is cloned where a pool names no image. */
  template: named.optional(),
  /** Folder, resource pool or cluster, datastore and network by name or inventory path. */
  folder: named.optional(),
  resourcePool: named.optional(),
  datastore: named.optional(),
  network: named.optional(),
  linkedClones: z.boolean().default(false),
  /** Address of the API server, kept free in the network. */
  vip,
  boot,
  sshKeys,
});

const nutanix = z.strictObject({
  cluster: named,
  subnet: named,
  image: named.optional(),
  project: named.optional(),
  vip,
  boot,
  sshKeys,
});

const openstack = z.strictObject({
  region: regionSchema.optional(),
  externalNetwork: named.optional(),
  network: named.optional(),
  subnet: named.optional(),
  cidr: network.default('10.6.0.0/24'),
  dns: z.array(z.ipv4()).max(3).default([]),
  /** `octavia`: a load balancer where the cloud has them; `vip`: an address that moves between the control planes. */
  endpoint: z.enum(['octavia', 'vip']).default('vip'),
  vip: vip.optional(),
  /** Root disk as a volume; otherwise the flavour's own. */
  bootVolume: z.boolean().default(false),
  volumeType: named.optional(),
  apiSources: sources,
  boot,
  sshKeys,
});

const maas = z.strictObject({
  /** Machines are taken from here only. */
  resourcePool: named.optional(),
  domain: named.optional(),
  machineTags: z.array(named).max(20).default([]),
  /** `ubuntu/noble` or `custom/groundplane-1`. */
  image: thing.default('ubuntu/noble'),
  vip,
  boot,
  sshKeys,
});

const proxyUrl = z
  .url({ protocol: /^https?$/, error: 'must be a URL like http://proxy:3128' })
  .max(512)
  .refine((url) => !/[\s"'<>$]/.test(url), 'has characters that no proxy has');

/** `read-only`: looked at, never touched. `full`: its add-on layers are ours. */
const existing = z.strictObject({
  mode: z.enum(['read-only', 'full']).default('full'),
  /** `hub`: the hub reaches it with a kubeconfig. `inside`: a pod in it reaches the hub, which then needs no way in and no account. */
  agent: z.enum(['hub', 'inside']).default('hub'),
  /** Of the pod: any image with Node 22.15 or newer and glibc; for mirrors. */
  image: thing.optional(),
  /** Of the pod: size of a volume for its memory, such as `1Gi`. */
  storage: z
    .string()
    .regex(/^[1-9][0-9]{0,3}[MG]i$/, 'must be a size like 1Gi')
    .optional(),
  /** How the pod reaches the hub. */
  proxy: z.strictObject({ http: proxyUrl.optional(), https: proxyUrl.optional(), except: z.array(thing).max(50).default([]) }).optional(),
});

export const placementSchemas = { aws, eks, azure, aks, google, gke, vsphere, nutanix, openstack, maas, existing } satisfies Record<Environment, z.ZodType>;
export type Placement<E extends Environment> = z.infer<(typeof placementSchemas)[E]>;
