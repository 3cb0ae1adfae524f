import type { Finding } from '../finding.ts';
import { isPlainMap, own, placeOf, readSource, type PackSource } from '../pack/source.ts';
import { newDraft, type Draft, type Path } from './foreign.ts';
import { userDataLimits } from './limits.ts';
import { readForeign } from './palette.ts';
import { userDataSchema, type UserData } from './schema.ts';

export interface ReadUserData {
  /** Undefined when something is wrong with it. */
  config: UserData | undefined;
  findings: Finding[];
}

/** Sets a value at a dotted path of plain maps. */
const setAt = (target: Record<string, unknown>, path: string, value: unknown): void => {
  const parts = path.split('.');
  let at = target;
  for (const part of parts.slice(0, -1)) {
    const next = own(at, part);
    at = isPlainMap(next) ? next : (at[part] = {});
  }
  const last = parts.at(-1) ?? '';
  if (own(at, last) === undefined) at[last] = value;
};

/** Where each part of the merged configuration was written, longest path first. */
type Origins = { path: Path; from: Path }[];

const identity = (item: unknown): unknown => own(item, 'name') ?? own(item, 'path') ?? own(item, 'registry') ?? item;

/** What several stages say of one account, file or registry is one: lists in it come together, and of the rest the later counts. */
const together = (items: { value: unknown; from: Path }[]): { value: unknown; from: Path }[] => {
  const byIdentity = new Map<unknown, { value: unknown; from: Path }>();
  for (const item of items) {
    const key = identity(item.value);
    const before = byIdentity.get(key);
    if (before === undefined || !isPlainMap(before.value) || !isPlainMap(item.value)) byIdentity.set(key, item);
    else {
      const lists = Object.entries(before.value).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
      const joined = lists.map(([name, list]) => [name, [...new Set([...list, ...((own(item.value, name) ?? []) as unknown[])])]]);
      byIdentity.set(key, { from: item.from, value: { ...before.value, ...item.value, ...Object.fromEntries(joined) } });
    }
  }
  return [...byIdentity.values()];
};

/** Ours wins over what comes from elsewhere; lists come together. */
const merge = (ours: Record<string, unknown>, draft: Draft): { merged: Record<string, unknown>; origins: Origins } => {
  const merged = structuredClone(ours);
  const origins: Origins = [];
  const note = (path: Path, from: Path): void => void origins.push({ path, from });
  for (const [path, { value, from }] of draft.values) {
    setAt(merged, path, value);
    note(path.split('.'), from);
  }
  for (const [list, items] of draft.lists) {
    const mine = own(merged, list);
    const before = Array.isArray(mine) ? (mine as unknown[]) : [];
    const known = new Set(before.map(identity));
    const fresh = together(items.filter(({ value }) => !known.has(identity(value))));
    merged[list] = [...before, ...fresh.map((item) => item.value)];
    fresh.forEach(({ from }, index) => note([list, before.length + index], from));
  }
  for (const [key, { value, from }] of draft.sysctls) {
    const at = isPlainMap(own(merged, 'sysctls')) ? (merged['sysctls'] as Record<string, unknown>) : (merged['sysctls'] = {} as Record<string, unknown>);
    if (own(at, key) === undefined) at[key] = value;
    note(['sysctls', key], from);
  }
  for (const [name, { value, from }] of draft.interfaces) {
    const network = isPlainMap(own(merged, 'network')) ? (merged['network'] as Record<string, unknown>) : (merged['network'] = {} as Record<string, unknown>);
    const all = isPlainMap(own(network, 'interfaces'))
      ? (network['interfaces'] as Record<string, unknown>)
      : (network['interfaces'] = {} as Record<string, unknown>);
    if (own(all, name) === undefined) all[name] = value;
    note(['network', 'interfaces', name], from);
  }
  return { merged, origins: origins.toSorted((a, b) => b.path.length - a.path.length) };
};

const originOf = (path: Path, origins: Origins): Path => {
  const found = origins.find((item) => item.path.every((part, index) => String(part) === String(path[index])));
  return found === undefined ? ['groundplane', ...path] : [...found.from, ...path.slice(found.path.length)];
};

/** An end of an installation without a disk to install to means nothing, and is what Palette's examples have. */
const dropHalfInstall = (merged: Record<string, unknown>): void => {
  if (isPlainMap(own(merged, 'install')) && own(own(merged, 'install'), 'device') === undefined) delete merged['install'];
};

