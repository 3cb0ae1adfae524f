import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endpointHost, parseReference, referenceText, tagOfVersion, versionOfTag } from '@groundplane/hub/registry/oci-reference';
import { codeOf, value } from '../hub/world.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('references', () => {
  test.each<[string, string]>([
    ['nginx', 'docker.io/library/nginx'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['acme/web', 'docker.io/acme/web'],
    ['docker.io/nginx', 'docker.io/library/nginx'],
    ['registry.example/web', 'registry.example/web'],
    ['registry.example:5000/a/b/c:v1', 'registry.example:5000/a/b/c:v1'],
    ['localhost/web:1', 'localhost/web:1'],
    ['localhost:5000/web', 'localhost:5000/web'],
    ['127.0.0.1:5000/web', '127.0.0.1:5000/web'],
    ['[::1]:5000/web', '[::1]:5000/web'],
    [`registry.example/web@${digest}`, `registry.example/web@${digest}`],
    [`registry.example/web:1.0@${digest}`, `registry.example/web:1.0@${digest}`],
    ['oci://registry.example/charts/web', 'registry.example/charts/web'],
    ['Registry.Example/web', 'registry.example/web'],
    ['registry.example/a__b/c-d--e.f', 'registry.example/a__b/c-d--e.f'],
    ['  registry.example/web  ', 'registry.example/web'],
  ])('%s is %s', (text, whole) => {
    expect(referenceText(value(parseReference(text)))).toBe(whole);
  });

  test.each([
    '',
    'UPPER/case',
    'registry.example/',
    'registry.example/a//b',
    'registry.example/../etc',
    'registry.example/a/..%2fb',
    'registry.example/web:',
    'registry.example/web:.hidden',
    `registry.example/web:${'x'.repeat(129)}`,
    'registry.example/web@sha256:abc',
    `registry.example/web@sha512:${'a'.repeat(128)}`,
    `registry.example/web@${digest}@${digest}`,
    'registry.example:99999/web',
    'registry.example:0/web',
    'https://registry.example/web',
    'registry.example/web?x=1',
    'registry.example/web\r\nhost: evil',
    `registry.example/${'a'.repeat(256)}`,
    'user:pass@registry.example/web',
  ])('%j is refused', (text) => {
    expect(codeOf(parseReference(text))).toBe('reference-invalid');
  });

  test('whatever is given, it is a reference or a failure, and a reference reads as itself', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 200 }), fc.stringMatching(/^[a-zA-Z0-9.:/@_-]{0,100}$/)), (text) => {
        const parsed = parseReference(text);
        if (!parsed.ok) return;
        expect(parseReference(referenceText(parsed.value))).toEqual(parsed);
        expect(parsed.value.repository).not.toMatch(/\.\.|\s|%|\\/);
      }),
      { numRuns: 3_000 },
    );
  });

  test("Docker's registry has its API elsewhere; nobody else's", () => {
    expect(endpointHost('docker.io')).toBe('registry-1.docker.io');
    expect(endpointHost('registry.example:5000')).toBe('registry.example:5000');
  });

  test('build metadata of a version fits into a tag', () => {
    expect(tagOfVersion('1.2.3+build.5')).toBe('1.2.3_build.5');
    expect(versionOfTag('1.2.3_build.5')).toBe('1.2.3+build.5');
  });
});
