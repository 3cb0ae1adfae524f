import { fail, ok, type Result } from '../failure.ts';
import type { ZarfChart } from './package.ts';

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);

const depthMax = 64;

const partsOf = (path: string, needsDot: boolean, where: string): Result<string[]> => {
  const wrong = (why: string): Result<never> => fail('fatal', 'zarf-path-invalid', where, `the path ${JSON.stringify(path.slice(0, 200))} ${why}`);
  if (needsDot && !path.startsWith('.')) return wrong('must start with a dot');
  if (path === '.') return ok([]);
  const parts = path.replace(/^\./, '').split('.');
  if (parts.length > depthMax) return wrong(`has more than ${depthMax} parts`);
  if (parts.includes('')) return wrong('has an empty part');
  if (parts.includes('__proto__')) return wrong('leads where no values are');
  return ok(parts);
};

/** Puts a value at a path of maps; what is no map on the way is replaced. */
const put = (target: Plain, parts: readonly string[], value: unknown): void => {
  let at = target;
  for (const part of parts.slice(0, -1)) {
    const next = Object.hasOwn(at, part) ? at[part] : undefined;
    const map: Plain = isPlain(next) ? next : {};
    at[part] = map;
    at = map;
  }
  const last = parts.at(-1);
  if (last === undefined) Object.assign(target, isPlain(value) ? structuredClone(value) : {});
  else at[last] = isPlain(value) || Array.isArray(value) ? structuredClone(value) : value;
};

const get = (source: unknown, parts: readonly string[]): { value: unknown } | undefined => {
  let at = source;
  for (const part of parts) {
    if (!isPlain(at) || !Object.hasOwn(at, part)) return undefined;
    at = at[part];
  }
  return { value: at };
};

/**
 * What the package puts over a chart's values: variables at their paths first, then mapped values over them, as in Zarf. Values that the package maps and that
 * nobody gave are listed in `absent`; the chart's own default stays.
 */
export const chartOverrides = (
  chart: ZarfChart,
  variables: (name: string) => string | undefined,
  values: Plain,
  where: string,
): Result<{ overrides: Plain; absent: string[] }> => {
  const overrides: Plain = {};
  const absent: string[] = [];
  for (const { name, path } of chart.variables) {
    const parts = partsOf(path, false, where);
    if (!parts.ok) return parts;
    const value = variables(name);
    if (value === undefined) return fail('fatal', 'zarf-variable-unknown', where, `maps the variable ${name}, which the package does not declare`);
    put(overrides, parts.value, value);
  }
  for (const { sourcePath, targetPath } of chart.values) {
    const source = partsOf(sourcePath, true, where);
    if (!source.ok) return source;
    const target = partsOf(targetPath, true, where);
    if (!target.ok) return target;
    const found = get(values, source.value);
    if (found === undefined) absent.push(sourcePath);
    else if (target.value.length === 0 && !isPlain(found.value))
      return fail('fatal', 'zarf-path-invalid', where, `maps ${sourcePath} to all values, and it is no map`);
    else put(overrides, target.value, found.value);
  }
  return ok({ overrides, absent });
};

/** Maps merge, everything else is replaced: the package's values with those of the profile over them. */
export const mergeValues = (below: Plain, above: Plain): Plain => {
  const merged = new Map(Object.entries(below));
  for (const [key, value] of Object.entries(above)) {
    const other = merged.get(key);
    merged.set(key, isPlain(value) && isPlain(other) ? mergeValues(other, value) : value);
  }
  return Object.fromEntries(merged);
};
