import { printable } from '../output/printable.ts';
import type { Paint } from '../output/style.ts';

const linesMax = 3_000;
const around = 3;

type Edit = { mark: ' ' | '+' | '-'; line: string };

/** Longest common subsequence over what is left when equal beginnings and ends are set aside. */
const edits = (before: readonly string[], after: readonly string[]): Edit[] => {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  const a = before.slice(start, before.length - end);
  const b = after.slice(start, after.length - end);
  const same = (lines: readonly string[]): Edit[] => lines.map((line) => ({ mark: ' ', line }));
  if (a.length * b.length > linesMax * linesMax)
    return [
      ...same(before.slice(0, start)),
      ...a.map((line): Edit => ({ mark: '-', line })),
      ...b.map((line): Edit => ({ mark: '+', line })),
      ...same(before.slice(before.length - end)),
    ];
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        a[i] === b[j] ? (lengths[(i + 1) * width + j + 1] ?? 0) + 1 : Math.max(lengths[(i + 1) * width + j] ?? 0, lengths[i * width + j + 1] ?? 0);
    }
  }
  const middle: Edit[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      middle.push({ mark: ' ', line: a[i] ?? '' });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && (lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0)))
      middle.push({ mark: '-', line: a[i++] ?? '' });
    else middle.push({ mark: '+', line: b[j++] ?? '' });
  }
  return [...same(before.slice(0, start)), ...middle, ...same(before.slice(before.length - end))];
};

/** Changed lines with three lines around each; empty when the texts are equal. */
export const lineDiff = (before: string, after: string, paint: Paint, indent: string): string => {
  if (before === after) return '';
  const all = edits(before === '' ? [] : before.split('\n'), after === '' ? [] : after.split('\n'));
  const near = new Set(all.flatMap((edit, index) => (edit.mark === ' ' ? [] : Array.from({ length: around * 2 + 1 }, (_, offset) => index - around + offset))));
  const lines: string[] = [];
  let isGap = false;
  for (const [index, { mark, line }] of all.entries()) {
    if (!near.has(index)) {
      if (!isGap) lines.push(`${indent}${paint('dim', '…')}`);
      isGap = true;
      continue;
    }
    isGap = false;
    lines.push(`${indent}${paint(mark === '+' ? 'good' : mark === '-' ? 'bad' : undefined, `${mark} ${printable(line)}`)}`);
  }
  return `${lines.join('\n')}\n`;
};
