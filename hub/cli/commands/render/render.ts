import type { Context } from '../../io.ts';
import { usage, type Outcome } from '../../trouble.ts';
import type { RenderOptions } from './options.ts';
import { findTarget } from './target.ts';

/** `gp render [NAME] TARGET`: shows what a chart, pack, Zarf package or profile makes, without a hub and without a cluster. */
export const render = async (context: Context, names: readonly string[], given: RenderOptions): Promise<Outcome> => {
  if (names.length > 2 || (names.length === 2 && given.name !== undefined))
    return usage('gp render', 'takes one thing to render, and one name for it', 'gp render my-release ./chart');
  const options = names.length === 2 ? { ...given, name: names[0] } : given;
  const target = await findTarget(context.io.cwd, names.at(-1) ?? '');
  if (!target.ok) return target.trouble;
  const { kind, path } = target.value;
  switch (kind) {
    case 'chart':
      return (await import('./chart.ts')).renderChartTarget(context, path, options);
    case 'profile':
      return (await import('./profile.ts')).renderProfileTarget(context, path, options);
    case 'pack':
      return (await import('./pack.ts')).renderPackTarget(context, path, options);
    case 'zarf':
      return (await import('./zarf.ts')).renderZarfTarget(context, path, options);
    default:
      return kind satisfies never;
  }
};
