import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileToken, loadKubeconfig, openConnection } from '@groundplane/agent/cluster/connection';
import { inClusterSources, kubeconfigBytesMax, parseKubeconfig } from '@groundplane/agent/cluster/kubeconfig';
import type { Result } from '@groundplane/protocol/failure';
import { stringify } from 'yaml';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

interface Parts {
  cluster?: object;
  user?: object | null;
  more?: object;
}

const kubeconfig = ({ cluster = {}, user = { token: 'secret-token' }, more = {} }: Parts = {}): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: 'https://192.0.2.1:6443', 'certificate-authority-data': base64(pem), ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'x', context: { cluster: 'c', user: 'u' } },
      { name: 'y', context: { cluster: 'gone', user: 'u' } },
      { name: 'z', context: { cluster: 'c', user: 'gone' } },
    ],
    'current-context': 'x',
    ...more,
  });

const parse = (text: string, context?: string): ReturnType<typeof parseKubeconfig> =>
  parseKubeconfig(text, { folder: '/etc/x', ...(context === undefined ? {} : { context }) });

const reason = (result: Result<unknown>): string =>
  result.ok ? 'accepted' : `${result.failure.code} ${result.failure.kind} | ${result.failure.element} | ${result.failure.message}`;

/** Five levels of ten aliases each. */
const aliasBomb = [...'bcdef'].reduce((text, name, level) => {
  const alias = `*${'abcde'[level] ?? ''}`;
  return `${text}${name}: &${name} [${Array.from({ length: 10 }, () => alias).join(',')}]\n`;
}, 'a: &a [1,1,1,1,1,1,1,1,1,1]\n');

describe('parseKubeconfig', () => {
  test('reads what a context needs', () => {
    expect(parse(kubeconfig())).toEqual({
      ok: true,
      value: { server: 'https://192.0.2.1:6443', ca: { text: pem }, insecure: false, token: { text: 'secret-token' } },
    });
  });

  test('takes relative files from the folder of the kubeconfig, and data before files', () => {
    const user = { 'client-certificate': 'tls/client.crt', 'client-key': '/abs/client.key', 'client-key-data': base64('-----BEGIN KEY-----') };
    const parsed = parse(
      kubeconfig({ cluster: { 'certificate-authority-data': '', 'certificate-authority': '../ca.crt', 'tls-server-name': 'api.local' }, user }),
    );
    expect(parsed).toEqual({
      ok: true,
      value: {
        server: 'https://192.0.2.1:6443',
        insecure: false,
        serverName: 'api.local',
        ca: { file: '/etc/ca.crt' },
        clientCertificate: { file: '/etc/x/tls/client.crt' },
        clientKey: { text: '-----BEGIN KEY-----' },
      },
    });
  });

  test('keeps a path prefix, as proxies of clusters have it, and prefers tokenFile', () => {
    const parsed = parse(kubeconfig({ cluster: { server: 'https://hub.example/k8s/clusters/c-1/' }, user: { token: 'a', tokenFile: 'token' } }));
    expect(parsed.ok && parsed.value.server).toBe('https://hub.example/k8s/clusters/c-1');
    expect(parsed.ok && parsed.value.token).toEqual({ file: '/etc/x/token' });
  });

  test('does without credentials, and skips verification only when told so', () => {
    const parsed = parse(kubeconfig({ cluster: { 'insecure-skip-tls-verify': true, 'certificate-authority-data': '' }, user: null }));
    expect(parsed).toEqual({ ok: true, value: { server: 'https://192.0.2.1:6443', insecure: true } });
  });
});

