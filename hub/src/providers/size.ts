import { fail, ok, type Result } from '@groundplane/protocol/failure';

/** Bounds of what a size may ask for: the largest machine that vSphere 8 makes. */
export const sizeLimits = { cpus: 768, memoryGiB: 24_576 } as const;

export interface Size {
  cpus: number;
  memoryMiB: number;
}

/** `4x16`: 4 CPUs and 16 GiB, where an environment has no sizes of its own. Failure: `size-unknown` (blocked). */
export const parseSize = (text: string, element: string): Result<Size> => {
  const [, cpus = '', memory = ''] = /^(\d{1,4})x(\d{1,5})$/.exec(text) ?? [];
  const size = { cpus: Number(cpus), memoryMiB: Number(memory) * 1_024 };
  if (cpus === '' || size.cpus < 1 || size.cpus > sizeLimits.cpus || size.memoryMiB < 1 || Number(memory) > sizeLimits.memoryGiB)
    return fail(
      'blocked',
      'size-unknown',
      element,
      `size ${text} is none here. Write CPUs x GiB of memory, like 4x16 (at most ${sizeLimits.cpus}x${sizeLimits.memoryGiB}), as "size" of the pool`,
    );
  return ok(size);
};

/** What wizards propose where any size can be had. */
export const usualSizes = ['2x4', '2x8', '4x8', '4x16', '8x16', '8x32', '16x64'].map((name) => {
  const [cpus = 0, memory = 0] = name.split('x').map(Number);
  return { name, cpus, memoryMiB: memory * 1_024, note: 'any other size can be had, too' };
});
