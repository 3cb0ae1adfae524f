import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { makeId } from '@groundplane/protocol/ids';
import { optionWords, parsePort } from '@groundplane/protocol/option-words';
import { limits } from '@groundplane/protocol/limits';
import { openapi } from '@groundplane/protocol/api/openapi';
import { rawRoutes } from '@groundplane/protocol/api/routes';
import { createAuth } from './api/auth.ts';
import { mountContent } from './api/content.ts';
import { mountInside } from './api/insides.ts';
import { hubCatalogue } from './api/registry-door.ts';
import type { ApiDeps } from './api/handler.ts';
import { apiRouter } from './api/router.ts';
import { mountStream } from './api/stream.ts';
import { diskContent } from './content/disk.ts';
import { diskStaging } from './content/staging.ts';
import { createThrottle } from './content/throttle.ts';
import { createCore, type Core } from './core.ts';
import { mqttCarrier } from './gateway/mqtt.ts';
import { fail } from '@groundplane/protocol/failure';
import type { Way } from './cloud/accounts.ts';
import { egressHttp } from './cloud/http.ts';
import { parseAuthority } from './gateway/authority.ts';
import { createSiteGateways, type SiteGateways, type Tls } from './gateway/site-gateway.ts';
import type { Http } from './port/http.ts';
import type { CloudOptions } from './cloud/open.ts';
import type { HubAddresses } from './gateway/ticket-line.ts';
import { providerTable } from './providers/table.ts';
import { createEgress } from './registry/egress.ts';
import { linkPath, webSocketCarrier } from './gateway/websocket.ts';
import type { AcceptPeer } from './port/carrier.ts';
import type { Store } from './port/store.ts';
import { registryLimits } from './registry/limits.ts';
import { mountRegistry } from './registry/serve.ts';
import { startCollecting } from './reconcile/collect.ts';
import { createHelmPool, readHelmEngineIdentity } from './render/helm/index.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { systemClock } from './system/clock.ts';
import { collectGarbage } from './system/collect.ts';
import { systemRandom } from './system/random.ts';
import { createBlobCipher } from './trust/blob-cipher.ts';
import { loadHubKeys } from './trust/keys.ts';
import { dashboardApp } from './web/dashboard.ts';
import { developmentAssets, shippedAssets } from './web/assets.ts';

export const hubVersion = '0.1.0';

export interface HubOptions {
  data: string;
  host: string;
  /** 0 takes any free port. */
  port: number;
  mqttPort: number | undefined;
  /** How devices reach this hub; by default the address it listens on. */
  publicUrl: string | undefined;
  publicMqttUrl: string | undefined;
  /** PEM of the authority that signed the certificates of the public addresses; absent: one that every system trusts. */
  publicCa?: string;
  /** The database was restored from a backup: its desired states begin a new life, and hosts that are ahead are adopted. */
  newEpoch?: boolean;
  /** Private networks (CIDR) in which the hub may call registries. */
  egressAllow?: readonly string[];
  /** Bytes of the largest blob that may be streamed in; 16 GiB when absent. */
  contentBlobMax?: number;
  /** Bytes a second of all downloads of content together; unlimited when absent. */
  contentRate?: number;
  log: (text: string) => void;
}

const setting = async (store: Store, tenant: string, name: string, make: () => string): Promise<string> => {
  const known = await store.get('setting', tenant, name);
  if (known !== undefined) return known.value.value;
  const value = make();
  await store.commit([{ op: 'put', kind: 'setting', tenant, id: name, project: '', name, value: { value } }]);
  return value;
};

/** The first start makes the system tenant and its project `default`. */
const firstTenant = async (store: Store): Promise<string> => {
  const known = await store.byLookup('tenant', 'default');
  if (known !== undefined) return known.tenant;
  const id = makeId('tenant', (length) => systemRandom.bytes(length));
  const project = makeId('project', (length) => systemRandom.bytes(length));
  await store.commit([
    { op: 'put', kind: 'tenant', tenant: id, id, project: '', name: 'default', lookup: 'default', expect: 'absent', value: { trustMode: 'hub' } },
    { op: 'put', kind: 'project', tenant: id, id: project, project: '', name: 'default', expect: 'absent', value: {} },
  ]);
  return id;
};