const check = (source: PackSource, document: Record<string, unknown>): ReadUserData => {
  const draft = newDraft();
  readForeign(document, draft);
  const findings: Finding[] = draft.told.map(({ path, ...told }) => ({ ...told, file: source.file, ...placeOf(source, path) }));
  const ours = own(document, 'groundplane') ?? {};
  if (!isPlainMap(ours))
    return {
      config: undefined,
      findings: [
        ...findings,
        {
          severity: 'error',
          code: 'user-data-shape',
          file: source.file,
          ...placeOf(source, ['groundplane']),
          message: 'groundplane must be a map (lines like "key: value")',
        },
      ],
    };
  const { merged, origins } = merge(ours, draft);
  dropHalfInstall(merged);
  const parsed = userDataSchema.safeParse(merged);
  if (parsed.success) return { config: parsed.data, findings };
  const errors = parsed.error.issues.map((issue): Finding => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? part.toString() : part));
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
    const from = originOf([...path, ...keys.slice(0, 1)], origins);
    const message = keys.length > 0 ? `there is no field "${keys.join('", "')}"; known fields: ${fieldsAt(path).join(', ')}` : wordsOfIssue(issue);
    return {
      severity: 'error',
      code: 'user-data-invalid',
      file: source.file,
      ...placeOf(source, from),
      message: `${from.join('.')}: ${message}${draft.values.has(path.join('.')) && from[0] !== 'groundplane' ? `; or write groundplane.${path.join('.')}, which wins` : ''}`,
    };
  });
  return { config: undefined, findings: [...findings, ...errors] };
};

const wordsOfIssue = (issue: { code: string; message: string; expected?: unknown }): string =>
  issue.code === 'invalid_type' && issue.expected === 'string'
    ? `${issue.message.replace(/^Invalid input: /, '')}. YAML reads yes, no, on, off and digits as something else than text; put it in quotes`
    : issue.message.replace(/^Invalid input: /, '');

/** What people give instead of YAML, by its beginning (cloud-init knows all of them). */
const otherKinds: readonly (readonly [RegExp, string])[] = [
  [/\0/, 'is no text in UTF-8. Does it come from an editor that writes UTF-16? Save it as UTF-8'],
  [/^#!/, 'is a script. Only YAML is read, and commands are not run on hosts of this platform'],
  [/^(Content-Type|MIME-Version): /i, 'is a message of several parts. Give the part with #cloud-config alone'],
  [/^## template:/, 'is a template. Fill it in first'],
];

/** Names of our fields, for messages; only of the top, where nearly all mistakes are made. */
const fieldsAt = (path: Path): string[] => (path.length === 0 ? Object.keys(userDataSchema.shape) : ['see docs/os-images.md']);

/**
 * Reads the user data of a device: own keys under `groundplane`, and those of Palette, Kairos and cloud-init that mean something here. Pure, never throws;
 * every problem stands at its line, and whatever is not used is named.
 */
export const readUserData = (text: string, file = 'user-data'): ReadUserData => {
  if (text.length > userDataLimits.textBytes)
    return {
      config: undefined,
      findings: [{ severity: 'error', code: 'user-data-large', file, message: `has more than ${userDataLimits.textBytes} characters` }],
    };
  const [, other] = otherKinds.find(([pattern]) => pattern.test(text)) ?? [];
  if (other !== undefined) return { config: undefined, findings: [{ severity: 'error', code: 'user-data-kind', file, line: 1, column: 1, message: other }] };
  const read = readSource(text.replace(/^\uFEFF/, ''), file);
  const findings = read.findings.filter((finding) => finding.code !== 'template-unquoted');
  if (read.source === undefined) return { config: undefined, findings };
  const { plain } = read.source;
  if (plain === null) return { config: userDataSchema.parse({}), findings };
  if (!isPlainMap(plain))
    return {
      config: undefined,
      findings: [...findings, { severity: 'error', code: 'user-data-shape', file, line: 1, column: 1, message: 'is no map (lines like "key: value")' }],
    };
  const checked = check(read.source, plain);
  const isBroken = findings.some((finding) => finding.severity === 'error');
  return { config: isBroken ? undefined : checked.config, findings: [...findings, ...checked.findings] };
};
