import { parseZarf } from '@groundplane/protocol/zarf/parse';
import { selectComponents } from '@groundplane/protocol/zarf/select';
import { replaceMarkers, resolveTexts } from '@groundplane/protocol/zarf/variables';
import { zarfLimits } from '@groundplane/protocol/zarf/limits';
import type { ZarfPackage } from '@groundplane/protocol/zarf/package';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { alphaDraft, betaDraft, changed, type Plain } from './writer.ts';

const outcome = (definition: unknown): string => {
  const parsed = parseZarf(typeof definition === 'string' ? definition : stringify(definition), 'demo');
  if (!parsed.ok) return `${parsed.failure.code}: ${parsed.failure.message}`;
  return parsed.value.findings.map((finding) => `${finding.severity} ${finding.code}: ${finding.message}`).join('\n');
};
const alpha = (change: (definition: Plain) => void): string => outcome(changed(alphaDraft(), change).definition);
const beta = (change: (definition: Plain) => void): string => outcome(changed(betaDraft(), change).definition);
const first = (definition: Plain): Record<string, unknown> => definition.components[0]!;

describe('what is refused by name', () => {
  test.each<[string, string, RegExp]>([
    ['init package', alpha((d) => void (d['kind'] = 'ZarfInitConfig')), /error zarf-init: it is an init package/],
    ['Git repositories', alpha((d) => void (first(d)['repos'] = ['https://x/y.git'])), /error zarf-git-repositories: component base/],
    ['data injections', alpha((d) => void (first(d)['dataInjections'] = [{ source: 'x' }])), /error zarf-data-injections: component base/],
    ['imports', alpha((d) => void (first(d)['import'] = { path: '../x' })), /error zarf-import-unresolved/],
    [
      'differential',
      alpha((d) => void Object.assign(d.build, { differential: true, differentialPackageVersion: '1.0.0' })),
      /error zarf-differential: .*1\.0\.0/,
    ],
    ['skeleton', alpha((d) => void (d.build['architecture'] = 'skeleton')), /error zarf-skeleton/],
    [
      'extensions',
      alpha((d) => void (first(d)['extensions'] = { bigbang: {} })),
      /^zarf-invalid: components\[0\]: v1alpha1 has no field "extensions".*Big Bang/,
    ],
    ['cosignKeyPath', alpha((d) => void (first(d)['cosignKeyPath'] = 'x')), /cosignKeyPath.*the key is given/],
    [
      'unknown fields',
      alpha((d) => void ((first(d)['charts'] as object[])[0] = { name: 'a', wait: true })),
      /components\[0\]\.charts\[0\]: v1alpha1 has no field "wait"; it would be ignored/,
    ],
    ['beta: service', beta((d) => void (first(d)['service'] = 'registry')), /error zarf-init: component core provides the service registry/],
    ['beta: repositories', beta((d) => void (first(d)['repositories'] = ['x'])), /error zarf-git-repositories/],
    ['beta: imports', beta((d) => void (first(d)['import'] = { local: [{ path: 'x' }] })), /error zarf-import-unresolved/],
    ['beta: component', beta((d) => void (d['kind'] = 'ZarfComponentConfig')), /error zarf-component/],
    ['beta: variables', beta((d) => void (d['variables'] = [])), /v1beta1 has no field "variables".*values take their place/],
    ['beta: required', beta((d) => void (first(d)['required'] = true)), /v1beta1 has no field "required"/],
    [
      'beta: two sources of a chart',
      beta((d) => void ((first(d)['charts'] as object[])[0] = { name: 'a', local: { path: 'x' }, git: { url: 'y' } })),
      /exactly one of/,
    ],
    ['unknown version', alpha((d) => void (d['apiVersion'] = 'zarf.dev/v2')), /^zarf-version: apiVersion "zarf\.dev\/v2"/],
  ])('%s', (_name, found, wanted) => expect(found).toMatch(wanted));
});

describe('what is a warning or an info', () => {
  test.each<[string, string, RegExp]>([
    ['group', alpha((d) => void (first(d)['group'] = 'x')), /warning zarf-group/],
    ['scripts', alpha((d) => void (first(d)['scripts'] = { before: ['x'] })), /warning zarf-scripts/],
    ['distros', alpha((d) => void (first(d)['only'] = { cluster: { distros: ['k3s'] } })), /warning zarf-distros/],
    [
      'client-side apply',
      alpha((d) => void ((first(d)['charts'] as Record<string, unknown>[])[0]!['serverSideApply'] = 'false')),
      /warning zarf-server-side-apply/,
    ],
    ['yolo', alpha((d) => void (d.metadata['yolo'] = true)), /warning zarf-yolo/],
    ['onCreate', alpha(() => undefined), /^info zarf-create-actions/],
  ])('%s', (_name, found, wanted) => {
    expect(found).toMatch(wanted);
    expect(found).not.toMatch(/^error/m);
  });
});

