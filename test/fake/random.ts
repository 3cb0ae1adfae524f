import type { Random } from '@groundplane/agent/port/random';

/** Chance that repeats: the same seed gives the same sequence on every machine. Fits the Random ports of agent and hub. Not for secrets. */
export interface SeededRandom extends Random {
  /** Uniform integer in [0, below). */
  integer(below: number): number;
  /** One item of a list that is not empty. */
  pick<T>(items: readonly T[]): T;
  /** An independent sequence, so that one actor's draws do not shift another's. The same name of the same seed is the same sequence. */
  fork(name: string): SeededRandom;
}

/** FNV-1a over UTF-16 code units: turns a seed of any form into 32 bits. */
const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
};

/** Marsaglia's xorshift128 with Weyl increment (his "xorwow"): 32 bits a draw, period 2^192 - 2^32. */
const xorwow = (seed: number): (() => number) => {
  let [a, b, c, d, e, weyl] = [
    seed ^ 0x9e3779b9,
    Math.imul(seed, 0x85ebca6b) ^ 0x243f6a88,
    seed ^ 0xb7e15162,
    Math.imul(seed, 0xc2b2ae35) | 1,
    0x6c078965,
    362437,
  ];
  const draw = (): number => {
    const mixed = a ^ (a >>> 2);
    [a, b, c, d] = [b, c, d, e];
    e = e ^ (e << 4) ^ mixed ^ (mixed << 1);
    weyl = (weyl + 362437) | 0;
    return (e + weyl) >>> 0;
  };
  // The first draws of near seeds resemble one another.
  for (let warm = 0; warm < 24; warm += 1) draw();
  return draw;
};

export const seededRandom = (seed: number | string): SeededRandom => {
  const draw = xorwow(hash(String(seed)));
  const fraction = (): number => ((draw() >>> 5) * 2 ** 26 + (draw() >>> 6)) / 2 ** 53;
  const integer = (below: number): number => Math.floor(fraction() * below);
  return {
    fraction,
    bytes: (length) => Uint8Array.from({ length }, () => draw() >>> 24),
    integer,
    pick: (items) => items[integer(items.length)] as (typeof items)[number],
    fork: (name) => seededRandom(`${String(seed)}/${name}`),
  };
};
