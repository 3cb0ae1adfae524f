import type { BundleDifference } from '../../../src/render/compare.ts';
import { compareBundles } from '../../../src/render/compare.ts';
import type { Context } from '../../io.ts';
import { formatOf, jsonText, yamlText } from '../../output/print.ts';
import { printable } from '../../output/printable.ts';
import { painter, type Paint } from '../../output/style.ts';
import { exits, type Outcome } from '../../trouble.ts';
import { lineDiff } from '../line-diff.ts';
import { sign } from '../plan-text.ts';
import { makeBundle } from '../render/bundle.ts';
import { createWorkbench, defaultKubeVersion } from '../render/engine.ts';
import { checkKubeVersion } from '../render/options.ts';
import { readProfileTarget } from '../render/profile.ts';
import { compareLayerLists, layersText, type LayerDiff } from '../diff.ts';

export interface ProfileDiffOptions {
  cluster: string | undefined;
  variables: string[];
  kubeVersion: string | undefined;
  macros: string[];
  rendered: boolean;
}

const renderedText = (difference: BundleDifference, paint: Paint): string => {
  const objects = difference.objects.map(({ layer, object, change, before, after }) => {
    const lines = change === 'change' ? lineDiff(before, after, paint, '      ') : '';
    return `  ${sign(paint, change, `${printable(object)}   (layer ${printable(layer)})`)}\n${lines}`;
  });
  const images = [
    ...difference.images.added.map((image) => `  ${sign(paint, 'add', printable(image))}\n`),
    ...difference.images.removed.map((image) => `  ${sign(paint, 'remove', printable(image))}\n`),
  ];
  const hidden = difference.hidden === 0 ? '' : `  … and ${difference.hidden} more objects\n`;
  return `${paint('bold', 'objects')}${objects.length === 0 ? ': no changes' : ''}\n${objects.join('')}${hidden}${paint('bold', 'images')}${images.length === 0 ? ': no changes' : ''}\n${images.join('')}`;
};

/** `gp profile diff A B`: two profile files, by their layers and, with `--rendered`, by every object and image. Exit code 3 when they differ. */
export const diffProfiles = async (context: Context, before: string, after: string, options: ProfileDiffOptions): Promise<Outcome> => {
  const kubeVersion = checkKubeVersion(options.kubeVersion ?? (await defaultKubeVersion()));
  if (!kubeVersion.ok) return kubeVersion.trouble;
  const bench = createWorkbench();
  try {
    const about = { cluster: options.cluster, name: undefined, variables: options.variables, macros: options.macros };
    const old = await readProfileTarget(context, bench, before, about);
    if (!old.ok) return old.trouble;
    const next = await readProfileTarget(context, bench, after, about);
    if (!next.ok) return next.trouble;
    const layers: LayerDiff[] = await compareLayerLists(old.value.spec.layers, next.value.spec.layers);
    let rendered: BundleDifference | undefined;
    if (options.rendered) {
      const [a, b] = [await makeBundle(bench, old.value, kubeVersion.value, 'gp diff'), await makeBundle(bench, next.value, kubeVersion.value, 'gp diff')];
      if (!a.ok) return a.trouble;
      if (!b.ok) return b.trouble;
      rendered = await compareBundles(bench.content, a.value.bundle, b.value.bundle);
    }
    const changes = layers.some((layer) => layer.change !== 'same') || (rendered?.objects.length ?? 0) > 0;
    const format = formatOf(context);
    const data = { changes, layers, ...(rendered === undefined ? {} : { rendered }) };
    if (format === 'json') await context.io.stdout.write(jsonText(data));
    else if (format === 'yaml') await context.io.stdout.write(await yamlText(data));
    else {
      const paint = painter(context, context.io.stdout);
      const head = `${paint('bold', `${printable(before)} → ${printable(after)}`)}: ${changes ? 'changes' : 'no changes'}\n`;
      await context.io.stdout.write(head + layersText(context, layers) + (rendered === undefined ? '' : renderedText(rendered, paint)));
    }
    return changes ? exits.different : exits.ok;
  } finally {
    await bench.close();
  }
};
