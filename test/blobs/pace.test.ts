import { describe, expect, test } from 'vitest';
import { believedTime, createPace, type HubTime } from '@groundplane/agent/blobs/pace';
import { FailureError } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { isTransferOpen, minutesToOpen, transferSchema, type Transfer } from '@groundplane/protocol/transfer';
import { virtualClock } from '../fake/clock.ts';

const night: Transfer = { windows: [{ from: '22:00', to: '06:00' }] };
const at = (text: string): number => Date.parse(`2026-06-01T${text}:00Z`);
const never = new AbortController().signal;

describe('windows', () => {
  test('that go over midnight, that are the whole day, and that are on some days', () => {
    expect(['21:59', '22:00', '23:59', '00:00', '05:59', '06:00', '12:00'].map((time) => isTransferOpen(night, at(time)))).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(isTransferOpen({ windows: [{ from: '08:00', to: '08:00' }] }, at('03:00'))).toBe(true);
    // 1 June 2026 is a Monday. The window of Sunday night reaches into it.
    const sunday: Transfer = { windows: [{ from: '22:00', to: '06:00', days: ['sunday'] }] };
    expect(['05:00', '23:00'].map((time) => isTransferOpen(sunday, at(time)))).toEqual([true, false]);
    expect(isTransferOpen({ ...sunday, windows: [] }, at('12:00'))).toBe(true);
    expect(isTransferOpen(undefined, at('12:00'))).toBe(true);
  });

  test('are read in their zone, summer time included', () => {
    const berlin: Transfer = { windows: [{ from: '22:00', to: '23:00' }], timeZone: 'Europe/Berlin' };
    expect([at('20:30'), Date.parse('2026-01-01T20:30:00Z'), Date.parse('2026-01-01T21:30:00Z')].map((ms) => isTransferOpen(berlin, ms))).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('say when they open', () => {
    expect(minutesToOpen(night, at('12:00'))).toBeLessThanOrEqual(605);
    expect(minutesToOpen(night, at('12:00'))).toBeGreaterThanOrEqual(600);
    expect(minutesToOpen(night, at('23:00'))).toBe(0);
  });

  test('are checked where they come in', () => {
    for (const wrong of [
      { windows: [{ from: '24:00', to: '06:00' }] },
      { windows: [{ from: '2:00', to: '06:00' }] },
      { timeZone: 'Mars/Olympus' },
      { bytesPerSecond: 0 },
      { rate: 1 },
    ])
      expect(transferSchema.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false);
    const many = (count: number) => ({ windows: Array.from({ length: count }, () => ({ from: '01:00', to: '02:00' })) });
    expect([limits.transferWindows, limits.transferWindows + 1].map((count) => transferSchema.safeParse(many(count)).success)).toEqual([true, false]);
    expect(transferSchema.safeParse({ ...night, timeZone: 'Europe/Berlin', bytesPerSecond: 125_000 }).success).toBe(true);
  });
});

describe('the time that windows are measured by', () => {
  test('is the hub’s, carried on by the clock that never jumps', async () => {
    const clock = virtualClock({ wallStartMs: 0 });
    const hub: HubTime = { wallMs: at('12:00'), monotonicMs: clock.monotonicMs() };
    await clock.advance(60_000);
    for (const wall of [0, at('12:00') + 2 * 365 * 86_400_000]) {
      clock.setWall(wall);
      expect(believedTime(clock, hub)).toBe(at('12:01'));
    }
  });

  test('without the hub is the wall clock’s, unless that stands before what the hub said earlier', () => {
    const clock = virtualClock({ wallStartMs: at('12:00') });
    expect(believedTime(clock, undefined)).toBe(at('12:00'));
    expect(believedTime(clock, { wallMs: at('11:00'), monotonicMs: undefined })).toBe(at('12:00'));
    expect(believedTime(clock, { wallMs: at('13:00'), monotonicMs: undefined })).toBeUndefined();
    expect(believedTime(virtualClock({ wallStartMs: 0 }), undefined), '1970').toBeUndefined();
  });
});

describe('pace', () => {
  const setUp = (transfer: Transfer | undefined, wall: number) => {
    const clock = virtualClock({ wallStartMs: wall });
    const setting = { transfer };
    return { clock, setting, pace: createPace({ clock, transfer: () => setting.transfer, hubTime: () => ({ wallMs: wall, monotonicMs: 0 }) }) };
  };
  const pieces = async function* (count: number, size = 10_000): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < count; index += 1) yield new Uint8Array(size);
  };
  const drain = async (source: AsyncIterable<Uint8Array>): Promise<number> => {
    let bytes = 0;
    for await (const piece of source) bytes += piece.length;
    return bytes;
  };

  test('two transfers share one rate', async () => {
    const { clock, pace } = setUp({ bytesPerSecond: 10_000 }, at('12:00'));
    let done = 0;
    for (const _ of [1, 2]) void drain(pace.through(pieces(30), 'x', never)).then(() => (done += 1));
    await clock.advance(50_000);
    expect(done).toBe(0);
    await clock.advance(15_000);
    expect(done).toBe(2);
  });

  test('without a rate nothing waits; a rate that is taken away frees who waits', async () => {
    const { clock, pace, setting } = setUp({ bytesPerSecond: 1_024 }, at('12:00'));
    const drained = drain(pace.through(pieces(100), 'x', never));
    await clock.advance(10_000);
    setting.transfer = undefined;
    await clock.advance(11_000);
    expect(await drained).toBe(1_000_000);
  });

  test('a window that closes ends the transfer', async () => {
    const { clock, pace } = setUp({ ...night, bytesPerSecond: 10_000 }, at('05:59'));
    const outcome = drain(pace.through(pieces(1_000), 'the image', never)).catch((error: unknown) => error);
    await clock.advance(120_000);
    const error = await outcome;
    expect(error).toBeInstanceOf(FailureError);
    expect((error as FailureError).failure).toMatchObject({ kind: 'retry', code: 'transfer-window', element: 'the image' });
    expect((error as FailureError).failure.message).toContain('22:00 to 06:00');
  });

  test('a window that never opens holds content back for eight days and no longer', async () => {
    const { clock, pace } = setUp({ windows: [{ from: '12:00', to: '12:01', days: ['monday'] }] }, at('12:30'));
    expect(pace.closed('x')?.code).toBe('transfer-window');
    const stuck = createPace({ clock, transfer: () => night, hubTime: () => ({ wallMs: at('12:00') - clock.monotonicMs(), monotonicMs: 0 }) });
    expect(stuck.closed('x')?.code).toBe('transfer-window');
    await clock.advance(limits.transferPatienceMs - 1);
    expect(stuck.closed('x')?.code).toBe('transfer-window');
    await clock.advance(1);
    expect(stuck.closed('x')).toBeUndefined();
  });

  test('a clock that nobody believes holds nothing back', () => {
    const clock = virtualClock({ wallStartMs: 0 });
    expect(createPace({ clock, transfer: () => night, hubTime: () => undefined }).closed('x')).toBeUndefined();
  });
});
