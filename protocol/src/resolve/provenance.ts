import { limits } from '../limits.ts';
import { readSource } from '../pack/source.ts';

/** One text of values and who wrote it, weakest first. */
export interface ValuesSource {
  /** `pack`, `profile`, `profile, layer 2`, `cluster` */
  from: string;
  text: string;
}

export interface FieldProvenance {
  /** Dotted path; keys with dots are in brackets. */
  path: string;
  /** JSON of the value that counts; `null` deletes, as in Helm. */
  value: string;
  from: string;
  /** Who said something else before, nearest first. */
  over: string[];
}

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const step = (at: string, key: string): string => (/^[A-Za-z0-9_/-]+$/.test(key) ? (at === '' ? key : `${at}.${key}`) : `${at}[${JSON.stringify(key)}]`);

const leaves = (value: unknown, at: string, depth: number, found: Map<string, unknown>): void => {
  if (!isMap(value) || Object.keys(value).length === 0 || depth > limits.jsonDepth) {
    if (at !== '') found.set(at, value);
    return;
  }
  for (const [key, inner] of Object.entries(value)) leaves(inner, step(at, key), depth + 1, found);
};

const fieldsOf = (text: string): Map<string, unknown> => {
  const found = new Map<string, unknown>();
  // A text that cannot be read has no fields; rendering says what is wrong with it.
  leaves(readSource(text, 'values.yaml').source?.plain, '', 0, found);
  return found;
};

/** Per field of merged values who said it, and whom that replaced. A map set over a plain value, or the other way round, replaces everything below. Pure. */
export const valuesProvenance = (sources: readonly ValuesSource[]): FieldProvenance[] => {
  const fields = new Map<string, FieldProvenance>();
  for (const { from, text } of sources) {
    for (const [path, value] of fieldsOf(text)) {
      const replaced = [...fields.keys()].filter(
        (other) =>
          other === path || other.startsWith(`${path}.`) || other.startsWith(`${path}[`) || path.startsWith(`${other}.`) || path.startsWith(`${other}[`),
      );
      const over = [...new Set(replaced.flatMap((other) => [fields.get(other)?.from ?? '', ...(fields.get(other)?.over ?? [])]))].filter(
        (item) => item !== from,
      );
      for (const other of replaced) fields.delete(other);
      fields.set(path, { path, value: JSON.stringify(value) ?? 'null', from, over });
    }
  }
  return [...fields.values()].toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
};
