import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDockerConfig } from '@groundplane/hub/registry/docker-config';
import { loadHubKeys } from '@groundplane/hub/trust/keys';
import { createSealers } from '@groundplane/hub/trust/sealer';
import { codeOf, value } from '../hub/world.ts';

const sealers = createSealers(Buffer.alloc(32, 7));

test('what was sealed opens for the same tenant, and never looks the same twice', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 5_000, unit: 'grapheme' }), (text) => {
      const sealed = sealers('a').seal(text);
      expect(value(sealers('a').open(sealed))).toBe(text);
      expect(sealers('a').seal(text)).not.toBe(sealed);
      if (text.length > 8) expect(sealed).not.toContain(text);
    }),
    { numRuns: 200 },
  );
});

test('another tenant, another key, and every change of a bit open nothing', () => {
  const sealed = sealers('a').seal('secret');
  expect(codeOf(sealers('b').open(sealed))).toBe('seal-broken');
  expect(codeOf(createSealers(Buffer.alloc(32, 8))('a').open(sealed))).toBe('seal-broken');
  const bytes = Buffer.from(sealed.slice(3), 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const bad = Buffer.from(bytes);
    bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(codeOf(sealers('a').open(`s1.${bad.toString('base64url')}`))).toBe('seal-broken');
  }
  for (const text of ['', 's1.', 's2.abc', 'plain', sealed.slice(0, -8)]) expect(codeOf(sealers('a').open(text))).toBe('seal-broken');
});

test('a keys.json from before gets a sealing key and keeps everything else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-keys-'));
  try {
    const path = join(folder, 'keys.json');
    const first = loadHubKeys(path, () => 'hub-1');
    const file = JSON.parse(readFileSync(path, 'utf8')) as { seal?: string };
    expect(first.sealKey.length).toBe(32);
    delete file.seal;
    writeFileSync(path, JSON.stringify(file));
    const second = loadHubKeys(path, () => 'hub-2');
    expect([second.hub, second.rootDigest, second.sealKey.length]).toEqual(['hub-1', first.rootDigest, 32]);
    expect(loadHubKeys(path, () => 'hub-3').sealKey).toEqual(second.sealKey);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("Docker's config.json as tools write it", () => {
  const auth = Buffer.from('anna:a:b').toString('base64');
  const config = value(
    parseDockerConfig(
      JSON.stringify({
        auths: {
          'registry.example:5000': { auth },
          'https://other.example/v2/': { username: 'x', password: 'y' },
          'https://index.docker.io/v1/': { auth },
          'token.example': { identitytoken: 'it' },
          'helper.example': {},
        },
        credsStore: 'desktop',
        credHelpers: { 'ecr.example': 'ecr-login' },
      }),
      'config.json',
    ),
  );
  expect(config.credentials('registry.example:5000')).toEqual({ username: 'anna', password: 'a:b' });
  expect(config.credentials('registry.example')).toBeUndefined();
  expect(config.credentials('other.example')).toEqual({ username: 'x', password: 'y' });
  expect(config.credentials('docker.io')).toEqual({ username: 'anna', password: 'a:b' });
  expect(config.credentials('token.example')).toEqual({ username: '', password: '', identityToken: 'it' });
  expect(config.credentials('helper.example')).toBeUndefined();
  expect([config.outsideOf('ecr.example'), config.outsideOf('x.example')]).toEqual([
    { helper: 'ecr-login', server: 'ecr.example' },
    { helper: 'desktop', server: 'x.example' },
  ]);
  for (const text of ['{', '[]', '{"auths":3}']) expect(codeOf(parseDockerConfig(text, 'config.json'))).toBe('credentials-invalid');
  expect(value(parseDockerConfig('', 'config.json')).credentials('x')).toBeUndefined();
});
