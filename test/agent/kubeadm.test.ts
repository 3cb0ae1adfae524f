import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificatesIn, isReadable, lifeLeft, publicKeyHash } from '@groundplane/agent/distribution/certificates';
import { readHostNames, writeHostNames } from '@groundplane/agent/distribution/host-names';
import { kubeadmDistribution } from '@groundplane/agent/distribution/kubeadm';
import { hasProxy } from '@groundplane/agent/distribution/service-path';
import { sealFor, sealKeyFrom } from '@groundplane/agent/distribution/seal';
import type { DistributionSetup, KeptFile } from '@groundplane/agent/port/distribution';
import { managedKubernetesSchema } from '@groundplane/protocol/distribution/spec';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { virtualClock } from '../fake/clock.ts';
import { fakeTools } from '../fake/tools.ts';

const setup = (more: object = {}): DistributionSetup => ({
  spec: managedKubernetesSchema.parse({ distribution: 'kubeadm', version: '1.37.2', ...more }),
  cluster: 'site',
  role: 'control-plane',
  identity: {
    name: 'cp1',
    address: '10.0.0.1',
    endpoint: 'api.site.groundplane.internal',
    endpointPort: 6443,
    alsoKnownAs: ['127.0.0.1', '10.0.0.1', 'cp1'],
    labels: {},
    taints: [],
    taintControlPlane: false,
  },
});

/** Runs kubeadm in words; the configuration that it was given is kept, since the driver takes it away again. */
const start = (answer: (command: string, attempt: number) => { code: number; stdout?: string; stderr?: string } | undefined = () => undefined) => {
  const clock = virtualClock();
  const configs: string[] = [];
  let attempt = 0;
  const tools = fakeTools((command, files) => {
    const path = /--config (\S+)/.exec(command)?.[1];
    if (path !== undefined) configs.push(files.get(path) ?? '');
    if (command.startsWith('kubeadm')) attempt += 1;
    return answer(command, attempt);
  });
  return { tools, clock, configs, driver: kubeadmDistribution({ tools, clock }) };
};

const kinds = (text: string): string[] => parseAllDocuments(text).map((document) => (document.toJS() as { kind: string }).kind);

test('init is given the whole configuration, and none of it stays on the disk', async () => {
  const { tools, configs, driver } = start();
  const given = setup({
    config: { kubelet: 'maxPods: 50\nauthentication: {anonymous: {enabled: false}}', cluster: 'apiServer: {extraArgs: [{name: v, value: "2"}]}' },
    proxy: 'nftables',
  });
  expect(await driver.init(given)).toEqual({ ok: true, value: undefined });
  expect(kinds(configs[0] ?? '')).toEqual(['InitConfiguration', 'ClusterConfiguration', 'KubeletConfiguration', 'KubeProxyConfiguration']);
  expect(configs[0]).toContain('maxPods: 50');
  expect(configs[0]).toContain('controlPlaneEndpoint: api.site.groundplane.internal:6443');
  expect([...tools.files.keys()].filter((path) => path.includes('groundplane'))).toEqual([]);
});

test('a moving address is there before the API server, with the rights of the moment', async () => {
  const seen: string[] = [];
  const { tools, driver } = start();
  const run = tools.run;
  tools.run = (file, args, options) => {
    seen.push(tools.files.get('/etc/kubernetes/manifests/kube-vip.yaml') ?? '');
    return run(file, args, options);
  };
  const given = setup();
  await driver.init({ ...given, identity: { ...given.identity, endpoint: '10.0.0.100', vipImage: 'mirror/kube-vip:v1' } });
  expect(seen[0]).toContain('path: /etc/kubernetes/super-admin.conf');
  expect(tools.files.get('/etc/kubernetes/manifests/kube-vip.yaml')).toContain('path: /etc/kubernetes/admin.conf');
  expect(tools.files.get('/etc/kubernetes/manifests/kube-vip.yaml')).toContain('image: mirror/kube-vip:v1');
});

test('what an attempt left behind is passed over; any other check stops it, with its words', async () => {
  const left =
    '[preflight] Some fatal errors occurred:\n\t[ERROR FileAvailable--etc-kubernetes-manifests-etcd.yaml]: exists\n\t[ERROR Port-10250]: Port 10250 is in use\n';
  const again = start((_, attempt) => (attempt === 1 ? { code: 1, stderr: left } : undefined));
  expect((await again.driver.init(setup())).ok).toBe(true);
  expect(again.tools.commands.at(-1)).toContain('--ignore-preflight-errors=FileAvailable--etc-kubernetes-manifests-etcd.yaml,Port-10250');
  const bad = start(() => ({
    code: 1,
    stderr: '[preflight] Some fatal errors occurred:\n\t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\n',
  }));
  expect(await bad.driver.init(setup())).toMatchObject({ ok: false, failure: { kind: 'retry', message: expect.stringContaining('NumCPU') as string } });
  expect(bad.tools.commands, 'what failed for another reason is not run a second time').toHaveLength(1);
});

