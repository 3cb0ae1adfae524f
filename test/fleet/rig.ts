import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { buildHub } from '@groundplane/installer/build';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import type { FleetStats } from './simulate.ts';

const root = join(import.meta.dirname, '..', '..');
const project = 'bench';

interface Started {
  process: ChildProcess;
  ready: Record<string, unknown>;
}

/** Starts a program of ours, pinned to one core where the machine can do that, and waits for its first line. */
const start = async (script: string, args: readonly string[], core: number | undefined): Promise<Started> => {
  const command = core !== undefined && existsSync('/usr/bin/taskset') ? ['/usr/bin/taskset', '-c', String(core), process.execPath] : [process.execPath];
  const child = spawn(command[0] ?? '', [...command.slice(1), '--max-semi-space-size=16', script, ...args], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const ready = Promise.withResolvers<Record<string, unknown>>();
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    line.startsWith('{"ready"') ? ready.resolve(JSON.parse(line) as Record<string, unknown>) : undefined,
  );
  child.on('exit', (code) => ready.reject(new Error(`${script} ended with ${code}`)));
  return { process: child, ready: await ready.promise };
};

const stopChild = async (child: ChildProcess): Promise<void> => {
  const exited = Promise.withResolvers<void>();
  child.on('exit', () => exited.resolve());
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await exited.promise;
};

const must = async <T>(what: string, result: Promise<{ ok: true; value: T } | { ok: false; failure: { message: string; element: string } }>): Promise<T> => {
  const done = await result;
  if (!done.ok) throw new Error(`${what}: ${done.failure.element}: ${done.failure.message}`);
  return done.value;
};

/** Some layers, so that a bundle has a usual size; one value in one of them comes from a macro. */
const benchProfile = (): ProfileSpec =>
  ({
    type: 'full',
    layers: [
      { name: 'os', kind: 'os', os: { files: [{ path: '/etc/motd', content: 'bench\n' }], sysctls: { 'vm.swappiness': 10 } } },
      { name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing' } },
      ...Array.from({ length: 6 }, (_, layer) => ({
        name: `layer-${layer}`,
        kind: 'addon',
        namespace: 'bench',
        manifests: [
          {
            name: 'objects',
            content: Array.from(
              { length: 4 },
              (_unused, index) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm-${layer}-${index}}\ndata: {text: "static ${'x'.repeat(200)}"}\n`,
            ).join('---\n'),
          },
        ],
      })),
      {
        name: 'settings',
        kind: 'addon',
        namespace: 'bench',
        priority: 5,
        manifests: [
          { name: 'settings', content: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {value: "{{ .spectro.macro.value }}"}\n' },
        ],
      },
    ],
  }) as unknown as ProfileSpec;

export interface Rig {
  client: Client;
  hubPid: number;
  fleet: () => Promise<FleetStats>;
  startFleet(hosts: number): Promise<void>;
  createClusters(hosts: number): Promise<void>;
  setValue(value: string): Promise<void>;
  /** Waits until the hub has written down that so many clusters are ready. */
  waitReady(hosts: number, timeoutMs: number): Promise<void>;
  waitOnline(hosts: number, timeoutMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** The shipped hub bundle on one core, and a fleet on the other. */
export const startRig = async (): Promise<Rig> => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-bench-'));
  await buildHub(join(folder, 'hub'));
  const hub = await start(join(folder, 'hub', 'hub.mjs'), ['--data', join(folder, 'data'), '--port', '0', '--key-file', join(folder, 'key')], 0);
  const key = readFileSync(join(folder, 'key'), 'utf8');
  const client = createClient({ baseUrl: String(hub.ready['url']), fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
  await must('project', client.call('createProject', { body: { name: project } }));
  const value = (text: string) => client.call('setMacro', { params: { project, name: 'value' }, body: { value: text } });
  await must('macro', value('0'));
  await must('profile', client.call('applyProfile', { params: { project, name: 'bench', version: '1.0.0' }, body: { spec: benchProfile() } }));
  const ticket = await must(
    'ticket',
    client.call('createTicket', { params: { project }, body: { name: 'bench', uses: 100_000, ttlSeconds: 3600, autoApprove: true } }),
  );
  let fleet: Started | undefined;

  const wait = async (what: string, isThere: (view: { online: number; ready: number }) => boolean, timeoutMs: number): Promise<void> => {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const view = await must('fleet', client.call('fleet', { query: { project } }));
      if (isThere({ online: view.online, ready: view.byState['ready'] ?? 0 })) return;
      if (performance.now() > end) throw new Error(`${what} did not happen in ${timeoutMs} ms: ${JSON.stringify(view)}`);
      await delay(1_000);
    }
  };

  return {
    client,
    hubPid: hub.process.pid ?? 0,
    fleet: async () => {
      const answer = Promise.withResolvers<FleetStats>();
      fleet?.process.once('message', (message) => answer.resolve(message as FleetStats));
      fleet?.process.send('stats');
      return answer.promise;
    },
    startFleet: async (hosts) => {
      fleet = await start(join(root, 'test/fleet/simulate.ts'), ['--hosts', String(hosts), '--ticket', ticket.ticket], 1);
    },
    createClusters: async (hosts) => {
      const names = Array.from({ length: hosts }, (_, index) => `sim-${String(index).padStart(5, '0')}`);
      const width = 16;
      const next = names[Symbol.iterator]();
      const work = async (): Promise<void> => {
        for (const name of next)
          await must(
            name,
            client.call('applyCluster', { params: { project, name }, body: { spec: { profiles: [{ name: 'bench', version: '1.0.0' }], hosts: [name] } } }),
          );
      };
      await Promise.all(Array.from({ length: width }, work));
    },
    setValue: async (text) => void (await must('macro', value(text))),
    waitOnline: (hosts, timeoutMs) => wait('everybody online', (view) => view.online >= hosts, timeoutMs),
    waitReady: (hosts, timeoutMs) => wait('everybody ready', (view) => view.ready >= hosts, timeoutMs),
    stop: async () => {
      if (fleet !== undefined) await stopChild(fleet.process);
      await stopChild(hub.process);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
