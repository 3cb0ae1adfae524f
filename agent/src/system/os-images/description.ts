import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { agentArchs } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { osImageNameSchema, osImageVersionSchema } from '@groundplane/protocol/os-image';
import { publicKeySchema } from '@groundplane/protocol/trust';
import { z } from 'zod';

/** Where an image says what it is. The file is part of the root file system, so it can be changed by another image only. */
export const descriptionPath = '/usr/lib/groundplane/os-image.json';

export const descriptionSchema = z.object({
  schema: z.literal('groundplane.dev/os-image-description/1'),
  name: osImageNameSchema,
  version: osImageVersionSchema,
  architecture: z.enum(agentArchs),
  driver: z.enum(['sysupdate', 'rauc']),
  /** Whose images may replace this one. */
  keys: z.array(publicKeySchema).max(16),
  /** How often a new image is started before the one before it is taken up again. */
  tries: z.int().min(1).max(100).default(3),
});
export type ImageDescription = z.infer<typeof descriptionSchema>;

/** Undefined on hosts that do not run from an image of ours. */
export const readDescription = async (root: string): Promise<Result<ImageDescription | undefined>> => {
  const text = await readFile(join(root, descriptionPath), 'utf8').catch((error: unknown) =>
    error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR') ? undefined : null,
  );
  if (text === undefined) return ok(undefined);
  if (text === null) return fail('retry', 'host-error', descriptionPath, 'the description of the running image cannot be read');
  try {
    return ok(descriptionSchema.parse(JSON.parse(text)));
  } catch (error) {
    return fail(
      'blocked',
      'image-description',
      descriptionPath,
      `the running image describes itself in a way that this agent does not know: ${String(error).slice(0, 500)}`,
    );
  }
};
