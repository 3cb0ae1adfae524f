import semver from 'semver';
import { limits } from '@groundplane/protocol/limits';
import type { Context } from '../../io.ts';
import { resolve } from 'node:path';
import { readText } from '../../authoring/read.ts';
import { done, usage, type Attempt } from '../../trouble.ts';

/** What `gp render` takes; the names are Helm's where Helm has them. */
export interface RenderOptions {
  values: string[];
  set: string[];
  setString: string[];
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

/** `a.b=text` as values that are text whatever they look like, as `--set-string` wants it. Backslash escapes a dot. */
export const stringValues = (expressions: readonly string[]): Attempt<string[]> => {
  const layers: string[] = [];
  for (const expression of expressions) {
    const at = expression.indexOf('=');
    const keys =
      at < 0
        ? []
        : expression
            .slice(0, at)
            .split(/(?<!\\)\./)
            .map((key) => key.replaceAll('\\.', '.'));
    if (keys.length === 0 || keys.some((key) => key === '' || /[[\]]/.test(key)))
      return { ok: false, trouble: usage(`--set-string ${expression}`, 'is not like key.name=text', 'lists are set with --set or a values file') };
    layers.push(JSON.stringify(keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), expression.slice(at + 1))));
  }
  return done(layers);
};

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
