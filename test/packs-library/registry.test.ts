import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packTgz } from '@groundplane/hub/archive/write';
import { manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { artifactTypes } from '@groundplane/hub/registry/units';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exits } from '../../hub/cli/trouble.ts';
import { startTestHub, type TestHub } from '../cli/hub.ts';
import { value } from '../hub/world.ts';
import { faultyProxy, type FaultyProxy } from '../registry/faulty-proxy.ts';
import { login, reasonText, registryMissing, startRegistry, type DockerRegistry } from '../registry/docker-registry.ts';
import { blobOf, clientFor, descriptorOf, ref } from '../registry/rig.ts';
import { libraryFolder } from './library.ts';

interface Said {
  [key: string]: unknown;
}
const said = (text: string): Said => JSON.parse(text) as Said;

const chart = packTgz([
  { name: 'web/Chart.yaml', data: Buffer.from('apiVersion: v2\nname: web\nversion: 1.2.3\n') },
  {
    name: 'web/templates/web.yaml',
    data: Buffer.from(
      'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: "registry.example/web:{{ .Values.tag | default 1 }}"}]}\n',
    ),
  },
]);

const zeros = `sha256:${'0'.repeat(64)}`;

/** A profile of one layer, and a cluster that uses it. */
const documents = (name: string, source: string): string => `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: ${name}, version: 1.0.0}
spec:
  type: addon
  layers:
  - name: page
    kind: addon
    namespace: ops
    ${source}
---
apiVersion: groundplane.dev/v1
kind: Cluster
metadata: {name: ${name}}
spec: {profiles: [{name: ${name}, version: 1.0.0}]}
`;

interface World {
  hub: TestHub;
  good: (...argv: string[]) => Promise<string>;
  apply: (name: string, source: string) => Promise<{ code: number; out: string; error: string }>;
  /** Images that the cluster's bundle runs, as soon as the hub has made it. */
  images: (name: string) => Promise<string[]>;
  pinned: (name: string) => Promise<Said>;
}

const worldOf = (hub: TestHub): World => {
  const good = async (...argv: string[]): Promise<string> => {
    const ran = await hub.gp([...argv, '-o', 'json']);
    if (ran.code !== 0) throw new Error(`gp ${argv.join(' ')}: ${ran.error}`);
    return ran.out;
  };
  return {
    hub,
    good,
    apply: async (name, source) => {
      await writeFile(join(hub.folder, `${name}.yaml`), documents(name, source));
      return hub.gp(['apply', '-f', `${name}.yaml`]);
    },
    images: async (name) => {
      const argv = ['media', 'export', name, `${name}.tar`, '--no-images', '-o', 'json'];
      let ran = await hub.gp(argv);
      for (let turn = 0; ran.error.includes('try again') && turn < 200; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        ran = await hub.gp(argv);
      }
      // Images are left out on purpose; it names each one, and counts the medium as incomplete.
      if (ran.code !== 0 && ran.code !== exits.partly) throw new Error(ran.error);
      return ran.error.split('\n').flatMap((line) => /^missing image: (.+)$/.exec(line)?.[1] ?? []);
    },
    pinned: async (name) => said(await good('get', 'profile', `${name}@1.0.0`)),
  };
};

describe("a pack of the library through the hub's own registry", () => {
  let world: World;
  let host = '';
  const folder = join(libraryFolder, 'status-page-1.0.0');
  beforeAll(async () => {
    world = worldOf(await startTestHub({ egressAllow: ['127.0.0.0/8'] }));
    host = new URL(world.hub.url).host;
    const pushed = said(await world.good('pack', 'push', folder, `${host}/default/packs/status-page`));
    expect(pushed).toMatchObject({ reference: `${host}/default/packs/status-page:1.0.0` });
    const token = String(said(await world.good('create', 'api-key', 'reader', '--role', 'ProfileAuthor'))['key']);
    const added = await world.hub.gp(['registry', 'add', 'own', `oci://${host}/default/packs`, '--kind', 'pack', '--username', 'gp', '--password-stdin'], {
      stdin: `${token}\n`,
    });
    expect([added.code, added.error]).toEqual([0, expect.any(String)]);
  }, 60_000);
  afterAll(() => world.hub.close());

  test('a layer that names registry, name and version gets the digest, and its bundle renders', async () => {
    const applied = await world.apply('site', 'pack: {registry: own, name: status-page, version: 1.0.0}');
    expect([applied.code, applied.error]).toEqual([0, expect.stringContaining('pack status-page 1.0.0 of registry own is sha256:')]);
    const built = said(await world.good('pack', 'build', folder, '--out', 'page.tgz'));
    expect(JSON.stringify(await world.pinned('site'))).toContain(`"digest":"${String(built['digest'])}"`);
    expect(await world.images('site')).toEqual(['docker.io/nginxinc/nginx-unprivileged:1.29.1']);
    expect(world.hub.log()).toBe('');
  }, 60_000);

  test('a digest that is not the one of the registry is refused, and nothing is applied', async () => {
    const refused = await world.apply('wrong', `pack: {registry: own, name: status-page, version: 1.0.0, digest: "${zeros}"}`);
    expect(refused.code).toBe(1);
    expect(refused.error + refused.out).toMatch(/sha256:0{64}|no such blob|not in the content store/);
  });

  test('a version that is not there is refused with those that are', async () => {
    const refused = await world.apply('missing', 'pack: {registry: own, name: status-page, version: ^2}');
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('there are 1.0.0')]);
  });

  test('a thin pack does not leave this machine', async () => {
    const refused = await world.hub.gp(['pack', 'push', join(libraryFolder, 'cilium-1.17.3'), `${host}/default/packs/cilium`]);
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('gp pack fetch')]);
  });
});

