import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { normaliseImage, parseImage } from '@groundplane/hub/render/image-reference';
import { imageRewriter, imagesOf, rewriteImages } from '@groundplane/hub/render/images';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const digest = `sha256:${'a'.repeat(64)}`;
const object = (apiVersion: string, kind: string, rest: object): KubeObject => ({ apiVersion, kind, metadata: { name: 'x' }, ...rest });
const podSpec = {
  initContainers: [{ name: 'i', image: 'init:1' }],
  containers: [
    {
      name: 'a',
      image: 'web:1',
      env: [
        { name: 'RELATED_IMAGE_X', value: 'quay.io/x/y:2' },
        { name: 'OTHER', value: 'not:this' },
      ],
      args: ['--image=not:that'],
    },
    { name: 'none' },
  ],
  ephemeralContainers: [{ name: 'e', image: 'debug:1' }],
  volumes: [
    { name: 'v', image: { reference: 'data:1', pullPolicy: 'Always' } },
    { name: 'w', emptyDir: {} },
  ],
};
const inPodSpec = ['init:1', 'web:1', 'quay.io/x/y:2', 'debug:1', 'data:1'];

describe('references', () => {
  test.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['grafana/grafana', 'docker.io/grafana/grafana:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['docker.io/nginx:1', 'docker.io/library/nginx:1'],
    ['localhost/nginx', 'localhost/nginx:latest'],
    ['localhost:5000/a/b:1', 'localhost:5000/a/b:1'],
    ['registry.example.com:5000/a', 'registry.example.com:5000/a:latest'],
    ['[::1]:5000/a:2', '[::1]:5000/a:2'],
    [`ghcr.io/a/b@${digest}`, `ghcr.io/a/b@${digest}`],
    [`ghcr.io/a/b:1@${digest}`, `ghcr.io/a/b:1@${digest}`],
    ['a__b/c.d-e--f:T_a.g-1', 'docker.io/a__b/c.d-e--f:T_a.g-1'],
  ])('%s means %s', (text, meaning) => expect(normaliseImage(text)).toBe(meaning));

  test.each(['', 'UPPER', 'a//b', 'a/', '/a', 'a:', 'a:b:c', 'a@sha256:12', 'a b', 'https://example.com/a', 'a/..', 'a:-x', 'a'.repeat(256), '{{ .x }}'])(
    '%j is none',
    (text) => {
      expect(parseImage(text)).toBeUndefined();
      expect(normaliseImage(text)).toBe(text);
    },
  );

  test('any text: no crash, and one spelling stays one spelling', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z.:/@_-]{0,40}$/)), (text) => {
        expect(normaliseImage(normaliseImage(text))).toBe(normaliseImage(text));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('places', () => {
  test.each<[string, string, object]>([
    ['v1', 'Pod', { spec: podSpec }],
    ['v1', 'PodTemplate', { template: { spec: podSpec } }],
    ...['ReplicaSet', 'Deployment', 'StatefulSet', 'DaemonSet'].map(
      (kind) => ['apps/v1', kind, { spec: { template: { spec: podSpec } } }] as [string, string, object],
    ),
    ['v1', 'ReplicationController', { spec: { template: { spec: podSpec } } }],
    ['batch/v1', 'Job', { spec: { template: { spec: podSpec } } }],
    ['batch/v1', 'CronJob', { spec: { jobTemplate: { spec: { template: { spec: podSpec } } } } }],
    ['argoproj.io/v1alpha1', 'Rollout', { spec: { template: { spec: podSpec } } }],
    ['serving.knative.dev/v1', 'Service', { spec: { template: { spec: podSpec } } }],
    ['elasticsearch.k8s.elastic.co/v1', 'Elasticsearch', { spec: { nodeSets: [{ podTemplate: { spec: podSpec } }] } }],
  ])('%s %s', (apiVersion, kind, rest) => {
    const made = object(apiVersion, kind, rest);
    expect(imagesOf(made)).toEqual(inPodSpec);
    const rewritten = rewriteImages(made, (reference) => `site/${reference}`);
    expect(imagesOf(rewritten)).toEqual(inPodSpec.map((image) => `site/${image}`));
    expect(JSON.stringify(rewritten).replaceAll('site/', '')).toBe(JSON.stringify(made));
    expect(JSON.stringify(made)).not.toContain('site/');
    expect(rewriteImages(made, (reference) => reference)).toBe(made);
  });

  test.each<[string, object, string[]]>([
    ['a field named image', { spec: { image: 'quay.io/prometheus/prometheus:v3' } }, ['quay.io/prometheus/prometheus:v3']],
    ['a single word is no clear reference', { spec: { image: 'ubuntu-22' } }, []],
    ['a URL is none', { spec: { image: 'https://example.com/disk:1' } }, []],
    ['steps and scripts of workflows', { spec: { templates: [{ script: { image: 'python:3' } }, { container: { image: 'a/b' } }] } }, ['python:3', 'a/b']],
    ['a map under image', { spec: { image: { repository: 'a/b', tag: '1' } } }, ['a/b:1']],
    ['a map with a number as tag', { spec: { sideImage: { repository: 'a/b', tag: 1 } } }, ['a/b:1']],
    ['a map with a digest', { spec: { image: { repository: 'a/b', digest } } }, [`a/b@${digest}`]],
    ['a map with registry', { spec: { proxy: { registry: 'ghcr.io', repository: 'a/b', tag: 'v2' } } }, ['ghcr.io/a/b:v2']],
    ['a Git repository is none', { spec: { source: { repository: 'a/b', tag: 'v1' } } }, []],
    ['split into three', { spec: { driver: { repository: 'nvcr.io/nvidia', image: 'driver', version: '535' } } }, ['nvcr.io/nvidia/driver:535']],
    ['status and metadata are not searched', { metadata: { name: 'x', annotations: { image: 'a/b:1' } }, status: { image: 'a/b:1' } }, []],
  ])('custom objects: %s', (_name, rest, images) => {
    const made = object('example.com/v1', 'Thing', rest);
    expect(imagesOf(made)).toEqual(images);
    expect(rewriteImages(made, (reference) => reference)).toBe(made);
    const again = rewriteImages(made, (reference) => normaliseImage(reference).replace(/^[^/]+/, 'site.example:5000'));
    expect(imagesOf(again)).toEqual(images.map((image) => normaliseImage(image).replace(/^[^/]+/, 'site.example:5000')));
  });

  test('maps keep their form when they are rewritten', () => {
    const to = (rest: object, text: string) => rewriteImages(object('example.com/v1', 'Thing', { spec: rest }), () => text)['spec'];
    expect(to({ image: { repository: 'a/b', tag: '1', pullPolicy: 'Always' } }, 'r:5000/x/y:2')).toEqual({
      image: { repository: 'r:5000/x/y', tag: '2', pullPolicy: 'Always' },
    });
    expect(to({ p: { tag: '1', registry: 'ghcr.io', repository: 'a' } }, 'r:5000/x/y:2')).toEqual({ p: { tag: '2', registry: 'r:5000', repository: 'x/y' } });
    expect(to({ d: { repository: 'n.io/n', image: 'd', version: digest } }, `r:5000/m/n/d@${digest}`)).toEqual({
      d: { repository: 'r:5000/m/n', image: 'd', version: digest },
    });
  });

  test('CloudNativePG says imageName; Kubernetes kinds without pods and CRDs have none', () => {
    expect(imagesOf(object('postgresql.cnpg.io/v1', 'Cluster', { spec: { imageName: 'ghcr.io/pg:17' } }))).toEqual(['ghcr.io/pg:17']);
    expect(imagesOf(object('v1', 'ConfigMap', { data: { image: 'a/b:1' } }))).toEqual([]);
    expect(imagesOf(object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', { spec: { image: 'a/b:1' } }))).toEqual([]);
  });

  test('odd shapes and endless nesting are left alone', () => {
    for (const spec of [
      null,
      1,
      'x',
      [],
      { template: null },
      { template: { spec: { containers: {} } } },
      { template: { spec: { containers: [null, { image: 5 }] } } },
    ])
      expect(imagesOf(object('apps/v1', 'Deployment', { spec }))).toEqual([]);
    let deep: object = { image: 'a/b:1' };
    for (let level = 0; level < 5_000; level += 1) deep = { deep };
    expect(imagesOf(object('example.com/v1', 'Thing', { spec: deep }))).toEqual([]);
  });
});

describe('rewriting by a table', () => {
  const rewrite = imageRewriter(
    new Map([
      ['docker.io/library/nginx:1.27', 'site/nginx:1.27'],
      [`ghcr.io/a/b@${digest}`, 'site/b'],
    ]),
  );
  test.each([
    ['nginx:1.27', 'site/nginx:1.27'],
    ['docker.io/nginx:1.27', 'site/nginx:1.27'],
    [`ghcr.io/a/b:v1@${digest}`, 'site/b'],
    ['nginx:1.28', 'nginx:1.28'],
    ['not a reference', 'not a reference'],
  ])('%s → %s', (from, to) => expect(rewrite(from)).toBe(to));
});