/** A shipped hub has its page beside it; from source it is built on first use into the data folder. */
const assetsFor = (options: HubOptions): (() => Promise<string>) => {
  const shipped = join(import.meta.dirname, 'dashboard');
  return import.meta.filename.endsWith('.ts') ? developmentAssets(join(options.data, 'dashboard')) : shippedAssets(shipped);
};

/** What makes this hub this hub: its keys, the life of its database, the secret behind random values of charts, and the engine that renders them. */
const loadSelf = async (store: Store, tenant: string, options: HubOptions) => {
  if (options.newEpoch === true) await store.commit([{ op: 'delete', kind: 'setting', tenant, id: 'epoch' }]);
  const identity = await readHelmEngineIdentity();
  return {
    keys: loadHubKeys(join(options.data, 'keys.json'), () => `hub-${randomBytes(8).toString('hex')}`),
    epoch: await setting(store, tenant, 'epoch', () => randomBytes(6).toString('hex')),
    secret: await setting(store, tenant, 'seed', () => randomBytes(32).toString('hex')),
    engine: identity.ok ? identity.value.version : 'none',
  };
};

/** Tickets name the port, so the one that was free at the first start is kept. */
const openMqtt = async (
  store: Store,
  tenant: string,
  options: HubOptions,
  accept: AcceptPeer,
): Promise<Awaited<ReturnType<typeof mqttCarrier>> | undefined> => {
  if (options.mqttPort === undefined) return undefined;
  const known = await store.get('setting', tenant, 'mqttPort');
  const port = options.mqttPort === 0 ? Number(known?.value.value ?? 0) : options.mqttPort;
  const mqtt = await mqttCarrier({ host: options.host, port }, accept);
  await setting(store, tenant, 'mqttPort', () => String(mqtt.port));
  return mqtt;
};

const listen = async (server: Server, options: HubOptions): Promise<number> => {
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(options.port, options.host, listening.resolve);
  await listening.promise;
  return (server.address() as AddressInfo).port;
};

const closeServer = async (server: Server): Promise<void> => {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  server.closeAllConnections();
  await closed.promise;
};

/** Everything that answers over HTTP: health, OpenAPI, content, events, the API, and the dashboard for every other path. */
const webApp = (deps: ApiDeps, core: Core, options: HubOptions): { app: Hono; stream: { close: () => void } } => {
  const app = new Hono();
  app.get('/healthz', (context) => context.json({ status: 'ok', version: hubVersion, online: core.gateway.online() }));
  const description = JSON.stringify(openapi(hubVersion));
  app.get(rawRoutes.openapi, (context) => context.body(description, 200, { 'content-type': 'application/json' }));
  mountContent(app, deps, core.delivery);
  mountInside(app, deps);
  mountRegistry(app, { content: deps.content, ...deps.transfers, catalogue: hubCatalogue(deps) });
  const stream = mountStream(app, deps);
  app.route('/', apiRouter(deps, options.log));
  app.route('/', dashboardApp({ assetsDir: assetsFor(options) }));
  return { app, stream };
};

const helmOptions = { workers: 2, timeoutMs: 30_000, idleMs: 60_000, memoryMaxBytes: 512 * 1024 * 1024, clock: systemClock };

const notOpen = () => Promise.resolve(fail('retry', 'cloud-unreachable', 'gateway', 'the hub is starting'));

/** Site gateways on the hub's own server. */
const openGateways = (core: Core, late: ReturnType<typeof cloudFor>['late'], server: Server): SiteGateways => {
  const gateways = createSiteGateways({ clock: systemClock, hostByToken: core.gateway.hostByToken });
  gateways.attach(server);
  late.through = (gateway, tls) => {
    const host = gateway === undefined ? undefined : core.fleet.hostByName(gateway.tenant, gateway.project, gateway.name);
    return gateways.httpThrough({ id: host?.state === 'approved' ? host.id : undefined, name: gateway?.name ?? '' }, tls);
  };
  return gateways;
};

/** The way out to environments. Where this hub is reached is known once it listens; nothing is asked for before. */
const cloudFor = (options: HubOptions) => {
  const egress = createEgress({ private: options.egressAllow ?? [] });
  let known: HubAddresses = { links: [], content: '' };
  const addresses = (): HubAddresses => known;
  // Opened with the server; the core that knows its hosts comes first.
  const late: { through?: (way: Required<Way>['gateway'], tls: Tls) => Http } = {};
  const cloud: CloudOptions = {
    table: providerTable,
    httpFor: ({ gateway, ...tls }) => (gateway === undefined ? egressHttp(egress, tls) : (request) => late.through?.(gateway, tls)(request) ?? notOpen()),
    addresses,
    egress: { private: options.egressAllow ?? [] },
    residents: { data: join(options.data, 'resident'), version: hubVersion },
  };
  return { cloud, egress, addresses, setAddresses: (next: HubAddresses): void => void (known = next), late };
};

