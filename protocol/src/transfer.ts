import { z } from 'zod';
import { limits } from './limits.ts';

const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
const timeOfDay = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'must be a time of day like 22:30');

export const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

const isTimeZone = (name: string): boolean => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
};

/** When and how fast large content may come over the line to the hub. Neighbours and media are not meant. */
export const transferSchema = z.strictObject({
  /** Bytes a second for all transfers of a host together. */
  bytesPerSecond: z
    .int()
    .min(1_024)
    .max(100 * 1024 ** 3)
    .optional(),
  /** Absent or empty: at any time. A window that ends before it begins goes on into the next day; equal times are the whole day. */
  windows: z
    .array(z.strictObject({ from: timeOfDay, to: timeOfDay, days: z.array(z.enum(weekdays)).max(7).optional() }))
    .max(limits.transferWindows)
    .optional(),
  /** Name in the IANA database, such as `Europe/Berlin`; absent: UTC. */
  timeZone: z.string().max(64).refine(isTimeZone, 'no time zone has this name; names are like Europe/Berlin').optional(),
});
export type Transfer = z.infer<typeof transferSchema>;

/** A host that lacks the zone's rules reads its windows as UTC, which is better than never. */
const clockAt = (wallMs: number, timeZone: string): { day: number; minute: number } => {
  const zone = isTimeZone(timeZone) ? timeZone : 'UTC';
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, weekday: 'long', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).formatToParts(
    wallMs,
  );
  const part = (type: string): string => parts.find((item) => item.type === type)?.value ?? '';
  const day = weekdays.indexOf(part('weekday').toLowerCase() as (typeof weekdays)[number]);
  return { day, minute: Number(part('hour')) * 60 + Number(part('minute')) };
};

const minutesPerDay = 24 * 60;

/** Whether large content may come now. Pure; `wallMs` is a time that the caller believes. */
export const isTransferOpen = (transfer: Transfer | undefined, wallMs: number): boolean => {
  const windows = transfer?.windows ?? [];
  if (windows.length === 0) return true;
  const { day, minute } = clockAt(wallMs, transfer?.timeZone ?? 'UTC');
  const isOn = (days: readonly string[] | undefined, which: number): boolean => days === undefined || days.length === 0 || days.includes(weekdays[which] ?? '');
  return windows.some(({ from, to, days }) => {
    const [begin, end] = [minutesOf(from), minutesOf(to)];
    if (begin < end) return isOn(days, day) && minute >= begin && minute < end;
    return (isOn(days, day) && minute >= begin) || (isOn(days, (day + 6) % 7) && minute < end) || (begin === end && isOn(days, day));
  });
};

/** Minutes until the next window opens, 0 when one is open; undefined when none opens within eight days (windows of no day). */
export const minutesToOpen = (transfer: Transfer | undefined, wallMs: number): number | undefined => {
  for (let minute = 0; minute <= 8 * minutesPerDay; minute += minute === 0 ? 1 : 5) if (isTransferOpen(transfer, wallMs + minute * 60_000)) return minute;
  return undefined;
};

export const transferText = (transfer: Transfer): string =>
  (transfer.windows ?? [])
    .map(({ from, to, days }) => `${from} to ${to}${days === undefined || days.length === 0 ? '' : ` on ${days.join(', ')}`}`)
    .join('; ') + ` (${transfer.timeZone ?? 'UTC'})`;
