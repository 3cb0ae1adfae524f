import { describe, expect, test } from 'vitest';
import { parseHeader } from '@groundplane/protocol/pack/header';
import { parseReadiness } from '@groundplane/protocol/pack/readiness';
import { readSource } from '@groundplane/protocol/pack/source';

const sourceOf = (text: string) => {
  const { source } = readSource(text, 'values.yaml');
  if (source === undefined) throw new Error('unread');
  return source;
};
const header = (text: string) => parseHeader(sourceOf(text)).header;
const codes = (text: string): string[] => parseHeader(sourceOf(text)).findings.map((finding) => `${finding.line} ${finding.severity} ${finding.code}`);

describe('the pack: header', () => {
  test('everything documented is read', () => {
    expect(
      header(`pack:
  namespace: "shop"
  additionalNamespaces: [shop-jobs, {name: shop-data}]
  namespaceLabels:
    "shop": "pod-security.kubernetes.io/enforce=privileged,pod-security.kubernetes.io/enforce-version=v{{ .spectro.system.kubernetes.version | substr 0 4 }}"
    shop-jobs: {env: prod}
  namespaceAnnotations:
    shop: "note=a=b, more = c"
  releaseNameOverride:
    web: front
  content:
    images:
      - image: registry.example/web:1
      - image: registry.example/web:1
    charts:
      - {repo: https://charts.example, name: web, version: 3-canary}
  spectrocloud.com/install-priority: "-5"
  spectrocloud.com/display-name: Front
  palette: {config: {}}
`),
    ).toEqual({
      namespace: 'shop',
      additionalNamespaces: ['shop-jobs', 'shop-data'],
      namespaceLabels: {
        shop: {
          'pod-security.kubernetes.io/enforce': 'privileged',
          'pod-security.kubernetes.io/enforce-version': 'v{{ .spectro.system.kubernetes.version | substr 0 4 }}',
        },
        'shop-jobs': { env: 'prod' },
      },
      namespaceAnnotations: { shop: { note: 'a=b', more: 'c' } },
      releaseNameOverride: { web: 'front' },
      content: { images: ['registry.example/web:1'], charts: [{ repo: 'https://charts.example', name: 'web', version: '3-canary' }] },
      priority: -5,
      displayName: 'Front',
      others: ['palette'],
    });
  });

  test.each([
    ['without values', '# nothing\n', ['1 info values-empty']],
    ['without a header', 'charts: {}\n', ['1 warning pack-header-missing']],
    ['with an empty one', 'pack:\ncharts: {}\n', ['1 warning pack-header-missing']],
    ['with lists of null', 'pack: {content: {images: null, charts: null}}\n', []],
    ['with a content of null', 'pack: {content: null}\n', []],
    ['with a text for it', 'pack: x\n', ['1 error pack-header-invalid']],
    ['with a list as values', '- a\n', ['1 error values-malformed']],
    ['with a number as priority', 'pack: {spectrocloud.com/install-priority: 30}\n', []],
    ['with a word as priority', 'pack:\n  spectrocloud.com/install-priority: first\n', ['2 error priority-invalid']],
    ['with a fraction as priority', 'pack:\n  spectrocloud.com/install-priority: 1.5\n', ['2 error priority-invalid']],
    ['with a namespace that is none', 'pack:\n  namespace: Shop_1\n', ['2 error namespace-invalid']],
    ['with a namespace by reference', 'pack: {namespace: "{{ .spectro.var.ns }}"}\n', []],
    ['with labels that are none', 'pack:\n  namespaceLabels:\n    shop: "a=b,c"\n', ['3 error namespace-label-invalid']],
    ['with a label value that is none', 'pack:\n  namespaceLabels:\n    shop: "a=b c"\n', ['3 error namespace-label-invalid']],
    ['with a release name that is none', 'pack:\n  releaseNameOverride:\n    web: Front_1\n', ['3 error release-name-invalid']],
    ['with an image as text', 'pack:\n  content:\n    images:\n      - a/b:1\n', ['4 warning content-image-form']],
    ['with a slip of the pen', 'pack:\n  content:\n    images:\n      - iamge: quay.io/a/b:1\n', ['4 warning content-image-form']],
    ['with an image that is none', 'pack:\n  content:\n    images:\n      - {}\n', ['4 warning content-image-form']],
    ['with images that are no list', 'pack:\n  content:\n    images: x\n', ['3 warning content-form']],
  ])('%s', (_, text, found) => {
    expect(codes(text)).toEqual(found);
  });

  test('an image behind a misspelt key is not lost', () => {
    expect(header('pack: {content: {images: [{iamge: quay.io/a/b:1}]}}\n').content.images).toEqual(['quay.io/a/b:1']);
  });

  test('namespaces come in four shapes', () => {
    for (const written of ['[a, b]', '[{name: a}, {name: b}]', '{x: a, b: ""}', '"a, b"'])
      expect(header(`pack: {additionalNamespaces: ${written}}\n`).additionalNamespaces).toEqual(['a', 'b']);
  });
});

describe('readinessCheck', () => {
  const read = (text: string) => parseReadiness(sourceOf(text));

  test('lists of objects and of names by kind are understood', () => {
    expect(
      read(`readinessCheck:
  deployments: [web, data/db]
  resources:
    - {apiVersion: a.example/v1, kind: Shop, name: main, namespace: shop, condition: {type: Open, status: "True"}}
    - {kind: Shop, path: status.phase, value: Running}
  timeoutSeconds: 600
`),
    ).toEqual({
      readiness: {
        checks: [
          { kind: 'Deployment', name: 'web' },
          { kind: 'Deployment', name: 'db', namespace: 'data' },
          { kind: 'Shop', apiVersion: 'a.example/v1', name: 'main', namespace: 'shop', condition: { type: 'Open', status: 'True' } },
          { kind: 'Shop', field: { path: 'status.phase', value: 'Running' } },
        ],
        timeoutSeconds: 600,
        isUnderstood: true,
        written: expect.anything() as unknown,
      },
      findings: [],
    });
    expect(read('readinessCheck: [{kind: Job, name: init}]\n').readiness?.checks).toEqual([{ kind: 'Job', name: 'init' }]);
    expect(read('a: 1\n')).toEqual({ findings: [] });
  });

  test.each(['readinessCheck: true', 'readinessCheck: {script: kubectl get}', 'readinessCheck: [{kind: A, script: x}]', 'readinessCheck: [web]'])(
    '%s is kept and told',
    (text) => {
      const { readiness, findings } = read(`a: 1\n${text}\n`);
      expect(findings.map((finding) => `${finding.line} ${finding.severity} ${finding.code}`)).toEqual(['2 warning readiness-not-understood']);
      expect(readiness).toMatchObject({ isUnderstood: false, checks: [] });
      expect(readiness?.written).toBeDefined();
    },
  );
});
