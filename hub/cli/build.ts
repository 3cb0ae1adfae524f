import { join } from 'node:path';
import { build } from 'esbuild';

/** `yaml` is CommonJS and asks for Node's modules with `require`, which a module file does not have by itself. */
const banner = "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";

/**
 * Bundles `gp` into one file that needs nothing but Node: run it as `node gp.mjs`. Throws when the sources do not compile. Commands stay lazy inside of the
 * file: their code, and the schemas they need, run when they are called.
 */
export const buildCli = async (outFile: string): Promise<void> => {
  await build({
    absWorkingDir: import.meta.dirname,
    entryPoints: [join(import.meta.dirname, 'main.ts')],
    outfile: outFile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    banner: { js: banner },
    legalComments: 'none',
    logLevel: 'silent',
  });
};
