import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packTgz } from '@groundplane/hub/archive/write';
import { artifactTypes } from '@groundplane/hub/registry/units';
import { manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { startTestHub, type TestHub } from '../cli/hub.ts';
import { value } from '../hub/world.ts';
import { login, reasonText, registryMissing, startRegistry, type DockerRegistry } from './docker-registry.ts';
import { answer, faultyProxy } from './faulty-proxy.ts';
import { blobOf, clientFor, descriptorOf, pattern, pushArtifact, ref } from './rig.ts';

interface Said {
  [key: string]: unknown;
}
const said = (text: string): Said => JSON.parse(text) as Said;

/** A profile version travels signed; the key is asked for and told apart, and the receipt says what came. */
const signedMedia = async (hub: TestHub, other: TestHub): Promise<void> => {
  const file = (name: string): string => join(hub.folder, name);
  const pair = generateKeyPairSync('ed25519');
  await writeFile(file('key.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(file('pub.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(file('other.pem'), generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
  const exported = await hub.gp(['media', 'export', 'profile', 'shop@1.0.0', 'profile.tar', '--sign', 'key.pem', '-o', 'json']);
  expect([exported.error, said(exported.out)]).toEqual(['', expect.objectContaining({ blobs: 2, images: 0, missing: [], signed: true })]);
  const inspected = async (...more: string[]): Promise<{ code: number; out: string; error: string }> => hub.gp(['media', 'inspect', ...more, '-o', 'json']);
  expect(said((await inspected('profile.tar')).out)).toMatchObject({ subject: { profile: 'shop@1.0.0' }, signature: { state: 'unchecked' } });
  expect(said((await inspected('profile.tar', '--key', 'pub.pem')).out)).toMatchObject({ signature: { state: 'verified' } });
  expect((await inspected('profile.tar', '--key', 'other.pem')).error).toContain('was not made with the key');
  expect((await inspected('profile.tar', '--key', 'gone.pem')).error).toContain('gone.pem');
  expect((await inspected('shop.tar', '--key', 'pub.pem')).error).toContain('is not signed, and a key was given');
  const refused = await other.gp(['media', 'import', file('shop.tar'), '--key', file('pub.pem')]);
  expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('is not signed')]);
  expect((await other.gp(['media', 'import', file('profile.tar')])).error).toContain('which was not checked');
  const taken = await other.gp(['media', 'import', file('profile.tar'), '--key', file('pub.pem'), '--receipt', 'receipt.json', '-o', 'json']);
  expect(taken.error).toBe('');
  const receipt = said(await readFile(join(other.folder, 'receipt.json'), 'utf8'));
  expect(receipt).toMatchObject({ schema: 'groundplane.dev/media-receipt/1', profiles: ['shop@1.0.0'], medium: { signature: { state: 'verified' } } });
  expect(receipt['digests']).toHaveLength(2);
  expect(said(taken.out)['receipt']).toEqual(receipt);
  expect((await hub.gp(['media', 'export', 'profile', 'shop', 'x.tar'])).error).toContain('takes a cluster and a file');
  expect((await hub.gp(['media', 'export', 'profile', 'shop@9.9.9', 'x.tar'])).error).toContain('shop@9.9.9');
};

describe.skipIf(registryMissing !== '')(`gp registry, gp pack and gp media against a hub and a real registry${reasonText}`, () => {
  let hub: TestHub;
  let registry: DockerRegistry;
  const chart = packTgz([
    { name: 'web/Chart.yaml', data: Buffer.from('apiVersion: v2\nname: web\nversion: 1.2.3\n') },
    { name: 'web/templates/web.yaml', data: Buffer.from('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n') },
  ]);
  const run = async (...argv: string[]): Promise<{ code: number; out: string; error: string }> => hub.gp([...argv, '-o', 'json']);
  const good = async (...argv: string[]): Promise<string> => {
    const ran = await run(...argv);
    if (ran.code !== 0) throw new Error(`gp ${argv.join(' ')}: ${ran.error}`);
    return ran.out;
  };

  beforeAll(async () => {
    hub = await startTestHub({ egressAllow: ['127.0.0.0/8'] });
    registry = await startRegistry({ auth: true });
    const rig = clientFor({ [registry.host]: { credentials: login } });
    const config = Buffer.from(JSON.stringify({ name: 'web', version: '1.2.3', apiVersion: 'v2' }));
    const target = ref(`${registry.host}/charts/web:1.2.3`);
    for (const bytes of [chart, config]) value(await rig.client.pushBlob(target, blobOf(bytes)));
    const manifest = manifestBytes({ config: descriptorOf(config, artifactTypes.helmConfig), layers: [descriptorOf(chart, artifactTypes.helmChart)] });
    value(await rig.client.pushManifest(target, manifest, mediaTypes.manifest));
    await pushArtifact(rig.client, `${registry.host}/images/web:1`, [pattern(5_000, 'image')]);
    rig.close();
    await mkdir(join(hub.folder, 'pack', 'manifests'), { recursive: true });
    await writeFile(join(hub.folder, 'pack', 'pack.json'), JSON.stringify({ name: 'ingress', version: '1.0.0', layer: 'addon' }));
    await writeFile(join(hub.folder, 'pack', 'values.yaml'), 'pack:\n  namespace: web\n');
    await writeFile(join(hub.folder, 'pack', 'manifests', 'a.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n');
    await mkdir(join(hub.folder, 'docker'));
    const auth = Buffer.from(`${login.username}:${login.password}`).toString('base64');
    await writeFile(join(hub.folder, 'docker', 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
  }, 60_000);
  afterAll(async () => {
    await hub.close();
    await registry.remove();
  });

  test('a registry is tried when it is added, and a wrong password is said', async () => {
    const wrong = await hub.gp(['registry', 'add', 'charts', `oci://${registry.host}/charts`, '--username', 'anna', '--password-stdin'], { stdin: 'wrong\n' });
    expect([wrong.code, wrong.error]).toEqual([1, expect.stringContaining('does not let us read')]);
    const nowhere = await run('registry', 'add', 'nowhere', 'oci://127.0.0.1:1/x');
    expect(nowhere.error).toContain('ECONNREFUSED');
    const right = await hub.gp(['registry', 'add', 'charts', `oci://${registry.host}/charts`, '--username', 'anna', '--password-stdin', '-o', 'json'], {
      stdin: `${login.password}\n`,
    });
    expect(right.error).toBe('');
    expect(said(right.out)).toMatchObject({ name: 'charts', kind: 'oci', hasPassword: true });
    expect(right.out + (await good('registry', 'list')) + hub.log()).not.toContain(login.password);
    expect(await good('registry', 'validate', 'charts')).toContain('lets us in');
  });

  test('a registry of the tenant is for every project, until the project has its own of that name', async () => {
    const names = async (...more: string[]): Promise<string[]> =>
      (JSON.parse(await good('registry', 'list', ...more)) as { name: string; project: string; url: string }[]).map(
        (item) => `${item.name} of ${item.project === '' ? 'tenant' : item.project}: ${item.url}`,
      );
    await good('registry', 'add', 'common', `oci://${registry.host}/charts`, '--no-validate', '--tenant');
    await good('registry', 'add', 'aaa', `oci://${registry.host}/aaa`, '--no-validate', '--tenant');
    const shared = [`aaa of tenant: oci://${registry.host}/aaa`, `common of tenant: oci://${registry.host}/charts`];
    expect(await names('--tenant')).toEqual(shared);
    expect(await names()).toEqual([`charts of default: oci://${registry.host}/charts`, ...shared]);
    // Without a password the registry says no: the tenant's one was asked.
    expect((await run('registry', 'validate', 'common')).error).toContain('it wants a login');
    await hub.gp(['registry', 'add', 'common', `oci://${registry.host}/charts`, '--tenant', '--username', 'anna', '--password-stdin'], {
      stdin: `${login.password}\n`,
    });
    for (const flag of [[], ['--tenant']]) expect(await good('registry', 'validate', 'common', ...flag)).toContain('lets us in');
    expect(said(await good('registry', 'import', 'common', 'web', '^1'))).toMatchObject({ kind: 'chart', version: '1.2.3' });
    await good('registry', 'add', 'common', 'oci://127.0.0.1:1/x', '--no-validate');
    expect(await names()).toEqual([`charts of default: oci://${registry.host}/charts`, 'common of default: oci://127.0.0.1:1/x', shared[0]]);
    expect((await run('registry', 'import', 'common', 'web')).code).toBe(1);
    await good('registry', 'delete', 'common');
    expect((await run('registry', 'delete', 'common')).error).toContain('no such thing');
    expect(await good('registry', 'validate', 'common')).toContain('lets us in');
    for (const name of ['common', 'aaa']) await good('registry', 'delete', name, '--tenant');
    expect(await names('--tenant')).toEqual([]);
  });

  test('the password is sealed on disk, and does not follow a changed address', async () => {
    for (const name of (await readdir(join(hub.folder, 'hub'))).filter((item) => item.startsWith('hub.db')))
      expect((await readFile(join(hub.folder, 'hub', name))).includes(login.password)).toBe(false);
    const thief = await faultyProxy();
    thief.fault = (_, response) => answer(response, 401, '{}', { 'www-authenticate': 'Basic' });
    const moved = await run('registry', 'add', 'charts', `oci://${thief.host}/charts`, '--username', 'anna');
    expect([moved.code, moved.error]).toEqual([1, expect.stringContaining('give the password again')]);
    expect(thief.seen).toEqual([]);
    await thief.close();
  });

  test('a chart comes into the hub by name and range, and its digest is what profiles pin', async () => {
    const imported = said(await good('registry', 'import', 'charts', 'web', '^1.2'));
    expect(imported).toMatchObject({ kind: 'chart', name: 'web', version: '1.2.3', digest: descriptorOf(chart).digest });
    const missing = await run('registry', 'import', 'charts', 'web', '^7');
    expect(missing.error).toContain('there are 1.2.3');
  });

  test('a pack goes up and comes down the same, to a registry and to the hub', async () => {
    for (const [target, env] of [
      [`${registry.host}/packs/ingress`, { DOCKER_CONFIG: join(hub.folder, 'docker') }],
      [`${new URL(hub.url).host}/default/packs/ingress`, {}],
    ] as const) {
      const pushed = await hub.gp(['pack', 'push', 'pack', target, '-o', 'json'], { env: { ...env } });
      expect(pushed.error).toBe('');
      expect(said(pushed.out)).toMatchObject({ reference: `${target}:1.0.0` });
      const folder = `pulled-${target.length}-${env === undefined ? 0 : Object.keys(env).length}`;
      const pulled = await hub.gp(['pack', 'pull', folder, `${target}:1.0.0`], { env: { ...env } });
      expect(pulled.error).toBe('');
      expect(await readFile(join(hub.folder, folder, 'manifests', 'a.yaml'), 'utf8')).toContain('ConfigMap');
      const again = await hub.gp(['pack', 'pull', folder, `${target}:1.0.0`], { env: { ...env } });
      expect(again.error).toContain('not empty');
    }
    const values = join(hub.folder, 'pack', 'values.yaml');
    const before = await readFile(values, 'utf8');
    await writeFile(values, 'pack: [\n');
    const broken = await run('pack', 'push', 'pack', `${new URL(hub.url).host}/default/packs/ingress`, '--force');
    expect([broken.code, broken.error]).toEqual([1, expect.stringContaining('nothing was pushed')]);
    await writeFile(values, before);
    await writeFile(join(hub.folder, 'pack', 'values.yaml'), 'pack:\n  namespace: other\n');
    const taken = await run('pack', 'push', 'pack', `${new URL(hub.url).host}/default/packs/ingress`);
    expect([taken.code, taken.error]).toEqual([1, expect.stringContaining('--force')]);
    await good('pack', 'push', 'pack', `${new URL(hub.url).host}/default/packs/ingress`, '--force');
  });

  test('credentials come from a helper when the config of Docker names one; one that is missing is said', async () => {
    const [bin, config] = [join(hub.folder, 'bin'), join(hub.folder, 'helped')];
    for (const folder of [bin, config]) await mkdir(folder);
    const said_ = JSON.stringify({ ServerURL: registry.host, Username: login.username, Secret: login.password });
    await writeFile(join(bin, 'docker-credential-test'), `#!/bin/sh\necho '${said_}'\n`, { mode: 0o755 });
    const pull = async (helper: string, folder: string): Promise<{ code: number; error: string }> => {
      await writeFile(join(config, 'config.json'), JSON.stringify({ credHelpers: { [registry.host]: helper } }));
      return hub.gp(['pack', 'pull', folder, `${registry.host}/packs/ingress:1.0.0`], { env: { DOCKER_CONFIG: config, PATH: `${bin}:/usr/bin:/bin` } });
    };
    expect(await pull('test', 'by-helper')).toMatchObject({ code: 0, error: '' });
    const without = await pull('gone', 'without-helper');
    expect([without.code, without.error]).toEqual([5, expect.stringMatching(/docker-credential-gone .*not installed[^]*it wants a login/)]);
  });

  test('sync mirrors from the registry into the hub, and says when there is nothing to do', async () => {
    const env = { DOCKER_CONFIG: join(hub.folder, 'docker') };
    const argv = ['registry', 'sync', `${registry.host}/images/web`, `${new URL(hub.url).host}/default/mirror/web`, '-o', 'json'];
    expect(said((await hub.gp([...argv, '--dry-run'], { env })).out)).toMatchObject({ copied: 0, planned: 1 });
    const first = await hub.gp(argv, { env });
    expect(said(first.out)).toMatchObject({ copied: 1, same: 0 });
    expect(said((await hub.gp(argv, { env })).out)).toMatchObject({ copied: 0, same: 1 });
  });

  test('export, inspect, import elsewhere: what a cluster needs travels as one file', async () => {
    const digest = descriptorOf(chart).digest;
    const image = `${registry.host}/images/web:1`;
    const pod = `apiVersion: v1\\nkind: Pod\\nmetadata: {name: p, namespace: default}\\nspec: {containers: [{name: c, image: "${image}"}]}`;
    await writeFile(
      join(hub.folder, 'docs.yaml'),
      `apiVersion: groundplane.dev/v1\nkind: Profile\nmetadata: {name: shop, version: 1.0.0}\nspec:\n  type: addon\n  layers:\n  - {name: web, kind: addon, namespace: default, helm: {chart: {digest: "${digest}", name: web, version: 1.2.3}}}\n  - {name: pod, kind: addon, namespace: default, manifests: [{name: pod, content: "${pod.replaceAll('"', '\\"')}"}]}\n---\napiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: shop}\nspec: {profiles: [{name: shop, version: 1.0.0}]}\n`,
    );
    await good('apply', '-f', 'docs.yaml');
    const env = { DOCKER_CONFIG: join(hub.folder, 'docker') };
    let exported = await hub.gp(['media', 'export', 'shop', 'shop.tar', '-o', 'json'], { env });
    for (let turn = 0; exported.error.includes('try again') && turn < 100; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      exported = await hub.gp(['media', 'export', 'shop', 'shop.tar', '-o', 'json'], { env });
    }
    expect([exported.code, said(exported.out)]).toEqual([0, expect.objectContaining({ images: 1, missing: [] })]);
    const inspected = said((await hub.gp(['media', 'inspect', 'shop.tar', '-o', 'json'], { env: { GP_HUB: 'http://127.0.0.1:1' } })).out);
    expect(inspected).toMatchObject({ missing: [], images: [{ reference: image }] });
    const other = await startTestHub();
    try {
      const pushed = await hub.gp(['profile', 'push', 'shop@1.0.0', `${registry.host}/profiles/shop`, '-o', 'json'], { env });
      expect([pushed.error, said(pushed.out)]).toEqual(['', expect.objectContaining({ reference: `${registry.host}/profiles/shop:1.0.0` })]);
      const pulled = await other.gp(['profile', 'pull', `${registry.host}/profiles/shop`, '--profile-version', '^1', '-o', 'json'], { env });
      expect([pulled.error, said(pulled.out)]).toEqual(['', expect.objectContaining({ name: 'shop', version: '1.0.0' })]);
      expect((await other.gp(['get', 'profiles', '-o', 'name'])).out).toBe('profile/shop@1.0.0\n');
      const imported = await other.gp(['media', 'import', join(hub.folder, 'shop.tar'), '-o', 'json']);
      expect(imported.error).toBe('');
      expect(said(imported.out)).toMatchObject({ profiles: 1, images: 1 });
      expect((await other.gp(['get', 'profiles', '-o', 'name'])).out).toBe('profile/shop@1.0.0\n');
      const twice = said((await other.gp(['media', 'import', join(hub.folder, 'shop.tar'), '-o', 'json'])).out);
      expect(twice).toMatchObject({ sent: 0 });
      const folder = said((await other.gp(['media', 'import', join(hub.folder, 'shop.tar'), '--dir', 'content', '-o', 'json'])).out);
      expect(folder['taken']).toBe(folder['blobs']);
      await signedMedia(hub, other);
      expect(other.log()).toBe('');
    } finally {
      await other.close();
    }
    expect(hub.log()).toBe('');
  }, 60_000);
});

test('a hub that was not told otherwise calls no private address', async () => {
  const hub = await startTestHub();
  try {
    const refused = await hub.gp(['registry', 'add', 'meta', 'https://169.254.169.254/latest']);
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('private')]);
    expect((await hub.gp(['registry', 'add', 'local', 'oci://127.0.0.1:1/x'])).error).toContain('private');
  } finally {
    await hub.close();
  }
}, 30_000);
