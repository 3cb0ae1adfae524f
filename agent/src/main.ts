import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail } from '@groundplane/protocol/failure';
import { agentArchs } from '@groundplane/protocol/agent-package';
import { createAgent } from './agent.ts';
import { openBlobs } from './blobs/open.ts';
import { kubernetesCluster } from './cluster/client.ts';
import { loadKubeconfig } from './cluster/connection.ts';
import type { OpenCluster } from './engine-facts.ts';
import { lastReboot } from './observe/machine.ts';
import { loadDeviceKey } from './identity/key.ts';
import { parseTicket } from './identity/ticket.ts';
import { httpContent } from './link/content-http.ts';
import { mqttLink } from './link/mqtt.ts';
import { webSocketLink } from './link/websocket.ts';
import { approvalAddress } from './local/approval.ts';
import { startLocalPage } from './local/page.ts';
import type { Link } from './port/link.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { createState } from './store/state.ts';
import { systemClock } from './system/clock.ts';
import { bootId, serialNumber, systemInfo } from './system/info.ts';
import { linuxHost } from './system/linux.ts';
import { createNotifier } from './system/notify.ts';
import { watchImageHealth } from './system/os-images/health.ts';
import { findOsParts } from './system/os-parts.ts';
import { findPackages } from './system/packages/find.ts';
import { systemRandom } from './system/random.ts';
import { forgetSlotNews, slotFrom, slotNews, watchHealth } from './system/slots.ts';

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

export const linkFor = (url: string, caPem: string | undefined): Link => (url.startsWith('mqtt') ? mqttLink(url, { caPem }) : webSocketLink(url, { caPem }));

/** The ticket is kept beside the state, so that a restart needs no flag. */
export const readTicketText = (data: string, given: string | undefined): string => {
  const file = join(data, 'ticket');
  if (given !== undefined) {
    const text = given.startsWith('@') ? readFileSync(given.slice(1), 'utf8') : given;
    writeFileSync(file, text, { mode: 0o600 });
    return text;
  }
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};

const usage = `groundplane-agent --ticket TEXT|@FILE [--data DIR] [--kubeconfig FILE] [--name NAME] [--carrier ws|mqtt] [--local-port N] [--root DIR]`;

const stopWith = (text: string, code: number): never => {
  process.stderr.write(`${text}\n`);
  process.exit(code);
};

const options = {
  data: { type: 'string', default: process.getuid?.() === 0 ? '/var/lib/groundplane' : '.groundplane-agent' },
  ticket: { type: 'string' },
  kubeconfig: { type: 'string' },
  name: { type: 'string' },
  carrier: { type: 'string', default: 'ws' },
  'local-port': { type: 'string', default: '5080' },
  root: { type: 'string', default: '/' },
  sysctl: { type: 'string', default: '/proc/sys' },
  systemctl: { type: 'string', default: 'systemctl' },
  help: { type: 'boolean', default: false },
} as const;

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options });
  if (values.help) return stopWith(usage, 0);
  if (values.carrier !== 'ws' && values.carrier !== 'mqtt') return stopWith(`--carrier is ws or mqtt, not ${values.carrier}\n${usage}`, 2);
  mkdirSync(values.data, { recursive: true, mode: 0o700 });
  const ticket = parseTicket(readTicketText(values.data, values.ticket));
  if (!ticket.ok) return stopWith(`${ticket.failure.element}: ${ticket.failure.message}`, 2);
  const key = loadDeviceKey(join(values.data, 'device.key'));
  if (!key.ok) return stopWith(`${key.failure.element}: ${key.failure.message}`, 1);
  const isMqtt = values.carrier === 'mqtt';
  const wanted = ticket.value.hubs.filter((url) => url.startsWith('mqtt') === isMqtt);
  if (wanted.length === 0) return stopWith(`the ticket names no hub address for the carrier ${values.carrier}; it has ${ticket.value.hubs.join(', ')}`, 2);
  const info = await systemInfo(agentVersion);
  const slot = slotFrom(process.env);
  const store = openSqliteStore(join(values.data, 'agent.db'));
  const state = createState(store);
  const { isImage, ...os } = await findOsParts({ root: values.root, systemctl: values.systemctl, intent: () => lastReboot(state) });
  const reboot = lastReboot(state);
  const agent = createAgent({
    store,
    os,
    host: linuxHost({ root: values.root, sysctlRoot: values.sysctl, systemctl: values.systemctl, info, packages: await findPackages(values.root) }),
    openCluster: openFrom(values.kubeconfig),
    links: wanted.map((url) => linkFor(url, ticket.value.caPem)),
    content: (token) => httpContent(ticket.value.content, { token, caPem: ticket.value.caPem }),
    blobs: (facts) => openBlobs(values.data, { ticket: ticket.value, clock: systemClock, facts }),
    architecture: agentArchs.find((arch) => arch === process.arch),
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
  const local = await startLocalPage(
    {
      name: values.name ?? info.hostname,
      simulated: false,
      engine: agent.engine,
      session: agent.session.state,
      approval: approvalAddress(ticket.value.content, key.value.publicKey),
    },
    Number(values['local-port']),
  );
  process.stdout.write(`${JSON.stringify({ ready: true, local: `http://127.0.0.1:${local.port}` })}\n`);
  const stop = new AbortController();
  const notifier = createNotifier(process.env, systemClock);
  stop.signal.addEventListener('abort', () => void notifier.stopping(), { once: true });
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  await notifier.ready();
  const life = { clock: systemClock, hasContact: () => ['online', 'lobby'].includes(agent.session.state().state), signal: stop.signal };
  if (slot !== undefined) void watchHealth(slot, life);
  if (isImage) void watchImageHealth({ ...life, root: values.root, reboot });
  await agent.run(stop.signal);
  notifier.close();
  await local.close();
  store.close();
  process.exit(0);
};

if (import.meta.main) await main();
