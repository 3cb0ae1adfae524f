import { createHelmPool } from '@groundplane/hub/render/helm/index';
import { storeZarf } from '@groundplane/hub/zarf/read';
import { zarfParts, type ZarfParts, type ZarfPartsOptions } from '@groundplane/hub/zarf/parts';
import { prepareChart } from '@groundplane/hub/zarf/chart';
import type { Result } from '@groundplane/protocol/failure';
import { zarfSpecSchema } from '@groundplane/protocol/layer';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { fakeContent } from '../fake/content.ts';
import { alphaDraft, betaDraft, build, changed, chart, ociImages, sha256, zstd, type Draft } from './writer.ts';

const registry = 'registry.site:5000';
const partsOf = async (draft: Draft, spec: object = {}, options: Partial<ZarfPartsOptions> = {}): Promise<Result<ZarfParts>> => {
  const content = fakeContent();
  const stored = await storeZarf(() => zstd(build(draft)), content, 'demo');
  if (!stored.ok) return stored;
  const { name, version } = stored.value.package;
  const parsed = zarfSpecSchema.parse({ package: { digest: stored.value.digest, name, version: version || '0' }, ...spec });
  return zarfParts(content, parsed, { layerName: 'apps', architecture: 'amd64', ...options });
};
const good = async (...args: Parameters<typeof partsOf>): Promise<ZarfParts> => {
  const parts = await partsOf(...args);
  if (!parts.ok) throw new Error(`${parts.failure.code}: ${parts.failure.element}: ${parts.failure.message}`);
  return parts.value;
};
const refused = async (...args: Parameters<typeof partsOf>): Promise<string> => {
  const parts = await partsOf(...args);
  return parts.ok ? 'ok' : `${parts.failure.code}: ${parts.failure.message}`;
};
const component = (draft: Draft, index = 0) => (draft.definition['components'] as Record<string, unknown>[])[index]!;

const clock = {
  after: (delayMs: number, callback: () => void) => {
    const abort = new AbortController();
    void delay(delayMs, undefined, { signal: abort.signal, ref: false }).then(callback, () => {});
    return () => abort.abort();
  },
};
const pool = createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock });
afterAll(async () => await pool.close());
const render = async (part: ZarfParts['charts'][number]): Promise<unknown[]> => {
  const result = await pool.render({
    chart: { kind: 'archive', bytes: part.archive },
    values: part.values,
    release: { name: part.releaseName, namespace: part.namespace },
    kubeVersion: 'v1.34.0',
    apiVersions: [],
    seed: '',
    nowMs: 0,
  });
  if (!result.ok) throw new Error(result.failure.message);
  return result.value.manifests.map((manifest) => parse(manifest.content) as unknown);
};

