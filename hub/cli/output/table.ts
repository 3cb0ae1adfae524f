import { printable } from './printable.ts';
import type { Paint, Tone } from './style.ts';

export interface Column<T> {
  title: string;
  value: (item: T) => string;
  /** Shown with `-o wide` only. */
  wide?: boolean;
  tone?: (text: string) => Tone | undefined;
  /** Cut to this many characters unless wide. */
  max?: number;
}

const widthOf = (text: string): number => Array.from(text).length;
const cut = (text: string, max: number): string =>
  widthOf(text) <= max
    ? text
    : `${Array.from(text)
        .slice(0, Math.max(1, max - 1))
        .join('')}…`;

/** Text of a table with its title line; two spaces between columns, nothing after the last. Cells are made safe for terminals. */
export const table = <T>(items: readonly T[], columns: readonly Column<T>[], options: { isWide: boolean; paint: Paint }): string => {
  const shown = columns.filter((column) => options.isWide || column.wide !== true);
  const cells = items.map((item) =>
    shown.map((column) => {
      const text = printable(column.value(item));
      return options.isWide || column.max === undefined ? text : cut(text, column.max);
    }),
  );
  const widths = shown.map((column, index) => cells.reduce((max, row) => Math.max(max, widthOf(row[index] ?? '')), column.title.length));
  const line = (row: readonly string[], tone: (index: number, text: string) => Tone | undefined): string =>
    row
      .map((text, index) => {
        const isLast = index === row.length - 1;
        return options.paint(tone(index, text), text) + (isLast ? '' : ' '.repeat((widths[index] ?? 0) - widthOf(text) + 2));
      })
      .join('')
      .trimEnd();
  const title = line(
    shown.map((column) => column.title),
    () => 'dim',
  );
  return `${[title, ...cells.map((row) => line(row, (index, text) => shown[index]?.tone?.(text)))].join('\n')}\n`;
};
