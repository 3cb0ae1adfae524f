/** Control characters (C0, DEL, C1), line and paragraph separators, and what turns the reading direction. */
const unsafe = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
const unsafeInData = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * One line of text that cannot steer a terminal: line breaks become spaces; control characters, escape sequences and marks that turn the reading direction are
 * shown as `\u001b`. Names and messages come from devices that nobody has approved yet.
 */
export const printable = (text: string): string =>
  text
    .replaceAll(/\s*\r?\n\s*/g, ' ')
    .replaceAll('\t', ' ')
    .replaceAll(unsafe, escaped);

/** Like `printable` for a text of many lines. */
export const printableLines = (text: string): string =>
  text
    .split(/\r?\n/)
    .map((line) => line.replaceAll('\t', '  ').replaceAll(unsafe, escaped))
    .join('\n');

/** JSON and YAML may hold these characters inside of strings as they are; escaped they mean the same and do nothing to a terminal. */
export const safeData = (text: string): string => text.replaceAll(unsafeInData, escaped);
