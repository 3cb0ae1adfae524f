import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterView } from '@groundplane/protocol/api/views';
import { startChild, type Child } from '../lab/children.ts';

const root = join(import.meta.dirname, '..', '..');

/** Waits until the look answers something; the error says what was seen last. */
export const until = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined, timeoutMs = 60_000): Promise<T> => {
  const end = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s ${last}`);
    await delay(100);
  }
};

export interface GpResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * A hub and an agent as processes of their own, from source, on one temporary folder; and `gp` as somebody would type it. Both can be killed and started again
 * on the same state and the same ports.
 */
export const createSite = () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-e2e-'));
  const hostRoot = join(folder, 'host');
  const sysctlRoot = join(folder, 'sys');
  const reserved = join(sysctlRoot, 'net/ipv4/ip_local_reserved_ports');
  mkdirSync(dirname(reserved), { recursive: true });
  writeFileSync(reserved, '\n');
  mkdirSync(join(hostRoot, 'etc'), { recursive: true });
  let hub: Child | undefined;
  let agent: Child | undefined;
  let port = 0;
  let setupLink: string | undefined;
  const logs: string[] = [];

  const gpWith = async (input: string, args: readonly string[]): Promise<GpResult> => {
    const child = spawn(process.execPath, [join(root, 'hub/cli/main.ts'), ...args], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], XDG_CONFIG_HOME: join(folder, 'config'), HOME: folder },
    });
    child.stdin.end(input);
    const result: GpResult = { code: 0, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (result.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr += text));
    const done = Promise.withResolvers<number>();
    child.on('close', (code) => done.resolve(code ?? 1));
    result.code = await done.promise;
    return result;
  };

  const gp = (...args: string[]): Promise<GpResult> => gpWith('', args);

  return {
    folder,
    hostRoot,
    sysctlFile: reserved,
    logs,
    gp,
    gpWith,
    /** Fails the test with everything gp said, unless it ended with 0. */
    gpOk: async (...args: string[]): Promise<string> => {
      const result = await gp(...args);
      if (result.code !== 0) throw new Error(`gp ${args.join(' ')} ended with ${result.code}: ${result.stderr}${result.stdout}`);
      return result.stdout;
    },
    startHub: async (options: { port?: number; args?: readonly string[] } = {}): Promise<string> => {
      port = options.port ?? port;
      hub = startChild(join(root, 'hub/src/main.ts'), ['--data', join(folder, 'hub'), '--port', String(port), ...(options.args ?? [])], {
        onError: (text) => void logs.push(`hub: ${text}`),
      });
      const ready = await hub.ready;
      port = Number(new URL(String(ready['url'])).port);
      if (typeof ready['setupLink'] === 'string') setupLink = ready['setupLink'];
      return String(ready['url']);
    },
    setupLink: (): string => setupLink ?? '',
    startAgent: async (kubeconfig: string, ticket?: string): Promise<string> => {
      const args = [
        '--data',
        join(folder, 'agent'),
        '--kubeconfig',
        kubeconfig,
        '--name',
        'store-1',
        '--local-port',
        '0',
        '--root',
        hostRoot,
        '--sysctl',
        sysctlRoot,
        ...(ticket === undefined ? [] : ['--ticket', ticket]),
      ];
      agent = startChild(join(root, 'agent/src/main.ts'), args, { onError: (text) => void logs.push(`agent: ${text}`) });
      return String((await agent.ready)['local']);
    },
    killHub: async (): Promise<void> => {
      hub?.process.kill('SIGKILL');
      await hub?.stop();
      hub = undefined;
    },
    killAgent: async (): Promise<void> => {
      agent?.process.kill('SIGKILL');
      await agent?.stop();
      agent = undefined;
    },
    hostFile: (path: string): string => readFileSync(join(hostRoot, path), 'utf8'),
    close: async (): Promise<void> => {
      await agent?.stop();
      await hub?.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
export type TestSite = ReturnType<typeof createSite>;

/** Waits for an imported cluster; when it does not come to that, everything that tells why is in the error. */
export const reachImported = (
  site: TestSite,
  name: string,
  what: string,
  is: (view: ClusterView) => boolean,
  more: () => string = () => '',
): Promise<ClusterView> =>
  until(
    what,
    async () => {
      const view = JSON.parse(await site.gpOk('get', 'cluster', name, '-o', 'json')) as ClusterView;
      return is(view) ? view : undefined;
    },
    120_000,
  ).catch(async (error: unknown) => {
    const seen = await Promise.all([
      site.gp('cloud', 'show', name, '-o', 'json'),
      site.gp('get', 'cluster', name, '-o', 'json'),
      site.gp('get', 'events', '-o', 'json'),
    ]);
    throw new Error(`${String(error)}\n${JSON.stringify(seen, undefined, 1)}\n${site.logs.join('')}\n${more()}`);
  });
