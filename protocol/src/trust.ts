import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import { digestSchema } from './digest.ts';
import { idSchema, nameSchema } from './ids.ts';

/** Who may say what. Root says who holds the other roles; release says what may exist; director says which host gets it; time says what time it is. */
export const trustRoles = ['root', 'release', 'director', 'time'] as const;
export type TrustRole = (typeof trustRoles)[number];

/** An Ed25519 public key as its 32 bytes in base64url; the text is the key's identity too. */
export const publicKeySchema = z.string().regex(/^ed25519:[A-Za-z0-9_-]{43}$/, 'must be ed25519: and 43 base64url characters');

const roleKeysSchema = z.object({ keys: z.array(publicKeySchema).min(1).max(16), threshold: z.int().min(1).max(16) });

/**
 * Modes: `hub` (the hub holds the release key too; for labs and small sites), `signed` (release keys are elsewhere), `signed+operator` (dangerous acts need
 * a person's key as well). The code path is the same.
 */
export const trustModes = ['hub', 'signed', 'signed+operator'] as const;

export const rootStatementSchema = z.object({
  schema: z.literal('groundplane.dev/root/1'),
  hub: z.string().max(64),
  version: z.int().min(1),
  mode: z.enum(trustModes),
  roles: z.object({ root: roleKeysSchema, release: roleKeysSchema, director: roleKeysSchema, time: roleKeysSchema }),
});
export type RootStatement = z.infer<typeof rootStatementSchema>;

/** This profile version may exist, and these variables of it may be set by whoever assigns it. */
export const releaseStatementSchema = z.object({
  schema: z.literal('groundplane.dev/release/1'),
  tenant: idSchema,
  profile: nameSchema,
  version: z.string().max(128),
  digest: digestSchema,
  settable: z.array(z.string()),
});
export type ReleaseStatement = z.infer<typeof releaseStatementSchema>;

/** One signature for a whole change: the Merkle root over all (host, generation, digest) that it assigns. */
export const directorStatementSchema = z.object({
  schema: z.literal('groundplane.dev/director/1'),
  hub: z.string().max(64),
  epoch: z.string().max(64),
  root: digestSchema,
  size: z.int().min(1),
  /** Milliseconds since 1970 at the hub. */
  atMs: z.int().min(0),
});
export type DirectorStatement = z.infer<typeof directorStatementSchema>;

export const signedSchema = <T extends z.ZodType>(statement: T) =>
  z.object({
    signed: statement,
    signatures: z
      .array(z.object({ key: publicKeySchema, signature: z.string().max(128) }))
      .min(1)
      .max(16),
  });
export interface Signed<T> {
  signed: T;
  signatures: { key: string; signature: string }[];
}

/** The bytes a signature covers: the statement's canonical JSON, whose `schema` field keeps one kind from passing as another. */
export const statementText = (statement: { schema: string }): string => canonicalJson(statement);

export type Verify = (publicKey: string, text: string, signature: string) => boolean;

/** True when enough different keys of the role signed the statement. Unknown keys and repeated signatures count for nothing. */
export const isSignedBy = <T extends { schema: string }>(
  envelope: Signed<T>,
  role: { keys: readonly string[]; threshold: number },
  verify: Verify,
): boolean => {
  const text = statementText(envelope.signed);
  const good = new Set<string>();
  for (const { key, signature } of envelope.signatures) {
    if (role.keys.includes(key) && !good.has(key) && verify(key, text, signature)) good.add(key);
  }
  return good.size >= role.threshold;
};
