import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** `yaml` is CommonJS and asks for Node's modules with `require`, which a module file does not have by itself. */
const banner = "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";

/** zod brings its error texts in fifty languages; ours are our own, and every byte of the file is read at every start. */
const englishOnly: Plugin = {
  name: 'english-only',
  setup: (bundle) => {
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      return { contents: /^export \{ default as en \} from .*$/m.exec(text)?.[0] ?? text, loader: 'js' };
    });
  },
};

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
    plugins: [englishOnly],
  });
};
