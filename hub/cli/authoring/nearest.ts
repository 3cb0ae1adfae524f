/** Number of edits between two words: a letter more, less or other, or two neighbours swapped. Words are short, callers cut them. */
const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a.charAt(i - 1) === b.charAt(j - 1);
      const isSwapped = i > 1 && j > 1 && a.charAt(i - 1) === b.charAt(j - 2) && a.charAt(i - 2) === b.charAt(j - 1);
      const edits = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (isSame ? 0 : 1));
      next.push(isSwapped ? Math.min(edits, (before[j - 2] ?? 0) + 1) : edits);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
};

/** The word that was probably meant. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  const short = word.slice(0, 64).toLowerCase();
  const best = known.map((item) => ({ item, far: distance(short, item.slice(0, 64).toLowerCase()) })).toSorted((a, b) => a.far - b.far)[0];
  return best !== undefined && best.far <= Math.max(1, Math.floor(short.length / 3)) ? best.item : undefined;
};