describe('parseKubeconfig refuses', () => {
  test.each<[string, string, string, string]>([
    ['an exec plugin', kubeconfig({ user: { exec: { command: 'sh' } } }), 'users[0].user.exec', 'plugins'],
    ['an auth provider', kubeconfig({ user: { 'auth-provider': { name: 'gcp' } } }), 'users[0].user.auth-provider', 'not supported'],
    ['basic authentication', kubeconfig({ user: { username: 'a', password: 'b' } }), 'users[0].user.username', 'Basic'],
    ['impersonation', kubeconfig({ user: { as: 'root' } }), 'users[0].user.as', 'Impersonation'],
    ['a proxy', kubeconfig({ cluster: { 'proxy-url': 'http://p' } }), 'clusters[0].cluster.proxy-url', 'directly'],
    ['a certificate without a key', kubeconfig({ user: { 'client-certificate': 'a' } }), 'users[0].user', 'key'],
    ['bad base64', kubeconfig({ cluster: { 'certificate-authority-data': 'n*t' } }), 'clusters[0].cluster.certificate-authority-data', 'base64'],
    [
      'data that is not PEM',
      kubeconfig({ cluster: { 'certificate-authority-data': base64('hello') } }),
      'clusters[0].cluster.certificate-authority-data',
      'PEM',
    ],
    ['no URL', kubeconfig({ cluster: { server: '192.0.2.1:6443' } }), 'clusters[0].cluster.server', 'https'],
    ['another scheme', kubeconfig({ cluster: { server: 'unix:///run/api' } }), 'clusters[0].cluster.server', 'scheme'],
    ['credentials in the URL', kubeconfig({ cluster: { server: 'https://a:b@x' } }), 'clusters[0].cluster.server', 'User name'],
    ['a token over plain HTTP', kubeconfig({ cluster: { server: 'http://192.0.2.1:8080' } }), 'clusters[0].cluster.server', 'unprotected'],
    [
      'both a CA and no verification',
      kubeconfig({ cluster: { 'insecure-skip-tls-verify': true } }),
      'clusters[0].cluster.insecure-skip-tls-verify',
      'remove one',
    ],
    ['a token with a line break', kubeconfig({ user: { token: 'a\nX-Evil: 1' } }), 'users[0].user.token', 'ASCII'],
    ['no current context', kubeconfig({ more: { 'current-context': '' } }), 'current-context', 'x, y, z'],
    ['a wrong type', kubeconfig({ cluster: { server: 5 } }), 'clusters[0].cluster.server', 'string'],
    ['no YAML', 'a: [', 'kubeconfig', 'YAML'],
    ['a scalar', 'hello', 'kubeconfig', 'expected object'],
    ['an alias bomb', aliasBomb, 'kubeconfig', 'aliases'],
    ['more than 1 MiB', `# ${'x'.repeat(kubeconfigBytesMax)}`, 'kubeconfig', '1 MiB'],
  ])('refuses %s', (_what, text, place, words) => {
    const said = reason(parse(text));
    expect(said).toContain('kubeconfig-invalid blocked');
    expect(said.split(' | ')[1]).toContain(place);
    expect(said).toContain(words);
    expect(said).not.toContain('secret-token');
  });

  test.each([
    ['nobody', 'x, y, z'],
    ['y', 'no cluster "gone"'],
    ['z', 'no user "gone"'],
  ])('names what context %s lacks', (context, words) => {
    expect(reason(parse(kubeconfig(), context))).toContain(words);
  });

  test('exactly 1 MiB is still read', () => {
    const text = kubeconfig();
    expect(parse(`${text}#${'x'.repeat(kubeconfigBytesMax - text.length - 1)}`).ok).toBe(true);
  });

  test('plain HTTP with a token is fine on loopback', () => {
    expect(parse(kubeconfig({ cluster: { server: 'http://127.0.0.1:8080' } })).ok).toBe(true);
  });
});

describe('inClusterSources', () => {
  test('reads the environment of a pod', () => {
    expect(inClusterSources({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' })).toEqual({
      ok: true,
      value: {
        server: 'https://[fd00::1]:443',
        ca: { file: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' },
        token: { file: '/var/run/secrets/kubernetes.io/serviceaccount/token' },
        insecure: false,
      },
    });
    expect(reason(inClusterSources({}))).toContain('does not run in a pod');
  });
});

describe('files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'groundplane-kubeconfig-'));
  });
  afterAll(async () => await rm(folder, { recursive: true, force: true }));

  test('a token file is read again when it changes', async () => {
    const path = join(folder, 'token');
    const token = fileToken(path);
    expect(reason(await token.current())).toContain('ENOENT');
    await writeFile(path, 'first\n');
    expect(await token.current()).toEqual({ ok: true, value: 'first' });
    await writeFile(path, 'second-token\n');
    expect(await token.current()).toEqual({ ok: true, value: 'second-token' });
    await writeFile(path, 'third\nX-Evil: 1');
    expect(reason(await token.current())).toContain('visible ASCII');
  });

  test('forgetting reads a file again even when its time did not change', async () => {
    const path = join(folder, 'same-time');
    const token = fileToken(path);
    const time = new Date(1_700_000_000_000);
    await writeFile(path, 'aaaa');
    await utimes(path, time, time);
    expect(await token.current()).toEqual({ ok: true, value: 'aaaa' });
    await writeFile(path, 'bbbb');
    await utimes(path, time, time);
    expect(await token.current()).toEqual({ ok: true, value: 'aaaa' });
    expect(token.forget()).toBe(true);
    expect(await token.current()).toEqual({ ok: true, value: 'bbbb' });
  });

  test('loads a kubeconfig with the files it names, or says which one is missing', async () => {
    const path = join(folder, 'config');
    await writeFile(path, kubeconfig({ cluster: { 'certificate-authority-data': '', 'certificate-authority': 'ca.crt' } }));
    expect(reason(await loadKubeconfig(path))).toContain(`certificate-authority ${join(folder, 'ca.crt')}`);
    await writeFile(join(folder, 'ca.crt'), pem);
    const loaded = await loadKubeconfig(path);
    expect(loaded.ok && loaded.value.ca).toBe(pem);
    expect(reason(await loadKubeconfig(join(folder, 'nowhere')))).toContain('ENOENT');
    const opened = await openConnection({ server: 'https://x', insecure: false, clientKey: { file: join(folder, 'no.key') } });
    expect(reason(opened)).toContain('client-key');
  });
});