test('an invitation that is no longer good is told apart from everything else', async () => {
  const { driver } = start(() => ({
    code: 1,
    stderr: "error execution phase preflight: couldn't validate the identity of the API Server: invalid bootstrap token",
  }));
  expect(await driver.join(setup(), { token: 'a.b', caHashes: [] })).toMatchObject({ ok: false, failure: { code: 'join-refused' } });
});

test('the first host changes the shared configuration before the control plane; others only themselves', async () => {
  const first = start();
  await first.driver.upgrade(setup(), true, setup({ proxy: 'nftables' }));
  expect(first.tools.commands.map((command) => command.split(' ').slice(0, 4).join(' '))).toEqual([
    'kubeadm init phase upload-config',
    'kubeadm upgrade apply v1.37.2',
    'kubeadm init phase addon',
  ]);
  const same = start();
  await same.driver.upgrade(setup(), true, setup({ version: '1.36.3' }));
  expect(same.tools.commands.filter((command) => command.includes('kube-proxy'))).toEqual([]);
  const other = start();
  await other.driver.upgrade(setup(), false, undefined);
  expect(other.tools.commands).toEqual(['kubeadm upgrade node']);
});

test("a worker takes its own kube-proxy's pod away, by what it may itself", async () => {
  const worker = start();
  expect((await worker.driver.healServicePath({ ...setup(), role: 'worker' })).ok).toBe(true);
  expect(worker.tools.commands).toEqual([
    'kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout 20s delete pods --namespace kube-system --selector k8s-app=kube-proxy --field-selector spec.nodeName=cp1 --wait=false',
  ]);
  const refused = start(() => ({ code: 1, stderr: 'Error from server (Forbidden): no' }));
  expect(await refused.driver.healServicePath(setup())).toMatchObject({ ok: false, failure: { kind: 'retry', element: 'kube-proxy' } });
});

test.each([
  [{}, true],
  [{ proxy: 'none' }, false],
  [{ config: { cluster: 'proxy: {disabled: true}' } }, false],
  [{ config: { server: 'disable-kube-proxy: true' } }, false],
  [{ config: { cluster: '[' } }, true],
])('kube-proxy of %j: %s', (more, expected) => {
  expect(hasProxy(setup(more).spec)).toBe(expected);
});

test('no kubeadm at all is a word about where it comes from', async () => {
  const { driver } = start(() => ({ code: 127, stderr: 'spawn kubeadm ENOENT' }));
  expect(await driver.init(setup())).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'program-missing' } });
});

describe('kept files', () => {
  const manifest = '/etc/kubernetes/manifests/etcd.yaml';
  const kubeconfig = '/etc/kubernetes/admin.conf';
  const kept: Record<string, KeptFile> = {
    [manifest]: { content: 'kind: Pod\n', mode: '0600', rule: 'exact' },
    [kubeconfig]: { content: 'kind: Config\n', mode: '0600', rule: 'valid' },
  };
  const look = async (manifestText: string | undefined, configText: string | undefined) => {
    const { tools, driver } = start();
    if (manifestText !== undefined) tools.files.set(manifest, manifestText);
    if (configText !== undefined) tools.files.set(kubeconfig, configText);
    const seen = await driver.look({ spec: setup().spec, role: 'control-plane' }, kept);
    return seen.ok ? { broken: seen.value.broken, renewed: seen.value.renewed } : seen;
  };

  test('a manifest that differs is drift, a kubeconfig that differs was renewed', async () => {
    expect(await look('kind: Pod\nspec: {}\n', 'kind: Config\nusers: []\n')).toEqual({ broken: [manifest], renewed: [kubeconfig] });
  });
  test.each([[undefined], [''], ['\0\0\0\0'], ['kind: "Conf']])('a kubeconfig like %j is broken', async (text) => {
    expect(await look('kind: Pod\n', text)).toEqual({ broken: [kubeconfig], renewed: [] });
  });
});

const folder = mkdtempSync(join(tmpdir(), 'gp-cert-'));
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
    '365',
    '-subj',
    '/CN=x',
    '-keyout',
    join(folder, 'k'),
    '-out',
    join(folder, 'c'),
  ],
  { stdio: 'ignore' },
);
const pem = readFileSync(join(folder, 'c'), 'utf8');

