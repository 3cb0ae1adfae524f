import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { ensureOpenStack, pythonFolder } from './install.ts';

/** What the bootstrap made; the names are those of python/bootstrap.py. */
export const openStackNames = { project: 'groundplane', user: 'groundplane', password: 'counterpart-only', region: 'RegionOne', flavor: 'gp.small', image: 'ubuntu-24.04', externalNetwork: 'public' } as const; // prettier-ignore
const element = 'OpenStack counterpart';
/** Ten seconds on an idle machine. */
const startMsMax = 5 * 60_000;
const lineBytesMax = 64 * 1024;

export interface OpenStack {
  /** Of keystone, ending in `/v3`. */
  authUrl: string;
  projectId: string;
  applicationCredential: { id: string; secret: string };
  urls: Readonly<Record<'keystone' | 'placement' | 'glance' | 'neutron' | 'nova', string>>;
  /** Last lines of a service's log, for a test that failed. */
  log(service: string): Promise<string>;
  stop(): Promise<void>;
}

interface Line {
  urls: OpenStack['urls'];
  projectId: string;
  applicationCredential: OpenStack['applicationCredential'];
}

/** Starts keystone, placement, glance, neutron and nova on free ports of the loopback, with a copy of the bootstrapped cloud. */
export const startOpenStack = async (): Promise<Result<OpenStack>> => {
  const installed = await ensureOpenStack();
  if (!installed.ok) return installed;
  const { python, snapshot, environment } = installed.value;
  const state = await mkdtemp(join(tmpdir(), 'gp-openstack-'));
  for (const part of ['db', 'keys', 'images', 'facts.json']) await cp(join(snapshot, part), join(state, part), { recursive: true });
  const child = spawn(python, [join(pythonFolder, 'stack.py'), 'serve', state], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  const gone = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let [output, words] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, lineBytesMax);
    if (output.includes('\n')) resolve(output.split('\n')[0]);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-4_096)));
  child.stdin.on('error', () => undefined);
  child.on('error', () => resolve(undefined));
  void gone.then(() => resolve(undefined));
  const late = setTimeout(() => resolve(undefined), startMsMax);
  const line = await promise;
  clearTimeout(late);
  const stop = async (): Promise<void> => {
    // It ends with its standard input, also when this process dies.
    child.stdin.end();
    const killed = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(killed);
    await rm(state, { recursive: true, force: true, maxRetries: 5 });
  };
  const said = line === undefined ? {} : (JSON.parse(line) as Partial<Line> & { error?: string });
  const { urls, projectId, applicationCredential } = said;
  if (urls === undefined || projectId === undefined || applicationCredential === undefined) {
    await stop();
    return fail('retry', 'counterpart-not-started', element, said.error ?? `it did not start: ${words.trim().split('\n').slice(-4).join('\n')}`);
  }
  const log = async (service: string): Promise<string> => (await readFile(join(state, 'log', `${service}.log`), 'utf8').catch(() => '')).slice(-8_192);
  return ok({ authUrl: `${urls.keystone}/v3`, projectId, applicationCredential, urls, log, stop });
};
