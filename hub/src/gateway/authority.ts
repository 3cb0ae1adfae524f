import { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const isCertificate = (pem: string): boolean => {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
};

/**
 * Certificates of the authority behind the hub's public address, out of a PEM file: nothing else of it goes into tickets, above all no key that lies in the
 * same file. Failures: `authority-invalid` (fatal).
 */
export const parseAuthority = (text: string, file: string): Result<string> => {
  const bad = (why: string): Result<never> =>
    fail('fatal', 'authority-invalid', `--public-ca ${file}`, `${why}. Give the PEM file of the authority that signed the certificate of --public-url`);
  const blocks = text.match(block) ?? [];
  if (blocks.length === 0) return bad('holds no certificate');
  const damaged = blocks.findIndex((pem) => !isCertificate(pem));
  if (damaged >= 0) return bad(`certificate ${damaged + 1} of ${blocks.length} cannot be read`);
  const pem = `${blocks.map((item) => item.replaceAll('\r', '')).join('\n')}\n`;
  return pem.length > limits.ticketCaChars ? bad(`its certificates have ${pem.length} characters, and a ticket takes ${limits.ticketCaChars}`) : ok(pem);
};
