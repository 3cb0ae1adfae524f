import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What this machine lacks for `makeAdminCertificate`. */
export const missingForCertificates = (): string[] => (existsSync('/usr/bin/openssl') ? [] : ['openssl is not installed.']);

/** An authority of its own, and a certificate of it for the account that AKS gives to its administrators. PEM. */
export const makeAdminCertificate = (folder: string): { authority: string; certificate: string; key: string } => {
  const at = (name: string): string => join(folder, name);
  const run = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=ca', '-keyout', at('ca.key'), '-out', at('ca.crt'));
  run('req', ...newKey, '-subj', '/O=system:masters/CN=masterclient', '-keyout', at('admin.key'), '-out', at('admin.csr'));
  writeFileSync(at('admin.ext'), 'extendedKeyUsage=clientAuth\n');
  run('x509', '-req', '-in', at('admin.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('admin.ext'), '-out', at('admin.crt')); // prettier-ignore
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  return { authority: read('ca.crt'), certificate: read('admin.crt'), key: read('admin.key') };
};
