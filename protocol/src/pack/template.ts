/**
 * Values are full of template actions, `{{ .spectro.var.x }}` and other people's. Inside of quotes they are plain text. Outside of them, YAML sees a map whose
 * key is a map. They are masked before parsing, character by character, so that every offset stays what it was, and put back into what was read.
 */
const action = /\{\{[^{}\r\n]{0,1000}\}\}/g;

/** Characters that mean something inside of an unquoted YAML text, and what stands for them: private-use code points (Unicode, chapter 23.5). */
const special = '{}:#,[]';
const firstMask = 0xf810;
const masked = /[\uf810-\uf81f]/g;

const hide = (text: string): string => text.replaceAll(/[{}:#,[\]]/g, (char) => String.fromCharCode(firstMask + special.indexOf(char)));

/** The same text with actions that YAML cannot misread. A text that uses the private code points itself is left alone. */
export const maskTemplates = (text: string): string => (text.includes('{{') && text.search(masked) < 0 ? text.replaceAll(action, hide) : text);

/** Puts the characters back. */
export const unmask = (text: string): string => text.replaceAll(masked, (char) => special[char.charCodeAt(0) - firstMask] ?? char);

/** Something that will only be known later: its value cannot be checked now. */
export const hasReference = (text: string): boolean => /\{\{-?\s*\.spectro\./.test(text);
