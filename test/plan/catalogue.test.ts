import { expect, test } from 'vitest';
import { builtInCatalogue, catalogueOf } from '@groundplane/hub/cloud/catalogue';
import { imageFor, newestNamed, supportEnd, supportNotice } from '@groundplane/hub/plan/catalogue';
import { siteImage } from '@groundplane/hub/providers/image-choice';
import { upstreamEnds } from '@groundplane/hub/cloud/upstream-ends';
import { catalogueSchema, type Catalogue } from '@groundplane/protocol/environment/catalogue';
import { limits } from '@groundplane/protocol/limits';

const catalogue: Catalogue = {
  source: 'ours',
  images: {
    'debian-13': {
      title: 'Debian 13',
      environments: { aws: { '*': { amd64: 'any-amd64', arm64: 'any-arm64' }, 'eu-central-1': 'ami-0abc' }, vsphere: { '*': 'debian-13*' } },
    },
  },
  kubernetes: { eks: { '1.34': '2026-12-02' }, aks: { '1.34': '2026-11-30' } },
};

test('a name means what the catalogue says of this environment and region, and nothing else', () => {
  expect(imageFor(catalogue, 'aws', 'us-east-1', 'debian-13')).toEqual({ name: 'debian-13', amd64: 'any-amd64', arm64: 'any-arm64' });
  expect(imageFor(catalogue, 'aws', 'eu-central-1', 'debian-13')).toEqual({ name: 'debian-13', amd64: 'ami-0abc', arm64: 'ami-0abc' });
  expect(imageFor(catalogue, 'vsphere', '*', 'debian-13')).toMatchObject({ amd64: 'debian-13*' });
  for (const [environment, name] of [
    ['google', 'debian-13'],
    ['aws', 'ami-0abc'],
    ['aws', 'constructor'],
    ['aws', '__proto__'],
  ] as const)
    expect(imageFor(catalogue, environment, '*', name), name).toBeUndefined();
  expect(imageFor(catalogue, 'aws', 'constructor', 'debian-13')).toMatchObject({ amd64: 'any-amd64' });
});

test('what this release brings is a catalogue that an operator could write', () => {
  expect(catalogueSchema.parse(builtInCatalogue)).toEqual(builtInCatalogue);
  for (const environment of ['aws', 'azure', 'google'] as const)
    for (const name of ['debian-13', 'ubuntu-24.04'])
      expect(imageFor(builtInCatalogue, environment, 'x', name)?.arm64, `${name} ${environment}`).toMatch(/arm64/);
});

test('a catalogue is bounded, and days and versions are what they say', () => {
  const many = (count: number) => ({
    ...catalogue,
    images: Object.fromEntries(Array.from({ length: count }, (_, index) => [`i-${index}`, { title: '', environments: {} }])),
  });
  expect(catalogueSchema.safeParse(many(limits.catalogueEntries)).success).toBe(true);
  expect(catalogueSchema.safeParse(many(limits.catalogueEntries + 1)).success).toBe(false);
  for (const wrong of [{ eks: { '1.34': 'soon' } }, { eks: { '34': '2026-12-02' } }, { nowhere: {} }])
    expect(catalogueSchema.safeParse({ ...catalogue, kubernetes: wrong }).success).toBe(false);
  for (const name of ['Debian', '../x', 'a b', ''])
    expect(catalogueSchema.safeParse({ ...catalogue, images: { [name]: { title: '', environments: {} } } }).success).toBe(false);
});

test("a tenant's own catalogue stands for the built-in one; one that is not understood any more does not", async () => {
  const store = (value: string | undefined) => ({ get: async () => (value === undefined ? undefined : { value: { value } }) }) as never;
  expect(await catalogueOf(store(undefined), 't')).toMatchObject({ isBuiltIn: true });
  expect(await catalogueOf(store(JSON.stringify(catalogue)), 't')).toMatchObject({ source: 'ours', isBuiltIn: false });
  expect(await catalogueOf(store('{"images":[]}'), 't')).toMatchObject({ isBuiltIn: true });
});

test('what the environment tells of its versions comes before the catalogue', () => {
  expect(supportEnd(catalogue, 'eks', '1.34')).toBe('2026-12-02');
  expect(supportEnd(catalogue, 'aks', '1.34.2')).toBe('2026-11-30');
  expect(supportEnd(catalogue, 'gke', '1.34.1-gke.1')).toBeUndefined();
  expect(supportEnd(catalogue, 'eks', '1.34', [{ name: '1.34', endOfSupport: '2027-01-01' }])).toBe('2027-01-01');
  expect(supportEnd(catalogue, 'eks', '1.34', [{ name: '1.34' }])).toBe('2026-12-02');
  expect(supportEnd(catalogue, 'eks', 'what')).toBeUndefined();
});

