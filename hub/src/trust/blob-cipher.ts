import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { BlobCipher } from '../port/content.ts';

const nonceBytes = 12;
const tagBytes = 16;

/**
 * AES-256-GCM for blobs that hold secrets, with a key of its own from the hub's sealing key (HKDF-SHA256). Layout: nonce, ciphertext, tag. The digest of the
 * plain bytes is authenticated with them, so that sealed files cannot change places.
 */
export const createBlobCipher = (sealKey: Uint8Array): BlobCipher => {
  const key = Buffer.from(hkdfSync('sha256', sealKey, Buffer.alloc(0), 'groundplane content b1', 32));
  return {
    overheadBytes: nonceBytes + tagBytes,
    seal: (digest, bytes) => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(Buffer.from(digest));
      return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    },
    open: (digest, sealed) => {
      if (sealed.length < nonceBytes + tagBytes) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes));
        decipher.setAAD(Buffer.from(digest));
        decipher.setAuthTag(sealed.subarray(-tagBytes));
        return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
};
