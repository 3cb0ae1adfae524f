import { isAlias, isMap, isSeq, type Document, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml';
import { fail, ok, type Result } from '../failure.ts';
import { packLimits } from './limits.ts';
import { findPath, pathTextOf, valueAt, type ValuesPath } from './path.ts';
import { isSame, merged, withoutValue, withValue } from './plain.ts';
import { isPlainMap, readSource, type PackSource } from './source.ts';
import {
  appendToList,
  appendToMap,
  copiedPair,
  findPair,
  itemRender,
  pairRender,
  plainKey,
  removeFromList,
  removeFromMap,
  replaceFlow,
  replaceInList,
  replaceInMap,
  spliced,
  type Render,
  type Splice,
} from './splice.ts';
import { maskTemplates, unmask } from './template.ts';

/**
 * Values are edited in their text: the syntax tree says where something stands, the change is cut in there, and every other byte stays. Each change is read
 * again and compared with what it should be as plain data. Where the cut cannot be made so (values in one line, `? key`, anchors), the whole text is written
 * anew from its tree, which keeps comments but not every space.
 */
interface Target {
  source: PackSource;
  path: ValuesPath;
}

const read = (text: string): Result<PackSource> => {
  const { source, findings } = readSource(text, 'values.yaml');
  if (source !== undefined) return ok(source);
  const [finding] = findings;
  return fail('fatal', 'values-malformed', `values.yaml${finding?.line === undefined ? '' : `, line ${finding.line}`}`, finding?.message ?? 'cannot be read');
};

/** The node at a path, and the outermost collection in flow style (`{…}`) above or at it. Aliases are not followed: an edit behind one would change two places. */
const walk = ({ source, path }: Target): { node: unknown; flow?: { node: YAMLMap | YAMLSeq; path: ValuesPath } } => {
  let node: unknown = source.document.contents;
  for (const [index, part] of path.entries()) {
    if ((isMap(node) || isSeq(node)) && node.flow === true && node.items.length > 0) return { node: undefined, flow: { node, path: path.slice(0, index) } };
    if (isMap(node)) node = findPair(node, String(part))?.value;
    else if (isSeq(node) && typeof part === 'number') node = node.items[part];
    else return { node: undefined };
  }
  return (isMap(node) || isSeq(node)) && node.flow === true && node.items.length > 0 ? { node, flow: { node, path } } : { node };
};

/** The first way that reads back as what is wanted. */
const firstThat = (source: PackSource, splices: readonly Splice[], wanted: unknown): PackSource | undefined => {
  for (const splice of splices) {
    const text = spliced(source.text, splice);
    const after = readSource(text, source.file).source;
    if (after !== undefined && isSame(after.plain, wanted)) return after;
  }
  return undefined;
};

/** Changes the tree itself and prints all of it. */
const rewritten = (source: PackSource, change: (document: Document) => void, wanted: unknown): Result<PackSource> => {
  const copy = readSource(source.text, source.file).source;
  if (copy !== undefined) {
    try {
      change(copy.document);
      const text = unmask(copy.document.toString({ lineWidth: 0 }));
      const after = readSource(text, source.file).source;
      if (after !== undefined && isSame(after.plain, wanted)) return ok(after);
    } catch {
      // An alias whose anchor went away; told below like everything else that cannot be done.
    }
  }
  return fail(
    'fatal',
    'values-edit-failed',
    source.file,
    'this place cannot be changed alone: others refer to it (&name), or it came in by a merge (<<). Write the values out and try again',
  );
};

const masked = (document: Document, value: unknown): Node => {
  const visit = (item: unknown): unknown => {
    if (typeof item === 'string') return maskTemplates(item);
    if (Array.isArray(item)) return item.map(visit);
    return isPlainMap(item) ? Object.fromEntries(Object.entries(item).map(([key, inner]) => [maskTemplates(key), visit(inner)])) : item;
  };
  return document.createNode(visit(value)) as Node;
};

const nodeIn = (document: Document, path: ValuesPath): unknown => {
  let node: unknown = document.contents;
  for (const part of path) {
    if (isMap(node)) node = findPair(node, String(part))?.value;
    else if (isSeq(node) && typeof part === 'number') node = node.items[part];
    else return undefined;
  }
  return node;
};

const putNode = (document: Document, path: ValuesPath, value: unknown): void => {
  const last = path.at(-1);
  const parent = nodeIn(document, path.slice(0, -1));
  const node = value === undefined ? undefined : masked(document, value);
  if (last === undefined) document.contents = (node ?? null) as never;
  else if (isMap(parent)) {
    const pair = findPair(parent, String(last));
    if (node === undefined) parent.items = parent.items.filter((item) => item !== pair);
    else if (pair === undefined) parent.items.push(document.createPair(maskTemplates(String(last)), node) as never);
    else pair.value = node;
  } else if (isSeq(parent) && typeof last === 'number') {
    if (node === undefined) parent.items.splice(last, 1);
    else parent.items[last] = node;
  } else if (path.length === 1 && node !== undefined) document.contents = masked(document, { [String(last)]: value }) as never;
};

/** The part of a path that stands as a map or list in the text; what is below it has to be made. Empty `{}` and nulls count as not there. */
const standing = ({ source, path }: Target): number => {
  for (let length = path.length - 1; length > 0; length -= 1) {
    const node = nodeIn(source.document, path.slice(0, length));
    if ((isMap(node) || isSeq(node)) && (node.items.length > 0 || length === 0)) return length;
  }
  return 0;
};

/** Splices that put a value at `path`, whose parent stands in the text. */
const splicesToSet = (source: PackSource, path: ValuesPath, value: unknown, renders: readonly Render[]): Splice[] => {
  const last = path.at(-1);
  const parent = nodeIn(source.document, path.slice(0, -1));
  if (last === undefined) return [];
  if (isMap(parent) && parent.flow !== true && parent.items.length > 0)
    return findPair(parent, String(last)) === undefined ? appendToMap(source, parent, renders) : replaceInMap(source, parent, String(last), value, renders);
  if (isSeq(parent) && parent.flow !== true && typeof last === 'number')
    return last < parent.items.length ? replaceInList(source, parent, last, value) : appendToList(source, parent, value);
  return [];
};

/** For values that are empty: what is there (comments, `---`) stays above. */
const appendToNothing = (source: PackSource, renders: readonly Render[]): Splice[] => {
  const { text } = source;
  const at = text.length;
  const gap = text === '' || text.endsWith('\n') ? '' : '\n';
  return renders.map((render) => ({ from: at, to: at, text: `${gap}${render(0)}\n` }));
};

/** `copy` gives the lines that somebody wrote for a place, where there are some; whether they say the right thing is seen when the result is read. */
const setAt = (target: Target, value: unknown, copy?: (place: ValuesPath) => Render | undefined): Result<PackSource> => {
  const { source, path } = target;
  const wanted = withValue(source.plain, path, value);
  if (!wanted.ok) return wanted;
  if (isSame(wanted.value, source.plain) && valueAt(source.plain, path) !== undefined) return ok(source);
  const { flow } = walk({ source, path: path.slice(0, -1) });
  const whole = (): Result<PackSource> => {
    const [length, made] = [standing(target), valueAt(wanted.value, path.slice(0, standing(target) + 1))];
    return rewritten(source, (document) => putNode(document, path.slice(0, length + 1), made), wanted.value);
  };
  if (flow !== undefined) {
    const text = firstThat(source, replaceFlow(flow.node, valueAt(wanted.value, flow.path)), wanted.value);
    return text === undefined ? whole() : ok(text);
  }
  const depth = standing(target);
  const place = path.slice(0, depth + 1);
  const made = valueAt(wanted.value, place);
  const last = place.at(-1);
  const copied = copy?.(place);
  const renders: Render[] = [...(copied === undefined ? [] : [copied]), typeof last === 'number' ? itemRender(made) : pairRender(String(last), made)];
  const root = source.document.contents;
  const isNothing = source.plain === null || (isMap(root) && root.items.length === 0 && root.flow !== true);
  const text =
    firstThat(source, isNothing ? appendToNothing(source, renders) : splicesToSet(source, place, made, renders), wanted.value) ??
    (isMap(root) && root.items.length === 0 ? firstThat(source, replaceFlow(root, wanted.value), wanted.value) : undefined);
  return text === undefined ? whole() : ok(text);
};

const deleteAt = ({ source, path }: Target): Result<PackSource> => {
  const last = path.at(-1);
  if (last === undefined || valueAt(source.plain, path) === undefined) return ok(source);
  const parentPath = path.slice(0, -1);
  const parent = nodeIn(source.document, parentPath);
  const wanted = withoutValue(source.plain, path);
  const left = valueAt(wanted, parentPath);
  // A map without keys is written as {}: with nothing behind its key it would be null, which deletes a chart's default.
  const isEmptied = (isPlainMap(left) && Object.keys(left).length === 0) || (Array.isArray(left) && left.length === 0);
  if (isEmptied && parentPath.length > 0) return setAt({ source, path: parentPath }, left);
  const { flow } = walk({ source, path: parentPath });
  const splices =
    flow !== undefined
      ? replaceFlow(flow.node, valueAt(wanted, flow.path))
      : isMap(parent)
        ? removeFromMap(source, parent, String(last))
        : isSeq(parent) && typeof last === 'number'
          ? removeFromList(source, parent, last)
          : [];
  const text =
    firstThat(source, splices, wanted) ??
    // The last key of all: nothing but comments is left, and that reads as null.
    (isEmptied ? (firstThat(source, splices, null) ?? firstThat(source, [{ from: 0, to: source.text.length, text: '{}\n' }], wanted)) : undefined);
  return text === undefined ? rewritten(source, (document) => putNode(document, path, undefined), wanted) : ok(text);
};

const located = (text: string, path: string | ValuesPath): Result<Target & { isThere: boolean }> => {
  const source = read(text);
  if (!source.ok) return source;
  if (typeof path !== 'string') return ok({ source: source.value, path, isThere: valueAt(source.value.plain, path) !== undefined });
  const found = findPath(source.value.plain, path);
  if (!found.ok) return found;
  return ok({ source: source.value, path: asPlainKeys(source.value, found.value.path), isThere: found.value.isThere });
};

/** Keys as they are read: who asks for `y` means the key that Helm reads as `true`, when that is how it stands in the text. */
const asPlainKeys = (source: PackSource, path: ValuesPath): ValuesPath => {
  let node: unknown = source.document.contents;
  return path.map((part) => {
    const pair: Pair | undefined = isMap(node) ? findPair(node, String(part)) : undefined;
    node = isSeq(node) && typeof part === 'number' ? node.items[part] : pair?.value;
    return pair === undefined || typeof part === 'number' ? part : plainKey(pair);
  });
};

const textOf = (edited: Result<PackSource>): Result<string> => (edited.ok ? ok(edited.value.text) : edited);

/** Values with something set at a path. Maps on the way are made; a list takes `[n]` of an element and of the place behind the last one. */
export const setValue = (text: string, path: string | ValuesPath, value: unknown): Result<string> => {
  const target = located(text, path);
  return target.ok ? textOf(setAt(target.value, value)) : target;
};

/** Values without what is at a path; the same text when nothing is there. */
export const deleteValue = (text: string, path: string | ValuesPath): Result<string> => {
  const target = located(text, path);
  return target.ok ? textOf(deleteAt(target.value)) : target;
};

interface Merge {
  /** As far as it is merged. */
  source: PackSource;
  added: PackSource;
}

/** What has to be set so that maps are merged and everything else is replaced. */
const differences = (values: unknown, over: unknown, path: (string | number)[] = []): { path: (string | number)[]; value: unknown }[] => {
  if (isPlainMap(over) && isPlainMap(values))
    return Object.keys(over).flatMap((key) =>
      Object.hasOwn(values, key) ? differences(values[key], over[key], [...path, key]) : [{ path: [...path, key], value: over[key] }],
    );
  return isSame(values, over) ? [] : [{ path, value: over }];
};

const mergeStep = (state: Merge, path: ValuesPath, value: unknown): Result<void> => {
  const copy = (place: ValuesPath): Render | undefined => {
    const parent = nodeIn(state.added.document, place.slice(0, -1));
    const pair = isMap(parent) && parent.flow !== true ? findPair(parent, String(place.at(-1))) : undefined;
    return pair === undefined || isAlias(pair.value) ? undefined : copiedPair(state.added, pair);
  };
  const edited = setAt({ source: state.source, path }, value, copy);
  if (!edited.ok) return edited;
  state.source = edited.value;
  return ok(undefined);
};

/** Values with a YAML map merged in: maps merge, texts, numbers and lists are replaced. Remarks inside of what is added come along. */
export const mergeValues = (text: string, add: string): Result<string> => {
  const source = read(text);
  if (!source.ok) return source;
  const added = readSource(add, 'add');
  if (added.source === undefined) return fail('fatal', 'values-malformed', 'what is added', added.findings[0]?.message ?? 'cannot be read');
  const over = added.source.plain;
  if (over === null) return ok(text);
  if (!isPlainMap(over)) return fail('fatal', 'values-malformed', 'what is added', 'is no map');
  if (source.value.plain !== null && !isPlainMap(source.value.plain)) return fail('fatal', 'values-malformed', 'values.yaml', 'is no map');
  const steps = differences(source.value.plain ?? {}, over);
  if (steps.length > packLimits.edits)
    return fail('fatal', 'values-edit-too-large', 'what is added', `changes ${steps.length} places; at most ${packLimits.edits}`);
  const state: Merge = { source: source.value, added: added.source };
  for (const { path, value } of steps) {
    const step = mergeStep(state, path, value);
    if (!step.ok) return step;
  }
  return isSame(state.source.plain, merged(source.value.plain ?? {}, over))
    ? ok(state.source.text)
    : fail('fatal', 'values-edit-failed', 'values.yaml', `could not be merged at ${pathTextOf(steps[0]?.path ?? [])}`);
};
