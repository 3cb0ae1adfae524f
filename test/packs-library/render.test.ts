import { afterAll, describe, expect, test, vi } from 'vitest';
import { packFiles } from '@groundplane/hub/pack/write';
import { packParts } from '@groundplane/hub/pack/parts';
import { parseUpstream } from '@groundplane/protocol/pack/upstream';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import { value } from '../hub/world.ts';
import { chartOf } from '../pack/packs.ts';
import { library, packText, type LibraryPack } from './library.ts';
import { createKitchen } from './render.ts';

vi.setConfig({ testTimeout: 120_000 });
const kitchen = createKitchen();
afterAll(() => kitchen.close());
const packs = await library();
const isMachine = (pack: LibraryPack): boolean => pack.facts.kind === 'os' || pack.facts.kind === 'kubernetes';
const whole = packs.filter((pack) => !pack.isThin && !isMachine(pack));
const thin = packs.filter((pack) => pack.isThin);

const render = async (pack: LibraryPack, values?: string) => {
  const built = value(packFiles(pack.files));
  const source = { name: built.name, version: built.version, digest: await kitchen.content.put(built.bytes), ...(values === undefined ? {} : { values }) };
  const spec = profileSpecSchema.parse({
    type: pack.facts.kind === 'addon' ? 'addon' : 'infrastructure',
    layers: [{ name: 'l', kind: pack.facts.kind, pack: source }],
  });
  const { layers, warnings } = await kitchen.render([{ name: 'p', version: '1.0.0', spec }]);
  const [layer] = layers;
  if (layer === undefined) throw new Error('no layer');
  return { ...layer, warnings };
};
const packOf = (name: string): LibraryPack => {
  const pack = whole.find((item) => item.facts.name === name);
  if (pack === undefined) throw new Error(`there is no pack ${name}`);
  return pack;
};
const dataOf = (objects: readonly Record<string, unknown>[]): Record<string, string> => {
  const map = objects.find((object) => object['kind'] === 'ConfigMap');
  return (map === undefined ? {} : map['data']) as Record<string, string>;
};
const edited = (pack: LibraryPack, ...changes: [string, string][]): string => {
  let text = packText(pack, 'values.yaml');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${pack.folder} has no ${from}`);
    text = text.replace(from, to);
  }
  return text;
};

describe('packs that carry everything', () => {
  test.each(whole.map((pack): [string, LibraryPack] => [pack.folder, pack]))('%s renders, and what it waits for is there', async (_, pack) => {
    const { pack: label, refs, objects, warnings } = await render(pack);
    expect(label).toBe(`${pack.facts.name} ${pack.facts.version}`);
    expect(refs.length).toBeGreaterThan(1);
    expect(warnings).toEqual([]);
    // Nothing of a template is left over, and every image is one that bundles carry.
    const text = JSON.stringify(objects);
    expect(text).not.toContain('{{');
    expect(text).not.toContain('<no value>');
    const images = [...text.matchAll(/"image":"([^"]+)"/g)].map((match) => match[1] ?? '');
    for (const image of images) expect(packText(pack, 'values.yaml')).toContain(`- image: ${image}`);
  });

  test('the bridge writes a network that the runtime can read', async () => {
    const configOf = async (...changes: [string, string][]): Promise<Record<string, unknown>> => {
      const { objects } = await render(packOf('bridge-cni'), edited(packOf('bridge-cni'), ...changes));
      return JSON.parse(dataOf(objects)['10-bridge.conflist'] ?? '') as Record<string, unknown>;
    };
    expect(await configOf()).toMatchObject({
      plugins: [{ type: 'bridge', bridge: 'cni0', ipMasq: true, ipam: { ranges: [[{ subnet: '10.244.0.0/16' }]] } }, { type: 'portmap' }],
    });
    const other = await configOf(['mtu: 0', 'mtu: 1400'], ['hostPorts: true', 'hostPorts: false'], ['masquerade: true', 'masquerade: false']);
    expect(other).toMatchObject({ plugins: [{ mtu: 1400, ipMasq: false }] });
    expect((other['plugins'] as unknown[]).length).toBe(1);
  });

  test('a changed network makes new pods, or the host would keep the old file', async () => {
    const markOf = async (...changes: [string, string][]): Promise<unknown> =>
      JSON.stringify(
        (await render(packOf('bridge-cni'), edited(packOf('bridge-cni'), ...changes))).objects.find((object) => object['kind'] === 'DaemonSet'),
      ).match(/"groundplane.dev\/config":"(\w+)"/)?.[1];
    const first = await markOf();
    expect(first).toBeDefined();
    expect(await markOf()).toBe(first);
    expect(await markOf(['mtu: 0', 'mtu: 1400'])).not.toBe(first);
  });

  test('one volume for each folder, and none without', async () => {
    const pack = packOf('local-volumes');
    expect((await render(pack)).refs).toEqual(['StorageClass local', 'PersistentVolume local-data-1']);
    const none = packText(pack, 'values.yaml').replace(/volumes:\n[\s\S]*$/, 'volumes: []\n');
    expect((await render(pack, none).catch((error: unknown) => String(error))) as unknown).toMatch(/value-missing/);
  });

  test('the baseline makes namespaces with what the values say', async () => {
    const pack = packOf('site-baseline');
    const { refs } = await render(pack, edited(pack, ['isolated: false', 'isolated: true'], ['[shop, ops]', '[shop]']));
    expect(refs.filter((ref) => ref.includes('shop')).toSorted()).toEqual([
      'LimitRange shop/site-baseline',
      'Namespace shop',
      'NetworkPolicy shop/site-baseline',
      'ResourceQuota shop/site-baseline',
    ]);
  });

  test('text that people type does not become part of the page', async () => {
    const pack = packOf('status-page');
    const { objects } = await render(pack, edited(pack, ['Call support before you change anything here.', '"<script>alert(1)</script>"']));
    const page = dataOf(objects)['index.html'] ?? '';
    expect(page).toContain('&lt;script&gt;');
    expect(page).not.toContain('<script>');
    expect(page).toContain('<title>site-1</title>');
  });

  test.each([
    ['bridge-cni', 'podCIDR: 10.244.0.0/16', 'podCIDR: everywhere', 'podCIDR'],
    ['site-baseline', 'podSecurity: baseline', 'podSecurity: none', 'podSecurity'],
    ['status-page', 'nodePort: 30080', 'nodePort: 80', 'nodePort'],
  ])('%s refuses values that its rules do not allow', async (name, from, to, told) => {
    await expect(render(packOf(name), edited(packOf(name), [from, to]))).rejects.toThrow(told);
  });
});

/** The pack with charts of the same names that do nothing but say which values came in. */
const withStandIns = (pack: LibraryPack): LibraryPack => {
  const { charts } = parseUpstream(packText(pack, 'upstream.yaml'));
  const standIns = charts.map((chart) => ({ name: chart.file, data: Buffer.from(chartOf(chart.name, chart.version)) }));
  return { ...pack, files: { ...pack.files, files: [...pack.files.files.filter((file) => file.name !== 'upstream.yaml'), ...standIns] } };
};

describe('packs whose charts are at their upstream', () => {
  test.each(thin.map((pack): [string, LibraryPack] => [pack.folder, pack]))('%s is refused with what to do, and not half installed', async (_, pack) => {
    const made = packFiles(pack.files);
    expect(made).toMatchObject({ ok: false, failure: { code: 'chart-not-fetched' } });
    const parts = await packParts(pack.files, { layerName: 'l' });
    expect(parts).toMatchObject({ ok: false, failure: { code: 'chart-not-fetched' } });
    expect(parts.ok ? '' : parts.failure.message).toContain('gp pack fetch');
  });

  test.each(thin.map((pack): [string, LibraryPack] => [pack.folder, pack]))('%s gives each chart its values, release and namespace', async (_, pack) => {
    // The pack does not say which bucket; somebody has to.
    const values = packText(pack, 'values.yaml').replace('bucket: ""', 'bucket: backups');
    const { refs, objects } = await render(withStandIns(pack), values);
    const maps = objects.filter((object) => object['kind'] === 'ConfigMap').map((object) => object as { metadata: { name: string }; data: { all: string } });
    expect(maps).toHaveLength(pack.facts.charts.length);
    for (const map of maps) {
      expect(values).toMatch(new RegExp(`releaseNameOverride:\\n(    .*\\n)*    [a-z-]+: ${map.metadata.name}\\n`));
      // Beside the two that the stand-in has itself.
      expect(Object.keys(JSON.parse(map.data.all) as object).length).toBeGreaterThan(3);
      expect(map.data.all).not.toContain('.spectro.');
    }
    const namespace = /^ {2}namespace: (\S+)$/m.exec(values)?.[1] ?? '';
    expect(refs.filter((ref) => ref.startsWith('ConfigMap')).every((ref) => ref.startsWith(`ConfigMap ${namespace}/`))).toBe(true);
    expect(refs.includes(`Namespace ${namespace}`)).toBe(namespace !== 'kube-system');
  });
});
