import { createHash, randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { standInFiles, writePackage, here } from '../installer/packages.ts';
import { startChild, type Child } from '../lab/children.ts';
import { createSite, until } from './site.ts';

/** A real hub and three real agents of one cluster, as processes: large content over HTTP, from neighbours, and by a medium. */
const site = createSite();
const root = join(import.meta.dirname, '..', '..');
const agents: Child[] = [];
const names = ['one', 'two', 'far'];
const ports = new Map<string, number>();

const startAgent = async (name: string, ticket: string | undefined, more: string[] = []): Promise<{ local: string; mirror: string }> => {
  const child = startChild(
    join(root, 'agent/src/main.ts'),
    [
      '--data',
      join(site.folder, name),
      '--name',
      name,
      '--root',
      join(site.folder, `root-${name}`),
      '--local-port',
      '0',
      '--mirror-port',
      '0',
      '--neighbour-port',
      '0',
      ...(ticket === undefined ? [] : ['--ticket', ticket]),
      ...more,
    ],
    { onError: (text) => void site.logs.push(`${name}: ${text}`) },
  );
  agents.push(child);
  const ready = await child.ready;
  ports.set(name, Number(new URL(String(ready['local'])).port));
  return { local: String(ready['local']), mirror: String(ready['mirror']) };
};
const phase = async (local: string): Promise<{ phase: string; committed?: { generation: number } }> =>
  ((await (await fetch(`${local}/status.json`)).json()) as { status: { phase: string; committed?: { generation: number } } }).status;
const blobFile = (name: string, digest: string): string => join(site.folder, name, 'blobs', 'sha256', digest.slice(7, 9), digest.slice(7));

const profile = (version: string, agent: unknown): string => {
  const file = join(site.folder, `profile-${version}.yaml`);
  writeFileSync(
    file,
    stringify({
      apiVersion: 'groundplane.dev/v1',
      kind: 'Profile',
      metadata: { name: 'edge', version },
      spec: { type: 'infrastructure', layers: [{ name: 'base', kind: 'os', os: { files: [{ path: '/etc/motd', content: version }], agent } }] },
    }),
  );
  return file;
};
const cluster = (version: string): string => {
  const file = join(site.folder, `cluster-${version}.yaml`);
  writeFileSync(
    file,
    stringify({ apiVersion: 'groundplane.dev/v1', kind: 'Cluster', metadata: { name: 'shop' }, spec: { profiles: [{ name: 'edge', version }], hosts: names } }),
  );
  return file;
};
/** A package with so much noise in it that it is large content indeed. */
const upload = async (version: string): Promise<{ version: string; packages: Record<string, { digest: string; size: number }> }> => {
  const file = await writePackage(join(site.folder, `release-${version}`), version, [
    ...standInFiles('healthy', {}),
    { path: 'noise', data: randomBytes(6_000_000), isExecutable: false },
  ]);
  return JSON.parse(await site.gpOk('agent', 'upload', file, '-o', 'json')) as { version: string; packages: Record<string, { digest: string; size: number }> };
};

beforeAll(async () => {
  await site.startHub();
  const login = await site.gpWith('four words of a password\n', ['login', '--setup', site.setupLink(), '--name', 'anna', '--password-stdin']);
  if (login.code !== 0) throw new Error(login.stderr);
}, 60_000);
afterAll(async () => {
  for (const agent of agents) await agent.stop();
  await site.close();
});

test('comes from the hub and from neighbours, is answered to nobody else, and reaches a site without a line by a medium', { timeout: 180_000 }, async () => {
  const first = await upload('1.0.0');
  const digest = first.packages[here]?.digest ?? '';
  await site.gpOk('apply', '-f', profile('1.0.0', first));
  const ticket = JSON.parse(await site.gpOk('ticket', 'create', 'shop', '--auto-approve', '--uses', '3', '-o', 'json')) as { ticket: string };
  const locals = new Map<string, string>();
  for (const name of names) {
    const { local } = await startAgent(name, ticket.ticket);
    locals.set(name, local);
    // They all say the serial number of this one machine, so that the hub asks a person about the second and the third.
    const link = await until(`${name} was heard`, async () => {
      const { state, words } = ((await (await fetch(`${local}/status.json`)).json()) as { link: { state: string; words?: string } }).link;
      return state === 'online' || state === 'lobby' ? { state, words: words ?? '' } : undefined;
    });
    if (link.state === 'lobby') await site.gpOk('approve', name, '--words', link.words);
  }
  await site.gpOk('apply', '-f', cluster('1.0.0'));
  for (const [name, local] of locals) {
    await until(
      `${name} holds`,
      async () => ((await phase(local)).phase === 'converged' && (await phase(local)).committed !== undefined ? true : undefined),
      90_000,
    );
    expect(
      `sha256:${createHash('sha256')
        .update(readFileSync(blobFile(name, digest)))
        .digest('hex')}`,
    ).toBe(digest);
  }

  // One host loses its line; the others go on to the second version.
  await agents[2]?.stop();
  const second = await upload('2.0.0');
  const next = second.packages[here]?.digest ?? '';
  await site.gpOk('apply', '-f', profile('2.0.0', second));
  await site.gpOk('apply', '-f', cluster('2.0.0'));
  for (const name of ['one', 'two']) {
    await until(`${name} has the second`, () => (existsSync(blobFile(name, next)) ? true : undefined), 90_000);
    await until(`${name} holds the second`, async () => ((await phase(locals.get(name) ?? '')).committed?.generation === 2 ? true : undefined), 90_000);
  }
  const medium = join(site.folder, 'medium');
  await site.gpOk('media', 'export', 'shop', medium);
  const stick = join(site.folder, 'stick');
  cpSync(medium, stick, { recursive: true });
  await site.killHub();
  const { local } = await startAgent('far', undefined);
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [join(root, 'agent/src/main.ts'), '--data', join(site.folder, 'far'), '--local-port', String(ports.get('far')), ...words], {
      encoding: 'utf8',
      cwd: root,
    });
  const imported = run('media', 'import', stick);
  expect([imported.stderr, imported.status]).toEqual(['', 0]);
  expect(JSON.parse(imported.stdout)).toMatchObject({ ok: true, generation: 2, acceptance: { accept: 'new' } });
  await until('far holds the second', async () => ((await phase(local)).committed?.generation === 2 ? true : undefined), 60_000);
  expect(existsSync(blobFile('far', next))).toBe(true);
  expect(readFileSync(join(site.folder, 'root-far', 'etc', 'motd'), 'utf8')).toBe('2.0.0');
  expect(run('media', 'receipt', stick).status).toBe(0);
  expect(readdirSync(join(stick, 'receipts')).length).toBe(2);
  await agents.at(-1)?.stop();

  await site.startHub();
  const receipts = JSON.parse(await site.gpOk('media', 'receipts', stick, '-o', 'json')) as { taken: number; known: number };
  expect(receipts).toEqual({ taken: 2, known: 0 });
  await until('the hub knows how far is', async () => ((await site.gpOk('get', 'host', 'far', '-o', 'json')).includes('converged') ? true : undefined), 30_000);
  const changes = join(site.folder, 'changes');
  mkdirSync(changes);
  await site.gpOk('media', 'export', 'shop', changes, '--since', stick);
  expect(existsSync(join(changes, 'blobs', 'sha256', next.slice(7)))).toBe(false);
  expect(site.logs.filter((text) => /Error|rejection|at .*\.ts:/.test(text))).toEqual([]);
});
