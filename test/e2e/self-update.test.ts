import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildAgentPackages } from '@groundplane/installer/package';
import { agentPackageName } from '@groundplane/protocol/agent-package';
import { value } from '../hub/world.ts';
import { here, lacking, scriptsFolder, standInFiles, writePackage } from '../installer/packages.ts';
import { createSite, until } from './site.ts';

/** The shipped agent replaces itself for real: packages from the build, install.sh, launch.sh, a hub. The test plays systemd. */
const why = lacking(['zstd']);

describe.skipIf(why !== '')(`an agent that a profile updates${why}`, () => {
  const site = createSite();
  const root = join(site.folder, 'machine');
  const home = join(root, 'opt', 'groundplane');
  let child: ChildProcess | undefined;
  let isStopping = false;
  const starts: string[] = [];

  /** `Restart=always`. */
  const keepRunning = async (): Promise<void> => {
    while (!isStopping) {
      const ended = Promise.withResolvers<void>();
      starts.push(readlinkSync(join(home, 'current')));
      child = spawn(
        'sh',
        [
          join(home, 'launch.sh'),
          '--data',
          join(site.folder, 'data'),
          '--name',
          'shop',
          '--root',
          join(site.folder, 'files'),
          '--local-port',
          '0',
          '--mirror-port',
          'off',
          '--neighbour-port',
          'off',
        ],
        {
          env: { PATH: process.env['PATH'], GROUNDPLANE_HOME: home, GROUNDPLANE_MARKS: join(site.folder, 'marks') },
          stdio: ['ignore', 'ignore', 'pipe'],
        },
      );
      child.stderr?.setEncoding('utf8').on('data', (text: string) => void site.logs.push(text));
      child.on('close', () => ended.resolve());
      await ended.promise;
      await delay(200);
    }
  };
  let running: Promise<void> | undefined;

  const build = async (version: string): Promise<string> => {
    const out = join(site.folder, `release-${version}`);
    value(await buildAgentPackages({ archs: [here], out, version, level: 1, keyPem: undefined }));
    return join(out, agentPackageName(version, here));
  };
  const ask = async (version: string, file: string): Promise<void> => {
    const agent = JSON.parse(await site.gpOk('agent', 'upload', file, '-o', 'json')) as unknown;
    const text = (kind: string, metadata: object, spec: object): string => {
      const path = join(site.folder, `${kind}-${version}.yaml`);
      writeFileSync(path, stringify({ apiVersion: 'groundplane.dev/v1', kind, metadata, spec }));
      return path;
    };
    await site.gpOk(
      'apply',
      '-f',
      text(
        'Profile',
        { name: 'edge', version },
        { type: 'infrastructure', layers: [{ name: 'base', kind: 'os', os: { files: [{ path: '/etc/motd', content: version }], agent } }] },
      ),
    );
    await site.gpOk('apply', '-f', text('Cluster', { name: 'shop' }, { profiles: [{ name: 'edge', version }], hosts: ['shop'] }));
  };
  const host = async (): Promise<{
    phase?: string;
    info?: { agentVersion: string };
    status?: { committed?: { generation: number }; poisoned?: { failure: { code: string } } };
  }> => JSON.parse(await site.gpOk('get', 'host', 'shop', '-o', 'json')) as Awaited<ReturnType<typeof host>>;

  beforeAll(async () => {
    await site.startHub();
    const login = await site.gpWith('four words of a password\n', ['login', '--setup', site.setupLink(), '--name', 'anna', '--password-stdin']);
    if (login.code !== 0) throw new Error(login.stderr);
    mkdirSync(root);
    const file = await build('1.0.0');
    const installed = spawnSync('sh', [join(scriptsFolder, 'install.sh'), '--root', root, '--package', file, '--insecure', '--no-start'], { encoding: 'utf8' });
    if (installed.status !== 0) throw new Error(installed.stderr);
    const ticket = JSON.parse(await site.gpOk('ticket', 'create', 'shop', '--auto-approve', '-o', 'json')) as { ticket: string };
    mkdirSync(join(site.folder, 'data'), { mode: 0o700 });
    writeFileSync(join(site.folder, 'data', 'ticket'), ticket.ticket, { mode: 0o600 });
    running = keepRunning();
    await until('the first version is there', async () => ((await host()).info?.agentVersion === '1.0.0' ? true : undefined));
  }, 120_000);
  afterAll(async () => {
    isStopping = true;
    child?.kill('SIGTERM');
    await running;
    await site.close();
  }, 30_000);

  test('runs the new version once it is healthy, and is back at it after one that never starts', { timeout: 300_000 }, async () => {
    await ask('2.0.0', await build('2.0.0'));
    await until(
      'the second version holds',
      async () => ((await host()).info?.agentVersion === '2.0.0' && (await host()).phase === 'converged' ? true : undefined),
      150_000,
    );
    expect(readFileSync(join(site.folder, 'marks', 'healthy'), 'utf8')).toMatch(/^2\.0\.0-/);
    expect(readFileSync(join(site.folder, 'files', 'etc', 'motd'), 'utf8')).toBe('2.0.0');
    const before = starts.length;
    await ask('3.0.0', await writePackage(join(site.folder, 'bad'), '3.0.0', standInFiles('crash', {})));
    const back = await until('it is back', async () => ((await host()).phase === 'rolled-back' ? host() : undefined), 120_000);
    expect(back).toMatchObject({
      info: { agentVersion: '2.0.0' },
      status: { committed: { generation: 1 }, poisoned: { failure: { code: 'agent-update-failed' } } },
    });
    expect(starts.slice(before).filter((link) => link.includes('3.0.0')).length).toBe(4);
    expect(await site.gpOk('get', 'events', '-o', 'json')).toContain('AgentRolledBack');
    const quiet = starts.length;
    await delay(5_000);
    expect(starts.length, 'nothing loops').toBe(quiet);
  });
});
