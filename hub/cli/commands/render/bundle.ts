import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestOf } from '@groundplane/protocol/digest';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { createBundler, type BuiltBundle } from '../../../src/render/bundle.ts';
import type { Context } from '../../io.ts';
import { jsonText, yamlText } from '../../output/print.ts';
import { done, exits, trouble, type Attempt, type Outcome } from '../../trouble.ts';
import { printFindings } from '../../output/findings.ts';
import { defaultKubeVersion, type Workbench } from './engine.ts';
import { checkKubeVersion, type RenderOptions } from './options.ts';

export interface BundleTarget {
  /** Name of the profile, pack or package, for messages. */
  name: string;
  version: string;
  spec: ProfileSpec;
  variables: Record<string, string>;
  macros: Record<string, string>;
  overrides?: Record<string, { values: string }>;
  cluster: string;
}

const objectsOf = async (bench: Workbench, layer: BundleLayer, options: RenderOptions): Promise<{ source: string; object: KubeObject }[]> => {
  const hooks = options.noHooks ? [] : layer.hooks.filter((hook) => !options.skipTests || !hook.events.includes('test'));
  const found = [];
  for (const item of [...layer.objects, ...hooks]) {
    const bytes = await bench.content.read(item.digest);
    if (bytes !== undefined)
      found.push({ source: `${layer.name} (${layer.pack.name} ${layer.pack.version})`, object: JSON.parse(bytes.toString('utf8')) as KubeObject });
  }
  return found;
};

/** Resolves and renders as the hub does. */
export const makeBundle = async (bench: Workbench, target: BundleTarget, kubeVersion: string, seed: string): Promise<Attempt<BuiltBundle>> => {
  const bundler = createBundler({ content: bench.content, helm: bench.helm, seed: (cluster, release) => `${seed} ${cluster} ${release}` }, 'gp render');
  const { name, version, spec } = target;
  const made = await bundler.make({
    cluster: target.cluster,
    profiles: [{ name, version, spec, digest: digestOf(spec) }],
    variables: target.variables,
    ...(target.overrides === undefined ? {} : { overrides: target.overrides }),
    macros: Object.fromEntries(Object.entries(target.macros).map(([key, value]) => [key, { value, scope: 'project' as const }])),
    system: {
      'cluster.name': target.cluster,
      'cluster.uid': target.cluster,
      'project.name': 'default',
      'project.uid': 'default',
      'tenant.uid': 'default',
      'cloud.type': 'edge',
      'kubernetes.version': kubeVersion.replace(/^v/, ''),
    },
    kubeVersion,
  });
  return made.ok ? done(made.value) : { ok: false, trouble: trouble(made.failure.element, made.failure.message) };
};

/** Prints every object that a cluster would get, layer by layer. */
export const renderBundle = async (context: Context, bench: Workbench, target: BundleTarget, options: RenderOptions): Promise<Outcome> => {
  const kubeVersion = checkKubeVersion(options.kubeVersion ?? (await defaultKubeVersion()));
  if (!kubeVersion.ok) return kubeVersion.trouble;
  const made = await makeBundle(bench, target, kubeVersion.value, options.seed);
  if (!made.ok) return made.trouble;
  await printFindings(context, made.value.warnings ?? []);
  const objects = (await Promise.all(made.value.bundle.layers.map((layer) => objectsOf(bench, layer, options)))).flat();
  if (context.globals.output === 'json') {
    await context.io.stdout.write(jsonText(objects.map((item) => item.object)));
    return exits.ok;
  }
  for (const { source, object } of objects) await context.io.stdout.write(`---\n# Source: ${source}\n${await yamlText(object)}`);
  return exits.ok;
};
