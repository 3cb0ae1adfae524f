import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { verifySignature, makeDeviceKey } from '@groundplane/agent/identity/key';
import { digestBytes } from '@groundplane/protocol/digest';
import { fail, failureSchema, FailureError } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { isSignedBy, publicKeySchema, statementText, type DirectorStatement, type Signed } from '@groundplane/protocol/trust';
import { keyWords } from '@groundplane/protocol/words';

const keys = Array.from({ length: 4 }, makeDeviceKey);
const statement: DirectorStatement = { schema: 'groundplane.dev/director/1', hub: 'h', epoch: 'e', root: digestBytes('r'), size: 1, atMs: 5 };
const signedWith = (...signers: number[]): Signed<DirectorStatement> => ({
  signed: statement,
  signatures: signers.map((index) => ({ key: keys[index]?.publicKey ?? '', signature: keys[index]?.sign(statementText(statement)) ?? '' })),
});
const role = (threshold: number, ...members: number[]) => ({ threshold, keys: members.map((index) => keys[index]?.publicKey ?? '') });

describe('signatures', () => {
  test.each<[string, Signed<DirectorStatement>, ReturnType<typeof role>, boolean]>([
    ['one of one', signedWith(0), role(1, 0), true],
    ['two of three', signedWith(0, 2), role(2, 0, 1, 2), true],
    ['one of three where two are needed', signedWith(1), role(2, 0, 1, 2), false],
    ['the same key twice is one key', signedWith(0, 0), role(2, 0, 1, 2), false],
    ['a key of nobody', signedWith(3), role(1, 0), false],
    ['a key of nobody beside the right one', signedWith(3, 0), role(1, 0), true],
    ['no signature', signedWith(), role(1, 0), false],
    [
      "somebody else's signature under the right name",
      { signed: statement, signatures: [{ key: keys[0]?.publicKey ?? '', signature: keys[1]?.sign(statementText(statement)) ?? '' }] },
      role(1, 0),
      false,
    ],
    [
      'a bad signature first does not use up the key',
      { signed: statement, signatures: [{ key: keys[0]?.publicKey ?? '', signature: 'x' }, ...signedWith(0).signatures] },
      role(1, 0),
      true,
    ],
  ])('%s', (_, envelope, needed, expected) => expect(isSignedBy(envelope, needed, verifySignature)).toBe(expected));

  test('cover every field', () => {
    for (const change of [
      { hub: 'g' },
      { epoch: 'f' },
      { root: digestBytes('s') },
      { size: 2 },
      { atMs: 6 },
      { schema: 'groundplane.dev/release/1' },
      { extra: 1 },
    ]) {
      expect(isSignedBy({ ...signedWith(0), signed: { ...statement, ...change } as DirectorStatement }, role(1, 0), verifySignature)).toBe(false);
    }
    const turned = Object.fromEntries(Object.entries(statement).toReversed()) as unknown as DirectorStatement;
    expect(isSignedBy({ ...signedWith(0), signed: turned }, role(1, 0), verifySignature)).toBe(true);
  });

  test('malformed keys and signatures are false, not exceptions', () => {
    const key = makeDeviceKey();
    for (const [publicKey, signature] of [
      ['', ''],
      ['ed25519:', 'x'],
      ['ed25519:short', key.sign('t')],
      [key.publicKey, ''],
      [key.publicKey, 'x'.repeat(500)],
      [`${key.publicKey}x`, key.sign('t')],
    ] as const)
      expect(verifySignature(publicKey, 't', signature)).toBe(false);
    expect(verifySignature(key.publicKey, 't', key.sign('t'))).toBe(true);
    expect(verifySignature(key.publicKey, 'u', key.sign('t'))).toBe(false);
  });

  test('only keys of the right form pass the schema', () => {
    expect(publicKeySchema.safeParse(makeDeviceKey().publicKey).success).toBe(true);
    const other = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x ?? '';
    for (const bad of ['', `rsa:${other}`, `ed25519:${other}=`, `ed25519:${other.slice(1)}`, `ed25519:${other}\n`])
      expect(publicKeySchema.safeParse(bad).success).toBe(false);
  });
});

describe('words of a key', () => {
  test('are the same for ever: people wrote them down', () => {
    expect(keyWords('ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'hub-1')).toMatchInlineSnapshot(`"tattoo tourist giggle victory"`);
    expect(keyWords('ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'hub-2')).toMatchInlineSnapshot(`"spot jungle comic excess"`);
  });
  test('differ by key and by hub, and spread', () => {
    const all = new Set(Array.from({ length: 500 }, () => keyWords(makeDeviceKey().publicKey, 'h')));
    expect(all.size).toBe(500);
    for (const words of all) expect(words).toMatch(/^[a-z]{3,8}( [a-z]{3,8}){3}$/);
    expect(new Set([...all].map((words) => words.split(' ')[0])).size).toBeGreaterThan(300);
  });
});

describe('failures', () => {
  test('always fit their own schema', () => {
    for (const size of [0, 64, 65, 512, 513, 4_096, 4_097, 100_000])
      expect(failureSchema.safeParse(fail('retry', 'c'.repeat(size), 'e'.repeat(size), 'm'.repeat(size)).failure).success).toBe(true);
    expect(new FailureError(fail('retry', 'c', 'layer web', 'is late').failure).message).toBe('layer web: is late');
  });
  test('limits are sane beside each other', () => {
    expect(limits.frameBytesBeforeAuth).toBeLessThan(limits.frameBytes);
    expect(limits.attachBytes).toBeLessThan(limits.frameBytes);
    expect(limits.objectBytes).toBeLessThanOrEqual(limits.apiBodyBytes);
    expect(limits.backoffMinMs).toBeLessThan(limits.backoffMaxMs);
    expect(limits.heartbeatMinMs).toBeLessThan(limits.heartbeatMaxMs);
    for (const [name, value] of Object.entries(limits)) {
      expect(value, name).toBeGreaterThan(0);
      expect(Number.isSafeInteger(value), name).toBe(true);
    }
  });
});
