import { isMap, isNode, isPair, isScalar, isSeq, type Document, type LineCounter, type Node } from 'yaml';

export type Path = readonly (string | number)[];

/** A problem of a file, said so that an editor can jump to it. */
export interface Problem {
  file: string;
  line: number;
  column: number;
  message: string;
}

export const problemText = (problem: Problem): string => `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;

/** One YAML document of a file, still with its positions. */
export interface Source {
  file: string;
  document: Document;
  lines: LineCounter;
}

const keyText = (key: unknown): unknown => (isScalar(key) ? key.value : key);

/** Where a value of a path stands; where it is missing, the nearest thing around it. With `atKey`, the key instead of its value. */
const nodeAt = (document: Document, path: Path, atKey: boolean): Node | undefined => {
  let node: unknown = document.contents;
  let last: Node | undefined = isNode(node) ? node : undefined;
  for (const [index, part] of path.entries()) {
    let found: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String(keyText(item.key)) === String(part));
      // A key says more about where something is than the first line of a long block below it.
      if (pair !== undefined && isNode(pair.key)) last = pair.key;
      if (atKey && index === path.length - 1) return last;
      found = pair?.value;
    } else if (isSeq(node) && typeof part === 'number') found = node.items[part];
    if (!isNode(found)) return last;
    if (isScalar(found) || index === path.length - 1 || isSeq(node)) last = found;
    node = found;
  }
  return last;
};

/** A problem at a path of the document. */
export const problemAt = (source: Source, path: Path, message: string, atKey = false): Problem => {
  const offset = nodeAt(source.document, path, atKey)?.range?.[0] ?? source.document.range?.[0] ?? 0;
  const { line, col } = source.lines.linePos(offset);
  return { file: source.file, line: Math.max(line, 1), column: Math.max(col, 1), message };
};

/** Text of a scalar as it was written: `1.10`, which as a number would be 1.1. */
export const writtenAt = (source: Source, path: Path): string | undefined => {
  const node: unknown = source.document.getIn(path, true);
  return isScalar(node) && typeof node.source === 'string' ? node.source : undefined;
};

/** `spec.layers[1].helm`, with the names of layers where they are known. */
export const pathText = (path: Path): string =>
  path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`)).join('');
