import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';

/**
 * Secrets from one host to another, which the hub carries and cannot read: X25519 with a key of the moment, HKDF-SHA256, AES-256-GCM; the shape of RFC 9180's base
 * mode. Node has the parts and no library for the whole that is worth a dependency.
 */
export interface SealKey {
  /** Public half, base64url of 32 bytes. */
  publicKey: string;
  /** Undefined when the text was not sealed for this key and this purpose. */
  open(sealed: string, purpose: string): string | undefined;
  /** The private half, for keeping. */
  secret: string;
}

const rawPublic = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
const publicFrom = (raw: Buffer): KeyObject => createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: raw.toString('base64url') }, format: 'jwk' });

const keyOf = (shared: Buffer, ephemeral: Buffer, receiver: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', shared, Buffer.concat([ephemeral, receiver]), `groundplane seal 1 ${purpose}`, 32));

export const sealKeyFrom = (secret: string | undefined): SealKey => {
  const privateKey =
    secret === undefined ? generateKeyPairSync('x25519').privateKey : createPrivateKey({ key: Buffer.from(secret, 'base64url'), format: 'der', type: 'pkcs8' });
  const own = rawPublic(createPublicKey(privateKey));
  return {
    publicKey: own.toString('base64url'),
    secret: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64url'),
    open: (sealed, purpose) => {
      try {
        const bytes = Buffer.from(sealed, 'base64url');
        const ephemeral = bytes.subarray(0, 32);
        const key = keyOf(diffieHellman({ privateKey, publicKey: publicFrom(ephemeral) }), ephemeral, own, purpose);
        const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12));
        decipher.setAuthTag(bytes.subarray(-16));
        return Buffer.concat([decipher.update(bytes.subarray(32, -16)), decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
};

/** Undefined when the public key is none. A key of the moment is used once, so the nonce may be zero. */
export const sealFor = (publicKey: string, text: string, purpose: string): string | undefined => {
  const receiver = Buffer.from(publicKey, 'base64url');
  if (receiver.length !== 32) return undefined;
  try {
    const ephemeral = generateKeyPairSync('x25519');
    const own = rawPublic(ephemeral.publicKey);
    const key = keyOf(diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicFrom(receiver) }), own, receiver, purpose);
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    return Buffer.concat([own, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  } catch {
    return undefined;
  }
};
