import type { PackView, UnitView } from '@groundplane/protocol/api/packs';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Finding } from '@groundplane/protocol/finding';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { resourceTexts } from '@groundplane/protocol/pack/constraints';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { parsePackJson, type PackFacts } from '@groundplane/protocol/pack/pack-json';
import { own, readSource } from '@groundplane/protocol/pack/source';
import { readArchive } from '../archive/read.ts';
import { readCharts } from '../pack/charts.ts';
import { chartFactsLimits } from '../pack/limits.ts';
import { lintPackFiles } from '../pack/lint.ts';
import { readPackArchive, textOf, type PackFiles } from '../pack/read.ts';
import type { Store } from '../port/store.ts';
import { notFound } from './errors.ts';
import type { Handler } from './handler.ts';

const readmeCharacters = 100_000;
/** Rows that a list is made of: profile versions, and blobs of the tenant. More are told as `truncated`. */
const listedRows = 5_000;
const rowsPerRead = 500;

interface Texts {
  values: string;
  presets?: string;
  schema?: string;
  valuesSchema?: string;
  readme?: string;
}

/** Texts as an editor may hold them; those that are too long for it are told. */
const boundedTexts = (named: Readonly<Record<keyof Texts, [file: string, text: string | undefined]>>): { texts: Texts; findings: Finding[] } => {
  const findings: Finding[] = [];
  const texts: Texts = { values: '' };
  for (const [key, [file, text]] of Object.entries(named) as [keyof Texts, [string, string | undefined]][]) {
    if (text === undefined) continue;
    if (key === 'readme') texts.readme = text.slice(0, readmeCharacters);
    else if (text.length <= packLimits.textBytes) texts[key] = text;
    else findings.push({ severity: 'warning', code: 'text-too-large', file, message: `has more than ${packLimits.textBytes} characters, so it is not shown` });
  }
  return { texts, findings };
};

const rangeText = (min: string, max: string): string =>
  min === '' && max === '' ? '' : max === '' ? ` from ${min}` : min === '' ? ` up to ${max}` : ` ${min} to ${max}`;

const words = { required: 'needs', optional: 'goes with', notSupported: 'does not work with', upgrade: 'follows on' } as const;

const needsOf = (facts: PackFacts): string[] => [
  ...facts.constraints.dependencies.map(
    ({ type, packName, minVersion, maxVersion, layer }) => `${words[type]} ${packName}${rangeText(minVersion, maxVersion)} (${layer} layer)`,
  ),
  ...resourceTexts(facts).map((text) => `asks for ${text}`),
];

const packViewOf = async (files: PackFiles, digest: string, size: number): Promise<Result<PackView>> => {
  const { facts } = parsePackJson(textOf(files, 'pack.json') ?? '');
  if (facts === undefined) return fail('fatal', 'pack-invalid', `pack ${digest}`, 'its pack.json has no name and version. See why: gp pack lint');
  const { charts } = await readCharts(files, facts.charts);
  const bounded = boundedTexts({
    values: ['values.yaml', textOf(files, 'values.yaml')],
    presets: ['presets.yaml', textOf(files, 'presets.yaml')],
    schema: ['schema.yaml', textOf(files, 'schema.yaml')],
    valuesSchema: ['', undefined],
    readme: ['README.md', textOf(files, 'README.md')],
  });
  return ok({
    kind: 'pack',
    digest,
    size,
    name: facts.name,
    version: facts.version,
    displayName: facts.displayName,
    ...(facts.kind === undefined ? {} : { layer: facts.kind }),
    needs: needsOf(facts),
    charts: charts.map(({ name, version, file }) => ({ name, version, file })),
    manifests: facts.kubeManifests,
    ...bounded.texts,
    findings: [...bounded.findings, ...(await lintPackFiles(files))].slice(0, packLimits.findings),
  });
};

