import type { Clock } from '../port/clock.ts';
import type { Http, HttpResponse } from '../port/http.ts';

export interface BudgetOptions {
  /** Calls a second over time, and how many at once after a quiet time. */
  perSecond: number;
  burst: number;
}

const pauseMinMs = 1_000;
const pauseMaxMs = 64_000;

/** What a server asks for by Retry-After, in seconds or as a date (RFC 9110, section 10.2.3); undefined when it asks for nothing that can be read. */
export const retryAfterMs = (headers: Readonly<Record<string, string>>, nowMs: number): number | undefined => {
  const text = headers['retry-after']?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
};

export const isThrottled = (response: HttpResponse): boolean =>
  response.status === 429 || (response.status === 503 && response.headers['retry-after'] !== undefined);

/**
 * One account's share of its environment's API: calls wait for their turn in the order in which they came, and all of them wait as long as the environment
 * asked one of them to. A hundred clusters of one account are together no louder than one.
 */
export const createBudget = (clock: Clock, { perSecond, burst }: BudgetOptions) => {
  let tokens = burst;
  let filledAtMs = clock.monotonicMs();
  let pausedUntilMs = 0;
  let pauseMs = pauseMinMs;
  const queue: (() => void)[] = [];
  let isWaiting = false;

  const fill = (): void => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(burst, tokens + ((nowMs - filledAtMs) / 1_000) * perSecond);
    filledAtMs = nowMs;
  };

  const pump = (): void => {
    isWaiting = false;
    fill();
    while (queue.length > 0 && tokens >= 1 && clock.monotonicMs() >= pausedUntilMs) {
      tokens -= 1;
      queue.shift()?.();
    }
    if (queue.length === 0) return;
    const waitMs = Math.max(pausedUntilMs - clock.monotonicMs(), ((1 - tokens) / perSecond) * 1_000, 1);
    isWaiting = true;
    clock.after(Math.ceil(waitMs), pump);
  };

  const turn = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    queue.push(resolve);
    if (!isWaiting) pump();
    return promise;
  };

  return {
    wrap:
      (http: Http): Http =>
      async (request) => {
        await turn();
        const answer = await http(request);
        if (!answer.ok) return answer;
        if (isThrottled(answer.value)) {
          const askedMs = retryAfterMs(answer.value.headers, clock.wallMs());
          // Nobody can stop an account for ever.
          pausedUntilMs = Math.max(pausedUntilMs, clock.monotonicMs() + Math.min(askedMs ?? pauseMs, pauseMaxMs * 10));
          pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
        } else pauseMs = pauseMinMs;
        return answer;
      },
    waiting: (): number => queue.length,
  };
};
export type Budget = ReturnType<typeof createBudget>;
