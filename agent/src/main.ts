import type { AgentArch } from '@groundplane/protocol/agent-package';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, type Result } from '@groundplane/protocol/failure';
import type { HostInfo } from '@groundplane/protocol/observed';
import { optionWords, parsePort } from '@groundplane/protocol/option-words';
import { createAgent, type Agent } from './agent.ts';
import type { DiskBlobs } from './blobs/disk.ts';
import { openBlobs } from './blobs/open.ts';
import { kubernetesCluster } from './cluster/client.ts';
import { loadKubeconfig } from './cluster/connection.ts';
import { distributions } from './distribution/distributions.ts';
import { createProgramDigests } from './distribution/programs.ts';
import type { OpenCluster } from './engine-facts.ts';
import type { KubernetesDeps } from './observe/distribution.ts';
import { openDoors, openOrSay } from './doors.ts';
import { loadDeviceKey, type DeviceKey } from './identity/key.ts';
import { parseTicket, type EnrolmentTicket } from './identity/ticket.ts';
import type { ProxyEnv } from './link/hub-agents.ts';
import { createProxySettings, type ProxyStore } from './local/proxy-settings.ts';
import { httpContent } from './link/content-http.ts';
import { linkFor } from './link/link-for.ts';
import { approvalAddress } from './local/approval.ts';
import { openControl } from './local/open.ts';
import { startLocalPage } from './local/page.ts';
import type { Host } from './port/host.ts';
import type { AgentStore } from './port/store.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { systemClock } from './system/clock.ts';
import { writeSecretly } from './system/durable.ts';
import { collectGarbage } from './system/collect.ts';
import { bootId, hostAddress, serialNumber, siteAddresses, systemInfo } from './system/info.ts';
import { linuxHost } from './system/linux.ts';
import { homeOf, machineArch, systemSlots } from './system/slot-install.ts';
import { createNotifier } from './system/notify.ts';
import { findOsParts, type WholeMachine } from './system/os-parts.ts';
import { findPackages } from './system/packages/find.ts';
import { systemTools } from './system/tools.ts';
import { systemRandom } from './system/random.ts';
import { systemVitals } from './system/vitals.ts';
import { forgetSlotNews, slotFrom, slotNews, watchHealth, type Slot } from './system/slots.ts';

/** A package says at build time what it is. */
export const agentVersion = process.env['GROUNDPLANE_AGENT_VERSION'] ?? '0.1.0';

/** Opens the kubeconfig that the agent was started with, or the one that the Kubernetes layer names. */
const openFrom =
  (flag: string | undefined): OpenCluster =>
  async ({ kubeconfigPath }) => {
    const path = flag ?? kubeconfigPath;
    if (path === undefined)
      return fail(
        'blocked',
        'kubeconfig-missing',
        'Kubernetes',
        'nobody says where the kubeconfig is. Start the agent with --kubeconfig, or set kubernetes.kubeconfigPath in the profile',
      );
    const connection = await loadKubeconfig(path);
    return connection.ok ? { ok: true, value: kubernetesCluster({ connection: connection.value, clock: systemClock, random: systemRandom }) } : connection;
  };

