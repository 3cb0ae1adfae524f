import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startChild, type Child } from '../lab/children.ts';
import { systemClock } from '../../hub/cli/clock.ts';
import { gp, fakeIo } from './fake-io.ts';
import { run } from '../../hub/cli/main.ts';
import { startTestHub, type TestHub } from './hub.ts';

/** The story of examples/retail-store/README.md, against a real hub and a real agent whose machine and Kubernetes are simulated. */
let hub: TestHub;
let agent: Child;
let example = '';

/** Waiting here is real, since the agent works in real time. */
const tell = async (argv: readonly string[]): Promise<{ code: number; out: string; error: string }> => {
  const fake = fakeIo({ fetch, cwd: example, env: { XDG_CONFIG_HOME: join(hub.folder, 'config') }, isTTY: true });
  const code = await run(argv, { ...fake.io, clock: systemClock, env: { ...fake.io.env, NO_COLOR: '1' } });
  return { code, out: fake.stdout(), error: fake.stderr() };
};

const moveTo = async (version: string): Promise<void> => {
  const text = await readFile(join(example, 'cluster.yaml'), 'utf8');
  await writeFile(join(example, 'cluster.yaml'), text.replace(/version: \S+/, `version: ${version}`));
};

beforeAll(async () => {
  hub = await startTestHub();
  example = join(hub.folder, 'example');
  await cp(join(import.meta.dirname, '../../examples/retail-store'), example, { recursive: true });
  const broken = join(example, 'profile-1.2.0-broken.yaml');
  await writeFile(broken, (await readFile(broken, 'utf8')).replace('timeoutSeconds: 20', 'timeoutSeconds: 12'));
  const ticket = JSON.parse((await hub.gp(['ticket', 'create', 'first'])).out) as { ticket: string };
  const data = join(hub.folder, 'agent');
  await mkdir(data);
  agent = startChild(join(import.meta.dirname, '../lab/simulated-agent.ts'), [
    '--data',
    data,
    '--name',
    'store-1',
    '--carrier',
    'ws',
    '--ticket',
    ticket.ticket,
  ]);
  await agent.ready;
});
afterAll(async () => {
  await agent.stop();
  await hub.close();
});

test('from the lobby over an upgrade and a failure to the end', async () => {
  for (let turn = 0; turn < 100 && !(await tell(['get', 'hosts', '-o', 'name'])).out.includes('host/store-1'); turn += 1) await systemClock.sleep(100);
  const words = /words: ([a-z ]+?) {2}/.exec((await tell(['get', 'host', 'store-1'])).out)?.[1] ?? '';
  expect(await tell(['approve', 'store-1', '--words', 'not the right words'])).toMatchObject({
    code: 1,
    error: expect.stringContaining('not the words of this host'),
  });
  expect(await tell(['approve', 'store-1', '--words', words])).toMatchObject({ code: 0 });

  expect(await tell(['apply', '-f', '.', '--wait', '--timeout', '60s'])).toMatchObject({ code: 0, out: expect.stringContaining('cluster store-1 created') });
  const stack = (await tell(['get', 'cluster', 'store-1'])).out;
  for (const name of ['base-os', 'kubernetes', 'config', 'shop', 'price-labels', 'telemetry'])
    expect(stack).toMatch(new RegExp(`^${name} .* ready \\(simulated\\)`, 'm'));
  expect(await tell(['diff', '-f', 'cluster.yaml'])).toMatchObject({ code: 0, out: 'cluster store-1: no changes\n' });

  await moveTo('1.1.0');
  const plan = await tell(['diff', '-f', 'cluster.yaml']);
  expect(plan.code).toBe(3);
  for (const line of ['~ layer shop', '+ layer metrics', '- layer telemetry', '- Deployment retail/price-labels']) expect(plan.out).toContain(line);
  expect(await tell(['apply', '-f', 'cluster.yaml', '--wait', '--timeout', '60s'])).toMatchObject({ code: 0 });
  expect((await tell(['get', 'cluster', 'store-1'])).out).not.toContain('telemetry');

  await moveTo('1.2.0');
  expect(await tell(['apply', '-f', 'cluster.yaml', '--wait', '--timeout', '60s'])).toMatchObject({
    code: 1,
    error: expect.stringContaining('registry.example/shop/web:broken'),
  });
  expect((await tell(['logs', 'cluster', 'store-1'])).out).toContain('RolledBack');
  expect((await tell(['get', 'cluster', 'store-1'])).out).toMatch(/runs 1\.1\.0/);
  expect((await tell(['retry', 'cluster', 'store-1'])).code).toBe(0);

  await moveTo('1.1.0');
  expect(await tell(['apply', '-f', 'cluster.yaml', '--wait', '--timeout', '60s'])).toMatchObject({ code: 0 });
  expect(await tell(['delete', 'cluster', 'store-1', '--wait', '--yes', '--timeout', '60s'])).toMatchObject({ code: 0 });
  expect((await tell(['get', 'host', 'store-1'])).out).not.toContain('shop');
  expect((await tell(['delete', 'host', 'store-1', '--yes'])).code).toBe(0);
  expect(await gp(['get', 'clusters', '-o', 'name'], { fetch, env: { XDG_CONFIG_HOME: join(hub.folder, 'config') } })).toMatchObject({ out: '' });
}, 240_000);
