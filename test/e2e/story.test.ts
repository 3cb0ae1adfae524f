import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterView, EventView, PlanView } from '@groundplane/protocol/api/views';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLight, type LightCluster } from '../lab/light.ts';
import { isRequired, missingForLab } from '../lab/prerequisite.ts';
import { createSite, until, type TestSite } from './site.ts';

/** The story that the README tells, on a real API server, with the example that ships. */
const example = 'examples/retail-store';
const missing = await missingForLab();
const cannot = missing.length > 0 && !isRequired('go');

let site: TestSite;
let light: LightCluster;

const kubectl = (...args: string[]) => light.kubectl(args);
const getObject = async (...args: string[]): Promise<KubeObject> => JSON.parse(await output(...args, '-o', 'json')) as KubeObject;
const output = async (...args: string[]): Promise<string> => {
  const result = await kubectl(...args);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
};
const cluster = async (): Promise<ClusterView> => JSON.parse(await site.gpOk('get', 'cluster', 'store-1', '-o', 'json')) as ClusterView;
const events = async (): Promise<EventView[]> => {
  const text = await site.gpOk('get', 'events', '-o', 'json');
  const parsed = JSON.parse(text) as EventView[] | { items: EventView[] };
  return Array.isArray(parsed) ? parsed : parsed.items;
};
const clusterIs = (state: string, version: string) => async (): Promise<ClusterView | undefined> => {
  const view = await cluster();
  return view.state === state && view.spec.profiles[0]?.version === version && view.layers.every((layer) => layer.observed !== undefined) ? view : undefined;
};
/** The cluster document with another profile version, as somebody would edit it. */
const clusterFile = (version: string): string => {
  const file = join(site.folder, `cluster-${version}.yaml`);
  writeFileSync(
    file,
    `apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: store-1, labels: {site: zurich}}\nspec:\n  profiles: [{name: retail-store, version: ${version}}]\n  variables: {storeName: Zurich HB, currency: chf}\n  hosts: [store-1]\n`,
  );
  return file;
};

