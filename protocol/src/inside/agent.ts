import { z } from 'zod';
import { agentVersionSchema } from '../agent-package.ts';
import { digestSchema } from '../digest.ts';
import { limits } from '../limits.ts';

const packageRef = z.strictObject({ digest: digestSchema, size: z.int().min(1).max(limits.agentPackageBytes) });

/** The agent that pods inside of clusters run: a version, and its package for each architecture of the nodes. */
export const insideAgentSchema = z
  .strictObject({ version: agentVersionSchema, packages: z.strictObject({ x64: packageRef.optional(), arm64: packageRef.optional() }) })
  .refine((agent) => Object.values(agent.packages).some((item) => item !== undefined), 'names no package');
export type InsideAgent = z.infer<typeof insideAgentSchema>;

/**
 * What an agent inside of a cluster may do there, and what it shall run. `gone`: when nothing of the hub's is left in the cluster, it takes itself away too. Part of
 * the signed desired state, since both change what runs with the rights of a cluster.
 */
export const insideOrderSchema = z.object({ mode: z.enum(['full', 'read-only', 'gone']), agent: insideAgentSchema.optional() });
export type InsideOrder = z.infer<typeof insideOrderSchema>;

/** What an agent inside of a cluster sees of it without changing anything. */
export const insideViewSchema = z.object({
  version: z.string().max(128),
  nodes: z.int(),
  nodesReady: z.int(),
  workloads: z.int(),
  /** Of what there is more than was counted. */
  more: z
    .array(z.enum(['nodes', 'workloads']))
    .max(2)
    .optional(),
  /** Which rights it has. */
  mode: z.enum(['full', 'read-only']),
  /** Digest of the package that it runs from. */
  agent: z.string().max(80).optional(),
  /** Which manifest it was started by; empty: one of before manifests had a mark. Agents of before do not tell. */
  manifest: z.string().max(64).optional(),
});
export type InsideView = z.infer<typeof insideViewSchema>;
