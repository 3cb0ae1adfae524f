import fc from 'fast-check';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, test } from 'vitest';
import { substituteYaml } from '@groundplane/protocol/resolve/yaml-text';

const run = (text: string, value: string): string => {
  const result = substituteYaml(text, (path) => (path === 'spectro.var.x' ? value : undefined), 'layer web, values');
  return result.ok ? result.value : `!${result.failure.code}: ${result.failure.element}: ${result.failure.message}`;
};
const x = '{{ .spectro.var.x }}';

describe('references in YAML', () => {
  test.each([
    ['double quotes', `a: "<${x}>"`, 'say "hi" \\ now\nthen', { a: '<say "hi" \\ now\nthen>' }],
    ['single quotes', `a: '${x}'`, "it's", { a: "it's" }],
    ['a literal block', `a: |\n  one\n  ${x}\n  two\n`, 'x\ny', { a: 'one\nx\ny\ntwo\n' }],
    ['plain text', `a: ${x}`, 'hello world', { a: 'hello world' }],
    ['a number stays a number', `a: ${x}`, '3', { a: 3 }],
    ['a boolean stays a boolean', `a: ${x}`, 'true', { a: true }],
    ['a list of hosts', `a: ${x}`, '10.0.0.0/8,.local', { a: '10.0.0.0/8,.local' }],
    ['an address', `a: http://${x}:80/`, 'h', { a: 'http://h:80/' }],
    ['nothing', `a: ${x}\nb: 1`, '', { a: null, b: 1 }],
    ['a key', `"${x}": 1`, 'a"b', { 'a"b': 1 }],
    ['a comment', `a: 1 # ${x}\nb: 2`, 'x\ny: 3', { a: 1, b: 2 }],
    ['lines laid out by the author', `a: {{ .spectro.var.x | nindent 2 }}`, 'b: 1\nc: 2', { a: { b: 1, c: 2 } }],
    ['quotes by the author', `a: {{ .spectro.var.x | quote }}`, 'b: 1', { a: 'b: 1' }],
    ['arguments with escaped quotes', `a: "{{ .spectro.var.x | default \\"none\\" }}"`, '', { a: 'none' }],
    ['templates of others around it', `a: "{{ .Values.x }}-${x}"\nb: {{ .Values.y }}`, 'v"', { a: '{{ .Values.x }}-v"' }],
  ])('%s', (_, text, value, expected) => expect(parse(run(text, value), { logLevel: 'error' })).toMatchObject(expected));

  test.each([
    ['a second key', `a: ${x}`, 'b\nprivileged: true'],
    ['a map', `a: ${x}`, 'b: c'],
    ['a list', `a: ${x}`, '[1, 2]'],
    ['an alias', `a: ${x}`, '*b'],
    ['a tag', `a: ${x}`, '!!binary aa'],
    ['a comment that swallows the rest', `a: ${x}, b`, 'x # y'],
    ['a second entry of a flow map', `{a: ${x}}`, '1, image: evil'],
    ['several lines in single quotes', `a: '${x}'`, 'x\ny'],
    ['several lines where somebody else has templates', `a: ${x}\n{{ if .Values.b }}\nb: [\n{{ end }}`, 'x\ny'],
  ])('refused: %s', (_, text, value) => {
    expect(run(text, value)).toMatch(/^!reference-unsafe: layer web, values, line 1: the value of \{\{ \.spectro\.var\.x \}\} .* double quotes/);
  });

  test('no value can add a key, a document or another object, wherever it stands', () => {
    const value = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc
        .array(fc.constantFrom('\n', ': ', 'a', '"', "'", '- ', '#', '{', '}', '[', ',', '---\n', '\\', '|', '&b', '*b', '  ', '\t', '%', '@', '`', '…'), {
          maxLength: 12,
        })
        .map((parts) => parts.join('')),
    );
    const text = fc.constantFrom(
      `m:\n  a: "${x}"\n  b: 1\n`,
      `m:\n  a: '${x}'\n  b: 1\n`,
      `m:\n  a: ${x}\n  b: 1\n`,
      `m:\n  a: pre-${x}-post\n  b: 1\n`,
      `m: {a: ${x}, b: 1}\n`,
      `m:\n  a: |-\n    ${x}\n  b: 1\n`,
      `m:\n  - ${x}\n`,
    );
    fc.assert(
      fc.property(text, value, (layout, given) => {
        const result = run(layout, given);
        if (result.startsWith('!reference-unsafe')) return;
        const documents = parseAllDocuments(result, { version: '1.1', merge: true });
        expect(documents).toHaveLength(1);
        const m = (documents as ReturnType<typeof parseAllDocuments> & { toJS(): { m: unknown } }[])[0]?.toJS().m as Record<string, unknown> | unknown[];
        if (Array.isArray(m)) {
          expect(m).toHaveLength(1);
          return;
        }
        expect(Object.keys(m)).toEqual(['a', 'b']);
        expect(m['b']).toBe(1);
        expect(typeof m['a'] === 'object' && m['a'] !== null && !(m['a'] instanceof Date)).toBe(false);
      }),
      { numRuns: 3_000 },
    );
  });
});
