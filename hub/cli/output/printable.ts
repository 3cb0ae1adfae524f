const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * One line of text that cannot steer a terminal: line breaks become spaces; control characters, escape sequences and marks that turn the reading direction are
 * shown as `\u001b`. Names and messages come from devices that nobody has approved yet.
 */
export const printable = (text: string): string => text.replaceAll(/\s*\r?\n\s*/g, ' ').replaceAll('\t', ' ').replaceAll(unsafe, escaped);

/** Like `printable` for a text of many lines. */
export const printableLines = (text: string): string =>
  text
    .split(/\r?\n/)
    .map((line) => line.replaceAll('\t', '  ').replaceAll(unsafe, escaped))
    .join('\n');

/** JSON may hold these characters inside strings as they are; escaped they mean the same and do nothing to a terminal. */
export const safeJson = (json: string): string => json.replaceAll(/[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escaped);
