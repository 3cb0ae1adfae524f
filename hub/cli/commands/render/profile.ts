import { limits } from '@groundplane/protocol/limits';
import { parseDocuments, type ClusterDocument, type ProfileDocument } from '../../authoring/document.ts';
import { refuseImports } from '../../authoring/import-sources.ts';
import { readInputs } from '../../authoring/read.ts';
import type { Context } from '../../io.ts';
import { done, trouble, usage, type Attempt, type Outcome } from '../../trouble.ts';
import { renderBundle, type BundleTarget } from './bundle.ts';
import { createWorkbench, type Workbench } from './engine.ts';
import { readPairs, setsIn, type RenderOptions } from './options.ts';

export type ProfileOptions = Pick<RenderOptions, 'cluster' | 'name' | 'variables' | 'macros'>;

/** What a cluster says to this profile. One that uses several says things to the others too; they are not here, so those are left out. */
const forProfile = ({ value: { spec } }: ClusterDocument, profile: ProfileDocument): Pick<BundleTarget, 'variables' | 'overrides'> => {
  const { variables, layers } = profile.value.spec;
  const isAlone = spec.profiles.length < 2;
  const kept = <T>(given: Record<string, T> | undefined, known: readonly string[]): Record<string, T> =>
    Object.fromEntries(Object.entries(given ?? {}).filter(([key]) => isAlone || known.includes(key)));
  return {
    variables: kept(
      spec.variables,
      variables.map((item) => item.name),
    ),
    ...(spec.overrides === undefined
      ? {}
      : {
          overrides: kept(
            spec.overrides,
            layers.map((layer) => layer.name),
          ),
        }),
  };
};

/** The one profile of a file, with the cluster it is for, ready to be rendered; its charts and packs are in the workbench. */
export const readProfileTarget = async (context: Context, bench: Workbench, path: string, options: ProfileOptions): Promise<Attempt<BundleTarget>> => {
  const inputs = await readInputs(context.io, options.cluster === undefined ? [path] : [path, options.cluster]);
  if (!inputs.ok) return inputs;
  const parsed = await parseDocuments(inputs.value, 'default', undefined);
  if (!parsed.ok) return parsed;
  const profiles = parsed.value.filter((document): document is ProfileDocument => document.kind === 'Profile');
  const cluster = parsed.value.find((document): document is ClusterDocument => document.kind === 'Cluster');
  const [profile] = profiles;
  if (profile === undefined) return { ok: false, trouble: trouble(path, 'holds no document of kind Profile') };
  const names = profiles.map((item) => `${item.name}@${item.version}`).join(', ');
  if (profiles.length > 1)
    return { ok: false, trouble: usage(path, `holds ${profiles.length} profiles: ${names}`, 'put the one to use into a file of its own') };
  const local = refuseImports(profile);
  if (!local.ok) return local;
  const variables = readPairs('--var', options.variables);
  if (!variables.ok) return variables;
  // Image layers of packages are not needed to render; charts and manifests are small.
  for (const chart of profile.charts) if ((chart.file?.size ?? 0) <= limits.contentBlobBytes) await bench.content.put(chart.bytes);
  const macros = readPairs('--macro', options.macros);
  if (!macros.ok) return macros;
  const said = cluster === undefined ? undefined : forProfile(cluster, profile);
  return done({
    name: profile.name,
    version: profile.version,
    spec: profile.value.spec,
    variables: { ...said?.variables, ...variables.value },
    macros: macros.value,
    ...(said?.overrides === undefined ? {} : { overrides: said.overrides }),
    cluster: options.name ?? cluster?.name ?? 'example',
  });
};

/** `gp render profile.yaml [--cluster cluster.yaml] [--var name=value]…`: what a cluster of that profile would get. */
export const renderProfileTarget = async (context: Context, path: string, options: RenderOptions): Promise<Outcome> => {
  if (options.values.length > 0 || setsIn(options) > 0)
    return usage('gp render', 'values belong to charts and packs; a profile has them in its layers', 'gp render PROFILE --var name=value');
  const bench = createWorkbench();
  try {
    const target = await readProfileTarget(context, bench, path, options);
    return target.ok ? await renderBundle(context, bench, target.value, options) : target.trouble;
  } finally {
    await bench.close();
  }
};
