import type { Bundle } from './bundle.ts';
import { limits } from './limits.ts';

/** What both ends of a patch agree on. */
export const patchType = 'application/vnd.groundplane.patch.v1+zstd';

/** Larger blobs are sent whole: a patch needs both in memory, several times over while it is made. */
export const deltaBytesMax = 128 * 1024 * 1024;
/** Smaller ones are not worth the asking. */
export const deltaBytesMin = 4 * 1024;

/** The smallest window (as a power of two) that reaches over the old and the new blob together; zstd takes 10 to 31. */
export const deltaWindowLog = (bytes: number): number => Math.min(29, Math.max(10, Math.ceil(Math.log2(Math.max(2, bytes)))));

type Parts = Pick<Bundle, 'layers'>;

/** Digest of each blob of a bundle that is worth asking for by difference (a patch, or chunks above `deltaBytesMax`), by what it is: an object of a layer, a file of the OS. */
const blobsByRole = ({ layers }: Parts): Map<string, string> => {
  const found = new Map<string, string>();
  for (const layer of layers) {
    for (const item of [...layer.objects, ...layer.hooks]) {
      const { apiVersion, kind, namespace, name } = item.ref;
      if (item.size >= deltaBytesMin && item.size <= limits.contentBlobBytes)
        found.set(`${layer.name} ${apiVersion.split('/')[0] ?? ''} ${kind} ${namespace ?? ''} ${name}`, item.digest);
    }
    for (const file of layer.os?.files ?? [])
      if (file.size >= deltaBytesMin && file.size <= limits.contentBlobBytes) found.set(`${layer.name} ${file.path}`, file.digest);
  }
  return found;
};

/** For each new blob the old one of the same thing: new digest → old digest. Blobs that did not change are left out. */
export const patchBases = (old: Parts, next: Parts): Map<string, string> => {
  const before = blobsByRole(old);
  const bases = new Map<string, string>();
  for (const [role, digest] of blobsByRole(next)) {
    const base = before.get(role);
    if (base !== undefined && base !== digest) bases.set(digest, base);
  }
  return bases;
};
