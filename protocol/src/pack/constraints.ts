import { compare, valid } from 'semver';
import type { Finding } from '../finding.ts';
import type { LayerKind } from '../layer.ts';
import type { PackDependency, PackFacts, PackResource } from './pack-json.ts';

/** A pack of a profile as the constraints of another one see it. */
export interface PlacedPack {
  name: string;
  version: string;
  kind: LayerKind;
  /** Name of the layer, for messages. */
  layer?: string;
  /** The version that runs where this one comes to; for constraints of type `upgrade`. */
  previousVersion?: string;
}

/** `1.29` and `v1.29.4` as semver. What has more than three numbers, or none, cannot be compared. */
const asSemver = (version: string): string | undefined => {
  const [, numbers = '', rest = ''] = /^v?(\d+(?:\.\d+){0,2})((?:[-+].*)?)$/.exec(version.trim()) ?? [];
  if (numbers === '') return undefined;
  const parts = numbers.split('.').map((part) => String(Number(part)));
  while (parts.length < 3) parts.push('0');
  return valid(`${parts.join('.')}${rest}`) ?? undefined;
};

/** How many numbers a bound gives: a bound of two covers every patch of that minor. */
const precision = (bound: string): number => (/^v?(\d+(?:\.\d+)*)/.exec(bound.trim())?.[1] ?? '').split('.').length;

const isAtMost = (version: string, bound: string): boolean | undefined => {
  const [one, other] = [asSemver(version), asSemver(bound)];
  if (one === undefined || other === undefined) return undefined;
  const parts = precision(bound);
  if (parts >= 3 || /[-+]/.test(bound)) return compare(one, other) <= 0;
  const cut = (text: string): string => {
    const numbers = text.split(/[-+]/, 1)[0]?.split('.') ?? [];
    return [...numbers.slice(0, parts), ...Array.from({ length: 3 - parts }, () => '0')].join('.');
  };
  return compare(cut(one), cut(other)) <= 0;
};

/** Whether a version is between two bounds, both included; an empty one is none. `undefined`: it cannot be compared. */
export const isInRange = (version: string, minVersion: string, maxVersion: string): boolean | undefined => {
  const own = asSemver(version);
  const min = minVersion === '' ? '0.0.0-0' : asSemver(minVersion);
  if (own === undefined || min === undefined) return undefined;
  const isBelow = maxVersion === '' ? true : isAtMost(version, maxVersion);
  return isBelow === undefined ? undefined : compare(own, min) >= 0 && isBelow;
};

const rangeText = ({ minVersion, maxVersion }: PackDependency): string =>
  minVersion === '' && maxVersion === ''
    ? 'any version'
    : minVersion === ''
      ? `at most ${maxVersion}`
      : maxVersion === ''
        ? `at least ${minVersion}`
        : `from ${minVersion} to ${maxVersion}`;

const where = (pack: PlacedPack): string => `${pack.name} ${pack.version}${pack.layer === undefined ? '' : ` (layer ${pack.layer})`}`;

type Told = Omit<Finding, 'file'>;

const checkPresent = (self: string, dependency: PackDependency, pack: PlacedPack): Told | undefined => {
  const isBare = dependency.minVersion === '' && dependency.maxVersion === '';
  const version = dependency.type === 'upgrade' ? pack.previousVersion : pack.version;
  if (isBare || version === undefined) {
    // Without bounds Palette skips the check; saying nothing at all about a pack that is not supported would hide it.
    return dependency.type === 'notSupported' && isBare
      ? {
          severity: 'warning',
          code: 'constraint-open',
          message: `${self} lists ${pack.name} as not supported, without versions; ${where(pack)} is in the profile`,
        }
      : undefined;
  }
  const inRange = isInRange(version, dependency.minVersion, dependency.maxVersion);
  if (inRange === undefined)
    return {
      severity: 'warning',
      code: 'constraint-not-comparable',
      message: `${self} needs ${pack.name} ${rangeText(dependency)}; ${version} cannot be compared with that`,
    };
  if (dependency.type === 'notSupported')
    return inRange
      ? {
          severity: 'error',
          code: 'constraint-not-supported',
          message: `${self} does not work with ${pack.name} ${rangeText(dependency)}, and the profile has ${where(pack)}`,
        }
      : undefined;
  if (inRange) return undefined;
  return dependency.type === 'upgrade'
    ? { severity: 'error', code: 'constraint-upgrade', message: `${self} can follow on ${pack.name} ${rangeText(dependency)} only, and ${version} runs` }
    : { severity: 'error', code: 'constraint-version', message: `${self} needs ${pack.name} ${rangeText(dependency)}, and the profile has ${where(pack)}` };
};

const checkDependency = (self: string, dependency: PackDependency, others: readonly PlacedPack[]): Told[] => {
  const named = others.filter((pack) => pack.name === dependency.packName);
  const placed = dependency.kind === undefined ? named : named.filter((pack) => pack.kind === dependency.kind);
  if (placed.length > 0) return placed.flatMap((pack) => checkPresent(self, dependency, pack) ?? []);
  if (dependency.type !== 'required') return [];
  const [elsewhere] = named;
  const isBare = dependency.minVersion === '' && dependency.maxVersion === '';
  return [
    {
      severity: isBare ? 'warning' : 'error',
      code: 'constraint-missing',
      message:
        elsewhere === undefined
          ? `${self} needs the pack ${dependency.packName} (${rangeText(dependency)}) in a ${dependency.layer} layer, and the profile has none`
          : `${self} needs the pack ${dependency.packName} in a ${dependency.layer} layer; it is in one of kind ${elsewhere.kind}`,
    },
  ];
};

/** Checks what a pack says about the others of its profile, in words. `others` may hold the pack itself. */
export const solveConstraints = (facts: Pick<PackFacts, 'name' | 'version' | 'constraints'>, others: readonly PlacedPack[], file = 'pack.json'): Finding[] =>
  facts.constraints.dependencies.flatMap((dependency) =>
    checkDependency(`${facts.name} ${facts.version}`, dependency, others).map((told): Finding => ({ ...told, file })),
  );

const units: Readonly<Record<PackResource['type'], (limit: number) => string>> = {
  cpu: (limit) => `${limit / 1000} CPU`,
  memory: (limit) => `${limit} MiB of memory`,
  diskSize: (limit) => `${limit} GiB of disk`,
};

const schedules: Readonly<Record<PackResource['components'][number]['scheduleType'], string>> = {
  all: 'on every node',
  'control-plane': 'on control-plane nodes',
  worker: 'on worker nodes',
};

/** What a pack asks of the machines, in words. Nothing is checked: that needs the sizes of the machines. */
export const resourceTexts = (facts: Pick<PackFacts, 'constraints'>): string[] =>
  facts.constraints.resources.map((resource) => {
    const places = [...new Set(resource.components.map((component) => schedules[component.scheduleType]))];
    const amount = resource.minLimit === undefined ? `${resource.type} without a minimum` : `at least ${units[resource.type](resource.minLimit)}`;
    return `${amount}${places.length === 0 ? '' : ` ${places.join(' and ')}`}`;
  });
