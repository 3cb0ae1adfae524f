import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import { loadKubeconfig, openConnection, type Connection } from '@groundplane/agent/cluster/connection';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { systemClock } from '@groundplane/agent/system/clock';
import { systemRandom } from '@groundplane/agent/system/random';
import { agent, bad, configMap, good } from '../../conformance/cluster-objects.ts';
import { startLight, type LightCluster } from '../../lab/light.ts';
import { isRequired, missingForLab } from '../../lab/prerequisite.ts';

/** A first run builds Kubernetes. */
const buildMsMax = 40 * 60_000;
const missing = await missingForLab();
const reason = missing.length === 0 ? '' : ` (cannot run here: ${missing.join(' ')})`;

const open: Cluster[] = [];

const connect = (connection: Connection): Cluster => {
  const cluster = kubernetesCluster({ connection, clock: systemClock, random: systemRandom });
  open.push(cluster);
  return cluster;
};

describe.skipIf(missing.length > 0 && !isRequired('go'))(`client against a real API server${reason}`, () => {
  let light: LightCluster;
  let dir = '';

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'groundplane-real-api-'));
    light = good(await startLight({ dir }));
  }, buildMsMax);
  afterAll(async () => {
    for (const cluster of open) cluster.close();
    await light?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const admin = async (): Promise<Connection> => good(await loadKubeconfig(light.kubeconfigPath));
  const without = (connection: Connection, field: 'ca'): Connection => {
    const { [field]: _field, ...rest } = connection;
    return rest;
  };

  test('the certificate is verified: no CA, a name it does not have', async () => {
    const connection = await admin();
    expect(bad(await connect(without(connection, 'ca')).version(), 'api-unreachable', 'retry').message).toContain('certificate authority');
    expect(bad(await connect({ ...connection, serverName: 'elsewhere.example' }).version(), 'api-unreachable', 'retry').message).toContain(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    );
    good(await connect({ ...connection, serverName: 'kubernetes' }).version());
    good(await connect({ ...without(connection, 'ca'), insecure: true }).version());
  });

  test('a token file that was rotated is read again; a wrong token is denied without being quoted', async () => {
    const file = join(dir, 'rotating-token');
    await writeFile(file, 'expired-token');
    const sources = { server: light.server, ca: { text: light.caPem }, token: { file }, insecure: false };
    const cluster = connect(good(await openConnection(sources)));
    const refused = bad(await cluster.list({ apiVersion: 'v1', kind: 'Namespace' }), 'denied', 'blocked');
    expect(refused.message).not.toContain('expired-token');
    await writeFile(file, light.adminToken);
    good(await cluster.list({ apiVersion: 'v1', kind: 'Namespace' }));
  });

  test('fields that a kind does not have are the fault of the object', async () => {
    const cluster = connect(await admin());
    const map = { ...configMap('default', 'odd', {}), nonsense: true };
    expect(bad(await cluster.apply(map, agent), 'object-invalid', 'fatal').message).toContain('nonsense');
    const wrongType = { ...configMap('default', 'odd', {}), data: ['a list'] };
    bad(await cluster.apply(wrongType, agent), 'object-invalid', 'fatal');
    const twice = { name: 'x', image: 'i' };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: 'twice' }, spec: { containers: [twice, twice] } };
    bad(await cluster.apply(pod, agent), 'object-invalid', 'fatal');
  });

  test('a stranger may ask for the version only', async () => {
    const path = join(dir, 'stranger');
    await writeFile(path, light.kubeconfigOf('stranger'));
    const cluster = connect(good(await loadKubeconfig(path)));
    expect(good(await cluster.version())).toBe('v1.37.2');
    bad(await cluster.list({ apiVersion: 'v1', kind: 'ConfigMap' }), 'denied', 'blocked');
    good(await cluster.resources());
  });
});

describe.skipIf(missing.length > 0 && !isRequired('go'))(`lab${reason}`, () => {
  test('a lab continues in its folder after it was stopped', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'groundplane-light-'));
    const first = good(await startLight({ dir: folder }));
    good(await connect(good(await loadKubeconfig(first.kubeconfigPath))).apply(configMap('default', 'kept', { a: '1' }), agent));
    await first.stop();
    const second = good(await startLight({ dir: folder }));
    good(await connect(good(await loadKubeconfig(second.kubeconfigPath))).get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'kept' }));
    await second.stop();
    for (const cluster of open) cluster.close();
    await rm(folder, { recursive: true, force: true });
  }, 120_000);
});
