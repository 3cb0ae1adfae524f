import type { HelmDocument, HelmRendered } from '../../../src/render/helm/index.ts';
import { parseObjects } from '../../../src/render/objects.ts';
import { packChart } from '../../authoring/chart.ts';
import { notice, type Context } from '../../io.ts';
import { exits, trouble, type Outcome } from '../../trouble.ts';
import { jsonText } from '../../output/print.ts';
import { createWorkbench, defaultKubeVersion } from './engine.ts';
import { checkKubeVersion, readSets, readValues, type RenderOptions } from './options.ts';

/** The documents in the order of `helm template`: custom resource definitions, manifests, hooks. */
const documentsOf = (rendered: HelmRendered, options: RenderOptions): HelmDocument[] => {
  const hooks = options.noHooks ? [] : rendered.hooks.filter((hook) => !options.skipTests || !hook.events.includes('test'));
  const all = [...(options.includeCrds ? rendered.crds : []), ...rendered.manifests, ...hooks];
  if (options.showOnly.length === 0) return all;
  return all.filter((document) =>
    options.showOnly.some((wanted) => document.source === wanted || document.source.slice(document.source.indexOf('/') + 1) === wanted),
  );
};

const print = async (context: Context, documents: readonly HelmDocument[]): Promise<Outcome> => {
  if (context.globals.output !== 'json') {
    await context.io.stdout.write(documents.map(({ source, content }) => `---\n# Source: ${source}\n${content}\n`).join(''));
    return exits.ok;
  }
  const objects = [];
  for (const { source, content } of documents) {
    const parsed = parseObjects(content, source);
    if (!parsed.ok) return trouble(parsed.failure.element, parsed.failure.message, 'gp render … -o yaml shows the text as it is');
    objects.push(...parsed.value);
  }
  await context.io.stdout.write(jsonText(objects));
  return exits.ok;
};

/** `gp render CHART`: the same as `helm template`, without Helm. */
export const renderChartTarget = async (context: Context, path: string, options: RenderOptions): Promise<Outcome> => {
  const chart = await packChart(path);
  if (!chart.ok) return trouble(chart.failure.element, chart.failure.message);
  const files = await readValues(context, options.values);
  if (!files.ok) return files.trouble;
  const sets = await readSets(context, options);
  if (!sets.ok) return sets.trouble;
  const kubeVersion = checkKubeVersion(options.kubeVersion ?? (await defaultKubeVersion()));
  if (!kubeVersion.ok) return kubeVersion.trouble;
  const bench = createWorkbench();
  try {
    const rendered = await bench.helm.render({
      chart: { kind: 'archive', bytes: chart.value.bytes },
      values: files.value,
      sets: sets.value,
      release: { name: options.name ?? 'release-name', namespace: options.namespace ?? 'default', isUpgrade: options.isUpgrade },
      kubeVersion: kubeVersion.value,
      apiVersions: options.apiVersions.flatMap((item) => item.split(',')),
      skipSchema: options.skipSchemaValidation,
      seed: options.seed,
      nowMs: context.io.clock.nowMs(),
    });
    if (!rendered.ok) return trouble(rendered.failure.element, rendered.failure.message);
    const documents = documentsOf(rendered.value, options);
    if (options.showOnly.length > 0 && documents.length === 0)
      return trouble(
        `--show-only ${options.showOnly.join(', ')}`,
        'no template of the chart made anything under that name',
        'names are like templates/service.yaml',
      );
    if (rendered.value.lookups.length > 0)
      await notice(
        context,
        `this chart asks the cluster (lookup); without one it finds nothing: ${rendered.value.lookups.map((item) => `${item.kind} ${item.name}`.trim()).join(', ')}`,
      );
    const printed = await print(context, documents);
    if (options.notes && rendered.value.notes.trim() !== '') await context.io.stderr.write(`${rendered.value.notes.trimEnd()}\n`);
    return printed;
  } finally {
    await bench.close();
  }
};
