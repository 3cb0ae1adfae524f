import { describe, expect, test } from 'vitest';
import type { ClusterCredentials } from '@groundplane/hub/port/provider';
import { managedConnection, refreshedToken } from '@groundplane/hub/resident/access';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { virtualClock } from '../fake/clock.ts';
import { codeOf, value } from './world.ts';

/** Tokens `t1`, `t2`, … that live so long; and what the environment was told about those of before. */
const issuer = (livesMs: number | undefined) => {
  const clock = virtualClock();
  const heard: (string | undefined)[] = [];
  let answer: (() => Result<ClusterCredentials>) | undefined;
  const ask = async (refused?: string): Promise<Result<ClusterCredentials>> => {
    heard.push(refused);
    const expiresAtMs = livesMs === undefined ? undefined : clock.wallMs() + livesMs;
    return answer?.() ?? ok({ server: 'https://10.0.0.1', token: `t${heard.length}`, expiresAtMs });
  };
  return { clock, heard, ask, answers: (next: typeof answer) => void (answer = next) };
};

describe('the token of a managed cluster', () => {
  test('is kept until shortly before its end; a short one until its last quarter', async () => {
    for (const [livesMs, keptMs] of [
      [14 * 60_000, 12 * 60_000],
      [8_000, 6_000],
    ] as const) {
      const { clock, ask } = issuer(livesMs);
      const token = refreshedToken(ask, clock);
      expect(await token.current()).toEqual(ok('t1'));
      await clock.advance(keptMs - 1);
      expect(await token.current(), String(livesMs)).toEqual(ok('t1'));
      await clock.advance(1);
      expect(await token.current(), String(livesMs)).toEqual(ok('t2'));
    }
  });

  test('that has no end is never renewed by itself', async () => {
    const { clock, ask, heard } = issuer(undefined);
    const token = refreshedToken(ask, clock);
    await token.current();
    await clock.advance(400 * 24 * 3_600_000);
    expect(await token.current()).toEqual(ok('t1'));
    expect(heard).toEqual([undefined]);
  });

  test('that was refused is told as refused, once, however many calls were refused with it', async () => {
    const { clock, ask, heard } = issuer(3_600_000);
    const token = refreshedToken(ask, clock);
    await token.current();
    await clock.advance(10_000);
    expect(token.forget()).toBe(true);
    expect(await Promise.all([token.current(), token.current()])).toEqual([ok('t2'), ok('t2')]);
    // Another call of the same moment learns only now that it was refused.
    expect(token.forget()).toBe(true);
    expect(await token.current()).toEqual(ok('t2'));
    expect(heard).toEqual([undefined, 't1']);
  });

  test('that is refused whenever it is new does not make the environment loud', async () => {
    const { clock, ask, heard } = issuer(3_600_000);
    const token = refreshedToken(ask, clock);
    for (let second = 0; second < 100; second += 1) {
      await token.current();
      token.forget();
      await clock.advance(1_000);
    }
    expect(heard.length).toBeLessThanOrEqual(11);
  });

  test('that is over by our clock when it comes is used all the same, and asked for again a few times a minute', async () => {
    const { clock, ask, heard } = issuer(-3_600_000);
    const token = refreshedToken(ask, clock);
    expect([await token.current(), await token.current()]).toEqual([ok('t1'), ok('t1')]);
    for (let second = 0; second < 60; second += 1) {
      await clock.advance(1_000);
      await token.current();
    }
    expect(heard.length).toBeLessThanOrEqual(7);
  });

  test('of an environment that gives no address is a failure that says so', async () => {
    const { clock } = issuer(undefined);
    const odd = (server: string) => managedConnection(() => Promise.resolve(ok({ server, token: 't' })), clock, { private: 'all' });
    expect([codeOf(await odd('')), codeOf(await odd('http://a.test')), codeOf(await odd('file:///etc/passwd'))]).toEqual(Array(3).fill('server-invalid'));
  });

  test('that cannot be had now is asked for again at the next call, still with the one that was refused', async () => {
    const { clock, ask, heard, answers } = issuer(3_600_000);
    const connection = value(await managedConnection(ask, clock, { private: 'all' }));
    expect(await connection.token.current()).toEqual(ok('t1'));
    await clock.advance(10_000);
    connection.token.forget();
    answers(() => fail('retry', 'cloud-unreachable', 'x', 'x'));
    expect(codeOf(await connection.token.current())).toBe('cloud-unreachable');
    answers(undefined);
    expect(await connection.token.current()).toEqual(ok('t3'));
    expect(heard).toEqual([undefined, 't1', 't1']);
  });
});
