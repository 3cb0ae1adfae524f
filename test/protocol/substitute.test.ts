import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '@groundplane/protocol/limits';
import { references, substitute } from '@groundplane/protocol/resolve/substitute';

const values: Record<string, string> = {
  'spectro.var.name': 'web',
  'spectro.var.empty': '',
  'spectro.var.quoted': 'say "hi" }} `now`',
  'spectro.var.evil': '{{ .spectro.var.secret }}',
  'spectro.var.secret': 'hidden',
  'spectro.var.wide': 'Grüße €',
  'spectro.macro.site': 'berlin',
  'spectro.system.cluster.name': 'shop',
};
const lookup = (path: string): string | undefined => (Object.hasOwn(values, path) ? values[path] : undefined);
const run = (text: string): string => {
  const result = substitute(text, lookup, 'layer web, values');
  return result.ok ? result.value : `!${result.failure.code}: ${result.failure.element}: ${result.failure.message}`;
};

describe('substitution', () => {
  test.each([
    ['{{ .spectro.var.name }}', 'web'],
    ['{{.spectro.var.name}}', 'web'],
    ['{{- .spectro.var.name -}}', 'web'],
    ['{{\n\t.spectro.var.name\n}}', 'web'],
    ['a {{ .spectro.macro.site }} b {{ .spectro.system.cluster.name }} c', 'a berlin b shop c'],
    ['{{ .spectro.var.name | upper }}', 'WEB'],
    ['{{ .spectro.var.name | upper | lower | quote }}', '"web"'],
    ['{{ .spectro.var.name|upper|squote }}', "'WEB'"],
    ['{{ .spectro.var.quoted | quote }}', '"say \\"hi\\" }} `now`"'],
    ['{{ .spectro.var.quoted }}', 'say "hi" }} `now`'],
    ['{{ .spectro.var.name | replace "e" "}}" }}', 'w}}b'],
    ['{{ .spectro.var.name | replace `e` `|` }}', 'w|b'],
    ['{{ .spectro.var.name | replace "e" "\\"" }}', 'w"b'],
    ['{{ .spectro.var.name | replace "e" `\\n` }}', 'w\\nb'],
    ['{{ .spectro.var.name | replace "e" "\\n" }}', 'w\nb'],
    ['{{ .spectro.var.missing | default "}} {{ | `" }}', '}} {{ | `'],
    ['{{ .spectro.var.empty | default "none" }}', 'none'],
    ['{{ .spectro.var.name | default "none" }}', 'web'],
    ['{{ .spectro.var.name | trunc 2 }}', 'we'],
    ['{{ .spectro.var.name | trunc -2 }}', 'eb'],
    ['{{ .spectro.var.name | substr 1 2 }}', 'e'],
    ['{{ .spectro.var.name | substr 1 -1 }}', 'eb'],
    ['{{ .spectro.var.name | trimPrefix "w" | trimSuffix "b" }}', 'e'],
    ['{{ .spectro.var.wide | b64enc }}', Buffer.from('Grüße €').toString('base64')],
    ['{{ .spectro.var.name }}{{ .Values.x }}{{ .spectro.macro.site }}', 'web{{ .Values.x }}berlin'],
  ])('%s', (text, expected) => expect(run(text)).toBe(expected));

  test.each([
    ['an unknown reference', '{{ .spectro.var.nothing }}', 'reference-unknown', '.spectro.var.nothing'],
    ['a reference of the prototype', '{{ .spectro.var.__proto__ }}', 'reference-unknown', '__proto__'],
    ['an unknown function', '{{ .spectro.var.name | env "HOME" }}', 'function-unknown', 'env'],
    ['a function of the prototype', '{{ .spectro.var.name | constructor }}', 'function-unknown', 'constructor'],
    ['too few arguments', '{{ .spectro.var.name | replace "a" }}', 'template-invalid', 'replace'],
    ['a pipe as argument', '{{ .spectro.var.name | replace "a" | upper }}', 'template-invalid', 'replace'],
    ['words without a pipe', '{{ .spectro.var.name upper }}', 'template-invalid', 'spectro.var.name'],
    ['a pipe into nothing', '{{ .spectro.var.name | }}', 'template-invalid', 'spectro.var.name'],
    ['an action that never closes', 'a\nb\n{{ .spectro.var.name', 'template-invalid', 'line 3'],
    ['a quote that never closes', '{{ .spectro.var.name | default "x }}', 'template-invalid', 'never closes'],
    ['a broken escape', '{{ .spectro.var.name | default "\\q" }}', 'template-invalid', 'never closes'],
  ])('%s is a failure that names it', (_, text, code, named) => {
    const said = run(text);
    expect(said.startsWith(`!${code}: layer web, values`)).toBe(true);
    expect(said).toContain(named);
  });

  test('failures name the line', () => expect(run('one\ntwo\n  {{ .spectro.var.nothing }}')).toContain('line 3'));

  test('a value is never read again: it cannot pull in another one', () => {
    expect(run('{{ .spectro.var.evil }}')).toBe('{{ .spectro.var.secret }}');
    expect(run('{{ .spectro.var.evil }}{{ .spectro.var.name }}')).toBe('{{ .spectro.var.secret }}web');
    expect(run('{{ .spectro.var.name | replace "web" "{{ .spectro.var.secret }}" }}')).toBe('{{ .spectro.var.secret }}');
    // Nor can two values together make a reference.
    expect(run('{{ .spectro.var.missing | default "{{ .spectro." }}{{ .spectro.var.missing | default "var.secret }}" }}')).toBe('{{ .spectro.var.secret }}');
  });

  test('foreign templates stay exactly as they are', () => {
    const foreign = fc.array(
      fc.oneof(
        fc.constantFrom(
          '{{ .Values.a }}',
          '{{- if .x }}',
          '{{`raw`}}',
          '{{ "}}" }}',
          '{{/* note */}}',
          '{{',
          '}}',
          '{{{{',
          '$',
          '{{ .spectroscope }}',
          '{{ spectro.var.name }}',
          '.spectro.',
          '{{ $.spectro.var.name }}',
          '\\',
          '"',
          '`',
          '|',
          '\n',
        ),
        fc.string({ unit: 'grapheme', maxLength: 8 }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(foreign, (parts) => {
        const text = parts.join('');
        fc.pre(!/\{\{-?\s*\.spectro\./.test(text));
        expect(run(text)).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test('between foreign templates only the reference changes, and every value arrives as it is', () => {
    const part = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !text.includes('{') && !text.includes('.spectro.'));
    fc.assert(
      fc.property(part, part, fc.string({ unit: 'binary', maxLength: 60 }), (before, after, value) => {
        const text = `${before}{{ .Values.a }}{{ .spectro.var.x }}{{ end }}${after}`;
        expect(substitute(text, () => value, 'e')).toEqual({ ok: true, value: `${before}{{ .Values.a }}${value}{{ end }}${after}` });
      }),
      { numRuns: 500 },
    );
  });

  test('no text makes it throw', () => {
    const piece = fc.constantFrom(
      '{{',
      '{{-',
      ' .spectro.var.name',
      '.spectro.',
      ' | ',
      'default',
      'replace',
      '"',
      '`',
      '\\',
      '}}',
      '-}}',
      ' 1 ',
      'trunc',
      'quote',
      '\n',
      'x',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (parts) => {
        const text = parts.join('');
        expect(typeof substitute(text, lookup, 'e').ok).toBe('boolean');
        expect(Array.isArray(references(text))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a small text cannot grow without bounds', () => {
    const big = 'a'.repeat(65_536);
    const many = substitute('{{ .spectro.var.x }}'.repeat(100_000), () => big, 'layer web');
    expect(many.ok ? 'ok' : many.failure.code).toBe('text-too-large');
    const replaced = substitute(`{{ .spectro.var.x | replace "" "${'b'.repeat(65_536)}" }}`, () => big, 'layer web');
    expect(replaced.ok ? 'ok' : replaced.failure.code).toBe('text-too-large');
    const chained = substitute(`{{ .spectro.var.x ${'| replace "a" "aaaaaaaaaaaaaaaa" '.repeat(12)}}}`, () => 'a', 'layer web');
    expect(chained.ok ? 'ok' : chained.failure.code).toBe('text-too-large');
    expect(substitute('{{ .spectro.var.x }}', () => 'a'.repeat(limits.objectBytes), 'e').ok).toBe(true);
    expect(substitute('{{ .spectro.var.x }}b', () => 'a'.repeat(limits.objectBytes), 'e').ok).toBe(false);
  });

  test('references are listed once each, quoted texts and foreign templates not', () => {
    expect(references('{{ .spectro.var.a }} {{ .spectro.var.a | upper }} {{.spectro.macro.b}} {{ .Values.c }} .spectro.var.d')).toEqual([
      'spectro.var.a',
      'spectro.macro.b',
    ]);
    expect(references('{{ .spectro.var.a')).toEqual([]);
  });
});
