import { z } from 'zod';
import { limits } from './limits.ts';

/**
 * The agent's package: `groundplane-agent-VERSION-linux-ARCH.tar.zst`, and in it one `manifest.json` that names everything else by digest. The installer writes
 * it; whoever unpacks one reads the manifest through this schema.
 */
export const agentArchs = ['x64', 'arm64'] as const;
export type AgentArch = (typeof agentArchs)[number];

/** Becomes part of file and folder names, so nothing that a path or a shell could read otherwise. */
export const agentVersionSchema = z
  .string()
  .regex(/^[0-9][0-9A-Za-z.+-]{0,47}$/, 'a version begins with a digit and has letters, digits, ".", "+" and "-", at most 48');

/** Relative, with `/`, without empty, `.` or `..` parts. */
const packagePathSchema = z
  .string()
  .max(256)
  .regex(/^[0-9A-Za-z._-]+(\/[0-9A-Za-z._-]+)*$/)
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'a path with "." or ".." leads out of the package');

export const agentManifestSchema = z.object({
  format: z.literal(1),
  name: z.literal('groundplane-agent'),
  version: agentVersionSchema,
  platform: z.literal('linux'),
  arch: z.enum(agentArchs),
  /** Version of the Node inside. */
  node: z.string().max(32),
  /** Everything but the manifest, sorted by path. */
  files: z
    .array(
      z.object({
        path: packagePathSchema,
        /** Lower-case hexadecimal, as `sha256sum` writes it. */
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
        bytes: z.int().min(0).max(limits.agentFileBytes),
        executable: z.boolean(),
      }),
    )
    .min(1)
    .max(limits.agentPackageFiles)
    .refine((files) => new Set(files.map((file) => file.path)).size === files.length, 'a path is named twice'),
});
export type AgentManifest = z.infer<typeof agentManifestSchema>;

export const agentPackageName = (version: string, arch: AgentArch): string => `groundplane-agent-${version}-linux-${arch}.tar.zst`;

/** A slot is named by version and content, so that the same version built anew is another slot and no slot ever changes. The install script says the same. */
export const agentSlotName = (version: string, digest: string): string => `${version}-${digest.replace(/^sha256:/, '').slice(0, 12)}`;

/** Where the agent runs from; told by `launch.sh`. */
export interface RunningAgent {
  slot: string;
  /** It was healthy since it came into its slot. */
  healthy: boolean;
  arch: AgentArch;
}
