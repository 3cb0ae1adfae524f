import { profileSpecSchema } from '@groundplane/protocol/profile';
import { setValue } from '@groundplane/protocol/pack/values';
import { buildPack } from '../../../src/pack/write.ts';
import { readPackArchive, textOf } from '../../../src/pack/read.ts';
import type { Context } from '../../io.ts';
import { done, trouble, usage, type Attempt, type Outcome } from '../../trouble.ts';
import { renderBundle } from './bundle.ts';
import { createWorkbench } from './engine.ts';
import { readPairs, readValues, type RenderOptions } from './options.ts';

/** `--set` on packs takes a path of values.yaml and a YAML scalar. */
const withSets = async (text: string, options: RenderOptions): Promise<Attempt<string>> => {
  if (options.setJson.length + options.setFile.length + options.setLiteral.length > 0)
    return {
      ok: false,
      trouble: usage('gp render', 'a pack takes --set and --set-string with paths of its values.yaml', 'gp render PACK --set charts.app.replicas=3'),
    };
  const { parse } = await import('../../output/yaml.ts');
  let values = text;
  for (const [expressions, isText] of [[options.set, false] as const, [options.setString, true] as const]) {
    const pairs = readPairs('--set', expressions);
    if (!pairs.ok) return pairs;
    for (const [path, given] of Object.entries(pairs.value)) {
      const set = setValue(values, path, isText ? given : (parse(given) as unknown));
      if (!set.ok) return { ok: false, trouble: usage(`--set ${path}`, set.failure.message) };
      values = set.value;
    }
  }
  return done(values);
};

/** `gp render PACK [-f values.yaml] [--set charts.x.y=z]`: what a pack makes with its own values, or with these. */
export const renderPackTarget = async (context: Context, path: string, options: RenderOptions): Promise<Outcome> => {
  const built = await buildPack(path);
  if (!built.ok) return trouble(built.failure.element, built.failure.message, 'gp pack lint says everything that is wrong with a pack');
  const texts = await readValues(context, options.values);
  if (!texts.ok) return texts.trouble;
  const variables = readPairs('--var', options.variables);
  if (!variables.ok) return variables.trouble;
  const bench = createWorkbench();
  try {
    const digest = await bench.content.put(built.value.bytes);
    const files = await readPackArchive(built.value.bytes, path);
    if (!files.ok) return trouble(files.failure.element, files.failure.message);
    const values = await withSets(texts.value[0] ?? textOf(files.value, 'values.yaml') ?? '', options);
    if (!values.ok) return values.trouble;
    const { name, version } = built.value;
    const pack = { name, version, digest, values: values.value, ...(texts.value.length > 1 ? { valuesLayers: texts.value.slice(1) } : {}) };
    const layer = { name: 'pack', kind: 'addon', pack, ...(options.namespace === undefined ? {} : { namespace: options.namespace }) };
    const spec = profileSpecSchema.safeParse({ type: 'addon', variables: Object.keys(variables.value).map((item) => ({ name: item })), layers: [layer] });
    if (!spec.success) return usage('gp render', spec.error.issues[0]?.message ?? 'cannot be rendered so');
    const target = { name: 'pack', version: '1.0.0', spec: spec.data, variables: variables.value, macros: variables.value, cluster: options.name ?? 'example' };
    return await renderBundle(context, bench, target, options);
  } finally {
    await bench.close();
  }
};