describe('a chart of a Helm repository in a layer', () => {
  let world: World;
  let server: FaultyProxy;
  beforeAll(async () => {
    world = worldOf(await startTestHub({ egressAllow: ['127.0.0.0/8'] }));
    server = await faultyProxy();
    server.fault = (incoming, response) => {
      const index = 'entries: {web: [{name: web, version: 1.2.3, urls: [web.tgz]}]}';
      response.writeHead(200).end(incoming.url === '/index.yaml' ? index : chart);
      return 'handled';
    };
    const added = await world.hub.gp(['registry', 'add', 'charts', `http://${server.host}`, '--kind', 'helm']);
    expect([added.code, added.error]).toEqual([0, expect.any(String)]);
  }, 60_000);
  afterAll(async () => {
    await world.hub.close();
    await server.close();
  });

  test('a pinned digest is taken; another one is refused, although the repository names none', async () => {
    const pin = (digest: string): string => `helm: {registry: charts, chart: {name: web, version: 1.2.3, digest: "${digest}"}}`;
    expect((await world.apply('right', pin(descriptorOf(chart).digest))).code).toBe(0);
    const refused = await world.apply('wrong', pin(zeros));
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining(`${zeros} is pinned; nothing was taken`)]);
    expect((await world.hub.gp(['get', 'profile', 'wrong@1.0.0'])).code).toBe(1);
  }, 60_000);
});

describe.skipIf(registryMissing !== '')(`a chart of a real registry in a layer${reasonText}`, () => {
  let world: World;
  let registry: DockerRegistry;
  beforeAll(async () => {
    world = worldOf(await startTestHub({ egressAllow: ['127.0.0.0/8'] }));
    registry = await startRegistry({ auth: true });
    const rig = clientFor({ [registry.host]: { credentials: login } });
    const config = Buffer.from(JSON.stringify({ name: 'web', version: '1.2.3', apiVersion: 'v2' }));
    const target = ref(`${registry.host}/charts/web:1.2.3`);
    for (const bytes of [chart, config]) value(await rig.client.pushBlob(target, blobOf(bytes)));
    const manifest = manifestBytes({ config: descriptorOf(config, artifactTypes.helmConfig), layers: [descriptorOf(chart, artifactTypes.helmChart)] });
    value(await rig.client.pushManifest(target, manifest, mediaTypes.manifest));
    rig.close();
    const argv = ['registry', 'add', 'charts', `oci://${registry.host}/charts`, '--username', login.username, '--password-stdin'];
    expect((await world.hub.gp(argv, { stdin: `${login.password}\n` })).code).toBe(0);
  }, 60_000);
  afterAll(async () => {
    await world.hub.close();
    await registry.remove();
  });

  test('its digest is pinned by range, and the bundle renders', async () => {
    const applied = await world.apply('shop', 'helm: {registry: charts, chart: {name: web, version: ^1.2}, values: "tag: 7"}');
    expect([applied.code, applied.error]).toEqual([0, expect.stringContaining(`chart web 1.2.3 of registry charts is ${descriptorOf(chart).digest}`)]);
    expect(JSON.stringify(await world.pinned('shop'))).toContain(descriptorOf(chart).digest);
    expect(await world.images('shop')).toEqual(['registry.example/web:7']);
  }, 60_000);

  test('the pinned digest is taken, another one is refused', async () => {
    const pin = (digest: string): string => `helm: {registry: charts, chart: {name: web, version: 1.2.3, digest: "${digest}"}}`;
    const right = await world.apply('right', pin(descriptorOf(chart).digest));
    expect([right.code, right.error]).toEqual([0, '']);
    const refused = await world.apply('wrong', pin(zeros));
    expect([refused.code, refused.error + refused.out]).toEqual([1, expect.stringContaining(zeros)]);
    expect((await world.hub.gp(['get', 'profile', 'wrong@1.0.0'])).code).toBe(1);
  }, 60_000);
});
