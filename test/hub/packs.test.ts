import { digestBytes } from '@groundplane/protocol/digest';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packTgz } from '../../hub/src/archive/write.ts';
import { chartOf, jsonOf, plainPack, valuesText, type PackTexts } from '../pack/packs.ts';
import { codeOf, makeTenant, openHub, value, type HubWorld } from './world.ts';

let hub: HubWorld;
const archive = (texts: PackTexts): Uint8Array => packTgz(Object.entries(texts).map(([name, data]) => ({ name, data: Buffer.from(data as string) })));
const upload = async (bytes: Uint8Array): Promise<`sha256:${string}`> => {
  const digest = digestBytes(bytes);
  const response = await hub.fetch(`/api/v1/content/${digest}`, {
    method: 'PUT',
    body: Buffer.from(bytes),
    headers: { authorization: `Bearer ${hub.admin.key}` },
  });
  expect(response.status).toBe(204);
  return digest;
};
const at = (digest: string) => ({ params: { project: 'default', digest: digest as `sha256:${string}` } });

beforeAll(async () => {
  hub = await openHub();
});
afterAll(async () => hub.close());

const dependency = { packName: 'cilium', layer: 'cni', minVersion: '1.17.0', maxVersion: '', type: 'required' };

describe('what a pack says of itself', () => {
  test('its facts, texts, charts and findings', async () => {
    const digest = await upload(
      archive(
        plainPack({
          'pack.json': jsonOf({ constraints: { dependencies: [dependency] } }),
          'presets.yaml': 'presets: []\n',
          'schema.yaml': 'charts.web.replicas: {schema: "{{ required }}"}\n',
        }),
      ),
    );
    const pack = value(await hub.admin.call('getPack', at(digest)));
    expect(pack).toMatchObject({
      kind: 'pack',
      name: 'shop',
      version: '1.2.3',
      layer: 'addon',
      values: valuesText,
      presets: 'presets: []\n',
      readme: '# Shop\n',
    });
    expect(pack.charts).toEqual([{ name: 'web', version: '1.0.0', file: 'charts/web-1.0.0.tgz' }]);
    expect(pack.needs).toEqual(['needs cilium from 1.17.0 (cni layer)']);
    expect(pack.schema).toContain('required');
  });

  test('a chart alone; something that is neither', async () => {
    const chart = value(await hub.admin.call('getPack', at(await upload(chartOf('cache', '7.0.0', 'size: 3 # three\n')))));
    expect(chart).toMatchObject({ kind: 'chart', name: 'cache', version: '7.0.0', values: 'size: 3 # three\n' });
    expect(codeOf(await hub.admin.call('getPack', at(await upload(archive({ 'x/notes.txt': 'x' })))))).toBe('unit-unknown');
    expect(codeOf(await hub.admin.call('getPack', at(await upload(Buffer.from('no archive at all')))))).not.toBe('ok');
    expect(codeOf(await hub.admin.call('getPack', at(await upload(archive({ 'pack.json': '{"displayName": "x"}' })))))).toBe('pack-invalid');
  });

  test('a long README is cut, and only the tenant that has the pack reads it', async () => {
    const digest = await upload(archive(plainPack({ 'README.md': 'x'.repeat(200_000) })));
    expect(value(await hub.admin.call('getPack', at(digest))).readme).toHaveLength(100_000);
    const other = await hub.client([{ role: 'TenantAdmin' }], await makeTenant(hub.store, 'other'));
    expect(codeOf(await other.call('getPack', at(digest)))).toBe('not-found');
    expect(codeOf(await hub.admin.call('getPack', at(digestBytes('never uploaded'))))).toBe('not-found');
  });
});

describe('which ones there are', () => {
  test('those of profiles and those that were imported into this project', async () => {
    const digest = await upload(archive(plainPack({ 'README.md': 'listed' })));
    const imported = digestBytes('imported');
    const row = async (project: string) => (await hub.store.byName('project', hub.tenant, '', project))?.id ?? '';
    value(await hub.admin.call('createProject', { body: { name: 'north' } }));
    await hub.store.commit([
      {
        op: 'put',
        kind: 'blob',
        tenant: hub.tenant,
        id: imported,
        project: '',
        name: imported,
        value: { size: 1, unit: { kind: 'chart', name: 'cache', version: '7.0.0', project: await row('default'), registry: 'charts' } },
      },
    ]);
    const spec = profileSpecSchema.parse({ type: 'addon', layers: [{ name: 'shop', kind: 'addon', pack: { name: 'shop', version: '1.2.3', digest } }] });
    value(await hub.admin.call('applyProfile', { params: { project: 'default', name: 'shop', version: '1.0.0' }, body: { spec, draft: true } }));
    const list = value(await hub.admin.call('listPacks', { params: { project: 'default' } }));
    expect(list.items).toEqual([
      { kind: 'chart', name: 'cache', version: '7.0.0', digest: imported, registry: 'charts', usedBy: [] },
      { kind: 'pack', name: 'shop', version: '1.2.3', digest, usedBy: ['shop@1.0.0'] },
    ]);
    expect(value(await hub.admin.call('listPacks', { params: { project: 'north' } })).items).toEqual([]);
  });
});

test('a preview tells what the packs of a profile say about each other', async () => {
  const json = jsonOf({ charts: [], kubeManifests: [], constraints: { dependencies: [dependency] } });
  const digest = await upload(
    archive({ 'pack.json': json, 'values.yaml': 'pack: {namespace: shop}\n', 'manifests/x.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n' }),
  );
  const spec = (network: object[]) =>
    profileSpecSchema.parse({ type: 'full', layers: [...network, { name: 'shop', kind: 'addon', pack: { name: 'shop', version: '1.2.3', digest } }] });
  const cilium = { name: 'net', kind: 'network', pack: { name: 'cilium', version: '1.18.0' }, manifests: [{ name: 'm', content: '' }] };
  const codes = async (network: object[]) =>
    value(await hub.admin.call('previewProfile', { params: { project: 'default' }, body: { spec: spec(network) } })).warnings.map((warning) => warning.code);
  expect(await codes([])).toContain('constraint-missing');
  expect(await codes([cilium])).not.toContain('constraint-missing');
  expect(await codes([{ ...cilium, pack: { name: 'cilium', version: '1.16.0' } }])).toContain('constraint-version');
});
