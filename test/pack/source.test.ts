import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { placeOf, readSource } from '@groundplane/protocol/pack/source';
import { maskTemplates, unmask } from '@groundplane/protocol/pack/template';

const plain = (text: string): unknown => readSource(text, 'values.yaml').source?.plain;
const codes = (text: string): string[] =>
  readSource(text, 'values.yaml').findings.map((finding) => `${finding.line ?? ''} ${finding.severity} ${finding.code}`);

describe('YAML of a pack', () => {
  test('actions in quotes are text, and nothing is said about them', () => {
    expect(plain('a: "v{{ .spectro.system.kubernetes.version | substr 0 4 }}"\nb: \'{{ .Values.x }}\'\n')).toEqual({
      a: 'v{{ .spectro.system.kubernetes.version | substr 0 4 }}',
      b: '{{ .Values.x }}',
    });
    expect(codes('a: "{{ .Values.x }}"\n# {{ .x }}\n')).toEqual([]);
  });

  test('actions without quotes are read as text and told', () => {
    const text = 'a: {{ .spectro.var.x | default "y: z" }}\nb: {{ .Values.other }}\nc: [{{ .spectro.var.x }}, 2]\n{{ .spectro.var.key }}: 1\n';
    expect(plain(text)).toEqual({
      a: '{{ .spectro.var.x | default "y: z" }}',
      b: '{{ .Values.other }}',
      c: ['{{ .spectro.var.x }}', 2],
      '{{ .spectro.var.key }}': 1,
    });
    expect(codes(text)).toEqual(['1 warning template-unquoted', '2 error template-unquoted', '3 warning template-unquoted', '4 warning template-unquoted']);
  });

  test('maps in maps in one line are no actions', () => {
    expect(plain('a: {b: {c: 1}}\nd: {e: {}}\n')).toEqual({ a: { b: { c: 1 } }, d: { e: {} } });
  });

  test('masking keeps every offset and is undone', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('{{ .a | b "c: #" }}', '{', '}', '\n', 'x: ', '"', '{{', '}}', '[1, 2]', '{{ .spectro.var.x }}')), (parts) => {
        const text = parts.join('');
        expect(maskTemplates(text)).toHaveLength(text.length);
        expect(unmask(maskTemplates(text))).toBe(text);
      }),
    );
  });

  test('a key twice is a warning with its line, and the last one counts', () => {
    expect(plain('a: {x: 1}\na: {z: 2}\n')).toEqual({ a: { z: 2 } });
    expect(codes('a:\n  b: 1\n  b: 2\n')).toEqual(['3 warning key-twice']);
  });

  test('nothing and comments only are null', () => {
    expect(plain('')).toBeNull();
    expect(plain('# only a comment\n')).toBeNull();
    expect(codes('')).toEqual([]);
  });

  test('keys like __proto__ and constructor are keys', () => {
    const value = plain('__proto__: {polluted: true}\nconstructor: 1\n') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test.each([
    ['a tab', 'a:\n\tb: 1\n', 2],
    ['an open bracket', 'a: [1\nb: 2\n', 2],
    ['two documents', 'a: 1\n---\nb: 2\n', 2],
  ])('%s is an error at its line', (_, text, line) => {
    expect(codes(text)[0]).toBe(`${line} error yaml-malformed`);
  });

  test('an alias bomb, endless nesting and a huge text are errors, quickly', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefghi'[index] ?? ''}`).join(',')}]`)
      .join('\n')}\n`;
    for (const text of [bomb, '['.repeat(100_000), `a: ${'{a: '.repeat(5_000)}`, '- '.repeat(50_000), 'x'.repeat(packLimits.textBytes + 1), 'a: *nowhere\n']) {
      const found = codes(text);
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(/error yaml-malformed/);
    }
  });

  test('the bound of nesting is where it says', () => {
    const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(codes(nested(packLimits.yamlDepth))).toEqual([]);
    expect(codes(nested(packLimits.yamlDepth + 1))).toHaveLength(1);
  });

  test('places are found through keys with dots, lists and as far as the path exists', () => {
    const { source } = readSource('a:\n  b.c:\n    - x\n    - d: 1\n', 'v');
    if (source === undefined) throw new Error('unread');
    expect(placeOf(source, ['a', 'b.c', 1, 'd'])).toEqual({ line: 4, column: 7 });
    expect(placeOf(source, ['a', 'nothing', 'x'])).toEqual({ line: 1, column: 1 });
  });
});
