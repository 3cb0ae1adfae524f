import semver from 'semver';
import { limits } from '@groundplane/protocol/limits';
import type { Context } from '../../io.ts';
import { resolve } from 'node:path';
import { readText } from '../../authoring/read.ts';
import type { HelmSet } from '../../../src/render/helm/index.ts';
import { done, usage, type Attempt } from '../../trouble.ts';

/** What `gp render` takes; the names are Helm's where Helm has them. */
export interface RenderOptions {
  values: string[];
  set: string[];
  setString: string[];
  setJson: string[];
  setFile: string[];
  setLiteral: string[];
  name: string | undefined;
  namespace: string | undefined;
  kubeVersion: string | undefined;
  apiVersions: string[];
  includeCrds: boolean;
  noHooks: boolean;
  skipTests: boolean;
  skipSchemaValidation: boolean;
  isUpgrade: boolean;
  showOnly: string[];
  notes: boolean;
  variables: string[];
  macros: string[];
  cluster: string | undefined;
  seed: string;
}

/** The text of every values file, in order. Helm also splits at commas. */
export const readValues = async (context: Context, names: readonly string[]): Promise<Attempt<string[]>> => {
  const texts: string[] = [];
  for (const name of names.flatMap((item) => item.split(','))) {
    if (name === '-') {
      texts.push(new TextDecoder().decode(await context.io.stdin.read(limits.yamlBytes)));
      continue;
    }
    const text = await readText(resolve(context.io.cwd, name), limits.yamlBytes);
    if (!text.ok) return text;
    texts.push(text.value);
  }
  return done(texts);
};

/** The paths in `key=path,key2=path2`, as Helm reads them: a backslash takes a comma's meaning away. */
const pathsOf = (expression: string): string[] =>
  [...expression.matchAll(/(?:\\.|[^,\\])+/gs)].flatMap(([part]) =>
    part.includes('=') ? [part.slice(part.indexOf('=') + 1).replaceAll(/\\(.)/gs, '$1')] : [],
  );

/** `--set` and its kin in the order in which Helm applies them, whatever their order on the command line; with the files that they name. */
export const readSets = async (context: Context, options: RenderOptions): Promise<Attempt<HelmSet[]>> => {
  const as = (kind: 'set' | 'string' | 'json' | 'literal', texts: readonly string[]): HelmSet[] => texts.map((text) => ({ as: kind, text }));
  const files: HelmSet[] = [];
  for (const text of options.setFile) {
    const found = new Map<string, string>();
    for (const path of pathsOf(text)) {
      const content = await readText(resolve(context.io.cwd, path), limits.yamlBytes);
      if (!content.ok) return content;
      found.set(path, content.value);
    }
    files.push({ as: 'file', text, files: Object.fromEntries(found) });
  }
  return done([...as('json', options.setJson), ...as('set', options.set), ...as('string', options.setString), ...files, ...as('literal', options.setLiteral)]);
};

/** How many values the command line sets one by one. */
export const setsIn = (options: RenderOptions): number =>
  [options.set, options.setString, options.setJson, options.setFile, options.setLiteral].reduce((sum, list) => sum + list.length, 0);

/** `1.31`, `v1.31.4` and `1.31.4-gke.1` are all fine, as for Helm. */
export const checkKubeVersion = (text: string): Attempt<string> => {
  const parsed = semver.parse(text.replace(/^v/, '')) ?? (/^v?\d+\.\d+$/.test(text) ? semver.parse(`${text.replace(/^v/, '')}.0`) : null);
  return parsed === null
    ? { ok: false, trouble: usage(`--kube-version ${text}`, 'is not a Kubernetes version like 1.34.2') }
    : done(`v${text.replace(/^v/, '')}`);
};

/** `name=value` pairs. */
export const readPairs = (option: string, pairs: readonly string[]): Attempt<Record<string, string>> => {
  const values: [string, string][] = [];
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) return { ok: false, trouble: usage(`${option} ${pair}`, 'is not like name=value') };
    values.push([pair.slice(0, at), pair.slice(at + 1)]);
  }
  return done(Object.fromEntries(values));
};
