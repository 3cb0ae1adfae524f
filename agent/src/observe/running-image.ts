import type { OsImages } from '../port/os-images.ts';

/** What staging asks about the image that runs. */
export interface RunningImage {
  /** The file is part of the running image, byte for byte, so it need not come at all. */
  holds(file: { name: string; digest: string; size: number }): Promise<boolean>;
  /** The file of this name in the running image: what its next version is made from, when only changes come. */
  base(name: string): Promise<{ path: string; sizeBytes: number } | undefined>;
}

const names: readonly string[] = ['root.erofs', 'uki.efi'];

/** Reads the running slot only when content of an image is asked for, and each file once in a life of the agent: what runs does not change. */
export const createRunningImage = (images: OsImages | undefined): RunningImage => {
  const digests = new Map<string, Promise<string | undefined>>();
  const base = async (name: string): Promise<{ path: string; sizeBytes: number } | undefined> =>
    images === undefined || !names.includes(name) ? undefined : (await images.files()).get(name);
  return {
    base,
    holds: async ({ name, digest, size }) => {
      const file = await base(name);
      if (images === undefined || file === undefined || file.sizeBytes !== size) return false;
      const known = digests.get(name) ?? images.digest(file);
      digests.set(name, known);
      return (await known) === digest;
    },
  };
};
