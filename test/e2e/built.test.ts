import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import { buildAgent, buildCli, buildHub } from '@groundplane/installer/build';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startChild, type Child } from '../lab/children.ts';
import { until } from './site.ts';

/** What ships is bundles, and they are not the sources: whatever loads code or files late is tried here as it ships. Needs no Kubernetes. */
const execute = promisify(execFile);
const example = join(import.meta.dirname, '../../examples/retail-store');
let folder: string;
let hub: Child;
let agent: Child | undefined;
let client: Client;
let url: string;
let key: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gp-built-'));
  await buildAgent(join(folder, 'agent'));
  await buildHub(join(folder, 'hub'));
  await buildCli(join(folder, 'gp'));
  mkdirSync(join(folder, 'root/etc'), { recursive: true });
  hub = startChild(join(folder, 'hub/hub.mjs'), ['--data', join(folder, 'data'), '--port', '0', '--key-file', join(folder, 'key')]);
  url = String((await hub.ready)['url']);
  key = readFileSync(join(folder, 'key'), 'utf8');
  client = createClient({ baseUrl: url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
}, 120_000);

afterAll(async () => {
  await agent?.stop();
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
});

const gp = async (...args: string[]): Promise<string> => {
  const env = { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: join(folder, 'config'), GP_HUB: url, GP_TOKEN: key };
  return (await execute(process.execPath, [join(folder, 'gp/gp.mjs'), ...args], { cwd: folder, env })).stdout;
};

test('the built agent comes by MQTT', async () => {
  const made = JSON.parse(await gp('ticket', 'create', 'one', '--auto-approve', '-o', 'json')) as { ticket: string };
  const flags = [
    '--data',
    join(folder, 'agent-data'),
    '--root',
    join(folder, 'root'),
    '--name',
    'store-1',
    '--carrier',
    'mqtt',
    '--local-port',
    '0',
    '--ticket',
    made.ticket,
  ];
  agent = startChild(join(folder, 'agent/agent.mjs'), flags);
  await agent.ready;
  await until('online', async () => {
    const host = await client.call('getHost', { params: { project: 'default', name: 'store-1' } });
    return host.ok && host.value.online ? true : undefined;
  });
}, 60_000);

test('the built gp packs a chart, and the built hub renders it', async () => {
  await gp('apply', '-f', join(example, 'profile-1.0.0.yaml'));
  await gp('apply', '-f', join(example, 'cluster.yaml'));
  const cluster = await until('a bundle', async () => {
    const found = await client.call('getCluster', { params: { project: 'default', name: 'store-1' } });
    return found.ok && found.value.bundle !== undefined ? found.value : undefined;
  });
  expect(cluster.failure?.code ?? '').not.toMatch(/^render/);
  expect(cluster.layers.find((layer) => layer.name === 'shop')?.desired?.pack).toEqual({ name: 'shop', version: '1.0.0' });
}, 60_000);

test('the built gp renders, writes YAML and compares', async () => {
  expect(await gp('render', join(example, 'charts/shop'), '--name', 'mine')).toContain('name: mine-web');
  expect(await gp('get', 'profiles', '-o', 'yaml')).toContain('name: retail-store');
  const diff = gp(
    'profile',
    'diff',
    join(example, 'profile-1.0.0.yaml'),
    join(example, 'profile-1.1.0.yaml'),
    '--rendered',
    '--var',
    'storeName=Zurich',
    '-o',
    'yaml',
  );
  await expect(diff).rejects.toMatchObject({ code: 3, stdout: expect.stringContaining('registry.example/shop/loyalty:1.0') as string });
}, 60_000);
