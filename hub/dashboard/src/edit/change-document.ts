import { isSeq, parseDocument } from 'yaml';

/** Adds an entry to a list in the document and keeps comments and layout; the text comes back as it was when it cannot be read. */
export const addToList = (text: string, path: readonly string[], entry: unknown): string => {
  const document = parseDocument(text);
  if (document.errors.length > 0) return text;
  const held = document.getIn(path);
  if (isSeq(held)) {
    held.flow = false;
    held.add(document.createNode(entry));
  } else document.setIn(path, document.createNode([entry]));
  return document.toString({ lineWidth: 0 });
};

export const setValue = (text: string, path: readonly string[], value: unknown): string => {
  const document = parseDocument(text);
  if (document.errors.length > 0) return text;
  document.setIn(path, value);
  return document.toString({ lineWidth: 0 });
};
