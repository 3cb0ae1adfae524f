import { z } from 'zod';
import { zarfLimits } from './limits.ts';

/** Go's YAML writer leaves `only: {}` and the like for what is not set; null is the same. */
export const text = z.string().max(zarfLimits.textChars);
export const flag = z.boolean();
export const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .max(zarfLimits.listItems)
    .nullable()
    .optional()
    .transform((items) => items ?? []);
export const texts = list(text);
export const textMap = z.record(z.string().max(1_024), text).nullable().optional();
/** Zarf's own rule for packages and components; these names become file names. */
export const plainName = z
  .string()
  .max(250)
  .regex(/^[a-z0-9][a-z0-9-]*$/, 'must be made of lower-case letters, digits and dashes');
export const variableName = z
  .string()
  .max(128)
  .regex(/^[A-Z0-9_]+$/, 'must be made of capitals, digits and underscores');
/** Part of a path inside the package. */
export const pathPart = z
  .string()
  .min(1)
  .max(250)
  .regex(/^[^/\\\0]+$/, 'must not contain slashes')
  .refine((part) => part !== '.' && part !== '..', 'is no name');

export const setVariable = z.strictObject({
  name: variableName,
  sensitive: flag.optional(),
  autoIndent: flag.optional(),
  pattern: text.optional(),
  type: z.enum(['raw', 'file', '']).optional(),
});
export const setValue = z.strictObject({ key: text.optional(), value: z.unknown().optional(), type: z.enum(['yaml', 'json', 'string', '']).optional() });
export const shell = z.strictObject({ windows: text.optional(), linux: text.optional(), darwin: text.optional() }).nullable().optional();
export const wait = z
  .strictObject({
    cluster: z.strictObject({ kind: text, name: text, namespace: text.optional(), condition: text.optional() }).nullable().optional(),
    network: z.strictObject({ protocol: text, address: text, code: z.int().optional() }).nullable().optional(),
  })
  .nullable()
  .optional();
export const seconds = z.int().min(0).max(31_536_000);
export const retries = z.int().min(0).max(1_000_000);
export const chartValue = z.strictObject({ sourcePath: text, targetPath: text });
export const serverSideApply = z.enum(['true', 'false', 'auto', '']).optional();
export const architecture = z.string().max(64).optional();

/** Facts about the build. Nothing here changes what is deployed, besides what `unsupported.ts` looks at. */
export const buildFields = {
  user: text.optional(),
  architecture: text.optional(),
  timestamp: text.optional(),
  version: text.optional(),
  migrations: texts,
  registryOverrides: textMap,
  differential: flag.optional(),
  differentialPackageVersion: text.optional(),
  flavor: text.optional(),
  signed: flag.nullable().optional(),
  versionRequirements: list(z.strictObject({ version: text, reason: text.optional() })),
  provenanceFiles: texts,
};
