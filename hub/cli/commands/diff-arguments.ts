import type { Context } from '../io.ts';
import { usage, type Outcome } from '../trouble.ts';
import { diffFiles, diffVersions } from './diff.ts';
import { badName, parseKind } from './kinds.ts';

/** `gp diff -f FILE` or `gp diff profile NAME FROM TO`. */
export const diff = async (context: Context, what: readonly string[], files: readonly string[]): Promise<Outcome> => {
  const how = 'gp diff -f FILE   or   gp diff profile NAME FROM TO';
  if (what.length === 0) return files.length === 0 ? usage('diff', 'say what to compare', how) : diffFiles(context, files);
  const [kindText = '', name, from, to, ...more] = what;
  const kind = parseKind(kindText, ['profile']);
  if (typeof kind !== 'string') return kind;
  if (files.length > 0 || name === undefined || from === undefined || to === undefined || more.length > 0)
    return usage('diff', 'two versions of one profile are compared', how);
  const bad = badName('profile', name);
  return bad ?? diffVersions(context, name, from, to);
};
