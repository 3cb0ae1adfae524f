import { z } from 'zod';
import { nameSchema } from '../ids.ts';
import type { Environment } from './environments.ts';
import { regionSchema } from './placement.ts';

/**
 * Cloud accounts: one for each way into an environment. `settings` may be read by whoever may see the account, `secret` lies sealed and never comes back.
 * One account serves the machines and the managed clusters of its vendor.
 */
const url = z
  .url({ protocol: /^https?$/, error: 'must be an address that begins with https://' })
  .max(2_048)
  .refine(
    (address) => !/^[a-z]+:\/\/[^/]*@/i.test(address),
    'has a user or password in it, and everybody who sees the account would read them. They belong into the secret',
  )
  .refine((address) => !/[?#]/.test(address), 'ends before "?" and "#"');
const text = z
  .string()
  .min(1, 'is empty')
  .max(4_096)
  .regex(/^\P{Cc}*$/u, 'has a line break, or another control character. Was something else copied with it?');
/** What is made by a machine and goes into a header. */
const key = z
  .string()
  .min(1, 'is empty')
  .max(4_096)
  .regex(/^[\x21-\x7e]*$/, 'has a blank, a line break or a letter that no key has. Was something else copied with it?');
const pem = z
  .string()
  .max(65_536)
  .regex(/-----BEGIN CERTIFICATE-----/, 'must be certificates in PEM');
const pemWithKey = z
  .string()
  .max(65_536)
  .refine(
    (value) => /-----BEGIN CERTIFICATE-----/.test(value) && /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(value),
    'must be the certificate and its private key in PEM, both in this text',
  );
const site = {
  ca: pem.optional(),
  /** Never for production: any certificate will do. */
  insecure: z.boolean().default(false),
  /** Name of a host of the project whose agent makes the calls, in a data centre that the hub cannot reach. */
  gateway: nameSchema.optional(),
};

const awsSettings = z.strictObject({
  region: regionSchema.default('us-east-1'),
  /** Assumed with the credentials below. */
  roleArn: z
    .string()
    .regex(/^arn:[a-z-]+:iam::\d{12}:role\/.{1,512}$/, 'not the ARN of a role')
    .optional(),
  externalId: text.optional(),
  /** Another address for every service: a private region, or an emulator. */
  endpoint: url.optional(),
});
/** `identity`: what the hub's own machine has (instance role, IRSA web identity, environment). */
const awsSecret = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('keys'), accessKeyId: key, secretAccessKey: key, sessionToken: key.optional() }),
  z.strictObject({ type: z.literal('identity') }),
]);

const azureSettings = z.strictObject({
  tenantId: z.guid(),
  clientId: z.guid().optional(),
  subscription: z.guid().optional(),
  cloud: z.enum(['public', 'china', 'government']).default('public'),
  endpoint: url.optional(),
  authority: url.optional(),
  ...site,
});
const azureSecret = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('client-secret'), clientSecret: text }),
  z.strictObject({ type: z.literal('client-certificate'), certificate: pemWithKey }),
  z.strictObject({ type: z.literal('identity') }),
]);

const googleSettings = z.strictObject({ project: text.optional(), endpoint: url.optional(), ...site });
/** `key`: the JSON file of a service account, or of workload identity federation. */
const googleSecret = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('key'), json: z.string().min(1, 'is empty').max(65_536) }),
  z.strictObject({ type: z.literal('identity') }),
]);

const password = z.strictObject({ type: z.literal('password'), username: text, password: text });

const openstackSettings = z.strictObject({
  authUrl: url,
  region: text.optional(),
  interface: z.enum(['public', 'internal', 'admin']).default('public'),
  project: text.optional(),
  projectDomain: text.default('Default'),
  userDomain: text.default('Default'),
  ...site,
});

export const accountKinds = {
  aws: { settings: awsSettings, secret: awsSecret, environments: ['aws', 'eks'] },
  azure: { settings: azureSettings, secret: azureSecret, environments: ['azure', 'aks'] },
  google: { settings: googleSettings, secret: googleSecret, environments: ['google', 'gke'] },
  vsphere: { settings: z.strictObject({ url, ...site }), secret: password, environments: ['vsphere'] },
  nutanix: {
    settings: z.strictObject({ url, ...site }),
    secret: z.discriminatedUnion('type', [password, z.strictObject({ type: z.literal('api-key'), key })]),
    environments: ['nutanix'],
  },
  openstack: {
    settings: openstackSettings,
    secret: z.discriminatedUnion('type', [password, z.strictObject({ type: z.literal('application-credential'), id: text, secret: text })]),
    environments: ['openstack'],
  },
  /** `key`: the three parts that MAAS shows, with colons between them. */
  maas: {
    settings: z.strictObject({ url, ...site }),
    secret: z.strictObject({
      type: z.literal('key'),
      key: z.string().regex(/^[^:\s]+:[^:\s]+:[^:\s]+$/, 'a MAAS key has three parts with colons between them'),
    }),
    environments: ['maas'],
  },
  /** One existing cluster. */
  kubeconfig: {
    settings: z.strictObject({ context: text.optional() }),
    secret: z.strictObject({ type: z.literal('kubeconfig'), kubeconfig: z.string().min(1, 'is empty').max(1_048_576) }),
    environments: ['existing'],
  },
} as const satisfies Record<string, { settings: z.ZodType; secret: z.ZodType; environments: readonly Environment[] }>;

export type AccountKind = keyof typeof accountKinds;
export const accountKindNames = Object.keys(accountKinds) as [AccountKind, ...AccountKind[]];
export type AccountSettings<K extends AccountKind> = z.infer<(typeof accountKinds)[K]['settings']>;
export type AccountSecret<K extends AccountKind> = z.infer<(typeof accountKinds)[K]['secret']>;

/** The kind of account that an environment needs. */
export const accountKindOf = (environment: Environment): AccountKind => {
  for (const kind of accountKindNames) if ((accountKinds[kind].environments as readonly Environment[]).includes(environment)) return kind;
  throw new Error(`no account kind for ${environment}`);
};
