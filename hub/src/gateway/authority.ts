import { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Certificates of the authority behind the hub's public address, out of a PEM file: nothing else of it goes into tickets, above all no key that lies in the
 * same file. Failures: `authority-invalid` (fatal).
 */
export const parseAuthority = (text: string, file: string): Result<string> => {
  const bad = (why: string): Result<never> =>
    fail('fatal', 'authority-invalid', `--public-ca ${file}`, `${why}. Give the PEM file of the authority that signed the certificate of --public-url`);
  const blocks = text.match(block) ?? [];
  if (blocks.length === 0) return bad('holds no certificate');
  for (const [index, pem] of blocks.entries())
    try {
      new X509Certificate(pem);
    } catch {
      return bad(`certificate ${index + 1} of ${blocks.length} cannot be read`);
    }
  const pem = `${blocks.map((item) => item.replaceAll('\r', '')).join('\n')}\n`;
  return pem.length > limits.ticketCaChars ? bad(`its certificates have ${pem.length} characters, and a ticket takes ${limits.ticketCaChars}`) : ok(pem);
};