test('is told from two months before, and not sooner', () => {
  const at = (day: string): number => Date.parse(`${day}T12:00:00Z`);
  expect(supportNotice('1.34', '2026-12-02', at('2026-10-02'))).toBeUndefined();
  expect(supportNotice('1.34', '2026-12-02', at('2026-10-03'))).toMatch(/until 2026-12-02, 60 more days/);
  expect(supportNotice('1.34', '2026-12-02', at('2026-12-03'))).toMatch(/no standard support since 2026-12-02/);
  expect(supportNotice('1.34', 'soon', at('2026-12-03'))).toBeUndefined();
});

test('of the Kubernetes project: the end of its patches', () => {
  const at = (day: string): number => Date.parse(`${day}T12:00:00Z`);
  expect(supportEnd(builtInCatalogue, 'upstream', 'v1.31.4')).toBe('2025-11-11');
  expect(supportEnd(builtInCatalogue, 'upstream', '')).toBeUndefined();
  // What this release makes itself, and is tried with, is in it.
  expect([supportEnd(builtInCatalogue, 'upstream', '1.36.3'), supportEnd(builtInCatalogue, 'upstream', 'v1.37.2')]).toEqual(['2027-06-28', '2027-10-28']);
  expect(supportNotice('1.34.2', '2026-10-27', at('2026-08-20'), 'upstream')).toBeUndefined();
  expect(supportNotice('1.34.2', '2026-10-27', at('2026-10-07'), 'upstream')).toMatch(/patches 1\.34\.2 until 2026-10-27, 20 more days/);
  expect(supportNotice('1.34.2', '2026-10-27', at('2026-10-28'), 'upstream')).toMatch(/no patches of 1\.34\.2 since 2026-10-27/);
  // Newer ones end later.
  const ends = Object.entries(upstreamEnds).toSorted(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  expect(ends.map(([, day]) => day)).toEqual(ends.map(([, day]) => day).toSorted());
});

test('of the images of a site the newest one whose name fits, for Arm only when asked for', () => {
  const named = (...names: string[]) => names.map((name) => ({ name }));
  const images = named('debian-13-2', 'debian-13-10', 'debian-12-99', 'debian-13-11-arm64', 'Ubuntu-24.04');
  expect(newestNamed(images, 'debian-13*')?.name).toBe('debian-13-10');
  expect(newestNamed(images, 'debian-13*arm64')?.name).toBe('debian-13-11-arm64');
  expect(newestNamed(images, 'ubuntu-24.04')?.name).toBe('Ubuntu-24.04');
  // A dot is a dot, and no pattern of a regular expression is one here.
  expect(newestNamed(named('ubuntu-24x04'), 'ubuntu-24.04')).toBeUndefined();
  expect(newestNamed(images, '(debian')).toBeUndefined();
  expect(
    newestNamed(
      [
        { name: 'debian-13-b', madeAt: '2026-01-01' },
        { name: 'debian-13-a', madeAt: '2026-02-01' },
      ],
      'debian-13*',
    )?.name,
  ).toBe('debian-13-a');
  const choice = { name: 'debian-13', amd64: 'debian-13*' };
  expect(siteImage([{ name: 'debian-13-1', exact: 'uuid' }], choice, 'x')).toMatchObject({ ok: true, value: { exact: 'uuid', title: 'debian-13-1' } });
  expect(siteImage([{ name: 'fedora', exact: 'uuid' }], choice, 'the site')).toMatchObject({ ok: false, failure: { code: 'choice-missing', message: expect.stringContaining('there are: fedora') } }); // prettier-ignore
});

test('a pattern of many stars over a long name takes no time', () => {
  const name = 'a'.repeat(250);
  const stars = 'a*'.repeat(120);
  expect(newestNamed([{ name: `${name}b` }], `${stars}c`)).toBeUndefined();
  expect(newestNamed([{ name: `${name}b` }], `${stars}b`)).toBeDefined();
  // What is before a star is not also what is behind it.
  expect(newestNamed([{ name: 'aba' }], 'ab*ba')).toBeUndefined();
  expect(newestNamed([{ name: 'abba' }], 'ab*ba')).toBeDefined();
  expect(newestNamed([{ name: 'Debian.13' }], 'debian.1*')).toBeDefined();
  expect(newestNamed([{ name: 'debianx13' }], 'debian.1*')).toBeUndefined();
});
