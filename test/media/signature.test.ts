import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, expect, test } from 'vitest';
import { sha256 } from '@groundplane/hub/content/digest';
import type { MediaDocument } from '@groundplane/hub/media/document';
import { layoutStore } from '@groundplane/hub/media/layout-store';
import { inspectMedia } from '@groundplane/hub/media/read';
import { checkSignature, mediaSigner, signatureFile } from '@groundplane/hub/media/signature';
import { packLayout, writeMedia } from '@groundplane/hub/media/write';
import { packTgz } from '@groundplane/hub/archive/write';
import { gunzipSync } from 'node:zlib';
import { ok } from '@groundplane/protocol/failure';
import { codeOf, value } from '../hub/world.ts';

const folder = mkdtempSync(join(tmpdir(), 'gp-signature-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pemOf = (key: KeyObject): string => key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' });
const pairOf = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { secret: pemOf(privateKey), open: pemOf(publicKey) };
};
const [mine, theirs] = [pairOf(), pairOf()];
const index = Buffer.from('{"schemaVersion":2}');
const sign = value(mediaSigner(mine.secret, 'key.pem'));

test('a signature is of one index and one key', () => {
  const text = sign(index);
  expect(value(checkSignature(text, index, mine.open, 'it')).state).toBe('verified');
  expect(value(checkSignature(text, index, undefined, 'it'))).toMatchObject({ state: 'unchecked', key: expect.stringMatching(/^sha256:/) });
  expect(value(checkSignature(undefined, index, undefined, 'it'))).toEqual({ state: 'unsigned' });
  expect(codeOf(checkSignature(undefined, index, mine.open, 'it'))).toBe('media-unsigned');
  expect(codeOf(checkSignature(text, index, theirs.open, 'it'))).toBe('signature-wrong');
  for (const key of [mine.open, undefined]) expect(codeOf(checkSignature(text, Buffer.from('{}'), key, 'it'))).toBe('signature-wrong');
});

test('what is no signature or no key is said to be none', () => {
  const good = JSON.parse(sign(index)) as Record<string, unknown>;
  const odd: unknown[] = [
    null,
    {},
    [],
    { ...good, extra: 1 },
    { ...good, schema: 'x' },
    { ...good, index: 'sha256:0' },
    { ...good, signature: 'A'.repeat(129) },
  ];
  for (const item of odd) expect(codeOf(checkSignature(JSON.stringify(item), index, undefined, 'it'))).toBe('signature-wrong');
  for (const signature of ['', 'AAAA', '====', 'A'.repeat(128)])
    expect(codeOf(checkSignature(JSON.stringify({ ...good, signature }), index, mine.open, 'it'))).toBe('signature-wrong');
  expect(codeOf(checkSignature('{', index, undefined, 'it'))).toBe('signature-wrong');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  expect(codeOf(mediaSigner(pemOf(rsa.privateKey), 'rsa.pem'))).toBe('key-invalid');
  expect(codeOf(checkSignature(sign(index), index, pemOf(rsa.publicKey), 'it'))).toBe('key-invalid');
  for (const pem of ['', 'nonsense', mine.open]) expect(codeOf(mediaSigner(pem, 'key.pem'))).toBe('key-invalid');
  expect(codeOf(checkSignature(sign(index), index, 'nonsense', 'it'))).toBe('key-invalid');
});

const bytes = Buffer.from('an object');
const document: MediaDocument = {
  schema: 'groundplane.dev/media/1',
  subject: { project: 'default' },
  items: [{ kind: 'object', name: 'object', digest: sha256(bytes), size: bytes.length }],
  images: [],
};
const sources = { blob: () => Promise.resolve(ok(Readable.from([bytes]))), progress: () => Promise.resolve() };

test('a medium keeps it, as folder and as archive; a changed one is refused, and a new export drops it', async () => {
  const path = join(folder, 'medium');
  value(await writeMedia(path, layoutStore(path), document, { ...sources, sign }));
  await packLayout(path, join(folder, 'medium.tar'));
  for (const medium of [path, join(folder, 'medium.tar')]) {
    expect(value(await inspectMedia(medium, mine.open)).signature.state).toBe('verified');
    expect(value(await inspectMedia(medium)).signature.state).toBe('unchecked');
    expect(codeOf(await inspectMedia(medium, theirs.open))).toBe('signature-wrong');
  }
  const text = await readFile(join(path, 'index.json'), 'utf8');
  await writeFile(join(path, 'index.json'), `${text} `);
  for (const key of [mine.open, undefined]) expect(codeOf(await inspectMedia(path, key))).toBe('signature-wrong');
  await writeFile(join(path, signatureFile), 'x'.repeat(17_000));
  expect((await inspectMedia(path)).ok).toBe(false);
  value(await writeMedia(path, layoutStore(path), document, sources));
  expect(value(await inspectMedia(path)).signature).toEqual({ state: 'unsigned' });
});

test('an archive with two indexes is refused: others would read the other one', async () => {
  const path = join(folder, 'twice');
  value(await writeMedia(path, layoutStore(path), document, { ...sources, sign }));
  const entry = async (name: string) => ({ name, data: await readFile(join(path, name)) });
  const files = [await entry('oci-layout'), await entry('index.json'), await entry(signatureFile), { name: 'index.json', data: Buffer.from('{}') }];
  await writeFile(join(folder, 'twice.tar'), gunzipSync(packTgz(files)));
  expect((await inspectMedia(join(folder, 'twice.tar'), mine.open)).ok).toBe(false);
});
