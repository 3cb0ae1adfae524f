import { limits } from './limits.ts';

const write = (value: unknown, depth: number): string => {
  if (depth > limits.jsonDepth * 4) throw new RangeError(`canonical JSON: deeper than ${limits.jsonDepth * 4} levels`);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`canonical JSON: ${String(value)} is not a JSON number`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item: unknown) => write(item === undefined ? null : item, depth + 1)).join(',')}]`;
  if (typeof value === 'object') {
    const record = value as Record<string, unknown>;
    const parts: string[] = [];
    for (const key of Object.keys(record).toSorted()) {
      const item = record[key];
      if (item !== undefined) parts.push(`${JSON.stringify(key)}:${write(item, depth + 1)}`);
    }
    return `{${parts.join(',')}}`;
  }
  throw new TypeError(`canonical JSON: a ${typeof value} has no JSON form`);
};

/**
 * JSON with one spelling per value (RFC 8785: keys sorted by UTF-16 code units, ECMAScript numbers, no white space).
 * Fields that are `undefined` are left out. Throws on what JSON cannot say; callers pass parsed data only.
 */
export const canonicalJson = (value: unknown): string => write(value, 0);
