import { isPlainMap, own } from '../pack/source.ts';
import { add, ignore, nothing, textOf, walk, warn, type Draft, type Path, type Take } from './foreign.ts';

const isText = (encoding: string): boolean => /^(text|text\/plain|plain)?$/i.test(encoding);
const isBase64 = (encoding: string): boolean => /^(b64|base64)$/i.test(encoding);

/** Bytes that are text, or undefined. */
export const textOfBase64 = (base64: string): string | undefined => {
  try {
    const bytes = Uint8Array.from(atob(base64.replaceAll(/\s/g, '')), (char) => char.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** YAML reads 0644 as the number 420, and people mean what they wrote. Some write 644, which is 01204 to a program. */
const modeOf = (mode: unknown): unknown => {
  if (typeof mode !== 'number') return mode;
  return mode > 0o777 && /^[0-7]{3}$/.test(String(mode)) ? `0${mode}` : mode.toString(8).padStart(4, '0');
};

/** Numbers of accounts differ between systems; those of root do not. */
const ownerOf = (value: unknown, path: Path, draft: Draft): string => {
  const text = textOf(value) ?? 'root';
  if (/^\d+$/.test(text)) {
    if (Number(text) !== 0)
      warn(draft, path, 'user-data-owner', `${path.join('.')}: numbers of accounts differ between systems; root owns the file. Write a name`);
    return 'root';
  }
  return text === '' ? 'root' : text;
};

const contentOf = (value: Record<string, unknown>, path: string, from: Path, draft: Draft): string | undefined => {
  const content = own(value, 'content');
  const encoding = textOf(own(value, 'encoding')) ?? '';
  const no = (why: string): undefined => warn(draft, from, 'user-data-ignored', `${from.join('.')}: ${path} ${why}; it is not written`) as undefined;
  if (own(value, 'append') === true) return no('would be appended to; files are written whole here');
  if (own(value, 'source') !== undefined) return no('would be fetched from elsewhere; give its content');
  if (content !== null && content !== undefined && textOf(content) === undefined) return no('has a content that is no text; put it in quotes');
  const text = textOf(content) ?? '';
  if (isText(encoding)) return text;
  const decoded = isBase64(encoding) ? textOfBase64(text) : undefined;
  return decoded ?? no(`is written as ${encoding.slice(0, 40)}; only text is taken, plain or as base64`);
};

/** A file of a stage or of `write_files`. */
export const takeFile: Take = (value, from, draft) => {
  const path = textOf(own(value, 'path'));
  if (!isPlainMap(value) || path === undefined) return warn(draft, from, 'user-data-shape', `${from.join('.')} has no path; it is not used`);
  if (!/^\/(etc|var)\//.test(path))
    return warn(draft, from, 'user-data-ignored', `${from.join('.')}: ${path} lies outside of /etc and /var, which is part of the image; it is not written`);
  const content = contentOf(value, path, from, draft);
  if (content === undefined) return;
  let [ownerText, groupText, both, mode]: [unknown, unknown, string | undefined, unknown] = ['root', undefined, undefined, undefined];
  walk(
    value,
    {
      path: nothing,
      content: nothing,
      encoding: nothing,
      append: nothing,
      // All files are written before anything that could use them.
      defer: nothing,
      permissions: (item) => void (mode = item),
      mode: (item) => void (mode = item),
      owner: (item) => void (ownerText = item),
      group: (item) => void (groupText = item),
      ownerstring: (item) => void (both = textOf(item)),
      owner_string: (item) => void (both = textOf(item)),
    },
    from,
    draft,
  );
  if (path.startsWith('/etc/netplan/'))
    ignore(draft, from, 'images of ours have no netplan, so nothing reads this file. Settings of the network stand under groundplane.network');
  // Kairos writes numbers beside it, which it does not use then.
  const isNamed = both !== undefined && both !== '';
  const [owner = 'root', group = owner] = (isNamed ? String(both) : (textOf(ownerText) ?? 'root')).split(':');
  add(
    draft,
    'files',
    {
      path,
      content,
      ...(mode === undefined || mode === null ? {} : { mode: modeOf(mode) }),
      owner: ownerOf(owner, from, draft),
      group: ownerOf(isNamed ? group : (groupText ?? group), from, draft),
    },
    from,
  );
};
