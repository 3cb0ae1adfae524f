import { isCollection, isScalar, isSeq, parseDocument, Scalar, visit, type Document, type Node } from 'yaml';

/** Texts of many lines as they are read: a block, or quotes where a block would lose a line break of Windows. */
const readable = (document: Document, value: unknown): Node => {
  const node = document.createNode(value) as Node;
  const dress = (scalar: Scalar): void => {
    if (typeof scalar.value !== 'string' || !scalar.value.includes('\n')) return;
    scalar.type = scalar.value.includes('\r') ? Scalar.QUOTE_DOUBLE : Scalar.BLOCK_LITERAL;
  };
  if (isScalar(node)) dress(node);
  else visit(node, { Scalar: (_, scalar) => dress(scalar) });
  return node;
};

type Path = readonly (string | number)[];

/** Changes a document and keeps comments and layout; the text comes back as it was when it cannot be read. */
const changed = (text: string, change: (document: Document) => void): string => {
  const document = parseDocument(text);
  if (document.errors.length > 0) return text;
  change(document);
  return document.toString({ lineWidth: 0 });
};

/** Maps on the way that are missing or empty texts become maps, so that a place below them can be set. */
const openWay = (document: Document, path: Path): void => {
  for (let length = 1; length < path.length; length += 1) {
    const above = path.slice(0, length);
    if (!isCollection(document.getIn(above))) document.setIn(above, document.createNode({}));
  }
};

/** Adds an entry to a list in the document. */
export const addToList = (text: string, path: Path, entry: unknown): string =>
  changed(text, (document) => {
    const held = document.getIn(path);
    if (isSeq(held)) {
      held.flow = false;
      held.add(readable(document, entry));
      return;
    }
    openWay(document, path);
    document.setIn(path, document.createNode([]));
    document.addIn(path, readable(document, entry));
    const list = document.getIn(path);
    if (isSeq(list)) list.flow = false;
  });

export const setValue = (text: string, path: Path, value: unknown): string =>
  changed(text, (document) => {
    openWay(document, path);
    document.setIn(path, readable(document, value));
  });

/** Takes a place away; nothing happens where nothing is. */
export const removeValue = (text: string, path: Path): string =>
  changed(text, (document) => {
    if (document.hasIn(path)) document.deleteIn(path);
  });

/** `undefined` and empty texts take the place away: a field that says nothing does not stand in the document. */
export const setOrRemove = (text: string, path: Path, value: unknown): string =>
  value === undefined || value === '' ? removeValue(text, path) : setValue(text, path, value);

/** The plain data of a text, as far as it can be read; `undefined` while it has mistakes. */
export const readText = (text: string): unknown => {
  const document = parseDocument(text);
  if (document.errors.length > 0) return undefined;
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    return undefined;
  }
};