describe('certificates', () => {
  const spki = execFileSync('sh', ['-c', `openssl x509 -in ${folder}/c -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -r`])
    .toString()
    .split(' ')[0];
  rmSync(folder, { recursive: true });
  const from = new X509Certificate(pem).validFromDate.getTime();
  const year = 365 * 86_400_000;

  test('the hash is the one that openssl makes', () => expect(publicKeyHash(pem)).toBe(`sha256:${spki}`));
  test('what is left of a life; a clock in 1970 says nothing', () => {
    const [certificate] = certificatesIn(pem);
    if (certificate === undefined) throw new Error('no certificate');
    expect(lifeLeft(certificate, from + year / 2)).toBeCloseTo(0.5, 2);
    expect(lifeLeft(certificate, from + 2 * year)).toBe(0);
    expect(lifeLeft(certificate, 0)).toBe(1);
  });
  test('one inside a kubeconfig is found too', () => {
    expect(certificatesIn(`users:\n- user:\n    client-certificate-data: ${Buffer.from(pem).toString('base64')}\n`)).toHaveLength(1);
  });
  test('a certificate that was cut is not readable', () => {
    expect(isReadable('/x/apiserver.crt', pem)).toBe(true);
    expect(isReadable('/x/apiserver.crt', pem.slice(0, 200))).toBe(false);
  });
});

describe('seal', () => {
  test('only the one it is for opens it, and only for its purpose', () => {
    const [mine, other] = [sealKeyFrom(undefined), sealKeyFrom(undefined)];
    const sealed = sealFor(mine.publicKey, 'secret', 'join a b') ?? '';
    expect(sealKeyFrom(mine.secret).open(sealed, 'join a b')).toBe('secret');
    expect(other.open(sealed, 'join a b')).toBeUndefined();
    expect(mine.open(sealed, 'join a c')).toBeUndefined();
    expect(mine.open(`${sealed.slice(0, -2)}AA`, 'join a b')).toBeUndefined();
    expect(sealFor(mine.publicKey, 'secret', 'join a b')).not.toBe(sealed);
  });
  test.each(['', 'AAAA', generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).toString('base64url')])(
    'a key like %j is none',
    (key) => {
      expect(sealFor(key, 'secret', 'p')).toBeUndefined();
    },
  );
});

test('names of hosts stand in a block of their own, and the rest of the file stays', async () => {
  const tools = fakeTools();
  tools.files.set('/etc/hosts', '127.0.0.1 localhost\n# mine\n10.9.9.9 printer\n');
  await writeHostNames(tools, { cp1: '10.0.0.1', cp2: '10.0.0.2' });
  await writeHostNames(tools, { cp1: '10.0.0.1', cp3: '10.0.0.3' });
  expect(await readHostNames(tools)).toEqual({ cp1: '10.0.0.1', cp3: '10.0.0.3' });
  expect(tools.files.get('/etc/hosts')?.match(/groundplane begin/g)).toHaveLength(1);
  await writeHostNames(tools, {});
  expect(tools.files.get('/etc/hosts')).toBe('127.0.0.1 localhost\n# mine\n10.9.9.9 printer\n');
});

describe('found on real hosts', () => {
  const invited = async (caKey: string): Promise<string> => {
    const { tools, driver } = start((command) => (command.startsWith('kubeadm token') ? { code: 0, stdout: 'abcdef.0123456789abcdef\n' } : undefined));
    tools.files.set('/etc/kubernetes/pki/ca.crt', pem);
    tools.files.set('/etc/kubernetes/pki/ca.key', caKey);
    const secrets = await driver.invite('control-plane');
    if (!secrets.ok) throw new Error(secrets.failure.message);
    const uploaded = tools.commands.find((command) => command.includes('upload-certs')) ?? '';
    expect(uploaded).toContain(`--certificate-key ${secrets.value.certificateKey ?? 'none'}`);
    return secrets.value.certificateKey ?? '';
  };

  test('a second invitation does not make the first one worthless, whichever control plane writes it', async () => {
    const key = await invited('secret');
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(await invited('secret')).toBe(key);
    expect(await invited('of another cluster')).not.toBe(key);
  });

  test('an invitation whose certificates cannot be read asks for another one', async () => {
    const words =
      'error execution phase control-plane-prepare/download-certs: error decoding secret data with provided key: cipher: message authentication failed';
    const { driver } = start(() => ({ code: 1, stderr: words }));
    const done = await driver.join(setup(), { token: 't', caHashes: ['h'], certificateKey: 'k' });
    expect(done).toMatchObject({ ok: false, failure: { code: 'join-refused' } });
  });

  test('the folder that containerd watches stays when a host is wiped', async () => {
    const { tools, driver } = start();
    const removed: string[] = [];
    const remove = tools.remove;
    tools.remove = (path) => {
      removed.push(path);
      return remove(path);
    };
    await driver.wipe(setup(), true);
    expect(removed).toContain('/etc/kubernetes');
    expect(removed).not.toContain('/etc/cni/net.d');
    expect(tools.commands).toContain('find /etc/cni/net.d -mindepth 1 -delete');
  });
});
