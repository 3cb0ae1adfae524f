import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packTgz } from '@groundplane/hub/archive/write';
import type { OciClient } from '@groundplane/hub/registry/oci-client';
import { sha256Of } from '@groundplane/hub/registry/oci-client';
import { manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { copyArtifact, fetchArtifact, planSync, tagDigests } from '@groundplane/hub/registry/sync';
import { artifactTypes, pullChart, pullPack, pullProfile, pushPack, pushProfile } from '@groundplane/hub/registry/units';
import { fakeContent } from '../fake/content.ts';
import { codeOf, value } from '../hub/world.ts';
import { reasonText, registryMissing, startRegistry, type DockerRegistry } from './docker-registry.ts';
import { blobOf, clientFor, descriptorOf, noise, pattern, pushArtifact, ref, type Rig } from './rig.ts';

const packOf = (version: string, extra = ''): Buffer =>
  packTgz([
    { name: 'pack.json', data: Buffer.from(JSON.stringify({ name: 'ingress', version, layer: 'addon' })) },
    { name: 'values.yaml', data: Buffer.from(`pack:\n  namespace: web\n${extra}`) },
  ]);

describe.skipIf(registryMissing !== '')(`packs, charts and profiles in a real registry${reasonText}`, () => {
  let registry: DockerRegistry;
  let rig: Rig;
  let client: OciClient;
  beforeAll(async () => {
    registry = await startRegistry();
    rig = clientFor();
    ({ client } = rig);
  });
  afterAll(async () => {
    rig.close();
    await registry.remove();
  });
  const at = (rest: string): string => `${registry.host}/${rest}`;

  test('a pack comes back as it went, by version, constraint and digest', async () => {
    for (const version of ['1.0.0', '1.2.0+build.1', '2.0.0-rc.1']) value(await pushPack(client, ref(at('packs/ingress')), packOf(version)));
    const newest = value(await pullPack(client, ref(at('packs/ingress')), '^1'));
    expect([newest.name, newest.version, newest.digest]).toEqual(['ingress', '1.2.0+build.1', sha256Of(packOf('1.2.0+build.1'))]);
    expect(value(await pullPack(client, ref(at('packs/ingress:1.0.0')))).bytes).toEqual(packOf('1.0.0'));
    expect(value(await pullPack(client, ref(at(`packs/ingress@${newest.manifest}`)))).digest).toBe(newest.digest);
    const missing = await pullPack(client, ref(at('packs/ingress')), '^9');
    expect(missing.ok ? '' : missing.failure.message).toContain('there are 1.0.0');
  });

  test('a version is pushed once; the same again is fine, other content needs force', async () => {
    value(await pushPack(client, ref(at('packs/fixed')), packOf('1.0.0')));
    value(await pushPack(client, ref(at('packs/fixed')), packOf('1.0.0')));
    expect(codeOf(await pushPack(client, ref(at('packs/fixed')), packOf('1.0.0', '# other\n')))).toBe('version-taken');
    value(await pushPack(client, ref(at('packs/fixed')), packOf('1.0.0', '# other\n'), { force: true }));
  });

  test('what is no pack is neither pushed nor pulled', async () => {
    expect(codeOf(await pushPack(client, ref(at('packs/x')), packTgz([{ name: 'a', data: Buffer.from('b') }])))).toBe('pack-invalid');
    expect(codeOf(await pushPack(client, ref(at('packs/x')), noise(100)))).toBe('archive-invalid');
    await pushArtifact(client, at('other:1'), [pattern(10)]);
    expect(codeOf(await pullPack(client, ref(at('other:1'))))).toBe('artifact-foreign');
    expect(codeOf(await pullChart(client, ref(at('other:1'))))).toBe('artifact-foreign');
    expect(codeOf(await pullProfile(client, ref(at('other:1')), fakeContent()))).toBe('artifact-foreign');
  });

  test('a chart as Helm pushes it, with its provenance', async () => {
    const archive = packTgz([{ name: 'web/Chart.yaml', data: Buffer.from('apiVersion: v2\nname: web\nversion: 1.2.3\n') }]);
    const config = Buffer.from(JSON.stringify({ name: 'web', version: '1.2.3', apiVersion: 'v2' }));
    const signature = Buffer.from('-----BEGIN PGP SIGNED MESSAGE-----');
    for (const bytes of [archive, config, signature]) value(await client.pushBlob(ref(at('charts/web')), blobOf(bytes)));
    const layers = [descriptorOf(archive, artifactTypes.helmChart), descriptorOf(signature, artifactTypes.helmProvenance)];
    const bytes = manifestBytes({ config: descriptorOf(config, artifactTypes.helmConfig), layers });
    value(await client.pushManifest(ref(at('charts/web:1.2.3')), bytes, mediaTypes.manifest));
    const pulled = value(await pullChart(client, ref(`oci://${at('charts/web')}`), '~1.2'));
    expect(pulled).toMatchObject({ name: 'web', version: '1.2.3', digest: sha256Of(archive), provenance: signature });
  });

  test('a profile with the units that it names', async () => {
    const store = fakeContent();
    const chart = noise(500);
    const digest = await store.put(chart);
    const document = `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: shop, version: 1.0.0}\nspec:\n  type: addon\n  layers:\n  - {name: web, kind: addon, helm: {chart: {digest: "${digest}", name: web, version: 1.0.0}}}\n`;
    value(await pushProfile(client, ref(at('profiles/shop')), document, store));
    const elsewhere = fakeContent();
    expect(value(await pullProfile(client, ref(at('profiles/shop')), elsewhere, '1')).document).toBe(document);
    expect(await elsewhere.read(digest)).toEqual(chart);
    expect(codeOf(await pushProfile(client, ref(at('profiles/shop')), document, fakeContent()))).toBe('content-missing');
    expect(codeOf(await pushProfile(client, ref(at('profiles/shop')), 'kind: Cluster', store))).toBe('profile-invalid');
  });

  test('a mirror run: plan, copy, and nothing left to do; a second registry takes it all', async () => {
    const other = await startRegistry();
    try {
      for (const tag of ['v1', 'v2', 'dev']) await pushArtifact(client, at(`mirror/app:${tag}`), [pattern(1_000, tag)]);
      const child = await pushArtifact(client, at('mirror/app:child'), [pattern(50, 'child')]);
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [descriptorOf(child, mediaTypes.manifest)] }));
      value(await client.pushManifest(ref(at('mirror/app:v3')), index, mediaTypes.index));
      const [from, to] = [ref(at('mirror/app')), ref(`${other.host}/copy/app`)];
      const facts = async () => ({ source: value(await tagDigests(client, from)), target: value(await tagDigests(client, to)) });
      const plan = value(planSync({ from, to, tags: 'v[0-9]+' }, await facts()));
      expect([plan.steps.map((step) => step.to.tag).toSorted(), plan.left]).toEqual([['v1', 'v2', 'v3'], 2]);
      const [first, ...rest] = plan.steps;
      if (first !== undefined) value(await copyArtifact(client, client, first.from, first.to));
      expect(value(planSync({ from, to, tags: 'v[0-9]+' }, await facts())).steps).toHaveLength(2);
      for (const step of rest) value(await copyArtifact(client, client, step.from, step.to));
      expect(value(planSync({ from, to, tags: 'v[0-9]+' }, await facts()))).toMatchObject({ steps: [], same: 3 });
      expect(value(await client.manifest(ref(`${other.host}/copy/app:v3`))).bytes).toEqual(index);
      const store = fakeContent();
      const all = value(await fetchArtifact(client, ref(`${other.host}/copy/app:v3`), store));
      for (const item of all) expect(await store.size(item.digest)).toBe(item.size);
      expect(all.map((item) => item.digest)).toContain(sha256Of(pattern(50, 'child')));
    } finally {
      await other.remove();
    }
  }, 20_000);
});

