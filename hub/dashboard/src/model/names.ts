/** RFC 1123 label, as the protocol's `nameSchema` says; repeated because the first load has no schemas. A test holds the two together. */
export const isName = (text: string): boolean => text.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
export const nameRule = 'has lower-case letters, digits and dashes, at most 63 of them';
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12);

/** Characters that are not seen but turn or hide their neighbours (bidirectional controls, zero width, C0). With them `gnp.exe` can look like `exe.png`. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controls = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
/** Shows such characters as their code, so that a name reads as what it is. */
export const showControls = (text: string): string =>
  text.replaceAll(controls, (sign) => `[U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`);
