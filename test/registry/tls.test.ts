import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRequired } from '../lab/prerequisite.ts';
import { codeOf, value } from '../hub/world.ts';
import { registryMissing, startRegistry, type DockerRegistry } from './docker-registry.ts';
import { clientFor, pattern, pushArtifact, ref } from './rig.ts';

const hasOpenssl = existsSync('/usr/bin/openssl') || isRequired('openssl');
const missing = registryMissing !== '' ? registryMissing : hasOpenssl ? '' : 'needs openssl';

describe.skipIf(missing !== '')(`a registry with TLS${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
  let folder: string;
  let registry: DockerRegistry;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gp-tls-'));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=test',
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-keyout',
        key,
        '-out',
        certificate,
      ],
      { stdio: 'ignore' },
    );
    registry = await startRegistry({ tls: { certificate, key } });
  }, 30_000);
  afterAll(async () => {
    await registry.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('its own authority is trusted when it was named, for this registry only', async () => {
    const ca = readFileSync(join(folder, 'cert.pem'), 'utf8');
    const trusting = clientFor({ [registry.host]: { ca } });
    await pushArtifact(trusting.client, `${registry.host}/secure:1`, [pattern(100)]);
    value(await trusting.client.manifest(ref(`${registry.host}/secure:1`)));
    trusting.close();
  });

  test('without it, and with plain http, nothing is sent', async () => {
    const other = readFileSync(join(folder, 'cert.pem'), 'utf8');
    const plain = clientFor();
    expect((await plain.client.manifest(ref(`${registry.host}/secure:1`))).ok).toBe(false);
    plain.close();
    const wrongName = clientFor({ [registry.host.replace('127.0.0.1', 'localhost')]: { ca: other } });
    expect(codeOf(await wrongName.client.manifest(ref(`${registry.host.replace('127.0.0.1', 'localhost')}/secure:1`)))).toBe('tls-untrusted');
    wrongName.close();
  });
});
