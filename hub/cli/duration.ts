const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const maxMs = 365 * 86_400_000;

/** `90s`, `5m`, `1h30m`, `500ms`; a number alone is seconds. Undefined when it is none of these, is zero, or is more than a year. */
export const parseDuration = (text: string): number | undefined => {
  if (/^\d{1,9}$/.test(text)) return inRange(Number(text) * 1_000);
  if (!/^(\d{1,9}(ms|[smhd])){1,5}$/.test(text)) return undefined;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhd])/g)) total += Number(count) * (units[unit ?? ''] ?? 0);
  return inRange(total);
};

const inRange = (ms: number): number | undefined => (ms > 0 && ms <= maxMs ? ms : undefined);