/** What starts a hub: its database, its blobs, its renderer and its core. */
const openAll = async (options: HubOptions) => {
  mkdirSync(options.data, { recursive: true, mode: 0o700 });
  const store = openSqliteStore(join(options.data, 'hub.db'), systemClock);
  const tenant = await firstTenant(store);
  const self = await loadSelf(store, tenant, options);
  const content = diskContent(join(options.data, 'content'), systemClock, createBlobCipher(self.keys.sealKey));
  const helm = createHelmPool(helmOptions);
  const out = cloudFor(options);
  const deps = { systemTenant: tenant, store, content, helm, ...self, clock: systemClock, random: systemRandom, log: options.log, cloud: out.cloud };
  return { store, tenant, self, content, helm, ...out, core: await createCore(deps) };
};

/** Starts a hub on one folder. Resolves when it listens and answers. */
export const startHub = async (options: HubOptions) => {
  const { store, tenant, self, content, helm, egress, addresses, setAddresses, late, core } = await openAll(options);
  const collecting = startCollecting({ store, content, fleet: core.fleet, forget: core.bundler.forget, clock: systemClock, log: options.log });
  const auth = createAuth({ store, clock: systemClock, random: systemRandom });

  const server = createServer({ requestTimeout: 0, headersTimeout: 15_000, keepAliveTimeout: 65_000 });
  const webSocket = webSocketCarrier(server, core.gateway.accept);
  const gateways = openGateways(core, late, server);
  const mqtt = await openMqtt(store, tenant, options, core.gateway.accept);
  const port = await listen(server, options);
  const url = options.publicUrl ?? `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
  const mqttUrl = mqtt === undefined ? undefined : (options.publicMqttUrl ?? `mqtt://${options.host}:${mqtt.port}`);

  setAddresses({ links: [`${url.replace(/^http/, 'ws')}${linkPath}`, ...(mqttUrl === undefined ? [] : [mqttUrl])], content: url, ca: options.publicCa });
  const deps: ApiDeps = {
    store,
    content,
    transfers: {
      staging: diskStaging(join(options.data, 'uploads'), systemClock),
      blobBytesMax: options.contentBlobMax ?? registryLimits.blobBytes,
      ...(options.contentRate === undefined ? {} : { throttle: createThrottle(systemClock, options.contentRate) }),
    },
    sealers: core.sealers,
    accounts: core.cloud.accounts,
    driver: core.cloud.driver,
    insides: core.cloud.insides,
    auth,
    keys: self.keys,
    fleet: core.fleet,
    gateway: core.gateway,
    bundler: core.bundler,
    inputs: core.inputs,
    clock: systemClock,
    random: systemRandom,
    systemTenant: tenant,
    isSecure: url.startsWith('https:'),
    egress: { private: options.egressAllow ?? [] },
    addresses,
  };
  const { app, stream } = webApp(deps, core, options);
  const answer = getRequestListener(app.fetch);
  server.on('request', (request, response) => void answer(request, response));
  await core.cloud.start();

  return {
    url,
    mqttUrl,
    port,
    tenant,
    auth,
    core,
    store,
    /** The link for the first administrator, as long as there is none. */
    setupLink: async (): Promise<string | undefined> =>
      (await store.list('user', tenant, { limit: 1 })).length > 0 ? undefined : `${url}/setup#${await auth.makeSetupToken(tenant)}`,
    newSetupLink: async (): Promise<string> => `${url}/setup#${await auth.makeSetupToken(tenant)}`,
    close: async (): Promise<void> => {
      stream.close();
      await collecting.stop();
      await core.close();
      egress.close();
      gateways.close();
      await webSocket.close();
      await mqtt?.close();
      await closeServer(server);
      await helm.close();
      await store.close();
    },
  };
};
export type Hub = Awaited<ReturnType<typeof startHub>>;

const stopWith = (text: string, code: number): never => {
  process.stderr.write(`${text}\n`);
  process.exit(code);
};

