import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mutants } from './mutants.ts';

const here = import.meta.dirname;

/** Runs the simulator with one bug planted. Resolves with its exit code and last words. */
const simulate = async (mutant: string | undefined, seeds: number, isShared = false): Promise<{ code: number; output: string }> => {
  const child = spawn(
    process.execPath,
    [
      '--import',
      join(here, 'mutants.ts'),
      join(here, 'main.ts'),
      '--seeds',
      String(seeds),
      '--steps',
      '150',
      '--processes',
      '1',
      ...(isShared ? ['--shared'] : []),
    ],
    {
      env: { ...process.env, ...(mutant === undefined ? {} : { GROUNDPLANE_MUTANT: mutant }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const done = Promise.withResolvers<number>();
  child.on('exit', (code) => done.resolve(code ?? 1));
  return { code: await done.promise, output };
};

describe('the simulator finds planted bugs', () => {
  test.each([false, true])('without a bug the same seeds pass; several hosts in one cluster: %s', async (isShared) => {
    const { code, output } = await simulate(undefined, 10, isShared);
    expect(output).toContain('no invariant broken');
    expect(code).toBe(0);
  });

  test.each(mutants)('$name', async ({ name, isShared }) => {
    const { code, output } = await simulate(name, 60, isShared);
    expect(output).toMatch(/^seed \d+: /m);
    expect(output).not.toContain('is gone; write it anew');
    expect(code).toBe(1);
  });
});
