import type { Context } from '../../io.ts';
import type { Outcome } from '../../trouble.ts';
import type { RenderOptions } from './options.ts';
import { findTarget } from './target.ts';

/** `gp render TARGET`: shows what a chart, pack, Zarf package or profile makes, without a hub and without a cluster. */
export const render = async (context: Context, name: string, options: RenderOptions): Promise<Outcome> => {
  const target = await findTarget(context.io.cwd, name);
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
