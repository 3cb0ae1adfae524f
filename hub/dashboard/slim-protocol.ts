import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import { apiBase, rawRoutes, routes } from '@groundplane/protocol/api/routes';

/** Source of an exported value. A function is its own text, so in the modules below it must not use anything of its module. */
const sourceOf = (value: unknown): string => (typeof value === 'function' ? value.toString() : JSON.stringify(value));

/** The typed client needs method and path of a route, nothing of the schemas beside them. */
const slimRoutes = (): string => {
  const table = Object.fromEntries(Object.entries(routes).map(([name, { method, path }]) => [name, { method, path }]));
  return `export const apiBase = ${JSON.stringify(apiBase)};\nexport const rawRoutes = ${JSON.stringify(rawRoutes)};\nexport const routes = ${JSON.stringify(table)};\n`;
};

/** Keeps the tables (states and their sentences) and plain functions that a module exports, and leaves its schemas out. */
const slimModule = async (path: string): Promise<string> => {
  const loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const lines = Object.entries(loaded)
    .filter(([name]) => !name.endsWith('Schema'))
    .map(([name, value]) => `export const ${name} = ${sourceOf(value)};`);
  return lines.join('\n');
};

/**
 * The first load shows data that the hub has already checked, so it carries no validator: that halves it. The editors check documents with the
 * protocol's own schemas; those arrive with the editor's chunk. What is left out of zod everywhere is its error texts in fifty other languages.
 */
export const slimProtocol: Plugin = {
  name: 'slim-protocol',
  setup: (build) => {
    build.onLoad({ filter: /protocol\/src\/api\/routes\.ts$/ }, () => ({ contents: slimRoutes(), loader: 'js' }));
    build.onLoad({ filter: /protocol\/src\/(ask|observed|failure)\.ts$/ }, async ({ path }) => ({ contents: await slimModule(path), loader: 'js' }));
    // zod tries `new Function` to see whether it may compile its checks; the page's policy forbids that, and each try is a report. So it is told before.
    build.onLoad({ filter: /zod\/v4\/core\/core\.js$/ }, async ({ path }) => ({
      contents: `${await readFile(path, 'utf8')}\nglobalConfig.jitless = true;\n`,
      loader: 'js',
    }));
    build.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const english = /^export \{ default as en \} from .*$/m.exec(text)?.[0];
      return { contents: english ?? text, loader: 'js' };
    });
  },
};