describe.skipIf(cannot)(`a profile becomes a running, self-healing cluster${cannot ? ` (missing: ${missing.join('; ')})` : ''}`, () => {
  beforeAll(async () => {
    expect(missing, 'the light Kubernetes is required here').toEqual([]);
    site = createSite();
    const dir = join(site.folder, 'kubernetes');
    mkdirSync(dir);
    const started = await startLight({ dir, controllers: true, kwokNodes: 2 });
    if (!started.ok) throw new Error(started.failure.message);
    light = started.value;
    await site.startHub();
  }, 2_400_000);

  afterAll(async () => {
    await site.close();
    await light.stop();
  }, 60_000);

  test('the set-up link makes the first administrator, once', async () => {
    const login = (name: string) => site.gpWith('correct horse battery staple\n', ['login', '--setup', site.setupLink(), '--name', name, '--password-stdin']);
    expect(await login('admin')).toMatchObject({ code: 0 });
    expect(JSON.parse(await site.gpOk('whoami', '-o', 'json'))).toMatchObject({ grants: [{ role: 'TenantAdmin' }] });
    const again = await login('thief');
    expect(again.code).not.toBe(0);
    expect(again.stderr).toContain('used already');
  });

  test('a device comes with a ticket, waits in the lobby, and is let in by its words', async () => {
    const made = JSON.parse(await site.gpOk('ticket', 'create', 'zurich', '-o', 'json')) as { ticket: string };
    const local = await site.startAgent(light.kubeconfigPath, made.ticket);
    const words = await until('words on the local page', async () => /words of this device are: ([a-z ]+)/.exec(await (await fetch(local)).text())?.[1]);
    const wrong = await site.gp('approve', 'store-1', '--words', 'not the right words');
    expect(wrong.code).toBe(1);
    await site.gpOk('approve', 'store-1', '--words', words);
    await until('online', async () => ((JSON.parse(await site.gpOk('get', 'host', 'store-1', '-o', 'json')) as { online: boolean }).online ? true : undefined));
  });

  test('profile 1.0.0 reaches the API server: every layer ready, with its version', async () => {
    await site.gpOk('apply', '-f', `${example}/profile-1.0.0.yaml`);
    await site.gpOk('apply', '-f', clusterFile('1.0.0'));
    const view = await until('ready', clusterIs('ready', '1.0.0'), 120_000).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${JSON.stringify(await cluster(), null, 1)}\n${site.logs.join('')}`);
    });
    expect(view.layers.map((layer) => [layer.name, layer.observed?.state, layer.isCurrent])).toEqual([
      ['base-os', 'ready', true],
      ['kubernetes', 'ready', true],
      ['config', 'ready', true],
      ['shop', 'ready', true],
      ['price-labels', 'ready', true],
      ['telemetry', 'ready', true],
    ]);
    expect(view.layers.find((layer) => layer.name === 'shop')?.observed?.pack).toMatchObject({ name: 'shop' });
    expect(view.kubernetesVersion).toMatch(/^v1\.\d+/);
    expect(site.hostFile('etc/retail-store/support.txt')).toContain('Call support');
    expect(await output('get', 'jobs,deploy,cm,secret,crd', '-A', '-o', 'name')).toMatch(/deployment\.apps\/[\s\S]*secret\/[\s\S]*coupons/);
    const shown = await site.gpOk('get', 'cluster', 'store-1', '-o', 'table');
    expect(shown).toContain('base-os');
    expect(shown).toContain('1.0.0');
  }, 150_000);

  test('the chart made a password, and it stays the same when the chart is rendered again', async () => {
    const secrets = JSON.parse(await output('get', 'secret', '-n', 'retail', '-o', 'json')) as { items: (KubeObject & { data?: Record<string, string> })[] };
    const password = secrets.items.flatMap((secret) => Object.values(secret.data ?? {}))[0];
    expect(Buffer.from(password ?? '', 'base64').toString('utf8').length).toBeGreaterThan(7);
    await site.gpOk('macro', 'set', 'unused', 'x');
    await delay(2_000);
    const after = JSON.parse(await output('get', 'secret', '-n', 'retail', '-o', 'json')) as typeof secrets;
    expect(after.items.map((item) => item.data)).toEqual(secrets.items.map((item) => item.data));
  });

  test('a Deployment changed by hand is healed in seconds and reported as drift', async () => {
    const name = (await output('get', 'deploy', '-n', 'retail', '-o', 'name')).trim().split('\n')[0] ?? '';
    await output('set', 'image', '-n', 'retail', name, '*=evil:1');
    const began = performance.now();
    await until(
      'healed',
      async () => ((await output('get', '-n', 'retail', name, '-o', 'jsonpath={.spec.template.spec.containers[0].image}')).includes('evil') ? undefined : true),
      20_000,
    );
    expect(performance.now() - began).toBeLessThan(20_000);
    const drifted = await until('reported', async () => (await cluster()).layers.find((layer) => (layer.observed?.drift.healed ?? 0) > 0));
    expect(drifted.observed?.drift.last).toContain('changed by somebody else');
    expect((await events()).some((event) => event.reason === 'DriftHealed')).toBe(true);
    await until('ready again', clusterIs('ready', '1.0.0'));
  });

  test('1.1.0: the plan is shown first, then exactly what left is pruned, and foreign objects stay', async () => {
    await output('create', 'configmap', 'foreign', '-n', 'retail', '--from-literal=keep=me');
    await output('create', 'configmap', 'foreign', '-n', 'ops', '--from-literal=keep=me');
    await site.gpOk('apply', '-f', `${example}/profile-1.1.0.yaml`);
    const preview = await site.gp('diff', '-f', clusterFile('1.1.0'), '-o', 'json');
    expect(preview.code).toBe(3);
    const text = preview.stdout;
    const plan = (JSON.parse(text) as { plan?: PlanView }[] | PlanView) ?? [];
    const layers = JSON.stringify(plan);
    for (const expected of ['"telemetry"', '"price-labels"', '"loyalty"', '"metrics"', '"remove"', '"add"', '"prune"']) expect(layers).toContain(expected);
    const telemetryBefore = (await output('get', 'deploy,ds,cm', '-n', 'ops', '-o', 'name'))
      .trim()
      .split('\n')
      .filter((name) => name.includes('telemetry'));
    expect(telemetryBefore.length).toBeGreaterThan(0);
    await site.gpOk('apply', '-f', clusterFile('1.1.0'));
    const view = await until('ready', clusterIs('ready', '1.1.0'), 120_000);
    await until('old layers gone', async () =>
      (await cluster()).layers.some((layer) => layer.name === 'telemetry' || layer.name === 'price-labels') ? undefined : true,
    );
    expect(view.layers.map((layer) => layer.name)).toEqual(expect.arrayContaining(['loyalty', 'metrics']));
    const left = await output('get', 'deploy,ds,cm,svc', '-A', '-o', 'name');
    expect(left).not.toMatch(/telemetry|price-labels/);
    for (const namespace of ['retail', 'ops']) expect((await getObject('get', 'configmap', 'foreign', '-n', namespace))['data']).toEqual({ keep: 'me' });
  }, 180_000);

  test('without the hub the agent heals, survives kill -9, and queues what it has to say', async () => {
    await site.killHub();
    const maps = (await output('get', 'cm', '-n', 'retail', '-l', 'groundplane.dev/layer=config', '-o', 'name')).trim().split('\n');
    await output('delete', '-n', 'retail', maps[0] ?? '');
    await until('healed without hub', async () => ((await kubectl('get', '-n', 'retail', maps[0] ?? '', '-o', 'name')).ok ? true : undefined), 20_000);
    await site.killAgent();
    await output('delete', '-n', 'retail', maps[0] ?? '');
    await site.startAgent(light.kubeconfigPath);
    await until('healed after kill -9', async () => ((await kubectl('get', '-n', 'retail', maps[0] ?? '', '-o', 'name')).ok ? true : undefined), 30_000);
  }, 120_000);

  test('when the hub is back, the agent resumes, tells what happened, and applies nothing again', async () => {
    const versions = async (): Promise<string> =>
      output(
        'get',
        'deploy,cm,svc,secret',
        '-A',
        '-l',
        'groundplane.dev/managed=true',
        '-o',
        'jsonpath={range .items[*]}{.metadata.uid} {.metadata.generation}{"\\n"}{end}',
      );
    const before = await versions();
    await site.startHub();
    await until(
      'online again',
      async () => ((JSON.parse(await site.gpOk('get', 'host', 'store-1', '-o', 'json')) as { online: boolean }).online ? true : undefined),
      60_000,
    );
    await until(
      'queued events arrive',
      async () => ((await events()).filter((event) => event.reason === 'DriftHealed').length >= 3 ? true : undefined),
      30_000,
    );
    await delay(1_500);
    expect(await versions()).toBe(before);
    const view = await until('ready', clusterIs('ready', '1.1.0'));
    expect(view.hosts[0]?.generation).toBe(view.hosts[0]?.reportedGeneration);
  }, 120_000);

  test('a broken 1.2.0 fails its gate, says why, goes back to 1.1.0 and is not retried', async () => {
    const before = await output('get', 'deploy', '-n', 'retail', '-o', 'jsonpath={.items[*].spec.template.spec.containers[*].image}');
    await site.gpOk('apply', '-f', `${example}/profile-1.2.0-broken.yaml`);
    await site.gpOk('apply', '-f', clusterFile('1.2.0'));
    const view = await until(
      'failed',
      async () => {
        const now = await cluster();
        return now.state === 'failed' && now.hosts[0]?.phase === 'rolled-back' ? now : undefined;
      },
      120_000,
    );
    expect(view.failure?.message).toMatch(/ImagePullBackOff|broken/);
    await until(
      'old images back',
      async () =>
        (await output('get', 'deploy', '-n', 'retail', '-o', 'jsonpath={.items[*].spec.template.spec.containers[*].image}')) === before ? true : undefined,
      60_000,
    );
    const failures = (await events()).filter((event) => event.reason === 'RolledBack').length;
    expect(failures).toBe(1);
    await site.killAgent();
    await site.startAgent(light.kubeconfigPath);
    await delay(5_000);
    expect((await events()).filter((event) => event.reason === 'RolledBack')).toHaveLength(1);
    expect((await cluster()).hosts[0]?.phase).toBe('rolled-back');
  }, 240_000);

  test('deleting the cluster takes away what is ours and nothing else', async () => {
    await site.gpOk('apply', '-f', clusterFile('1.1.0'));
    await until('ready', clusterIs('ready', '1.1.0'), 120_000);
    await site.gpOk('delete', 'cluster', 'store-1', '--yes', '--wait', '--timeout', '2m');
    const left = await output('get', 'deploy,ds,cm,svc,secret,job', '-A', '-l', 'groundplane.dev/managed=true', '-o', 'name');
    expect(left.trim()).toBe('');
    expect((await getObject('get', 'configmap', 'foreign', '-n', 'retail'))['data']).toEqual({ keep: 'me' });
    expect(() => site.hostFile('etc/retail-store/support.txt')).toThrow('ENOENT');
  }, 240_000);
});
