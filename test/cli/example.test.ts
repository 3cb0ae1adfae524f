import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHelmPool, type HelmPool } from '@groundplane/hub/render/helm/index';
import { resolveProfiles, type ResolvedLayer } from '@groundplane/protocol/resolve/profile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocuments, type AnyDocument, type ProfileDocument } from '../../hub/cli/authoring/document.ts';
import { readInputs } from '../../hub/cli/authoring/read.ts';
import { fakeIo } from './fake-io.ts';

const folder = join(import.meta.dirname, '../../examples/retail-store');
let documents: AnyDocument[] = [];

const profile = (version: string): ProfileDocument => {
  const found = documents.find((item): item is ProfileDocument => item.kind === 'Profile' && item.version === version);
  if (found === undefined) throw new Error(`the example has no version ${version}`);
  return found;
};

const resolved = (version: string): ResolvedLayer[] => {
  const cluster = documents.find((item) => item.kind === 'Cluster');
  if (cluster === undefined) throw new Error('the example has no cluster');
  const result = resolveProfiles({
    profiles: [{ name: 'retail-store', version, spec: profile(version).value.spec }],
    variables: cluster.value.spec.variables,
    macros: {},
    system: { 'cluster.name': cluster.name },
  });
  if (!result.ok) throw new Error(`${result.failure.element}: ${result.failure.message}`);
  return result.value;
};

beforeAll(async () => {
  const inputs = await readInputs(fakeIo().io, [folder]);
  if (!inputs.ok) throw new Error(inputs.trouble.why);
  const parsed = await parseDocuments(inputs.value, 'default', undefined);
  if (!parsed.ok) throw new Error(`${parsed.trouble.what}: ${parsed.trouble.why}\n${parsed.trouble.details?.join('\n') ?? ''}`);
  documents = parsed.value;
});

describe('example retail-store', () => {
  test('all documents of the folder are valid', () => {
    expect(documents.map((item) => `${item.kind} ${item.name}${item.kind === 'Profile' ? `@${item.version}` : ''}`)).toEqual([
      'Profile retail-store@1.0.0',
      'Profile retail-store@1.1.0',
      'Profile retail-store@1.2.0',
      'Cluster store-1',
    ]);
  });

  test('1.1.0 swaps a layer, drops one, adds one and changes the values of the chart', () => {
    const names = (version: string): string[] => profile(version).value.spec.layers.map((layer) => layer.name);
    expect(names('1.0.0').filter((name) => !names('1.1.0').includes(name))).toEqual(['price-labels', 'telemetry']);
    expect(names('1.1.0').filter((name) => !names('1.0.0').includes(name))).toEqual(['loyalty', 'metrics']);
    expect(profile('1.1.0').value.spec.layers.find((layer) => layer.name === 'metrics')?.replaces).toBe('telemetry');
    const helm = (version: string) => profile(version).value.spec.layers.find((layer) => layer.name === 'shop')?.helm;
    expect(helm('1.1.0')?.chart).toEqual(helm('1.0.0')?.chart);
    expect(helm('1.1.0')?.values).not.toBe(helm('1.0.0')?.values);
  });

  test('variables reach manifests and files, and the braces of others stay', () => {
    const layers = resolved('1.1.0').map((item) => item.layer);
    expect(layers.map((layer) => layer.name)).toEqual(['base-os', 'kubernetes', 'config', 'shop', 'loyalty', 'metrics']);
    expect(layers[0]?.os?.files[0]?.content).toContain('store = Zurich HB\ncluster = store-1\n');
    expect(layers[2]?.manifests?.map((item) => item.name)).toEqual(['quota.yaml', 'settings.yaml']);
    expect(layers[2]?.manifests?.[1]?.content).toContain('currency: "CHF"');
    expect(layers[5]?.manifests?.[1]?.content).toContain('till {{ $labels.instance }} is down');
  });

  test('every file that the profiles name belongs to the story: no stray manifests', async () => {
    const texts = (
      await Promise.all((await readdir(folder)).filter((name) => name.endsWith('.yaml')).map((name) => readFile(join(folder, name), 'utf8')))
    ).join('\n');
    for (const name of await readdir(join(folder, 'manifests'))) expect(texts).toContain(`./manifests/${name}`);
    for (const name of await readdir(join(folder, 'values'))) expect(texts).toContain(`./values/${name}`);
  });

  describe('its chart, rendered by the hub’s engine', () => {
    let pool: HelmPool;
    beforeAll(() => {
      const clock = {
        after: (delayMs: number, callback: () => void) => {
          const timer = setTimeout(callback, delayMs).unref();
          return () => clearTimeout(timer);
        },
      };
      pool = createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock });
    });
    afterAll(() => pool.close());

    const render = (version: string, values?: string) => {
      const helm = resolved(version).find((item) => item.layer.name === 'shop')?.layer.helm;
      const bytes = profile(version).charts[0]?.bytes;
      if (helm === undefined || bytes === undefined) throw new Error('no chart');
      return pool.render({
        chart: { kind: 'archive', bytes },
        values: [values ?? helm.values],
        release: { name: 'shop', namespace: 'retail' },
        kubeVersion: 'v1.34.0',
        apiVersions: [],
        seed: 'store-1',
        nowMs: 0,
      });
    };

    test('1.0.0: CRD, hooks, subchart, secret and notes', async () => {
      const result = await render('1.0.0');
      if (!result.ok) throw new Error(result.failure.message);
      const { value } = result;
      expect(value.crds).toHaveLength(1);
      expect(value.hooks.map((hook) => [hook.name, hook.events])).toEqual(
        expect.arrayContaining([
          ['shop-migrate', ['pre-install', 'pre-upgrade']],
          ['shop-opened', ['post-install']],
        ]),
      );
      expect(value.manifests.map((item) => `${item.kind ?? ''} ${item.name ?? ''}`)).toEqual(
        expect.arrayContaining(['Secret shop-database', 'Deployment shop-web', 'Deployment shop-cache', 'Coupon welcome10']),
      );
      expect(value.manifests.find((item) => item.name === 'shop-web' && item.kind === 'Deployment')?.content).toContain('registry.example/shop/web:1.0');
      expect(value.usedRandom).toBe(true);
      expect(value.notes).toContain('Zurich HB runs shop 1.0 with 2 replicas');
    });

    test('the generated password stays when values change', async () => {
      const [first, second] = [await render('1.0.0'), await render('1.1.0')];
      const password = (result: typeof first): string | undefined =>
        result.ok ? /password: "(\w{24})"/.exec(result.value.manifests.find((item) => item.kind === 'Secret')?.content ?? '')?.[1] : undefined;
      expect(password(first)).toMatch(/^\w{24}$/);
      expect(password(second)).toBe(password(first));
    });

    test('1.2.0 asks for an image that never starts', async () => {
      const result = await render('1.2.0');
      expect(result.ok && result.value.manifests.find((item) => item.name === 'shop-web' && item.kind === 'Deployment')?.content).toContain(
        'registry.example/shop/web:broken',
      );
    });

    test('the schema refuses wrong values', async () => {
      const result = await render('1.0.0', 'storeName: x\nreplicas: many\n');
      expect(result.ok ? '' : result.failure.message).toMatch(/replicas/);
    });
  });
});
