import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { checkFormat, parseFormat } from '@groundplane/protocol/pack/format';
import { checkValues, describeRules, misplacedRules, parseSchema, type PackRule } from '@groundplane/protocol/pack/schema';
import { readSource, type PackSource } from '@groundplane/protocol/pack/source';

const sourceOf = (text: string): PackSource => {
  const { source } = readSource(text, 'values.yaml');
  if (source === undefined) throw new Error(`unread: ${text}`);
  return source;
};
const rulesOf = (text: string): PackRule[] => {
  const { rules, findings } = parseSchema(text);
  expect(findings).toEqual([]);
  return rules;
};
const rule = (template: string, path = 'a'): PackRule[] => rulesOf(`${path}:\n  schema: '${template}'\n`);
const check = (template: string, values: string, path = 'a', defaults?: string): string[] =>
  checkValues(sourceOf(values), rule(template, path), defaults === undefined ? undefined : sourceOf(defaults)).map(
    (finding) => `${finding.line} ${finding.code}`,
  );

describe('schema.yaml', () => {
  test('rules are read with their parts', () => {
    const [all] = rule('{{ required | readonly | format "${number:[1-10]}" | hints "How many" "At night too" | "Really" }}');
    expect(all).toEqual({
      path: 'a',
      required: true,
      readonly: true,
      format: { text: '${number:[1-10]}', parts: [{ type: 'number', range: { min: 1, max: 10 } }] },
      hints: ['How many', 'At night too', 'Really'],
      line: 1,
    });
    // No blank before the end, remarks in between, and values without "schema:" occur.
    expect(
      rulesOf('# about a\na:\n  # why\n  schema: \'{{ format "${string}" | hints "x"}}\'\nb: \'{{ required }}\'\n').map((item) => [
        item.path,
        item.required,
        item.line,
      ]),
    ).toEqual([
      ['a', false, 2],
      ['b', true, 5],
    ]);
  });

  test.each([
    ['{{ requird }}', /requird is not one of/],
    ['required', /is not of the form/],
    ['{{ format }}', /has no text/],
    ['{{ format "plain" }}', /no placeholder/],
    ['{{ format "${string" }}', /never closes/],
    ['{{ format "${number:[9-1]}" }}', /wrong way round/],
    ['{{ format "${number:[x]}" }}', /is not \[low-high\]/],
    ['{{ format "${string:/(/}" }}', /is not RE2/],
    ['{{ format "${string:/(?=x)/}" }}', /is not RE2/],
    ['{{ format "${string:what}" }}', /neither/],
    ['{{ format "${list:[]}" }}', /empty/],
    [`{{ format "${'${string}'.repeat(packLimits.formatParts + 1)}" }}`, /more than 20 parts/],
  ])('%s is told', (template, message) => {
    const { findings, rules } = parseSchema(`a:\n  schema: '${template}'\n`);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ severity: 'error', code: 'rule-malformed', line: 1 });
    expect(findings[0]?.message).toMatch(message);
    // The rule stays for what of it is understood.
    expect(rules).toHaveLength(1);
  });

  test('types that are not documented are texts, with a warning', () => {
    for (const type of ['input', 'hostname']) {
      const { findings, rules } = parseSchema(`a: {schema: '{{ format "\${${type}}" }}'}`);
      expect(findings.map((finding) => `${finding.severity} ${finding.code}`)).toEqual(['warning rule-type']);
      expect(checkValues(sourceOf('a: x\n'), rules)).toEqual([]);
    }
  });

  test('what is no map, and paths that are none, are told', () => {
    expect(parseSchema('- a').findings[0]?.code).toBe('schema-malformed');
    expect(parseSchema('"a..b": {schema: "{{ required }}"}').findings[0]?.code).toBe('rule-path-invalid');
    expect(parseSchema('a: 1').findings[0]?.code).toBe('rule-malformed');
    expect(parseSchema('').rules).toEqual([]);
  });
});

