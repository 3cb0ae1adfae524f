import type { Catalogue } from '@groundplane/protocol/environment/catalogue';
import type { Environment } from '@groundplane/protocol/environment/environments';
import { placementOf, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';
import type { ImageChoice } from '../port/provider.ts';

/** Own key only: nothing is called `constructor`. */
const own = <T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined =>
  record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;

/** `*` where an environment has no regions. */
export const regionOf = (spec: Infrastructure): string => {
  const placement = placementOf(spec) as { region?: string; location?: string };
  return placement.region ?? placement.location ?? '*';
};

/** What a pool's image stands for; undefined: it is no name of the catalogue, and the environment's own. */
export const imageFor = (catalogue: Catalogue, environment: Environment, region: string, name: string): ImageChoice | undefined => {
  const regions = own(catalogue.images, name)?.environments[environment];
  const found = own(regions, region) ?? own(regions, '*');
  if (found === undefined) return undefined;
  return typeof found === 'string' ? { name, amd64: found, arm64: found } : { name, ...found };
};

const minorOf = (version: string): string => /^v?(\d+\.\d+)/.exec(version)?.[1] ?? '';

/** `2026-12-02`. What the environment tells comes before the catalogue. */
export const supportEnd = (
  catalogue: Catalogue,
  environment: Environment | 'upstream',
  version: string,
  told: readonly { name: string; endOfSupport?: string }[] = [],
): string | undefined =>
  told.find((item) => minorOf(item.name) === minorOf(version) && item.endOfSupport !== undefined)?.endOfSupport ??
  own(catalogue.kubernetes[environment], minorOf(version));

const dayMs = 86_400_000;
/** Two minors come out in half a year; two months are time for one upgrade. */
const warnDays = 60;

/** Undefined: there is time. `upstream`: of the Kubernetes project itself, which runs nothing and changes nothing, and makes no patches any more. */
export const supportNotice = (version: string, ends: string, nowMs: number, of: 'service' | 'upstream' = 'service'): string | undefined => {
  const days = Math.ceil((Date.parse(`${ends}T00:00:00Z`) - nowMs) / dayMs);
  if (Number.isNaN(days) || days > warnDays) return undefined;
  const next = `Upgrade it: a newer version in the Kubernetes layer of its profile`;
  if (of === 'upstream')
    return days > 0
      ? `The Kubernetes project patches ${version} until ${ends}, ${days} more days. ${next}`
      : `The Kubernetes project has made no patches of ${version} since ${ends}: holes that are found stay open. ${next}`;
  return days > 0
    ? `Kubernetes ${version} has standard support until ${ends}, ${days} more days. ${next}`
    : `Kubernetes ${version} has had no standard support since ${ends}; what comes after costs extra, or ends with an upgrade that nobody asked for. ${next}`;
};

/** Newest last: numbers in names count as numbers. */
const byNumbers = new Intl.Collator('en', { numeric: true });
const isArm = (text: string): boolean => /arm64|aarch64/i.test(text);

/** `*` stands for anything. By hand: a tenant writes the pattern, a site the names, and a regular expression of many stars would take years over some of them. */
const fitsPattern = (text: string, pattern: string): boolean => {
  const [first = '', ...rest] = pattern.toLowerCase().split('*');
  const name = text.toLowerCase();
  const last = rest.pop();
  if (last === undefined) return name === first;
  let at = name.startsWith(first) ? first.length : -1;
  for (const part of rest) {
    if (at < 0) return false;
    const found = name.indexOf(part, at);
    at = found < 0 ? -1 : found + part.length;
  }
  return at >= 0 && name.length - last.length >= at && name.endsWith(last);
};

/**
 * Of what a site has, the newest whose name fits. `debian-13*` fits by its beginning; other names fit as they stand. Images for Arm are meant only where the
 * pattern says so. Newest by when it was made where the site tells, otherwise by its name, in which dates and numbers count.
 */
export const newestNamed = <T extends { name: string; madeAt?: string | undefined }>(items: readonly T[], pattern: string): T | undefined => {
  return items
    .filter((item) => fitsPattern(item.name, pattern) && isArm(item.name) === isArm(pattern))
    .toSorted((a, b) => byNumbers.compare(a.madeAt ?? '', b.madeAt ?? '') || byNumbers.compare(a.name, b.name))
    .at(-1);
};