describe('shape', () => {
  test.each<[string, unknown, RegExp]>([
    ['nothing', '', /empty/],
    ['only comments', '# x\n', /empty/],
    ['a list', '- 1', /zarf-invalid/],
    ['broken YAML', 'kind: [', /zarf\.yaml, line 1/],
    ['keys twice', 'kind: a\nkind: b\n', /zarf-invalid/],
    ['a name that climbs', changed(alphaDraft(), (d) => void (d.metadata['name'] = '../x')).definition, /metadata\.name: must be made of/],
    ['a component that climbs', changed(alphaDraft(), (d) => void (first(d)['name'] = 'a/b')).definition, /components\[0\]\.name/],
    ['a chart that climbs', changed(alphaDraft(), (d) => void (first(d)['charts'] = [{ name: '../x' }])).definition, /slashes/],
    ['components twice', changed(alphaDraft(), (d) => void (d.components[1]!['name'] = 'base')).definition, /two components named base/],
    [
      'variables twice',
      changed(alphaDraft(), (d) => void (d['constants'] = [{ name: 'DOMAIN', value: 'x' }])).definition,
      /two variables or constants named DOMAIN/,
    ],
    [
      'an action without anything',
      changed(alphaDraft(), (d) => void (first(d)['actions'] = { onDeploy: { before: [{ description: 'x' }] } })).definition,
      /either cmd or wait/,
    ],
    ['no components', changed(alphaDraft(), (d) => void (d.components.length = 0)).definition, /components/],
  ])('%s', (_name, definition, wanted) => expect(outcome(definition)).toMatch(wanted));

  test('bounds at their edge', () => {
    const many = (count: number) =>
      outcome(changed(alphaDraft(), (d) => void (d.components = Array.from({ length: count }, (_, index) => ({ name: `c${index}` })))).definition);
    expect(many(zarfLimits.components)).toBe('');
    expect(many(zarfLimits.components + 1)).toMatch(/^zarf-invalid/);
    expect(outcome(`#${' '.repeat(zarfLimits.definitionBytes)}`)).toMatch(/has more than/);
    const aliases = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]\n`;
    expect(outcome(aliases)).toMatch(/^zarf-invalid/);
  });

  test('old scripts and setVariable become actions', () => {
    const parsed = parseZarf(
      stringify(
        changed(alphaDraft(), (d) => {
          first(d)['scripts'] = { prepare: ['p'], before: ['b'], after: ['a'], timeoutSeconds: 5, retry: true };
          first(d)['actions'] = { onDeploy: { after: [{ cmd: 'x', setVariable: 'OLD' }] } };
        }).definition,
      ),
      'demo',
    );
    const actions = parsed.ok ? parsed.value.package.components[0]!.actions : [];
    expect(actions.map(({ when, cmd, maxTotalSeconds, setVariables }) => [when, cmd, maxTotalSeconds, setVariables])).toEqual([
      ['before', 'b', 5, []],
      ['after', 'a', 5, []],
      ['after', 'x', 0, ['OLD']],
    ]);
  });
});

describe('components', () => {
  const zarf = (components: object[]): ZarfPackage => {
    const parsed = parseZarf(stringify({ kind: 'ZarfPackageConfig', metadata: { name: 'x' }, components }), 'demo');
    if (!parsed.ok) throw new Error(parsed.failure.message);
    return parsed.value.package;
  };
  const chosen = (components: object[], requests: string[], architecture = 'amd64'): string => {
    const selected = selectComponents(zarf(components), requests, architecture, 'demo');
    return selected.ok ? selected.value.components.map((item) => item.name).join(' ') : selected.failure.code;
  };
  const group = [
    { name: 'a', group: 'g' },
    { name: 'b', group: 'g', default: true },
    { name: 'c', required: true },
  ];
  test.each<[string, object[], string[], string]>([
    ['required and default', [{ name: 'a', required: true }, { name: 'b', default: true }, { name: 'c' }], [], 'a b'],
    ['optional asked for', [{ name: 'a' }, { name: 'b' }], ['b'], 'b'],
    ['default left out', [{ name: 'a', default: true }, { name: 'b' }], ['-a'], ''],
    ['a pattern', [{ name: 'log-a' }, { name: 'log-b' }, { name: 'x' }], ['log-*', '-log-b'], 'log-a'],
    ['everything', [{ name: 'a', required: true }, { name: 'b' }], ['*'], 'a b'],
    ['default of a group', group, [], 'b c'],
    ['another of a group', group, ['a'], 'a c'],
    ['two of a group', group, ['a', 'b'], 'zarf-group'],
    ['none of a group', group, ['-b'], 'zarf-group'],
    [
      'another operating system',
      [
        { name: 'a', required: true, only: { localOS: 'windows' } },
        { name: 'b', required: true, only: { localOS: 'linux' } },
      ],
      [],
      'b',
    ],
    ['another architecture', [{ name: 'a', required: true, only: { cluster: { architecture: 'arm64' } } }], [], ''],
    ['unknown', [{ name: 'a' }], ['b'], 'zarf-component-unknown'],
    ['required left out', [{ name: 'a', required: true }], ['-a'], 'zarf-component-required'],
  ])('%s', (_name, components, requests, names) => expect(chosen(components, requests)).toBe(names));
});

describe('variables', () => {
  const zarf = (variables: object[]): ZarfPackage => {
    const parsed = parseZarf(stringify({ kind: 'ZarfPackageConfig', metadata: { name: 'x' }, components: [{ name: 'a' }], variables }), 'demo');
    if (!parsed.ok) throw new Error(parsed.failure.message);
    return parsed.value.package;
  };
  const filled = (variables: object[], given: Record<string, string>, text: string, registry?: string): string => {
    const item = zarf(variables);
    const texts = resolveTexts(item, given, registry, 'demo');
    if (!texts.ok) return texts.failure.code;
    const replaced = replaceMarkers(text, texts.value, 'x', item);
    return replaced.ok ? replaced.value : replaced.failure.code;
  };
  test.each<[string, object, Record<string, string>, string, string]>([
    ['default', { name: 'A', default: 'x' }, {}, 'a: ###ZARF_VAR_A###', 'a: x'],
    ['given', { name: 'A', default: 'x' }, { A: 'y' }, 'a: ###ZARF_VAR_A######ZARF_VAR_A###', 'a: yy'],
    ['empty given wins', { name: 'A', default: 'x' }, { A: '' }, 'a: ###ZARF_VAR_A###.', 'a: .'],
    ['neither', { name: 'A' }, {}, '[###ZARF_VAR_A###]', '[]'],
    ['prompt without value', { name: 'A', prompt: true }, {}, '', 'zarf-variable-missing'],
    ['prompt with default', { name: 'A', prompt: true, default: 'd' }, {}, '###ZARF_VAR_A###', 'd'],
    ['indent', { name: 'A', autoIndent: true }, { A: 'x\ny\nz' }, '  k: ###ZARF_VAR_A###\n', '  k: x\n     y\n     z\n'],
    ['no indent', { name: 'A' }, { A: 'x\ny' }, '  ###ZARF_VAR_A###', '  x\ny'],
    ['file: text given', { name: 'A', type: 'file' }, { A: 'text' }, '###ZARF_VAR_A###', 'text'],
    ['file: a path as default', { name: 'A', type: 'file', default: './x' }, {}, '', 'zarf-variable-file'],
    ['pattern anywhere', { name: 'A', pattern: '[0-9]' }, { A: 'a1b' }, '###ZARF_VAR_A###', 'a1b'],
    ['pattern of a default', { name: 'A', pattern: '^x$', default: 'y' }, {}, '', 'zarf-variable-pattern'],
    ['a pattern that never ends elsewhere', { name: 'A', pattern: '^(a+)+$' }, { A: `${'a'.repeat(5_000)}b` }, '', 'zarf-variable-pattern'],
    ['no pattern', { name: 'A', pattern: '(' }, { A: '' }, '', 'zarf-variable-pattern'],
    ['a value is not searched for markers', { name: 'A' }, { A: '###ZARF_VAR_A###' }, '<###ZARF_VAR_A###>', '<###ZARF_VAR_A###>'],
    ['lower case is no marker', { name: 'A' }, {}, '###zarf_var_a###', '###zarf_var_a###'],
  ])('%s', (_name, variable, given, text, wanted) => expect(filled([variable], given, text)).toBe(wanted));

  test('sensitive values are not shown', () => {
    const item = zarf([{ name: 'A', sensitive: true, pattern: '^x$' }]);
    const texts = resolveTexts(item, { A: 'hunter2' }, undefined, 'demo');
    expect(texts.ok ? '' : texts.failure.message).not.toContain('hunter2');
  });

  test('ports of the registry', () => {
    expect(filled([], {}, '###ZARF_REGISTRY### ###ZARF_NODEPORT### ###ZARF_REGISTRY_PORT###', 'r.site:5000/mirror')).toBe('r.site:5000/mirror 5000 5000');
    expect(filled([], {}, '###ZARF_NODEPORT###', 'r.site')).toBe('zarf-marker-unresolved');
  });

  test('any text: every known marker is replaced, nothing else changes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constant('###ZARF_VAR_A###'), fc.constant('\n'), fc.constant('###'))), (parts) => {
        const text = parts.join('');
        const result = filled([{ name: 'A', default: '!' }], {}, text);
        if (result !== 'zarf-marker-unresolved') expect(result).toBe(text.replaceAll('###ZARF_VAR_A###', '!'));
      }),
      { numRuns: 500 },
    );
  });
});
