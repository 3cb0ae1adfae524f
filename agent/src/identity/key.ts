import { createPrivateKey, createPublicKey, generateKeyPairSync, sign as signWith, verify as verifyWith, type KeyObject } from 'node:crypto';
import { closeSync, constants, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

/** The device's own key. It never leaves the machine and never expires; the hub can only revoke it. */
export interface DeviceKey {
  /** `ed25519:` and the public key in base64url. */
  publicKey: string;
  sign(text: string): string;
}

const publicText = (key: KeyObject): string => `ed25519:${createPublicKey(key).export({ format: 'jwk' }).x}`;

const deviceKey = (key: KeyObject): DeviceKey => ({ publicKey: publicText(key), sign: (text) => signWith(null, Buffer.from(text), key).toString('base64url') });

/** A new private key in PEM, for those who keep it elsewhere than in a file. */
export const makeKeyText = (): string => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });

/** Failures: `key-unreadable` (blocked). */
export const keyFromText = (pem: string, where: string): Result<DeviceKey> => {
  try {
    return ok(deviceKey(createPrivateKey(pem)));
  } catch {
    return fail('blocked', 'key-unreadable', where, 'holds no private key in PEM. Delete it, and import the cluster anew: gp cloud import');
  }
};

export const makeDeviceKey = (): DeviceKey => deviceKey(generateKeyPairSync('ed25519').privateKey);

/** Durable: temporary file, fsync, rename, fsync of the folder. */
const writeSecret = (file: string, text: string): void => {
  const temporary = `${file}.new`;
  const handle = openSync(temporary, constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY, 0o600);
  writeSync(handle, text);
  fsyncSync(handle);
  closeSync(handle);
  renameSync(temporary, file);
  const folder = openSync(dirname(file), constants.O_RDONLY);
  fsyncSync(folder);
  closeSync(folder);
};

/** Reads the key, or makes it on the very first start. A key that others can read is refused: it may have been copied. */
export const loadDeviceKey = (file: string): Result<DeviceKey> => {
  try {
    if (!existsSync(file)) writeSecret(file, makeKeyText());
    const mode = statSync(file).mode & 0o777;
    if ((mode & 0o077) !== 0)
      return fail('blocked', 'key-exposed', file, `the device key is readable by others (mode ${mode.toString(8)}). Run: chmod 600 ${file}`);
    return ok(deviceKey(createPrivateKey(readFileSync(file, 'utf8'))));
  } catch (error) {
    return fail('blocked', 'key-unreadable', file, `the device key cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const publicKeys = new Map<string, KeyObject>();

/** Verifies an Ed25519 signature in base64url. Malformed keys and signatures are simply false. */
export const verifySignature = (publicKey: string, text: string, signature: string): boolean => {
  try {
    let key = publicKeys.get(publicKey);
    if (key === undefined) {
      key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey.slice('ed25519:'.length) }, format: 'jwk' });
      if (publicKeys.size < 1000) publicKeys.set(publicKey, key);
    }
    return verifyWith(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
};