const chartViewOf = async (bytes: Uint8Array, digest: string, size: number): Promise<Result<PackView>> => {
  const read = await readArchive(bytes, chartFactsLimits, digest, (name) => /^[^/]+\/(Chart\.yaml|values\.yaml|values\.schema\.json|README\.md)$/.test(name));
  if (!read.ok) return read;
  const text = (name: string): string | undefined =>
    read.value
      .find((file) => file.name.endsWith(`/${name}`))
      ?.data.toString('utf8')
      .replace(/^\uFEFF/, '');
  const chart = readSource(text('Chart.yaml') ?? '', 'Chart.yaml').source?.plain;
  const [name, version, description] = [own(chart, 'name'), own(chart, 'version'), own(chart, 'description')];
  if (typeof name !== 'string' || typeof version !== 'string')
    return fail('fatal', 'unit-unknown', `content ${digest}`, 'is neither a pack (no pack.json) nor a chart (no Chart.yaml with name and version)');
  const bounded = boundedTexts({
    values: ['values.yaml', text('values.yaml')],
    presets: ['', undefined],
    schema: ['', undefined],
    valuesSchema: ['values.schema.json', text('values.schema.json')],
    readme: ['README.md', text('README.md')],
  });
  return ok({
    kind: 'chart',
    digest,
    size,
    name,
    version,
    displayName: name,
    ...(typeof description === 'string' ? { description: description.slice(0, 1_024) } : {}),
    needs: [],
    charts: [],
    manifests: [],
    ...bounded.texts,
    findings: bounded.findings,
  });
};

/** `GET …/packs/{digest}`. Only what this tenant uploaded or imported: knowing a digest is not enough. */
export const getPack: Handler<'getPack'> = async ({ principal, params }, deps) => {
  const { digest } = params;
  const row = await deps.store.get('blob', principal.tenant, digest);
  const bytes = row === undefined ? undefined : await deps.content.read(digest);
  if (row === undefined || bytes === undefined) return notFound(`pack ${digest}`, 'Import it from a registry, or upload it: gp apply does that');
  const files = await readPackArchive(bytes, digest);
  if (files.ok) return packViewOf(files.value, digest, bytes.length);
  return files.failure.code === 'pack-invalid' ? chartViewOf(bytes, digest, bytes.length) : files;
};

/** The units of a profile, as its layers name them. */
const unitsOf = (spec: ProfileSpec): Omit<UnitView, 'usedBy'>[] =>
  spec.layers.flatMap(({ helm, pack, zarf }): Omit<UnitView, 'usedBy'>[] => {
    if (helm !== undefined) return [{ kind: 'chart', ...helm.chart }];
    if (zarf !== undefined) return [{ kind: 'zarf', ...zarf.package }];
    if (pack?.digest === undefined) return [];
    return [{ kind: 'pack', name: pack.name, version: pack.version, digest: pack.digest, ...(pack.registry === undefined ? {} : { registry: pack.registry }) }];
  });

type Listed = 'profile' | 'blob';

/** All rows of a kind, up to the bound. */
const everyRow = async <K extends Listed>(store: Store, kind: K, tenant: string, project: string) => {
  const rows: Awaited<ReturnType<typeof store.list<K>>>[number][] = [];
  for (let after: string | undefined; rows.length < listedRows; after = rows.at(-1)?.name) {
    const page = await store.list(kind, tenant, { project, limit: rowsPerRead, ...(after === undefined ? {} : { after }) });
    rows.push(...page);
    if (page.length < rowsPerRead) return { rows, isCut: false };
  }
  return { rows, isCut: true };
};

/** `GET …/packs`: what was imported into the project, and what its profiles have. */
export const listPacks: Handler<'listPacks'> = async ({ principal, project }, deps) => {
  const profiles = await everyRow(deps.store, 'profile', principal.tenant, project);
  const blobs = await everyRow(deps.store, 'blob', principal.tenant, '');
  const units = new Map<string, UnitView>();
  for (const { name, value } of blobs.rows) {
    if (value.unit?.project !== project) continue;
    const { kind, version, registry } = value.unit;
    units.set(name, { kind, name: value.unit.name, version, digest: name, registry, usedBy: [] });
  }
  for (const { name, value } of profiles.rows)
    for (const unit of unitsOf(value.spec)) {
      const held = units.get(unit.digest) ?? { ...unit, usedBy: [] };
      if (!held.usedBy.includes(name)) held.usedBy.push(name);
      units.set(unit.digest, held);
    }
  const items = [...units.values()].toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? 1 : -1));
  return ok({ items, truncated: profiles.isCut || blobs.isCut });
};
