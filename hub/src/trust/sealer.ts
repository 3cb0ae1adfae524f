import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { fail, ok } from '@groundplane/protocol/failure';
import type { Sealer, SealerFor } from '../port/sealer.ts';

/** Format: `s1.` and base64url of 12 bytes nonce, ciphertext, 16 bytes tag. The number changes when the scheme does. */
const version = 's1';
const nonceBytes = 12;
const tagBytes = 16;

/**
 * AES-256-GCM. The key of a tenant comes from the hub's sealing key by HKDF-SHA256 (RFC 5869), and the tenant is authenticated with the text. Nonces are random:
 * 2^32 secrets for each tenant stay far from a repeat (NIST SP 800-38D, section 8.3).
 */
export const createSealers = (key: Uint8Array): SealerFor => {
  const keys = new Map<string, Buffer>();
  const keyOf = (tenant: string): Buffer => {
    const known = keys.get(tenant) ?? Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `groundplane seal ${version} ${tenant}`, 32));
    keys.set(tenant, known);
    return known;
  };
  return (tenant): Sealer => ({
    seal: (text) => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', keyOf(tenant), nonce);
      cipher.setAAD(Buffer.from(`${version} ${tenant}`));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return `${version}.${Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url')}`;
    },
    open: (sealed) => {
      const broken = (why: string) => fail('fatal', 'seal-broken', 'secret', `${why}. Give it again`);
      if (!sealed.startsWith(`${version}.`)) return broken('a sealed secret is of a format that this hub does not know');
      const bytes = Buffer.from(sealed.slice(version.length + 1), 'base64url');
      if (bytes.length < nonceBytes + tagBytes) return broken('a sealed secret is cut short');
      try {
        const decipher = createDecipheriv('aes-256-gcm', keyOf(tenant), bytes.subarray(0, nonceBytes));
        decipher.setAAD(Buffer.from(`${version} ${tenant}`));
        decipher.setAuthTag(bytes.subarray(-tagBytes));
        const text = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
        return ok(text.toString('utf8'));
      } catch {
        return broken("a sealed secret does not open; the hub's keys.json is not the one that it was sealed with");
      }
    },
  });
};
