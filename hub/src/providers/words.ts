/** An environment's own words as one line without control characters, cut to `max` characters: they come from a server that we do not know. */
export const cleanWords =
  (max: number) =>
  (text: string): string =>
    text
      .replaceAll(/[\s\p{Cc}]+/gu, ' ')
      .trim()
      .slice(0, max);
