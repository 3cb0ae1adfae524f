import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { buildAgent, buildHub } from '@groundplane/installer/build';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import type { HostView } from '@groundplane/protocol/api/views';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startChild, type Child } from '../lab/children.ts';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { until } from './site.ts';

/** The shipped bundles, killed with SIGKILL at every step of the journal and in the middle of the hub's writes. */
const missing = await missingForLab();
const cannot = missing.length > 0 && !isRequired('go');
const project = 'default';

const configMap = (name: string, value: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {value: "${value}"}\n`;

/** Files, a sysctl, objects in two layers: about twenty steps for each change. */
const spec = {
  type: 'full',
  layers: [
    { name: 'os', kind: 'os', os: { files: [{ path: '/etc/kill/value', content: '{{ .spectro.macro.value }}\n' }] } },
    { name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing' } },
    {
      name: 'first',
      kind: 'addon',
      namespace: 'first',
      manifests: [{ name: 'maps', content: ['a', 'b', 'c'].map((name) => configMap(name, '{{ .spectro.macro.value }}')).join('---\n') }],
    },
    {
      name: 'second',
      kind: 'addon',
      namespace: 'second',
      priority: 1,
      manifests: [{ name: 'maps', content: configMap('moving-{{ .spectro.macro.value | lower }}', 'x') }],
    },
  ],
} as unknown as ProfileSpec;

let folder: string;
let light: LightCluster;
let hub: Child | undefined;
let agent: Child | undefined;
let client: Client;
let port = 0;
let ticket = '';

const startHub = async (): Promise<void> => {
  hub = startChild(join(folder, 'hub-bundle', 'hub.mjs'), [
    '--data',
    join(folder, 'hub'),
    '--port',
    String(port),
    '--no-mqtt',
    '--key-file',
    join(folder, 'key'),
  ]);
  const ready = await hub.ready;
  port = Number(new URL(String(ready['url'])).port);
  client = createClient({ baseUrl: String(ready['url']), fetch, headers: () => ({ authorization: `Bearer ${readFileSync(join(folder, 'key'), 'utf8')}` }) });
};
const startAgent = async (): Promise<void> => {
  agent = startChild(join(folder, 'agent-bundle', 'agent.mjs'), [
    '--data',
    join(folder, 'agent'),
    '--root',
    join(folder, 'root'),
    '--kubeconfig',
    light.kubeconfigPath,
    '--name',
    'victim',
    '--local-port',
    '0',
    ...(ticket === '' ? [] : ['--ticket', ticket]),
  ]);
  await agent.ready;
};
const kill = async (child: Child | undefined): Promise<void> => {
  child?.process.kill('SIGKILL');
  await child?.stop();
};
const must = async <T>(result: Promise<{ ok: true; value: T } | { ok: false; failure: { element: string; message: string } }>): Promise<T> => {
  const done = await result;
  if (!done.ok) throw new Error(`${done.failure.element}: ${done.failure.message}`);
  return done.value;
};
const setValue = async (value: string): Promise<void> => void (await must(client.call('setMacro', { params: { project, name: 'value' }, body: { value } })));
const host = (): Promise<HostView> => must(client.call('getHost', { params: { project, name: 'victim' } }));
const list = async (...args: string[]): Promise<string> => {
  const result = await light.kubectl(args);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
};

/** Everything is at the value, and nothing of an earlier one is left. */
const expectValue = async (value: string): Promise<void> => {
  await until(
    `converged at ${value}`,
    async () => {
      const now = await host();
      return now.phase === 'converged' &&
        now.generation === now.reportedGeneration &&
        readFileSync(join(folder, 'root/etc/kill/value'), 'utf8') === `${value}\n`
        ? true
        : undefined;
    },
    60_000,
  );
  const maps = await list(
    'get',
    'cm',
    '-A',
    '-l',
    'groundplane.dev/managed=true',
    '-o',
    'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}={.data.value} {end}',
  );
  expect(maps.trim().split(' ').toSorted()).toEqual([`first/a=${value}`, `first/b=${value}`, `first/c=${value}`, `second/moving-${value}=x`]);
};

describe.skipIf(cannot)(`kill -9 of the shipped bundles${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, () => {
  beforeAll(async () => {
    expect(missing, 'the light Kubernetes is required here').toEqual([]);
    folder = mkdtempSync(join(tmpdir(), 'gp-kill-'));
    mkdirSync(join(folder, 'kubernetes'));
    await buildAgent(join(folder, 'agent-bundle'));
    await buildHub(join(folder, 'hub-bundle'));
    const started = await startLight({ dir: join(folder, 'kubernetes') });
    if (!started.ok) throw new Error(started.failure.message);
    light = started.value;
    await startHub();
    await setValue('v0');
    await must(client.call('applyProfile', { params: { project, name: 'kill', version: '1.0.0' }, body: { spec } }));
    ticket = (await must(client.call('createTicket', { params: { project }, body: { name: 'kill', autoApprove: true } }))).ticket;
    await startAgent();
    ticket = '';
    await until('enrolled', async () => ((await client.call('getHost', { params: { project, name: 'victim' } })).ok ? true : undefined));
    await must(
      client.call('applyCluster', { params: { project, name: 'kill' }, body: { spec: { profiles: [{ name: 'kill', version: '1.0.0' }], hosts: ['victim'] } } }),
    );
    await expectValue('v0');
  }, 2_400_000);

  afterAll(async () => {
    await agent?.stop();
    await hub?.stop();
    await light.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test('the agent, at each step of the journal', async () => {
    const journal = new Database(join(folder, 'agent', 'agent.db'), { readonly: true });
    const last = journal.prepare<[], { key: string; value: string }>('SELECT key, value FROM journal ORDER BY key DESC LIMIT 1');
    const seq = (): number => Number(last.get()?.key ?? 0);
    const killed: string[] = [];
    for (let target = 1; target <= 22; target += 1) {
      const before = seq();
      await setValue(`k${target}`);
      const end = performance.now() + 10_000;
      // The intent of this step is on disk; its effect may be under way.
      while (seq() < before + target && performance.now() < end) await nextTurn();
      await kill(agent);
      const row = last.get();
      killed.push(row === undefined ? '' : (JSON.parse(row.value) as { step: string; state: string }).step);
      await startAgent();
      await expectValue(`k${target}`);
    }
    journal.close();
    // It really died at different kinds of steps.
    expect(new Set(killed).size).toBeGreaterThan(5);
  }, 600_000);

  test('the hub, right after it confirmed a change', async () => {
    for (let round = 1; round <= 8; round += 1) {
      await setValue(`h${round}`);
      await kill(hub);
      await startHub();
      await expectValue(`h${round}`);
    }
  }, 300_000);

  test('the hub, in the middle of delivering and of taking reports', async () => {
    for (let round = 1; round <= 8; round += 1) {
      await setValue(`m${round}`);
      const waitUntil = performance.now() + round * 25;
      while (performance.now() < waitUntil) await nextTurn();
      await kill(hub);
      await startHub();
      await expectValue(`m${round}`);
      const generation = (await host()).generation;
      expect(generation).toBeGreaterThan(round);
    }
  }, 300_000);
});
