import type { ClusterSpec } from '@groundplane/protocol/profile';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient, type ApiResult, type Client } from '@groundplane/protocol/api/client';
import type { ClusterView, EventView, HostView } from '@groundplane/protocol/api/views';
import { outputOf, runCommand } from '../../lab/hosts/command.ts';
import type { TestHost } from '../../lab/hosts/host.ts';
import { gatewayAddress } from '../../lab/hosts/site.ts';
import { startChild, type Child } from '../../lab/children.ts';
import { until } from '../site.ts';

const project = 'default';

const must = <T>(answer: ApiResult<T>): T => {
  if (!answer.ok) throw new Error(`${answer.failure.element}: ${answer.failure.message}`);
  return answer.value;
};

const root = join(import.meta.dirname, '..', '..', '..');
const unit = 'groundplane-agent';

/** The network is the test's own, so its ports are free. gp comes by loopback: to other machines it speaks only https. */
const hubPort = 7600;
const url = `http://127.0.0.1:${hubPort}`;

/** Where a host sees the packages of the agent, see `Prepared.agent`. */
export const agentMediumPath = '/media/agent';

/**
 * A hub at the gateway of the site, as a process of its own, and `gp` as somebody would type it. It can be killed and started again on the same state.
 */
export const startPlatform = async (folder: string) => {
  let hub: Child | undefined;
  let key = '';
  let client: Client | undefined;
  const log: string[] = [];

  const startHub = async (): Promise<void> => {
    const addresses = ['--host', '0.0.0.0', '--port', String(hubPort), '--public-url', `http://${gatewayAddress}:${hubPort}`];
    const args = [
      '--data',
      join(folder, 'hub'),
      ...addresses,
      '--public-mqtt-url',
      `mqtt://${gatewayAddress}:${hubPort + 1}`,
      '--mqtt-port',
      String(hubPort + 1),
      '--key-file',
      join(folder, 'hub.key'),
    ];
    hub = startChild(join(root, 'hub/src/main.ts'), args, { onError: (text) => void log.push(text) });
    await hub.ready;
    key = readFileSync(join(folder, 'hub.key'), 'utf8');
    client = createClient({ baseUrl: url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
  };
  const killHub = async (): Promise<void> => {
    hub?.process.kill('SIGKILL');
    await hub?.stop();
  };
  const gp = async (args: readonly string[], timeoutMs = 300_000): Promise<string> => {
    const env = { HOME: folder, XDG_CONFIG_HOME: join(folder, 'config'), GP_HUB: url, GP_TOKEN: key };
    const result = await runCommand([process.execPath, join(root, 'hub/cli/main.ts'), ...args], { env, timeoutMs });
    if (result.code !== 0) throw new Error(`gp ${args.join(' ')} ended with ${result.code}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  };
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await gp([...args, '-o', 'json'])) as T;
  const call = (): Client => {
    if (client === undefined) throw new Error('the hub is not started');
    return client;
  };
  await startHub();

  return {
    log,
    gp,
    json,
    startHub,
    killHub,
    /** A ticket that lets hosts in without a person. */
    ticket: async (name: string): Promise<string> => (await json<{ ticket: string }>('ticket', 'create', name, '--auto-approve')).ticket,
    /** Applies documents, as written. */
    apply: async (name: string, text: string): Promise<string> => {
      const file = join(folder, `${name}.yaml`);
      writeFileSync(file, text);
      return await gp(['apply', '-f', file]);
    },
    cluster: async (name: string): Promise<ClusterView> => must(await call().call('getCluster', { params: { project, name } })),
    host: async (name: string): Promise<HostView> => must(await call().call('getHost', { params: { project, name } })),
    /** Makes or changes a cluster of these hosts. */
    wish: async (
      name: string,
      profile: { name: string; version: string },
      hosts: readonly string[],
      hostSettings?: NonNullable<ClusterSpec['hostSettings']>,
    ): Promise<void> => {
      const spec = { profiles: [profile], variables: {}, hosts: [...hosts], ...(hostSettings === undefined ? {} : { hostSettings }) };
      must(await call().call('applyCluster', { params: { project, name }, body: { spec } }));
    },
    removeCluster: async (name: string): Promise<void> => {
      must(await call().call('deleteCluster', { params: { project, name } }));
    },
    events: async (): Promise<EventView[]> => must(await call().call('listEvents', { params: { project }, query: { last: 100 } })).items,
    /** Keeps a copy of what the hub knows; it is stopped for that. */
    saveHub: async (): Promise<void> => {
      await hub?.stop();
      await outputOf(['cp', '-a', '--reflink=auto', join(folder, 'hub'), join(folder, 'hub-saved')], { timeoutMs: 300_000 });
      await startHub();
    },
    restoreHub: async (): Promise<void> => {
      await hub?.stop();
      await outputOf(['rm', '-r', join(folder, 'hub')]);
      await outputOf(['cp', '-a', '--reflink=auto', join(folder, 'hub-saved'), join(folder, 'hub')], { timeoutMs: 300_000 });
      await startHub();
    },
    stop: async (): Promise<void> => await hub?.stop(),
  };
};
export type Platform = Awaited<ReturnType<typeof startPlatform>>;

/** Installs the package that ships on a host, as its admin would; the host needs the medium of `Prepared.agent`. */
export const installAgent = async (host: TestHost, ticket: string, version: 'good' | 'broken' = 'good'): Promise<{ code: number; output: string }> => {
  const folder = `${agentMediumPath}/${version}`;
  const options = ['--key', `${agentMediumPath}/key.pem`, '--name', host.name, ...(ticket === '' ? [] : ['--ticket', '-'])];
  const result = await host.exec(['sh', `${folder}/install.sh`, ...options], { input: ticket, timeoutMs: 300_000 });
  return { code: result.code, output: result.stdout + result.stderr };
};

export const agentLog = async (host: TestHost, lines = 40): Promise<string> =>
  (await host.exec(['journalctl', '--unit', unit, '--no-pager', '--lines', String(lines), '--output', 'cat'])).stdout;

export const agentProperty = async (host: TestHost, name: string): Promise<string> =>
  (await host.run(['systemctl', 'show', '--property', name, '--value', unit])).trim();

export const waitOnline = async (platform: Platform, name: string, timeoutMs = 60_000): Promise<void> => {
  await until(`${name} is online`, async () => ((await platform.host(name)).online ? true : undefined), timeoutMs);
};
