import { z } from 'zod';
import { labelKey, labelValue } from './label-rules.ts';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** The kinds of things that have ids, with the prefix each id carries. */
export const idPrefix = {
  tenant: 'ten',
  project: 'prj',
  profile: 'pro',
  profileVersion: 'prv',
  cluster: 'clu',
  host: 'hos',
  ticket: 'tic',
  user: 'usr',
  apiKey: 'key',
  session: 'ses',
  event: 'evt',
  binding: 'bnd',
  macro: 'mac',
  registry: 'reg',
  account: 'acc',
  machine: 'mch',
} as const;
export type IdKind = keyof typeof idPrefix;

/** `clu_` and 20 characters that carry 100 random bits; no id says anything about its thing. */
export const makeId = (kind: IdKind, randomBytes: (length: number) => Uint8Array): string => {
  let text = '';
  for (const byte of randomBytes(20)) text += alphabet.charAt(byte & 31);
  return `${idPrefix[kind]}_${text}`;
};

export const idSchema = z.string().regex(/^[a-z]{3}_[0-9a-hjkmnp-tv-z]{20}$/, 'not an id (like clu_ and 20 letters or digits)');

/** Names of clusters, hosts, layers, profiles, projects: RFC 1123 labels, since they end up in Kubernetes and DNS. */
export const nameSchema = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and dashes, starting and ending with a letter or digit');

/** Semantic Versioning 2.0.0; the expression is the one its authors suggest, without capture groups. */
export const semverSchema = z
  .string()
  .max(128)
  .regex(
    /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/,
    'must be a semantic version like 1.4.0',
  );

export const labelsSchema = z
  .record(z.string().regex(labelKey, 'not a Kubernetes label key'), z.string().regex(labelValue, 'not a Kubernetes label value'))
  .refine((labels) => Object.keys(labels).length <= 64, 'more than 64 labels');
export type Labels = z.infer<typeof labelsSchema>;
