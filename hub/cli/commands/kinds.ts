import { nearest } from '../authoring/nearest.ts';
import { usage, type Trouble } from '../trouble.ts';

export const kindNames = ['profile', 'cluster', 'host', 'project', 'ticket', 'event', 'macro', 'api-key'] as const;
export type KindName = (typeof kindNames)[number];

export const pluralOf = (kind: KindName): string => `${kind}s`;

/** `cluster`, `clusters`, `apikey` … as one kind. */
export const parseKind = (text: string, allowed: readonly KindName[] = kindNames): KindName | Trouble => {
  const word = text.toLowerCase().replace(/^apikey/, 'api-key');
  const found = allowed.find((kind) => word === kind || word === pluralOf(kind));
  if (found !== undefined) return found;
  const meant = nearest(
    word,
    allowed.flatMap((kind) => [kind, pluralOf(kind)]),
  );
  return usage(`kind ${text}`, `is not known here${meant === undefined ? '' : `; did you mean ${meant}?`}`, `use one of ${allowed.join(', ')}`);
};

/** `retail-store@1.0.0` as its two parts; the version is empty when it was left out. */
export const parseProfileName = (text: string): { name: string; version: string } => {
  const at = text.indexOf('@');
  return at < 0 ? { name: text, version: '' } : { name: text.slice(0, at), version: text.slice(at + 1) };
};

/** Names go into addresses; one that could not exist is refused before anything is asked. */
export const badName = (kind: string, name: string, like = 'shop-1'): Trouble | undefined =>
  /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)
    ? undefined
    : usage(
        `${kind} ${name.slice(0, 80)}`,
        'is not a possible name: lower-case letters, digits and dashes, at most 63, beginning and ending with a letter or digit',
        `names look like ${like}; see: gp get ${kind}s`,
      );