describe('sync plan', () => {
  const from = { registry: 'a.example', repository: 'x' };
  const to = { registry: 'b.example', repository: 'y' };
  const tags = fc
    .dictionary(fc.stringMatching(/^[a-z][a-z0-9]{0,3}$/), fc.constantFrom('d1', 'd2', 'd3'))
    .map((value_) => new Map<string, string>(Object.entries(value_)));

  test('after the steps of a plan are done there is nothing left, and what was taken is untouched', () => {
    fc.assert(
      fc.property(tags, tags, fc.boolean(), (source, target, overwrite) => {
        const plan = value(planSync({ from, to }, { source, target }, { overwrite }));
        const after = new Map<string, string>(target);
        for (const step of plan.steps) after.set(step.to.tag ?? '', step.from.digest ?? '');
        for (const item of plan.taken) expect(after.get(item.tag ?? '')).toBe(target.get(item.tag ?? ''));
        expect(value(planSync({ from, to }, { source, target: after }, { overwrite })).steps).toEqual([]);
        expect(plan.steps.length + plan.same + plan.taken.length).toBe(source.size);
      }),
    );
  });

  test('a filter takes whole tags; newest takes the highest versions; a bad filter is named', () => {
    const source = new Map([
      ['v1', 'a'],
      ['v10', 'b'],
      ['v2', 'c'],
    ]);
    const run = (rule: object) => planSync({ from, to, ...rule }, { source, target: new Map() });
    expect(value(run({ tags: 'v.' })).steps.map((step) => step.to.tag)).toEqual(['v1', 'v2']);
    expect(value(run({ newest: 1 })).steps.map((step) => step.to.tag)).toEqual(['v10']);
    expect(value(run({ newest: 0 })).steps).toEqual([]);
    expect(codeOf(run({ tags: '(' }))).toBe('request-invalid');
    expect(value(run({ tags: '(a+)+$' })).steps).toEqual([]);
  });
});