/** The ticket is kept beside the state, so that a restart needs no flag. One that cannot be read does not take the place of one that could. */
export const takeTicket = (data: string, given: string | undefined): Result<EnrolmentTicket> => {
  const file = join(data, 'ticket');
  if (given === undefined) {
    if (existsSync(file)) return parseTicket(readFileSync(file, 'utf8'));
    return fail(
      'fatal',
      'ticket-missing',
      file,
      'there is no ticket yet, and without one the agent knows no hub. Give one: --ticket @FILE, from gp ticket create',
    );
  }
  let text = given;
  if (given.startsWith('@')) {
    try {
      text = readFileSync(given.slice(1), 'utf8');
    } catch (error) {
      return fail('fatal', 'ticket-missing', `--ticket ${given}`, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const ticket = parseTicket(text);
  // A disk that takes nothing is no reason not to start; the flag is there the next time too.
  if (ticket.ok) writeSecretly(file, text);
  return ticket;
};

const usage = `groundplane-agent --ticket TEXT|@FILE [--data DIR] [--kubeconfig FILE] [--name NAME] [--carrier ws|mqtt] [--local-port N] [--mirror-port N|off] [--neighbour-port N|off] [--root DIR] [--gateway HOST:PORT]…`;

const options = {
  data: { type: 'string', default: process.getuid?.() === 0 ? '/var/lib/groundplane' : '.groundplane-agent' },
  ticket: { type: 'string' },
  kubeconfig: { type: 'string' },
  name: { type: 'string' },
  carrier: { type: 'string', default: 'ws' },
  'local-address': { type: 'string', default: '127.0.0.1' },
  'local-port': { type: 'string', default: '5080' },
  'mirror-port': { type: 'string', default: '5081' },
  'neighbour-port': { type: 'string', default: '5082' },
  root: { type: 'string', default: '/' },
  sysctl: { type: 'string', default: '/proc/sys' },
  systemctl: { type: 'string', default: 'systemctl' },
  gateway: { type: 'string', multiple: true },
  help: { type: 'boolean', default: false },
} as const;

const stopWith = (text: string, code: number): never => {
  process.stderr.write(`${text}\n`);
  process.exit(code);
};

/** The means to bring Kubernetes up on this machine. */
const meansFor = (architecture: AgentArch | undefined): KubernetesDeps => ({
  distribution: distributions({ tools: systemTools, clock: systemClock }),
  tools: systemTools,
  architecture: architecture ?? 'x64',
  address: hostAddress,
  programs: createProgramDigests(),
});

const readOptions = () => {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    return stopWith(`${optionWords(error)}\n${usage}`, 2);
  }
};

/** A port, 0 for any, or `off` where a door may stay shut. */
const checkPort = (option: 'local-port' | 'mirror-port' | 'neighbour-port', text: string): void => {
  if (parsePort(text) === undefined && !(text === 'off' && option !== 'local-port'))
    stopWith(`--${option} is a port from 0 to 65535, not ${text}\n${usage}`, 2);
};

const main = async (): Promise<void> => {
  const { values, positionals } = readOptions();
  if (values.help) return stopWith(`${usage}\n${(await import('./commands.ts')).commandsUsage}`, 0);
  for (const option of ['local-port', 'mirror-port', 'neighbour-port'] as const) checkPort(option, values[option]);
  if (positionals.length > 0) return runCommandLine(positionals, values.data, Number(values['local-port']));
  if (values.carrier !== 'ws' && values.carrier !== 'mqtt') return stopWith(`--carrier is ws or mqtt, not ${values.carrier}\n${usage}`, 2);
  mkdirSync(values.data, { recursive: true, mode: 0o700 });
  const ticket = takeTicket(values.data, values.ticket);
  if (!ticket.ok) return stopWith(`${ticket.failure.element}: ${ticket.failure.message}`, 2);
  const key = loadDeviceKey(join(values.data, 'device.key'));
  if (!key.ok) return stopWith(`${key.failure.element}: ${key.failure.message}`, 1);
  const wanted = ticket.value.hubs.filter((url) => url.startsWith('mqtt') === (values.carrier === 'mqtt'));
  if (wanted.length === 0) return stopWith(`the ticket names no hub address for the carrier ${values.carrier}; it has ${ticket.value.hubs.join(', ')}`, 2);
  const info = await systemInfo(agentVersion);
  const slot = slotFrom(process.env);
  const store = openSqliteStore(join(values.data, 'agent.db'));
  const host = linuxHost({ root: values.root, sysctlRoot: values.sysctl, systemctl: values.systemctl, info, packages: await findPackages(values.root) });
  const whole = await findOsParts({ root: values.root, systemctl: values.systemctl, store });
  const proxySettings = createProxySettings(values.data);
  const proxy = proxySettings.env;
  const restart = new AbortController();
  const late: { blobPort?: number | undefined; token?: () => string } = {};
  let blobs: DiskBlobs | undefined;
  const architecture = machineArch(process.arch);
  const agent = createAgent({
    store,
    os: whole.parts,
    vitals: systemVitals([values.root, values.data]),
    host: {
      ...host,
      info: () => Promise.resolve({ ...info, addresses: siteAddresses(), ...(late.blobPort === undefined ? {} : { blobPort: late.blobPort }) }),
    },
    openCluster: openFrom(values.kubeconfig),
    links: wanted.map((url) => linkFor(url, ticket.value.caPem, proxy)),
    content: (token) => {
      late.token = token;
      return httpContent(ticket.value.content, { token, caPem: ticket.value.caPem, proxy });
    },
    kubernetes: meansFor(architecture),
    blobs: (facts) => (blobs = openBlobs(values.data, { ticket: ticket.value, clock: systemClock, facts, proxy, otherBase: whole.parts.runningImage?.base })),
    architecture,
    slots:
      slot === undefined || architecture === undefined
        ? undefined
        : systemSlots(slot, { home: homeOf(process.execPath), arch: architecture, restart: () => restart.abort() }),
    key: key.value,
    ticket: ticket.value,
    clock: systemClock,
    random: systemRandom,
    bootId: await bootId(randomUUID()),
    name: values.name ?? info.hostname.split('.')[0],
    serial: await serialNumber().catch(() => undefined),
    news: slot === undefined ? [] : slotNews(slot),
  });
  if (slot !== undefined) forgetSlotNews(slot);
  const around = await openAround({ values, agent, blobs, store, host, architecture, key: key.value, ticket: ticket.value, info, proxy: proxySettings });
  late.blobPort = around.blobPort;
  const gateway = await openGateway(values.gateway ?? [], ticket.value, proxy, () => late.token?.() ?? '');
  await runUntilTold(agent, slot, whole, restart.signal);
  gateway?.close();
  await around.close();
  store.close();
  process.exit(0);
};

/** Lets the hub call the named servers from here; loaded only where somebody said so. */
const openGateway = async (
  allowed: readonly string[],
  ticket: EnrolmentTicket,
  proxy: () => ProxyEnv,
  token: () => string,
): Promise<{ close: () => void } | undefined> => {
  if (allowed.length === 0) return undefined;
  const { openGatewayDoor } = await import('./gateway/door.ts');
  const log = (text: string): void => void process.stderr.write(`${text}\n`);
  return openGatewayDoor({ hub: ticket.content, caPem: ticket.caPem, proxy, token, allowed, clock: systemClock, log });
};

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

interface AroundDeps {
  values: Values;
  agent: Agent;
  blobs: DiskBlobs | undefined;
  store: AgentStore;
  host: Host;
  architecture: AgentArch | undefined;
  key: DeviceKey;
  ticket: EnrolmentTicket;
  info: HostInfo;
  proxy: ProxyStore;
}

/** The doors of this host: mirror, neighbours, local page. Says where they are. */
const openAround = async ({ values, info, ...deps }: AroundDeps): Promise<{ blobPort: number | undefined; close: () => Promise<void> }> => {
  const { agent, blobs, architecture, ticket, key } = deps;
  const log = (text: string): void => void process.stderr.write(`${text}\n`);
  const doors =
    blobs === undefined
      ? undefined
      : await openDoors({ agent, blobs, architecture, clock: systemClock, log }, { mirror: values['mirror-port'], neighbours: values['neighbour-port'] });
  const stop = new AbortController();
  const control =
    blobs === undefined
      ? undefined
      : await openControl({ ...deps, blobs, data: values.data, clock: systemClock, random: systemRandom, log, signal: stop.signal });
  const status = {
    name: values.name ?? info.hostname,
    simulated: false,
    engine: agent.engine,
    session: agent.session.state,
    approval: approvalAddress(ticket.content, key.publicKey),
    control,
  };
  const port = Number(values['local-port']);
  const local = await openOrSay('the local page', port, () => startLocalPage(status, port, values['local-address']), log);
  const mirror = doors?.mirrorPort === undefined ? {} : { mirror: `http://127.0.0.1:${doors.mirrorPort}` };
  const page = local === undefined ? {} : { local: `http://127.0.0.1:${local.port}` };
  process.stdout.write(`${JSON.stringify({ ready: true, ...page, ...mirror })}\n`);
  return {
    blobPort: doors?.blobPort,
    close: async () => {
      stop.abort();
      await doors?.close();
      await local?.close();
    },
  };
};

const runCommandLine = async (words: readonly string[], data: string, localPort: number): Promise<void> => {
  const stdin = async (): Promise<string> => {
    const pieces: Buffer[] = [];
    for await (const piece of process.stdin as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces).toString('utf8');
  };
  const { commandsUsage, runLocalCommand } = await import('./commands.ts');
  const code = await runLocalCommand(words, { data, localPort, stdin, write: (text) => void process.stdout.write(text) });
  return code === undefined ? stopWith(`unknown command ${words.join(' ')}\n${commandsUsage}`, 2) : process.exit(code);
};

/** Tells systemd and launch.sh how it goes, until somebody asks it to stop. */
const runUntilTold = async (agent: Agent, slot: Slot | undefined, whole: WholeMachine, restart: AbortSignal): Promise<void> => {
  const stop = new AbortController();
  restart.addEventListener('abort', () => stop.abort(), { once: true });
  const notifier = createNotifier(process.env, systemClock);
  stop.signal.addEventListener('abort', () => void notifier.stopping(), { once: true });
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  await notifier.ready();
  const life = { clock: systemClock, hasContact: () => ['online', 'lobby'].includes(agent.session.state().state), signal: stop.signal };
  if (slot !== undefined) void watchHealth(slot, life);
  whole.watch(life);
  // When the first session has been made, or given up.
  systemClock.after(20_000, collectGarbage);
  await agent.run(stop.signal);
  notifier.close();
};

if (import.meta.main) await main();
