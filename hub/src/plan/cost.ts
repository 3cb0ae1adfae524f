import type { Environment } from '@groundplane/protocol/environment/environments';

/** US dollars an hour by environment, region (`*`: any) and size. */
export type Prices = Partial<Record<Environment, Record<string, Record<string, number>>>>;

export interface Cost {
  perHour: number;
  unknown: string[];
}

/** Own key only: a size called `constructor` has no price. */
const own = <T>(record: Record<string, T> | undefined, key: string): T | undefined =>
  record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;

/** An estimate: list prices of the machines, without traffic, disks and discounts. Undefined where nothing costs by the hour (one's own data centre). */
export const poolCost = (prices: Prices, environment: Environment, region: string, pool: { size: string; count: number }): Cost | undefined => {
  const list = prices[environment];
  if (list === undefined) return undefined;
  const price = own(own(list, region), pool.size) ?? own(own(list, '*'), pool.size);
  return price === undefined ? { perHour: 0, unknown: [pool.size] } : { perHour: Math.round(price * pool.count * 10_000) / 10_000, unknown: [] };
};

export const sumCosts = (costs: readonly (Cost | undefined)[]): Cost | undefined => {
  const known = costs.filter((cost) => cost !== undefined);
  if (known.length === 0) return undefined;
  return {
    perHour: Math.round(known.reduce((sum, cost) => sum + cost.perHour, 0) * 10_000) / 10_000,
    unknown: [...new Set(known.flatMap((cost) => cost.unknown))],
  };
};
