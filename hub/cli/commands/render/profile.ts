import { parseDocuments, type ClusterDocument, type ProfileDocument } from '../../authoring/document.ts';
import { readInputs } from '../../authoring/read.ts';
import type { Context } from '../../io.ts';
import { trouble, usage, type Outcome } from '../../trouble.ts';
import { renderBundle } from './bundle.ts';
import { createWorkbench } from './engine.ts';
import { readPairs, type RenderOptions } from './options.ts';

/** `gp render profile.yaml [--cluster cluster.yaml] [--var name=value]…`: what a cluster of that profile would get. */
export const renderProfileTarget = async (context: Context, path: string, options: RenderOptions): Promise<Outcome> => {
  const inputs = await readInputs(context.io, options.cluster === undefined ? [path] : [path, options.cluster]);
  if (!inputs.ok) return inputs.trouble;
  const parsed = await parseDocuments(inputs.value, 'default', undefined);
  if (!parsed.ok) return parsed.trouble;
  const profiles = parsed.value.filter((document): document is ProfileDocument => document.kind === 'Profile');
  const clusters = parsed.value.filter((document): document is ClusterDocument => document.kind === 'Cluster');
  const [profile] = profiles;
  if (profile === undefined) return trouble(path, 'holds no document of kind Profile');
  if (profiles.length > 1)
    return usage(
      path,
      `holds ${profiles.length} profiles: ${profiles.map((item) => `${item.name}@${item.version}`).join(', ')}`,
      'put the one to render into a file of its own',
    );
  const variables = readPairs('--var', options.variables);
  if (!variables.ok) return variables.trouble;
  if (options.values.length + options.set.length + options.setString.length > 0)
    return usage('gp render', 'values belong to charts and packs; a profile has them in its layers', 'gp render PROFILE --var name=value');
  const spec = clusters[0]?.value.spec;
  const bench = createWorkbench();
  try {
    for (const chart of profile.charts) await bench.content.put(chart.bytes);
    return await renderBundle(
      context,
      bench,
      {
        name: profile.name,
        version: profile.version,
        spec: profile.value.spec,
        variables: { ...spec?.variables, ...variables.value },
        macros: {},
        ...(spec?.overrides === undefined ? {} : { overrides: spec.overrides }),
        cluster: options.name ?? clusters[0]?.name ?? 'example',
      },
      options,
    );
  } finally {
    await bench.close();
  }
};