describe('v1alpha1', () => {
  test('charts, manifests, kustomizations, images, files, actions, health checks', async () => {
    const parts = await good(alphaDraft(), {}, { registry });
    expect(parts.components).toEqual(['base']);
    expect(parts.charts.map(({ name, version, releaseName, namespace }) => ({ name, version, releaseName, namespace }))).toEqual([
      { name: 'web', version: '0.1.0', releaseName: 'web', namespace: 'demo' },
    ]);
    expect(parts.charts[0]!.values).toEqual(['more: "example.com"\n', 'ingress:\n  host: example.com\n']);
    expect(await render(parts.charts[0]!)).toMatchObject([{ data: { host: 'example.com', colour: 'blue', more: 'example.com' } }]);
    expect(parts.manifests.map((part) => part.name)).toEqual(['base/plain-0.yaml', 'base/kustomization-plain-0.yaml']);
    expect(parts.manifests[0]!.content).toContain('  cert: |\n    one\n    two\n  keep: "{{ .Values.x }}"');
    expect(parts.manifests[0]!.values).toBeUndefined();
    expect(parts.namespaces.map((item) => item.name)).toEqual(['demo']);
    expect(parts.images).toEqual(['nginx:1.27', 'ghcr.io/a/b:2']);
    expect(parts.packageImages.every((image) => image.digest?.startsWith('sha256:'))).toBe(true);
    expect([...parts.imageRewrites]).toEqual([
      ['nginx:1.27', `${registry}/library/nginx:1.27@${parts.packageImages[0]!.digest!}`],
      ['ghcr.io/a/b:2', `${registry}/a/b:2@${parts.packageImages[1]!.digest!}`],
    ]);
    expect(parts.files).toEqual([
      {
        component: 'base',
        optIn: true,
        target: '/etc/motd',
        place: 'absolute',
        executable: true,
        symlinks: ['/etc/motd2'],
        isTemplate: false,
        content: [{ path: '', digest: `sha256:${sha256('hello\n')}`, size: 6, mode: 0o644 }],
      },
    ]);
    expect(parts.actions.map(({ event, when, cmd, optIn, maxRetries, environment }) => ({ event, when, cmd, optIn, maxRetries, environment }))).toEqual([
      { event: 'deploy', when: 'before', cmd: 'echo hi', optIn: true, maxRetries: 2, environment: ['A=1'] },
      { event: 'deploy', when: 'after', cmd: undefined, optIn: true, maxRetries: 2, environment: ['A=1'] },
      { event: 'remove', when: 'before', cmd: 'echo bye', optIn: true, maxRetries: 0, environment: [] },
    ]);
    expect(parts.healthChecks).toHaveLength(1);
    expect(parts.noWait).toEqual(['base/plain']);
    expect(parts.warnings.map((finding) => finding.code)).toEqual(['zarf-create-actions', 'zarf-host-steps']);
  });

  test('without a registry nothing is rewritten', async () => expect((await good(alphaDraft())).imageRewrites.size).toBe(0));

  test('variables given', async () => {
    const parts = await good(alphaDraft(), { variables: { DOMAIN: 'shop.site', CERT: 'x' } });
    expect(await render(parts.charts[0]!)).toMatchObject([{ data: { host: 'shop.site', more: 'shop.site' } }]);
    expect(await refused(alphaDraft(), { variables: { DOMAIN: 'UPPER' } })).toMatch(/^zarf-variable-pattern: "UPPER" for DOMAIN/);
    expect(await refused(alphaDraft(), { variables: { DOMIAN: 'x' } })).toMatch(/^zarf-variable-unknown: .*DOMIAN.*DOMAIN, CERT/);
  });

  test('components: asked for, left out, unknown', async () => {
    const parts = await good(alphaDraft(), { components: ['extra'] });
    expect(parts.components).toEqual(['base', 'extra']);
    expect(parts.namespaces.map((item) => item.name)).toEqual(['demo', 'other']);
    expect(await refused(alphaDraft(), { components: ['extar'] })).toMatch(/^zarf-component-unknown/);
    expect(await refused(alphaDraft(), { components: ['-base'] })).toMatch(/^zarf-component-required/);
  });

  test('namespace: a single one can be another, several cannot', async () => {
    const parts = await good(alphaDraft(), {}, { namespace: 'mine' });
    expect(new Set([...parts.charts, ...parts.manifests].map((part) => part.namespace))).toEqual(new Set(['mine']));
    expect(await refused(alphaDraft(), { components: ['extra'] }, { namespace: 'mine' })).toMatch(/^zarf-namespace: .*demo, other/);
    const forbidden = changed(alphaDraft(), (definition) => void (definition.metadata['allowNamespaceOverride'] = false));
    expect(await refused(forbidden, {}, { namespace: 'mine' })).toMatch(/^zarf-namespace: the package forbids/);
    expect(await refused(forbidden, {}, { namespace: 'demo' })).toBe('ok');
  });

  test('architecture', async () => {
    expect(await refused(alphaDraft(), {}, { architecture: 'arm64' })).toMatch(/^zarf-architecture: .*amd64.*arm64/);
    const multi = changed(alphaDraft(), (definition) => void (definition.build['architecture'] = 'multi'));
    expect(await refused(multi, {}, { architecture: 'arm64' })).toBe('ok');
  });

  test.each([
    ['###ZARF_VAR_NOPE###', /^zarf-marker-unresolved: uses ###ZARF_VAR_NOPE###: the package does not declare it/],
    ['###ZARF_VAR_OUT###', /an action of the package sets it.*zarf\.variables\.OUT/],
    ['###ZARF_REGISTRY###', /the site has no registry/],
    ['###ZARF_GIT_AUTH_PULL###', /Zarf's own services/],
    ['###ZARF_STORAGE_CLASS###', /zarf\.variables\.STORAGE_CLASS/],
  ])('a manifest with %s', async (marker, message) => {
    const draft = alphaDraft();
    draft.components['base']!['manifests/plain-0.yaml'] = `a: "${marker}"\n`;
    expect(await refused(draft)).toMatch(message);
    const given = { variables: { OUT: 'o', STORAGE_CLASS: 's' } };
    if (/OUT|REGISTRY###|STORAGE/.test(marker))
      expect((await good(draft, given, { registry })).manifests[0]!.content).toMatch(/^a: "(o|s|registry\.site:5000)"/);
  });

  test('markers in a chart: templates and subcharts; documentation is left alone; an untouched chart keeps its bytes', async () => {
    const draft = alphaDraft();
    const sub = chart('sub', '1.0.0', { 'templates/s.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "###ZARF_VAR_DOMAIN###"}\n' });
    draft.components['base']!['charts/web-0.1.0.tgz'] = chart('web', '0.1.0', {
      'README.md': '###ZARF_VAR_EXAMPLE###',
      'charts/sub-1.0.0.tgz': sub,
      'templates/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n',
    });
    expect(await render((await good(draft)).charts[0]!)).toMatchObject([{ metadata: { name: 'example.com' } }, { metadata: { name: 'a' } }]);
    const plain = chart('web', '0.1.0', { 'values.schema.json': '{}' });
    const change = { texts: new Map(), zarf: { components: [] } as never, dropSchema: false };
    const kept = await prepareChart(plain, change, 'x');
    expect(kept.ok && kept.value.bytes).toBe(plain);
    const dropped = await prepareChart(plain, { ...change, dropSchema: true }, 'x');
    expect(dropped.ok && dropped.value.bytes).not.toBe(plain);
  });

  test.each([
    ['chart', 'charts/web-0.1.0.tgz', 'zarf-chart-missing'],
    ['values file', 'values/web-0.1.0-0', 'zarf-values-missing'],
    ['manifest', 'manifests/plain-0.yaml', 'zarf-manifest-missing'],
    ['kustomization', 'manifests/kustomization-plain-0.yaml', 'zarf-manifest-missing'],
    ['file', 'files/0/motd', 'zarf-file-missing'],
  ])('a package without its %s', async (_name, file, code) => {
    const draft = alphaDraft();
    draft.components['base'] = Object.fromEntries(Object.entries(draft.components['base']!).filter(([name]) => name !== file));
    expect(await refused(draft)).toMatch(new RegExp(`^${code}: .*`));
  });

  test('files: changed, climbing, folders, temporary', async () => {
    const draft = alphaDraft();
    draft.components['base']!['files/0/motd'] = 'other';
    expect(await refused(draft)).toMatch(/^zarf-file-changed/);
    for (const target of ['/etc/../../x', '../x', 'a\0b']) {
      const climbing = changed(alphaDraft(), (definition) => void ((definition.components[0]!['files'] as { target: string }[])[0]!.target = target));
      expect(await refused(climbing), target).toMatch(/^zarf-file-target/);
    }
    const folder = changed(alphaDraft(), (definition) => void (definition.components[0]!['files'] = [{ source: 'd', target: '###ZARF_TEMP###/d' }]));
    folder.components['base'] = { ...folder.components['base'], 'files/0/d/a': '1', 'files/0/d/b/c': '2' };
    delete folder.components['base']['files/0/motd'];
    expect((await good(folder)).files[0]).toMatchObject({ place: 'temporary', content: [{ path: 'a' }, { path: 'b/c' }] });
  });

  test('files in the archive that nothing mentions are a warning', async () => {
    const draft = alphaDraft();
    draft.components['base']!['charts/old-1.0.0.tgz'] = 'x';
    expect((await good(draft)).warnings.map((finding) => finding.code)).toContain('zarf-file-unmentioned');
    draft.components['base'] = { '../x': 'y' };
    expect(await refused(draft)).toMatch(/^archive-invalid/);
  });

  test('yolo: images stay where they are', async () => {
    const draft = changed(alphaDraft(), (definition) => void (definition.metadata['yolo'] = true));
    const parts = await good({ ...draft, files: {} }, {}, { registry });
    expect(parts.imageRewrites.size).toBe(0);
    expect(parts.packageImages).toEqual([{ reference: 'nginx:1.27' }, { reference: 'ghcr.io/a/b:2' }]);
  });

  test('large files of a component never go through memory as a whole', async () => {
    const draft = alphaDraft();
    const big = Buffer.alloc(9 * 2 ** 20, 7);
    (component(draft)['files'] as object[]).push({ source: 'big', target: '/opt/big' });
    draft.components['base']!['files/1/big'] = big;
    const parts = await good(draft);
    expect(parts.files[1]!.content).toEqual([{ path: '', digest: `sha256:${sha256(big)}`, size: big.length, mode: 0o644 }]);
  });
});

describe('v1beta1', () => {
  test('required by default, values mapped, templates, schema skipped', async () => {
    const parts = await good(betaDraft(), { values: 'site: {host: other.example}\n' }, { registry });
    expect(parts.components).toEqual(['core']);
    expect(parts.charts.map(({ name, version }) => `${name} ${version}`)).toEqual(['web 0.2.0', 'own 9.9.9']);
    expect(await render(parts.charts[0]!)).toMatchObject([{ data: { host: 'other.example' } }]);
    expect(parts.manifests[0]!.values).toEqual({ site: { host: 'other.example', port: 80 } });
    expect(parts.noWait).toEqual(['core/own']);
    expect(parts.warnings.map((finding) => finding.code)).toEqual(['zarf-value-absent', 'zarf-host-steps']);
    expect((await good(betaDraft(), { components: ['debug'] })).components).toEqual(['core', 'debug']);
  });

  test.each([
    ['{{ .Constants.X }}', /^zarf-template-object: .*\.Constants/],
    ['{{ $.Metadata.name }}', /\.Metadata/],
  ])('a template with %s', async (text, message) => {
    const draft = betaDraft();
    draft.components['core']!['manifests/tpl-0.yaml'] = `a: ${text}\n`;
    expect(await refused(draft)).toMatch(message);
  });

  test.each([
    ['site', '.a', 'zarf-path-invalid'],
    ['.site', '.a..b', 'zarf-path-invalid'],
    ['.site', '.__proto__.x', 'zarf-path-invalid'],
    ['.site.host', '.', 'zarf-path-invalid'],
  ])('mapping %s to %s', async (sourcePath, targetPath, code) => {
    const draft = changed(
      betaDraft(),
      (definition) => void ((definition.components[0]!['charts'] as { values: object[] }[])[0]!.values = [{ sourcePath, targetPath }]),
    );
    expect(await refused(draft)).toMatch(new RegExp(`^${code}`));
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test('values that nothing takes, and values that are no map', async () => {
    expect(await refused(alphaDraft(), { values: 'a: 1\n' })).toMatch(/^zarf-values-unused/);
    expect(await refused(betaDraft(), { values: '- 1\n' })).toMatch(/^zarf-values-invalid/);
    expect(await refused(betaDraft(), { values: 'a: [' })).toMatch(/^zarf-values-invalid/);
    const schema = betaDraft();
    schema.files = { ...schema.files, 'values.schema.json': '{}' };
    expect((await good(schema)).warnings.map((finding) => finding.code)).toContain('zarf-values-schema');
  });

  test('images by digest', async () => {
    const draft = betaDraft();
    const files = ociImages(['ghcr.io/a/b:2']);
    const index = JSON.parse(String(files['images/index.json'])) as { manifests: { digest: string }[] };
    const pinned = `ghcr.io/a/b@${index.manifests[0]!.digest}`;
    component(draft)['images'] = [{ name: pinned }];
    expect([...(await good(draft, {}, { registry })).imageRewrites]).toEqual([[pinned, `${registry}/a/b@${index.manifests[0]!.digest}`]]);
  });
});
