import { isPlainMap, own } from '../pack/source.ts';

/** Where something stands in a text. */
export type Path = readonly (string | number)[];

/** What a foreign key means here. */
export interface Told {
  path: Path;
  severity: 'warning' | 'info';
  code: string;
  message: string;
}

/** Fields of ours that come from elsewhere, each with the place that it was read from. */
export interface Draft {
  /** By dotted path of ours, such as `network.proxy.http`. */
  values: Map<string, { value: unknown; from: Path }>;
  /** Lists that several places add to. */
  lists: Map<'users' | 'files' | 'ntp' | 'caCertificates' | 'registryMirrors' | 'modules', { value: unknown; from: Path }[]>;
  sysctls: Map<string, { value: unknown; from: Path }>;
  interfaces: Map<string, { value: unknown; from: Path }>;
  told: Told[];
}

export const newDraft = (): Draft => ({ values: new Map(), lists: new Map(), sysctls: new Map(), interfaces: new Map(), told: [] });

export type Take = (value: unknown, path: Path, draft: Draft) => void;
/** A key is taken, told why it is not, or holds keys of its own. */
export type Rule = Take | string | { [key: string]: Rule };

export const warn = (draft: Draft, path: Path, code: string, message: string): void => void draft.told.push({ path, severity: 'warning', code, message });

/** Palette's tools write a key that nobody has filled in as an empty text. */
export const isUnset = (value: unknown): boolean => value === null || value === undefined || value === '';

export const put =
  (key: string): Take =>
  (value, from, draft) => {
    if (!isUnset(value)) draft.values.set(key, { value, from });
  };

/** A key that says nothing by itself. */
export const nothing: Take = () => undefined;

/** A key that has no meaning here, unless it says what is so here anyway. */
export const unless =
  (harmless: unknown, why: string): Take =>
  (value, path, draft) => {
    if (value !== harmless && !isUnset(value)) ignore(draft, path, why);
  };

export const ignore = (draft: Draft, path: Path, why: string): void => warn(draft, path, 'user-data-ignored', `${path.join('.')} is not used: ${why}`);

export const add = (draft: Draft, list: Parameters<Draft['lists']['get']>[0], value: unknown, from: Path): void =>
  void draft.lists.set(list, [...(draft.lists.get(list) ?? []), { value, from }]);

export const each =
  (take: Take): Take =>
  (value, path, draft) => {
    if (value === null || value === undefined) return;
    if (!Array.isArray(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no list; it is not used`);
    value.forEach((item: unknown, index) => take(item, [...path, index], draft));
  };

/** The rule of a key. Real files have `LocalUI` and `registrationUrl` too. */
const ruleOf = (rules: { [key: string]: Rule }, key: string): Rule | undefined => {
  if (Object.hasOwn(rules, key)) return rules[key];
  const other = Object.keys(rules).find((name) => name.toLowerCase() === key.toLowerCase());
  return other === undefined ? undefined : rules[other];
};

/** Walks a foreign map along a table. What the table does not know is told as well: nothing is left out in silence. */
export const walk = (value: unknown, rules: { [key: string]: Rule }, path: Path, draft: Draft): void => {
  if (value === null || value === undefined) return;
  if (!isPlainMap(value)) return warn(draft, path, 'user-data-shape', `${path.join('.')} is no map; it is not used`);
  for (const key of Object.keys(value)) {
    const rule = ruleOf(rules, key);
    const at = [...path, key];
    if (rule === undefined) warn(draft, at, 'user-data-unknown', `${at.join('.')} is not known here; it is not used`);
    else if (typeof rule === 'string') ignore(draft, at, rule);
    else if (typeof rule === 'function') rule(own(value, key), at, draft);
    else walk(own(value, key), rule, at, draft);
  }
};

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined);

/** Lists that are written as one text with commas or spaces, too. */
export const wordsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.flatMap((item) => textOf(item) ?? []) : (textOf(value) ?? '').split(/[\s,]+/).filter((word) => word !== '');
