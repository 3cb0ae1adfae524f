import { z } from 'zod';
import { digestSchema } from '../digest.ts';
import { fail, ok, type Result } from '../failure.ts';
import { architectures, managedDistributions } from './spec.ts';

const absolute = z
  .string()
  .max(1024)
  .regex(/^\/[A-Za-z0-9._+/-]+[A-Za-z0-9._+-]$/, 'must be an absolute path of a program')
  .refine((path) => !path.split('/').some((part) => part === '..' || part === '.'), 'must not contain . or .. segments');

/** Where programs of a distribution may be put. Everything else on the host is the OS layer's. */
const programFolders = ['/usr/bin/', '/usr/local/bin/', '/usr/sbin/', '/usr/local/sbin/', '/opt/', '/var/lib/rancher/'];

const blob = {
  digest: digestSchema,
  size: z
    .int()
    .min(0)
    .max(16 * 1024 ** 3),
};

/**
 * What a Kubernetes version is made of on one architecture: programs by the path they go to, and images by the name that pods ask for. All of it lies in the
 * content store by digest; this list is a blob itself, and the profile names it.
 */
export const kubernetesContentSchema = z.object({
  schema: z.literal('groundplane.dev/kubernetes-content/1'),
  distribution: z.enum(managedDistributions),
  version: z.string().max(64),
  architecture: z.enum(architectures),
  files: z
    .array(
      z.object({
        path: absolute.refine((path) => programFolders.some((folder) => path.startsWith(folder)), 'is not a folder for programs'),
        ...blob,
        mode: z.string().regex(/^0?[0-7]{3}$/),
      }),
    )
    .max(500),
  images: z.array(z.object({ ref: z.string().min(1).max(1024), ...blob, mediaType: z.string().max(256) })).max(500),
  /** Every blob of the images: manifests, configurations, layers. */
  blobs: z.array(z.object(blob)).max(10_000),
});
export type KubernetesContent = z.infer<typeof kubernetesContentSchema>;

export const contentBytesMax = 4 * 1024 * 1024;

/** Reads the list. Failure `kubernetes-content-invalid` (fatal) says where. */
export const parseKubernetesContent = (text: string, name: string): Result<KubernetesContent> => {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    return fail('fatal', 'kubernetes-content-invalid', name, `is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = kubernetesContentSchema.safeParse(data);
  if (parsed.success) {
    const known = new Set(parsed.data.blobs.map((item) => item.digest));
    const lost = parsed.data.images.find((image) => !known.has(image.digest));
    return lost === undefined ? ok(parsed.data) : fail('fatal', 'kubernetes-content-invalid', name, `image ${lost.ref} is not among the blobs`);
  }
  const [issue] = parsed.error.issues;
  return fail('fatal', 'kubernetes-content-invalid', name, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not a list of Kubernetes content'}`);
};
