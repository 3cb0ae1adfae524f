import { fail, ok, type Result } from '../failure.ts';
import { pathTextOf, type ValuesPath } from './path.ts';
import { isPlainMap } from './source.ts';

/** Plain data is compared and changed here without looking at texts: what an edit of a text must come out as. */
export const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  if (!isPlainMap(a) || !isPlainMap(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
};

/** Writes a key as it is, also `__proto__`. */
export const put = (map: Record<string, unknown>, key: string, value: unknown): void =>
  void Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });

const copyMap = (map: Record<string, unknown>): Record<string, unknown> => {
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(map)) put(copy, key, map[key]);
  return copy;
};

const misplaced = (path: ValuesPath, why: string): Result<never> => fail('fatal', 'path-invalid', `path ${pathTextOf(path).slice(0, 200)}`, why);

/** A copy with a value at a path. Missing maps, and nulls where a map is needed, become maps; a list takes its positions and one more. */
export const withValue = (values: unknown, path: ValuesPath, value: unknown, done: ValuesPath = []): Result<unknown> => {
  const [part, ...rest] = path;
  if (part === undefined) return ok(value);
  const at = [...done, part];
  if (Array.isArray(values)) {
    if (typeof part !== 'number') return misplaced(at, 'goes through a list; say which element, like [0]');
    if (part > values.length) return misplaced(at, `the list has ${values.length} elements`);
    const inner = withValue(values[part], rest, value, at);
    return inner.ok ? ok([...values.slice(0, part), inner.value, ...values.slice(part + 1)]) : inner;
  }
  if (values !== undefined && values !== null && !isPlainMap(values)) return misplaced(at, 'goes through a text or number, which has nothing below it');
  if (typeof part === 'number') return misplaced(at, 'asks for an element of a list where there is none');
  const map = isPlainMap(values) ? values : {};
  const inner = withValue(Object.hasOwn(map, part) ? map[part] : undefined, rest, value, at);
  if (!inner.ok) return inner;
  const copy = copyMap(map);
  put(copy, part, inner.value);
  return ok(copy);
};

/** A copy without what is at a path; the same when there is nothing. */
export const withoutValue = (values: unknown, path: ValuesPath): unknown => {
  const [part, ...rest] = path;
  if (part === undefined) return undefined;
  if (Array.isArray(values)) {
    if (typeof part !== 'number' || part >= values.length) return values;
    return rest.length === 0 ? values.filter((_, index) => index !== part) : values.map((item, index) => (index === part ? withoutValue(item, rest) : item));
  }
  if (!isPlainMap(values) || !Object.hasOwn(values, String(part))) return values;
  const copy = copyMap(values);
  if (rest.length === 0) delete copy[String(part)];
  else put(copy, String(part), withoutValue(values[String(part)], rest));
  return copy;
};

/** Maps merge, everything else of `over` replaces: what a preset's `add` does, and `helm -f` without its rule for null. */
export const merged = (values: unknown, over: unknown): unknown => {
  if (!isPlainMap(over)) return over;
  const map = isPlainMap(values) ? copyMap(values) : {};
  for (const key of Object.keys(over)) put(map, key, merged(Object.hasOwn(map, key) ? map[key] : undefined, over[key]));
  return map;
};

/** Every place below which no map goes on, with its value. An empty map is one. */
export const leavesOf = (values: unknown, path: (string | number)[] = []): { path: (string | number)[]; value: unknown }[] => {
  if (!isPlainMap(values) || Object.keys(values).length === 0) return path.length === 0 ? [] : [{ path, value: values }];
  return Object.keys(values).flatMap((key) => leavesOf(values[key], [...path, key]));
};