/** A flag whose value is a whole number within bounds, as one option of the hub; nothing when it was not given. */
const numberFlag = <K extends string>(key: K, flag: string, text: string | undefined, min: number, max: number): Partial<Record<K, number>> => {
  if (text === undefined) return {};
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < min || value > max) return stopWith(`${flag} ${text}: write a whole number of bytes from ${min} to ${max}`, 2);
  return { [key]: value } as Record<K, number>;
};

const authorityFlag = (file: string | undefined): Pick<HubOptions, 'publicCa'> => {
  if (file === undefined) return {};
  if (!existsSync(file)) return stopWith(`--public-ca ${file}: there is no such file`, 2);
  const authority = parseAuthority(readFileSync(file, 'utf8'), file);
  if (!authority.ok) return stopWith(`${authority.failure.element}: ${authority.failure.message}`, 2);
  return { publicCa: authority.value };
};

const options = {
  data: { type: 'string', default: '.groundplane' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '7600' },
  'mqtt-port': { type: 'string', default: '0' },
  'no-mqtt': { type: 'boolean', default: false },
  'public-url': { type: 'string' },
  'public-mqtt-url': { type: 'string' },
  'public-ca': { type: 'string' },
  'new-setup-link': { type: 'boolean', default: false },
  'new-epoch': { type: 'boolean', default: false },
  'key-file': { type: 'string' },
  'egress-allow': { type: 'string', multiple: true },
  'content-blob-max': { type: 'string' },
  'content-rate': { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

const usage = `flags of the hub, each explained in docs/operate.md: ${Object.entries(options)
  .map(([name, option]) => `--${name}${option.type === 'string' ? ' …' : ''}`)
  .join(', ')}`;

const readFlags = () => {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return stopWith(`${optionWords(error)}\n${usage}`, 2);
  }
};

const checkPort = (flag: string, text: string): void => {
  if (parsePort(text) === undefined) stopWith(`${flag} is a port from 0 to 65535, not ${text}\n${usage}`, 2);
};

const main = async (): Promise<void> => {
  const values = readFlags();
  if (values.help) return stopWith(usage, 0);
  checkPort('--port', values.port);
  checkPort('--mqtt-port', values['mqtt-port']);
  const hub = await startHub({
    data: values.data,
    host: values.host,
    port: Number(values.port),
    mqttPort: values['no-mqtt'] ? undefined : Number(values['mqtt-port']),
    publicUrl: values['public-url'],
    publicMqttUrl: values['public-mqtt-url'],
    ...authorityFlag(values['public-ca']),
    newEpoch: values['new-epoch'],
    egressAllow: values['egress-allow'] ?? [],
    ...numberFlag('contentBlobMax', '--content-blob-max', values['content-blob-max'], limits.contentBlobBytes, registryLimits.blobBytesMax),
    ...numberFlag('contentRate', '--content-rate', values['content-rate'], 1_000, 1e12),
    log: (text) => process.stderr.write(`${text}\n`),
  });
  if (values['key-file'] !== undefined) await writeServiceKey(hub, values['key-file']);
  const link = values['new-setup-link'] ? await hub.newSetupLink() : await hub.setupLink();
  process.stdout.write(`${JSON.stringify({ ready: true, url: hub.url, mqttUrl: hub.mqttUrl, ...(link === undefined ? {} : { setupLink: link }) })}\n`);
  // When what the start set in motion has ended.
  systemClock.after(5_000, collectGarbage);
  const stop = (): void => void hub.close().then(() => process.exit(0));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
};

/** An API key for the program that started the hub (the lab, a test), made anew at each start; the file is for its owner only. */
const writeServiceKey = async (hub: Hub, file: string): Promise<void> => {
  const old = await hub.store.byName('apiKey', hub.tenant, '', 'launcher');
  if (old !== undefined) await hub.store.commit([{ op: 'delete', kind: 'apiKey', tenant: hub.tenant, id: old.id }]);
  const made = await hub.auth.makeApiKey(hub.tenant, 'launcher', [{ role: 'TenantAdmin' }], undefined);
  if (made.ok) writeFileSync(file, made.value.key, { mode: 0o600 });
};

/** What the system refused, such as a port that is taken, in one line; anything else is a mistake of ours and keeps its stack. */
const startTrouble = (error: unknown): string =>
  error instanceof Error && 'syscall' in error
    ? `the hub cannot start: ${error.message}`
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);

if (import.meta.main) await main().catch((error: unknown) => stopWith(startTrouble(error), 1));
