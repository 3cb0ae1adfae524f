import type { Context, OutputFormat } from '../io.ts';
import { printable, safeData } from './printable.ts';
import { painter, type Paint } from './style.ts';
import { table, type Column } from './table.ts';

/** What was asked for; otherwise a table for people and JSON for programs. */
export const formatOf = ({ io, globals }: Context): OutputFormat => globals.output ?? (io.stdout.isTTY ? 'table' : 'json');

export const jsonText = (value: unknown): string => `${safeData(JSON.stringify(value, undefined, 2) ?? 'null')}\n`;

export const yamlText = async (value: unknown): Promise<string> => {
  const { stringify } = await import('./yaml.ts');
  return safeData(stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }));
};

export interface Shown<T> {
  /** `cluster/shop`, for `-o name`. */
  name: (item: T) => string;
  columns: readonly Column<T>[];
  /** Said on stderr when there is nothing to show. */
  empty: string;
}

/** Prints a list in the format asked for. */
export const printList = async <T>(context: Context, items: readonly T[], shown: Shown<T>): Promise<void> => {
  const { stdout, stderr } = context.io;
  const format = formatOf(context);
  if (format === 'json') return stdout.write(jsonText(items));
  if (format === 'yaml') return stdout.write(await yamlText(items));
  if (format === 'name') return stdout.write(items.map((item) => `${printable(shown.name(item))}\n`).join(''));
  if (items.length === 0) return context.globals.quiet ? undefined : stderr.write(`${shown.empty}\n`);
  return stdout.write(table(items, shown.columns, { isWide: format === 'wide', paint: painter(context, stdout) }));
};

/** Prints one thing: as data, by name, or as the text that `human` makes for a terminal. */
export const printOne = async (context: Context, item: unknown, name: string, human: (paint: Paint, isWide: boolean) => string): Promise<void> => {
  const { stdout } = context.io;
  const format = formatOf(context);
  if (format === 'json') return stdout.write(jsonText(item));
  if (format === 'yaml') return stdout.write(await yamlText(item));
  if (format === 'name') return stdout.write(`${printable(name)}\n`);
  return stdout.write(human(painter(context, stdout), format === 'wide'));
};

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
];

/** `3d`, `12m`; `now` below a second. */
export const ageText = (nowMs: number, thenMs: number | undefined): string => {
  if (thenMs === undefined) return '-';
  const past = nowMs - thenMs;
  const [unit, size] = units.find(([, each]) => Math.abs(past) >= each) ?? ['', 0];
  if (size === 0) return 'now';
  return past < 0 ? `in ${Math.floor(-past / size)}${unit}` : `${Math.floor(past / size)}${unit}`;
};

export const timeText = (ms: number): string => (Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z') : '-');

/** `label:   value` lines, aligned. */
export const facts = (pairs: readonly (readonly [string, string | undefined])[]): string => {
  const known = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined && pair[1] !== '');
  const width = known.reduce((max, [label]) => Math.max(max, label.length), 0) + 2;
  return known.map(([label, value]) => `${`${label}:`.padEnd(width)}${value}\n`).join('');
};
