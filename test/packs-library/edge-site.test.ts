import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseDocuments, type AnyDocument, type ClusterDocument, type ProfileDocument } from '../../hub/cli/authoring/document.ts';
import { readInputs } from '../../hub/cli/authoring/read.ts';
import { fakeIo, gp } from '../cli/fake-io.ts';
import { createKitchen, type Rendered } from './render.ts';

vi.setConfig({ testTimeout: 120_000 });
const folder = join(import.meta.dirname, '../../examples/edge-site');
const kitchen = createKitchen();
afterAll(() => kitchen.close());
let documents: AnyDocument[] = [];
beforeAll(async () => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).toSorted();
  const inputs = await readInputs(
    fakeIo().io,
    names.map((name) => join(folder, name)),
  );
  if (!inputs.ok) throw new Error(inputs.trouble.why);
  const parsed = await parseDocuments(inputs.value, 'default', undefined);
  if (!parsed.ok) throw new Error(`${parsed.trouble.what}: ${parsed.trouble.why}\n${parsed.trouble.details?.join('\n') ?? ''}`);
  documents = parsed.value;
  for (const item of documents) if (item.kind === 'Profile') for (const blob of item.charts) await kitchen.content.put(blob.bytes);
});

const profile = (name: string, version: string): ProfileDocument => {
  const found = documents.find((item): item is ProfileDocument => item.kind === 'Profile' && item.name === name && item.version === version);
  if (found === undefined) throw new Error(`the example has no ${name} ${version}`);
  return found;
};
const site = (name: string): ClusterDocument => {
  const found = documents.find((item): item is ClusterDocument => item.kind === 'Cluster' && item.name === name);
  if (found === undefined) throw new Error(`the example has no ${name}`);
  return found;
};
const render = (name: string, apps?: string): Promise<Rendered> => {
  const { spec } = site(name).value;
  const used = spec.profiles.map((item) => (item.name === 'edge-apps' && apps !== undefined ? { ...item, version: apps } : item));
  return kitchen.render(
    used.map((item) => ({ name: item.name, version: item.version, spec: profile(item.name, item.version).value.spec })),
    {
      cluster: name,
      variables: spec.variables,
      macros: { support: { value: '+46 8 000 01', scope: 'project' } },
      ...(spec.overrides === undefined ? {} : { overrides: spec.overrides }),
    },
  );
};

describe('example edge-site', () => {
  test('all its documents are valid', () => {
    expect(documents.map((item) => `${item.kind} ${item.name}${item.kind === 'Profile' ? `@${item.version}` : ''}`)).toEqual([
      'Profile edge-apps@1.0.0',
      'Profile edge-apps@1.1.0',
      'Profile edge-apps@1.2.0',
      'Profile edge-infra@1.0.0',
      'Profile edge-infra@1.1.0',
      'Cluster site-2',
      'Cluster site-1',
    ]);
  });

  test('versions swap, drop and change layers', () => {
    const names = (version: string): string[] => profile('edge-apps', version).value.spec.layers.map((layer) => layer.name);
    expect([names('1.0.0'), names('1.1.0')]).toEqual([
      ['baseline', 'tills', 'notices'],
      ['baseline', 'tills', 'status-page'],
    ]);
    expect(profile('edge-apps', '1.1.0').value.spec.layers[2]?.replaces).toBe('notices');
    const values = (version: string): (string | undefined)[] => profile('edge-apps', version).value.spec.layers.map((layer) => layer.pack?.values);
    expect(values('1.1.0')).not.toEqual(values('1.2.0'));
  });

  test('a small site, offline: packs with their versions, in order, values from variables, macros and other packs', async () => {
    const { layers, warnings } = await render('site-1');
    expect(warnings).toEqual([]);
    expect(layers.map((layer) => [layer.name, layer.pack])).toEqual([
      ['base-os', 'debian-os 13.1.0'],
      ['kubernetes', 'kubeadm 1.34.2'],
      ['network', 'bridge-cni 1.0.0'],
      ['storage', 'local-volumes 1.0.0'],
      ['baseline', 'site-baseline 1.1.0'],
      ['tills', 'tills 1.0.0'],
      ['notices', 'notices 1.0.0'],
    ]);
    const text = JSON.stringify(layers);
    expect(text).toContain('"site":"site-1"');
    expect(text).toContain('"support":"+46 8 000 01"');
    expect(text).not.toContain('.spectro.');
    expect(layers[3]?.refs).toEqual(['StorageClass local', 'PersistentVolume local-data-1']);
  });

  test('the settings of the host come from the pack of its layer', async () => {
    const ran = await gp(['render', 'infra-1.0.0.yaml', '--cluster', 'cluster.yaml', '-o', 'json'], { cwd: folder });
    expect([ran.code, ran.error]).toEqual([0, expect.any(String)]);
    const os = profile('edge-infra', '1.0.0').value.spec.layers[0];
    expect(os?.pack?.values).toContain('enabled-presets: Use:kubernetes-node');
    expect(os?.pack?.digest).toBeUndefined();
  });

  test('a large site gets other presets and may set what is settable, nothing else', async () => {
    const { layers } = await render('site-2');
    const page = layers.find((layer) => layer.name === 'status-page');
    expect(page?.objects.find((object) => object['kind'] === 'Deployment')).toMatchObject({ spec: { replicas: 3 } });
    expect(JSON.stringify(page?.objects)).toContain('Site SITE-2');
    expect(layers.find((layer) => layer.name === 'storage')?.refs).toHaveLength(3);
    expect(layers.find((layer) => layer.name === 'baseline')?.refs).toContain('NetworkPolicy shop/site-baseline');
    const { overrides } = site('site-2').value.spec;
    expect(Object.keys(overrides ?? {})).toEqual(['status-page']);
  });

  test('the commands of its README do what it says', async () => {
    const line = ['--cluster', 'cluster.yaml', '--macro', 'support=+46 8 000 01'];
    const diff = await gp(['profile', 'diff', 'apps-1.0.0.yaml', 'apps-1.1.0.yaml', '--rendered', ...line, '-o', 'table'], { cwd: folder });
    expect(diff.code).toBe(3);
    for (const told of ['+ layer status-page', '- layer notices', '- Service shop/notices', '+ Deployment ops/status-page']) expect(diff.out).toContain(told);
    const large = await gp(['render', 'apps-1.2.0.yaml', '--cluster', 'cluster-large.yaml', '--macro', 'support=x'], { cwd: folder });
    expect([large.code, large.out]).toEqual([0, expect.stringContaining('replicas: 3')]);
    expect((await gp(['render', 'apps-1.2.0.yaml', ...line.slice(0, 2)], { cwd: folder })).error).toContain('support');
  });

  test('every file belongs to it', async () => {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
    const text = (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
    for (const below of ['manifests', 'values']) for (const name of await readdir(join(folder, below))) expect(text).toContain(`./${below}/${name}`);
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    for (const name of names) expect(readme).toContain(name);
  });
});
