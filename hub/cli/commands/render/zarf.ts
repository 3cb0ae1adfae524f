import type { Context } from '../../io.ts';
import { trouble, type Outcome } from '../../trouble.ts';
import type { RenderOptions } from './options.ts';
export const renderZarfTarget = async (_context: Context, path: string, _options: RenderOptions): Promise<Outcome> => trouble(path, 'TODO');
