import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { describe, expect, test, vi } from 'vitest';
import { parsePackJson } from '@groundplane/protocol/pack/pack-json';
import { applyPresets, parsePresets } from '@groundplane/protocol/pack/presets';
import { isPlainMap, own, readSource } from '@groundplane/protocol/pack/source';
import { deleteValue, setValue } from '@groundplane/protocol/pack/values';
import { lintPackFiles } from '@groundplane/hub/pack/lint';
import { packParts, type PackParts } from '@groundplane/hub/pack/parts';
import type { PackFiles } from '@groundplane/hub/pack/read';
import { packFiles } from '@groundplane/hub/pack/write';
import { mutantOf } from './mutate.ts';
import { packOf } from './packs.ts';

// More with GP_PACK_MUTANTS; one alone with GP_PACK_SEED.
const count = Number(process.env.GP_PACK_MUTANTS ?? 3_000);
const firstSeed = Number(process.env.GP_PACK_SEED ?? 1);
/** A machine may be busy; a hang is minutes. */
const slowMs = 5_000;
vi.setConfig({ testTimeout: 600_000 });

const textIn = (pack: PackFiles, name: string): string =>
  pack.files
    .find((file) => file.name === name)
    ?.data.toString('utf8')
    .replace(/^\uFEFF/, '') ?? '';

/** Read in another way than the product does it. */
const listedIn = (pack: PackFiles, key: string): string[] => {
  try {
    const list = own(JSON.parse(textIn(pack, 'pack.json')), key);
    return Array.isArray(list) ? list.filter((item) => typeof item === 'string' && item.trim() !== '') : [];
  } catch {
    return [];
  }
};

/** What is listed and neither comes out nor is spoken of. */
const lost = (pack: PackFiles, parts: PackParts): string[] => {
  const told = parts.warnings.map((finding) => `${finding.file} ${finding.message}`).join('\n');
  const charts = [...new Set(listedIn(pack, 'charts'))];
  const missing: string[] = [];
  if (parts.charts.length < charts.length && !charts.some((chart) => told.includes(chart.trim().replace(/^(\.\/)+/, ''))))
    missing.push(`charts ${charts.join(' ')}`);
  for (const manifest of listedIn(pack, 'kubeManifests')) {
    const name = (manifest.trim().split('/').at(-1) ?? '').replace(/\.(ya?ml|json|tgz|tar\.gz)$/i, '');
    if (!parts.manifests.some((part) => part.name === name) && !told.includes(manifest.trim())) missing.push(manifest);
  }
  const values = own(readSource(textIn(pack, 'values.yaml'), 'v').source?.plain, 'charts');
  for (const key of isPlainMap(values) && parts.charts.length > 0 ? Object.keys(values) : [])
    if (!parts.charts.some((part) => part.name === key) && !told.includes(`charts.${key}`) && !told.includes('directly below charts:'))
      missing.push(`values of ${key}`);
  const held = own(readSource(textIn(pack, 'values.yaml'), 'v').source?.plain, 'manifests');
  for (const key of isPlainMap(held) ? Object.keys(held) : [])
    if (!parts.manifests.some((part) => part.name === key) && !told.includes(`manifests.${key}`)) missing.push(`manifest values of ${key}`);
  return missing;
};

/** Everything that reads packs, on one of them; the seed says which preset and which edit. */
const exercise = async (pack: PackFiles, seed: number): Promise<string[]> => {
  const findings = await lintPackFiles(pack);
  const values = textIn(pack, 'values.yaml');
  const { presets } = parsePresets(textIn(pack, 'presets.yaml'));
  const preset = presets[seed % Math.max(1, presets.length)];
  const applied = preset === undefined ? undefined : applyPresets(values, presets, [preset], values);
  // What comes out can be read again.
  if (applied?.ok === true && readSource(applied.value.values, 'v').source === undefined) return ['presets make what cannot be read'];
  const edits = [() => setValue(values, 'charts.web.replicas', 5), () => setValue(values, 'a.b[0]', { c: 1 }), () => deleteValue(values, 'charts.web')];
  const edited = edits[seed % edits.length]?.();
  if (edited?.ok === true && readSource(edited.value, 'v').source === undefined) return ['an edit makes what cannot be read'];
  if (seed % 10 === 0) packFiles(pack);
  const parts = await packParts(pack, { layerName: 'mutant' });
  if (parts.ok) return lost(pack, parts.value);
  // The lint has to show as an error what stops the install, except for rules about values and names that only the profile fills in.
  const isShown = findings.some((finding) => finding.severity === 'error') || /^(value-|reference-unresolved|release-name-twice)/.test(parts.failure.code);
  return isShown ? [] : [`the lint has no error, and the parts fail: ${parts.failure.code} ${parts.failure.message}`];
};

describe('packs that are broken on purpose', () => {
  test(`${count} mutants: no crash, no hang, nothing lost without a word`, async () => {
    const bad: string[] = [];
    let [made, slowest] = [0, 0];
    for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
      const pack = packOf(mutantOf(seed));
      const start = performance.now();
      try {
        const missing = await exercise(pack, seed);
        if (missing.length > 0) bad.push(`seed ${seed}: ${missing.join('; ')}`);
      } catch (error) {
        bad.push(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
      const tookMs = performance.now() - start;
      slowest = Math.max(slowest, tookMs);
      if (tookMs > slowMs) bad.push(`seed ${seed}: took ${Math.round(tookMs)} ms`);
      if (parsePackJson(textIn(pack, 'pack.json')).facts !== undefined) made += 1;
      if (bad.length >= 10) break;
    }
    expect(bad).toEqual([]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    // Mutants that are all refused at the door would test the door only.
    if (count >= 1_000) expect(made).toBeGreaterThan(count / 2);
    expect(slowest).toBeLessThan(slowMs);
  });
});
