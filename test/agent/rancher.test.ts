import { rancherDistribution } from '@groundplane/agent/distribution/rancher';
import type { DistributionSetup } from '@groundplane/agent/port/distribution';
import { managedKubernetesSchema } from '@groundplane/protocol/distribution/spec';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { virtualClock } from '../fake/clock.ts';
import { fakeTools } from '../fake/tools.ts';

const setupFor = (distribution: 'k3s' | 'rke2', role: 'control-plane' | 'worker', server = ''): DistributionSetup => ({
  spec: managedKubernetesSchema.parse({ distribution, version: '1.33.1+k3s1', ...(server === '' ? {} : { config: { server } }) }),
  cluster: 'site',
  role,
  identity: {
    name: 'edge-1',
    address: '10.0.0.7',
    endpoint: 'api.site.groundplane.internal',
    endpointPort: 6443,
    alsoKnownAs: ['10.0.0.7'],
    labels: { room: 'cold' },
    taints: [{ key: 'only', value: 'video', effect: 'NoSchedule' }],
    taintControlPlane: false,
  },
});

/** A machine with the program on it; what systemd and the journal say is given. */
const start = (distribution: 'k3s' | 'rke2', options: { journal?: string; comesUp?: boolean } = {}) => {
  const clock = virtualClock();
  const tools = fakeTools((command, files) => {
    if (command.endsWith('--version')) return { code: 0, stdout: `${distribution} version v1.33.1+k3s1 (abc)\ngo version go1.24\n` };
    if (command.includes('is-active')) return { code: options.comesUp === false ? 3 : 0, stdout: options.comesUp === false ? 'activating\n' : 'active\n' };
    if (command.startsWith('journalctl')) return { code: 0, stdout: options.journal ?? '' };
    if (command.includes('--no-block') && options.comesUp !== false) {
      files.set(distribution === 'k3s' ? '/etc/rancher/k3s/k3s.yaml' : '/etc/rancher/rke2/rke2.yaml', 'a: b');
      files.set(`/var/lib/rancher/${distribution}/agent/kubelet.kubeconfig`, 'a: b');
    }
    return undefined;
  });
  tools.files.set(`/usr/local/bin/${distribution}`, 'program');
  return { clock, tools, driver: rancherDistribution(distribution, { tools, clock }) };
};

const config = (files: Map<string, string>, distribution: string) =>
  parse(files.get(`/etc/rancher/${distribution}/config.yaml`) ?? '') as Record<string, unknown>;

test('the first k3s server makes the cluster with an embedded datastore, and does not block on systemd', async () => {
  const { tools, driver } = start('k3s');
  expect(await driver.init(setupFor('k3s', 'control-plane'))).toEqual({ ok: true, value: undefined });
  expect(config(tools.files, 'k3s')).toMatchObject({
    'cluster-init': true,
    'node-name': 'edge-1',
    'node-ip': '10.0.0.7',
    'node-label': ['room=cold'],
    'node-taint': ['only=video:NoSchedule'],
    'flannel-backend': 'none',
    'tls-san': ['api.site.groundplane.internal', '10.0.0.7'],
  });
  expect(tools.files.get('/etc/systemd/system/k3s.service')).toContain('ExecStart=/usr/local/bin/k3s server\nKillMode=process\nDelegate=yes');
  expect(tools.commands).toContain('systemctl start --no-block k3s.service');
});

test('a worker joins with the token of its invitation', async () => {
  const { tools, driver } = start('rke2');
  expect((await driver.join(setupFor('rke2', 'worker'), { token: 'abcdef.0123456789abcdef', caHashes: [] })).ok).toBe(true);
  const written = config(tools.files, 'rke2');
  expect(written).toMatchObject({ server: 'https://api.site.groundplane.internal:9345', token: 'abcdef.0123456789abcdef' });
  expect(written).not.toHaveProperty('cluster-init');
  expect(tools.commands).toContain('systemctl restart --no-block rke2-agent.service');
});

describe('a join that will never work', () => {
  test.each([
    ['level=fatal msg="token CA hash does not match the Cluster CA certificate hash: aa != bb"', 'join-refused', 'retry'],
    [
      'Waiting to retrieve agent configuration; server is not ready: Node password rejected, duplicate hostname or contents of node-passwd',
      'kubernetes-refused',
      'blocked',
    ],
    ['starting kubernetes: preparing server: critical configuration mismatched: cluster-cidr', 'kubernetes-refused', 'blocked'],
  ])('%s', async (line, code, kind) => {
    const { driver } = start('k3s', { journal: `noise\n${line}\n`, comesUp: false });
    const joined = await driver.join(setupFor('k3s', 'worker'), { token: 't', caHashes: [] });
    expect(joined).toMatchObject({ ok: false, failure: { code, kind } });
  });
});

test('what stays silent is given up after ten minutes, by our own clock', async () => {
  const { clock, driver } = start('k3s', { journal: 'Waiting for the API server\n', comesUp: false });
  const joining = driver.init(setupFor('k3s', 'control-plane'));
  await clock.advance(11 * 60_000);
  expect(await joining).toMatchObject({
    ok: false,
    failure: { code: 'kubernetes-failed', message: expect.stringContaining('Waiting for the API server') as string },
  });
});

test('keys of the profile come over ours, but not those that say who the host is', async () => {
  const { tools, driver } = start('k3s');
  await driver.init(setupFor('k3s', 'control-plane', 'token: stolen\nnode-name: other\ncluster-cidr: 10.9.0.0/16\nsecrets-encryption: true\n'));
  expect(config(tools.files, 'k3s')).toMatchObject({ 'node-name': 'edge-1', 'cluster-cidr': '10.9.0.0/16', 'secrets-encryption': true });
  expect(config(tools.files, 'k3s')).not.toHaveProperty('token');
});

test('a new configuration keeps the token that the host joined with', async () => {
  const { tools, driver } = start('k3s');
  await driver.join(setupFor('k3s', 'control-plane'), { token: 'K10aa::server:bb', caHashes: [] });
  await driver.upgrade(setupFor('k3s', 'control-plane', 'secrets-encryption: true'), true, undefined);
  expect(config(tools.files, 'k3s')).toMatchObject({ token: 'K10aa::server:bb', 'secrets-encryption': true });
});

test('a missing program is named, with where it should come from', async () => {
  const { tools, driver } = start('k3s');
  tools.files.delete('/usr/local/bin/k3s');
  expect(await driver.init(setupFor('k3s', 'control-plane'))).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'program-missing' } });
});

test('a torn configuration is put back; taking it off leaves none of its folders', async () => {
  const { tools, driver } = start('k3s');
  const setup = setupFor('k3s', 'control-plane');
  await driver.init(setup);
  const kept = await driver.keep('control-plane');
  if (!kept.ok) throw new Error(kept.failure.message);
  const path = '/etc/rancher/k3s/config.yaml';
  const good = tools.files.get(path);
  tools.files.set(path, '');
  const seen = await driver.look(setup, kept.value);
  expect(seen).toMatchObject({ ok: true, value: { broken: [path] } });
  await driver.repair(kept.value, [path]);
  expect(tools.files.get(path)).toBe(good);
  tools.files.set('/var/lib/rancher/k3s/server/token', 't');
  expect((await driver.wipe(setup, true)).ok).toBe(true);
  expect([...tools.files.keys()].filter((name) => name.includes('/rancher/') || name.includes('systemd'))).toEqual([]);
});
