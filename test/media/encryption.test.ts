import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decryptFile, encryptFile, makeEncrypter } from '@groundplane/hub/media/encryption';
import { startTestHub, type TestHub } from '../cli/hub.ts';
import { codeOf, value } from '../hub/world.ts';
import { pattern } from '../registry/rig.ts';

let folder: string;
let identity: string;
let recipient: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gp-age-'));
  identity = await generateX25519Identity();
  recipient = await identityToRecipient(identity);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('whoever holds an identity of a recipient reads it, and nobody else; what was cut or changed is refused', async () => {
  const [plain, sealed, opened] = ['plain', 'sealed', 'opened'].map((name) => join(folder, name)) as [string, string, string];
  const bytes = pattern(3_000_000, 'medium');
  writeFileSync(plain, bytes);
  const other = await generateX25519Identity();
  value(await encryptFile(plain, sealed, value(makeEncrypter([recipient, await identityToRecipient(other)]))));
  expect(readFileSync(sealed).includes(bytes.subarray(0, 64))).toBe(false);
  for (const who of [identity, `# created: today\n\n${other}\n`]) {
    value(await decryptFile(sealed, opened, who));
    expect(readFileSync(opened).equals(bytes)).toBe(true);
    rmSync(opened);
  }
  expect(codeOf(await decryptFile(sealed, opened, await generateX25519Identity()))).toBe('media-sealed');
  const whole = readFileSync(sealed);
  const changed = Buffer.from(whole);
  changed[2_000_000] = (changed[2_000_000] ?? 0) ^ 1;
  for (const wrong of [whole.subarray(0, 2_000_000), whole.subarray(0, 100), changed, Buffer.alloc(0), Buffer.from('no age')]) {
    writeFileSync(join(folder, 'wrong'), wrong);
    expect(codeOf(await decryptFile(join(folder, 'wrong'), opened, identity))).toBe('media-sealed');
  }
  for (const none of ['', '# only a comment', 'age1notanidentity']) expect(codeOf(await decryptFile(sealed, opened, none))).toBe('identity-invalid');
  expect(codeOf(makeEncrypter(['age1nonsense']))).toBe('recipient-invalid');
  expect(readdirSync(folder)).not.toContain('opened');
  expect(readdirSync(folder).some((name) => name.endsWith('.part'))).toBe(false);
});

test('gp writes and reads encrypted media', { timeout: 60_000 }, async () => {
  const hub: TestHub = await startTestHub();
  try {
    const manifest = { name: 'map', content: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n' };
    const document = {
      apiVersion: 'groundplane.dev/v1',
      kind: 'Profile',
      metadata: { name: 'web', version: '1.0.0' },
      spec: { type: 'addon', layers: [{ name: 'web', kind: 'addon', namespace: 'web', manifests: [manifest] }] },
    };
    writeFileSync(join(hub.folder, 'profile.json'), JSON.stringify(document));
    expect((await hub.gp(['apply', '-f', 'profile.json'])).code).toBe(0);
    writeFileSync(join(hub.folder, 'identity'), `${identity}\n`);
    expect((await hub.gp(['media', 'export', 'profile', 'web@1.0.0', 'web.tar', '--recipient', recipient])).code, 'the name says what it is').toBe(2);
    expect((await hub.gp(['media', 'export', 'profile', 'web@1.0.0', 'web.tar.age'])).code).toBe(2);
    const exported = await hub.gp(['media', 'export', 'profile', 'web@1.0.0', 'web.tar.age', '--recipient', recipient]);
    expect([exported.error, exported.code]).toEqual(['', 0]);
    expect(readdirSync(hub.folder).filter((name) => name.startsWith('web.tar'))).toEqual(['web.tar.age']);
    expect((await hub.gp(['media', 'inspect', 'web.tar.age'])).code).toBe(2);
    expect((await hub.gp(['media', 'inspect', 'web.tar.age', '--identity', 'identity'])).code).toBe(0);
    expect((await hub.gp(['media', 'import', 'web.tar.age', '--identity', 'identity'])).code).toBe(0);
    expect(readdirSync(hub.folder).some((name) => name.startsWith('.groundplane-open'))).toBe(false);
  } finally {
    await hub.close();
  }
});
