import { createHash, X509Certificate } from 'node:crypto';
import { parse } from 'yaml';

const isPem = (text: string): boolean => /-----BEGIN [A-Z ]+-----[\s\S]+-----END [A-Z ]+-----/.test(text);

/** The certificates in a PEM file, or embedded in a kubeconfig. Unreadable text has none. */
export const certificatesIn = (text: string): X509Certificate[] => {
  const embedded = [...text.matchAll(/client-certificate-data:\s*([A-Za-z0-9+/=]+)/g)].map((match) => Buffer.from(match[1] ?? '', 'base64').toString('utf8'));
  const blocks = [text, ...embedded].flatMap((part) => part.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []);
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
};

/**
 * Part of a certificate's life that is left, from 1 to 0. A clock before its beginning (1970 after an empty battery) says nothing, so it counts as whole:
 * whoever renews then would only make one that is not valid either.
 */
export const lifeLeft = (certificate: Pick<X509Certificate, 'validFromDate' | 'validToDate'>, nowMs: number): number => {
  const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  return nowMs <= from ? 1 : Math.max(0, (to - nowMs) / Math.max(1, to - from));
};

/** `sha256:…` of the public key, as kubeadm's discovery wants it; undefined when the text is no certificate. */
export const publicKeyHash = (pem: string): string | undefined => {
  const [certificate] = certificatesIn(pem);
  if (certificate === undefined) return undefined;
  const der = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
};

/** Whether a file of a distribution can be read as what it should be. A file cut by a lost power supply cannot. */
export const isReadable = (path: string, text: string): boolean => {
  if (/\.(crt|key|pub|pem)$/.test(path)) return isPem(text) && (!path.endsWith('.crt') || certificatesIn(text).length > 0);
  if (text.trim() === '' || text.includes('\0')) return false;
  if (!/\.(conf|yaml)$/.test(path)) return true;
  try {
    const value: unknown = parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
};