describe('checking values', () => {
  test.each<[string, string, string[]]>([
    ['{{ required }}', 'a: x', []],
    ['{{ required }}', 'a: ""', ['1 value-missing']],
    ['{{ required }}', 'b: 1\na:\n', ['2 value-missing']],
    ['{{ required }}', '{}', ['1 value-missing']],
    ['{{ required }}', 'a: "{{ .spectro.var.x }}"', []],
    ['{{ format "${number}" }}', 'a: 1.5', []],
    ['{{ format "${number}" }}', 'a: "5900"', []],
    ['{{ format "${number}" }}', 'a: five', ['1 value-invalid']],
    ['{{ format "${number}" }}', 'a: "{{ .spectro.macro.port }}"', []],
    ['{{ format "${number}" }}', 'a:', []],
    ['{{ format "${number:[5000-5005]}" }}', 'a: 5005', []],
    ['{{ format "${number:[5000-5005]}" }}', 'a: 5006', ['1 value-invalid']],
    ['{{ format "${number:[-5-5]}" }}', 'a: -5', []],
    ['{{ format "${number:/^(500[0-5])$/}" }}', 'a: 5006', ['1 value-invalid']],
    ['{{ format "${boolean}" }}', 'a: yes', []],
    ['{{ format "${boolean}" }}', 'a: "maybe"', ['1 value-invalid']],
    ['{{ format "${list:[PACK,GIT, CHART]}" }}', 'a: CHART', []],
    ['{{ format "${list:[PACK,GIT]}" }}', 'a: [PACK, OTHER]', ['1 value-invalid']],
    ['{{ format "${ipv4}" }}', 'a: 10.0.0.256', ['1 value-invalid']],
    ['{{ format "${ipv4}" }}', 'a: 10.0.0.255', []],
    ['{{ format "${version}" }}', 'a: v1.2.3-rc.1', []],
    ['{{ format "${version}" }}', 'a: latest', ['1 value-invalid']],
    ['{{ format "${string:/^([a-z0-9].*)$/}" }}', 'a: -x', ['1 value-invalid']],
    ['{{ format "${string:/size=\\d{1,3}/}" }}', 'a: size=150', []],
    ['{{ format "${string}" }}', 'a: {b: 1}', ['1 value-invalid']],
    ['{{ format "${string}/${string}:${version}" }}', 'a: docker.io/shop/web:v1.0.0', []],
    ['{{ format "${string}/${string}:${version}" }}', 'a: docker.io/shop/web', ['1 value-invalid']],
    ['{{ format "${ipv4} - ${ipv4}" }}', 'a: 10.10.10.10 - 10.10.10.255', []],
    ['{{ format "${ipv4} - ${ipv4}" }}', 'a: 10.10.10.10', ['1 value-invalid']],
    ['{{ format "${ipv4} - ${ipv4}" }}', 'a: 10.10.10.10-10.10.10.255', ['1 value-invalid']],
    ['{{ format "${string}, ${string:/size=\\d+/}" }}', 'a: type-zeroedthick, size=150', []],
    ['{{ format "${string}, ${string:/^size=\\d+$/}" }}', 'a: type-zeroedthick, size=s', ['1 value-invalid']],
    ['{{ format "${number:[1-9]}-${list:[a,b]}" }}', 'a: 3-b', []],
    ['{{ format "${number:[1-9]}-${list:[a,b]}" }}', 'a: 13-b', ['1 value-invalid']],
    ['{{ readonly }}', 'a: 1', []],
  ])('%s with %s', (template, values, found) => {
    expect(check(template, `${values}\n`)).toEqual(found);
  });

  test('every element of a list is checked, at its line', () => {
    const template = '{{ required | format "${ipv4}" }}';
    expect(check(template, 'a:\n  - ip: 10.0.0.1\n  - ip: x\n  - {}\n', 'a.$[].ip')).toEqual(['3 value-invalid', '4 value-missing']);
    expect(check(template, 'a: []\n', 'a.$[]')).toEqual(['1 value-missing']);
    expect(check(template, 'b: 1\n', 'a.$[]')).toEqual(['1 value-missing']);
    expect(check(template, 'a: [10.0.0.1, 10.0.0.2]\n', 'a.$[]')).toEqual([]);
  });

  test('readonly is compared with the pack', () => {
    expect(check('{{ readonly }}', 'a: {x: 1}\n', 'a', 'a: {x: 1}\n')).toEqual([]);
    expect(check('{{ readonly }}', 'a: {x: 2}\n', 'a', 'a: {x: 1}\n')).toEqual(['1 value-readonly']);
    expect(check('{{ readonly }}', 'b: 1\n', 'a', 'a: 1\n')).toEqual(['1 value-readonly']);
  });

  test('a password is never in a message', () => {
    const [finding] = checkValues(sourceOf('a: hunter2\n'), rule('{{ format "${password:/^[0-9]+$/}" | hints "Digits" }}'));
    expect(finding?.message).toBe('a does not have the form that is asked for. Digits');
  });

  test('places that are not in the values are found, also behind a text', () => {
    const rules = rulesOf('a.b: {schema: "{{ required }}"}\nc.d: {schema: "{{ required }}"}\n');
    expect(misplacedRules(sourceOf('a: {b: 1}\nc: |\n  d: 1\n'), rules).map((item) => item.path)).toEqual(['c.d']);
  });

  test('a pattern that other engines choke on costs nothing', () => {
    expect(check('{{ format "${string:/^(a+)+$/}" }}', `a: ${'a'.repeat(5_000)}!\n`)).toEqual(['1 value-invalid']);
  });
});

test('rules become fields of a form', () => {
  expect(
    describeRules(
      rulesOf(`a: {schema: '{{ required | format "\${list:[x,y]}" | hints "Which" }}'}
b: {schema: '{{ format "\${password}" }}'}
c.$[]: {schema: '{{ format "\${number:[1-9]}" }}'}
d: {schema: '{{ readonly | format "\${string}:\${version}" }}'}
e: {schema: '{{ required }}'}
`),
    ),
  ).toEqual([
    { path: 'a', type: 'list', isList: false, required: true, readonly: false, isSecret: false, options: ['x', 'y'], hints: ['Which'] },
    { path: 'b', type: 'password', isList: false, required: false, readonly: false, isSecret: true, hints: [] },
    { path: 'c.$[]', type: 'number', isList: true, required: false, readonly: false, isSecret: false, range: { min: 1, max: 9 }, hints: [] },
    { path: 'd', type: 'string', isList: false, required: false, readonly: true, isSecret: false, format: '${string}:${version}', hints: [] },
    { path: 'e', type: 'string', isList: false, required: true, readonly: false, isSecret: false, hints: [] },
  ]);
});

test('no format and no value makes it throw', () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom('${string}', '${number:[1-2]}', '${x', '/}', ']}', '${string:/', '${ipv4}', '${list:[a]}', '(?P<gp0>x)'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), fc.string(), (pieces, value) => {
      const parsed = parseFormat(pieces.join(''));
      if (parsed.ok) checkFormat(parsed.parts, '', value);
    }),
  );
});
