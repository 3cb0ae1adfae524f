import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Hono } from 'hono';
import { makeDeviceKey, type DeviceKey } from '@groundplane/agent/identity/key';
import { parseTicket, ticketMac, type EnrolmentTicket } from '@groundplane/agent/identity/ticket';
import { createAuth, type Auth } from '@groundplane/hub/api/auth';
import { mountContent } from '@groundplane/hub/api/content';
import { mountInside } from '@groundplane/hub/api/insides';
import { hubCatalogue } from '@groundplane/hub/api/registry-door';
import type { ApiDeps } from '@groundplane/hub/api/handler';
import { apiRouter } from '@groundplane/hub/api/router';
import { mountStream } from '@groundplane/hub/api/stream';
import { diskContent } from '@groundplane/hub/content/disk';
import type { Throttle } from '@groundplane/hub/content/throttle';
import { registryLimits } from '@groundplane/hub/registry/limits';
import { createBlobCipher } from '@groundplane/hub/trust/blob-cipher';
import { diskStaging } from '@groundplane/hub/content/staging';
import { mountRegistry } from '@groundplane/hub/registry/serve';
import type { CloudOptions } from '@groundplane/hub/cloud/open';
import { createCore, type Core } from '@groundplane/hub/core';
import type { Clock } from '@groundplane/hub/port/clock';
import type { ContentStore } from '@groundplane/hub/port/content';
import type { Store } from '@groundplane/hub/port/store';
import { openSqliteStore } from '@groundplane/hub/store/sqlite';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { makeHubKeys, type HubKeys } from '@groundplane/hub/trust/keys';
import type { Grant } from '@groundplane/protocol/access';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import { fail } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import { helloText, protocolVersion, ticketText, type AgentMessage, type Hello, type HubMessage } from '@groundplane/protocol/messages';

const base = 'http://hub.test';

/** A hub without sockets: real store, core and API on a temporary folder, called in this process. */
export interface HubWorld {
  store: Store;
  content: ContentStore;
  core: Core;
  auth: Auth;
  keys: HubKeys;
  epoch: string;
  tenant: string;
  folder: string;
  /** What the hub wrote into its log: faults of its own. */
  log: string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Answers over a real socket, until the test ends it. */
  app: Hono;
  /** A client with a key of these grants. */
  client(grants: Grant[], tenant?: string): Promise<Client & { key: string }>;
  admin: Client & { key: string };
  /** The same folder, opened by a hub that was just started. */
  restart(): Promise<HubWorld>;
  close(): Promise<void>;
}

export interface HubWorldOptions {
  folder?: string;
  clock?: Clock;
  keys?: HubKeys;
  epoch?: string;
  /** People reach this hub by https. */
  isSecure?: boolean;
  egress?: ApiDeps['egress'];
  blobBytesMax?: number;
  throttle?: Throttle;
  /** Environments that it makes clusters in; whoever gives them starts the driver. A function: by its folder. */
  cloud?: CloudOptions | ((folder: string) => CloudOptions);
}

const newId = (kind: Parameters<typeof makeId>[0]): string => makeId(kind, (length) => systemRandom.bytes(length));

/** Makes a tenant with its project `default`, as the hub does at its first start. */
export const makeTenant = async (store: Store, name: string): Promise<string> => {
  const known = await store.byLookup('tenant', name);
  if (known !== undefined) return known.tenant;
  const id = newId('tenant');
  await store.commit([
    { op: 'put', kind: 'tenant', tenant: id, id, project: '', name, lookup: name, expect: 'absent', value: { trustMode: 'hub' } },
    { op: 'put', kind: 'project', tenant: id, id: newId('project'), project: '', name: 'default', expect: 'absent', value: {} },
  ]);
  return id;
};

export const openHub = async (options: HubWorldOptions = {}): Promise<HubWorld> => {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'gp-hub-'));
  const clock = options.clock ?? systemClock;
  const keys = options.keys ?? makeHubKeys('hub-test');
  const epoch = options.epoch ?? 'epoch1';
  const store = openSqliteStore(join(folder, 'hub.db'), clock);
  const content = diskContent(join(folder, 'content'), clock, createBlobCipher(keys.sealKey));
  const log: string[] = [];
  const tenant = await makeTenant(store, 'default');
  const helm = { render: () => Promise.resolve(fail('fatal', 'no-helm', 'chart', 'there is no Helm in this test')), close: () => Promise.resolve() };
  const core = await createCore({
    systemTenant: tenant,
    store,
    content,
    helm,
    keys,
    epoch,
    secret: 'seed',
    engine: 'test',
    clock,
    random: systemRandom,
    log: (text) => log.push(text),
    ...(options.cloud === undefined ? {} : { cloud: typeof options.cloud === 'function' ? options.cloud(folder) : options.cloud }),
  });
  const auth = createAuth({ store, clock, random: systemRandom });
  const deps: ApiDeps = {
    store,
    content,
    transfers: {
      staging: diskStaging(join(folder, 'uploads'), clock),
      blobBytesMax: options.blobBytesMax ?? registryLimits.blobBytes,
      ...(options.throttle === undefined ? {} : { throttle: options.throttle }),
    },
    sealers: core.sealers,
    accounts: core.cloud.accounts,
    driver: core.cloud.driver,
    insides: core.cloud.insides,
    auth,
    keys,
    fleet: core.fleet,
    gateway: core.gateway,
    bundler: core.bundler,
    inputs: core.inputs,
    clock,
    random: systemRandom,
    isSecure: options.isSecure ?? false,
    ...(options.egress === undefined ? {} : { egress: options.egress }),
    systemTenant: tenant,
    addresses: () => ({ links: ['ws://hub.test/link'], content: base }),
  };
  const app = new Hono();
  mountContent(app, deps, core.delivery);
  mountInside(app, deps);
  mountRegistry(app, { content, ...deps.transfers, catalogue: hubCatalogue(deps) });
  const stream = mountStream(app, deps);
  app.route(
    '/',
    apiRouter(deps, (text) => log.push(text)),
  );
  const fetchInside = async (path: string, init?: RequestInit): Promise<Response> =>
    app.fetch(new Request(path.startsWith('http') ? path : `${base}${path}`, init));
  let keyNumber = 0;
  const client = async (grants: Grant[], of: string = tenant): Promise<Client & { key: string }> => {
    keyNumber += 1;
    const made = await auth.makeApiKey(of, `test-${Buffer.from(systemRandom.bytes(4)).toString('hex')}-${keyNumber}`, grants, undefined);
    if (!made.ok) throw new Error(made.failure.message);
    const { key } = made.value;
    return {
      key,
      ...createClient({
        baseUrl: base,
        fetch: ((url: string, init?: RequestInit) =>
          fetchInside(url, { ...init, headers: { ...(init?.headers as Record<string, string>), host: 'hub.test' } })) as typeof fetch,
        headers: () => ({ authorization: `Bearer ${key}` }),
      }),
    };
  };
  const shut = async (): Promise<void> => {
    stream.close();
    await core.close();
    await store.close();
  };
  return {
    store,
    content,
    core,
    auth,
    keys,
    epoch,
    tenant,
    folder,
    log,
    fetch: fetchInside,
    app,
    client,
    admin: await client([{ role: 'TenantAdmin' }]),
    restart: async () => {
      await shut();
      return openHub({ ...options, folder, keys, epoch });
    },
    close: async () => {
      await shut();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Waits until something is so. */
export const until = async <T>(check: () => T | undefined | false | Promise<T | undefined | false>, what: string, timeoutMs = 5_000): Promise<T> => {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`it did not happen within ${timeoutMs} ms: ${what}`);
    await delay(2);
  }
};

export const value = <T>(result: { ok: true; value: T } | { ok: false; failure: { code: string; element: string; message: string } }): T => {
  if (result.ok) return result.value;
  throw new Error(`${result.failure.code} ${result.failure.element}: ${result.failure.message}`);
};
export const codeOf = (result: { ok: true } | { ok: false; failure: { code: string } }): string => (result.ok ? 'ok' : result.failure.code);

/** The other end of a connection, held by the test. */
export interface Line {
  heard: HubMessage[];
  texts: string[];
  isClosed(): boolean;
  say(message: AgentMessage): void;
  sayText(text: string): void;
  /** The first message of this kind, from now or from before. */
  hear<T extends HubMessage['t']>(t: T): Promise<Extract<HubMessage, { t: T }>>;
  hangUp(): void;
}

export const callHub = (hub: Pick<HubWorld, 'core'>): Line => {
  const heard: HubMessage[] = [];
  const texts: string[] = [];
  let closed = false;
  // The gateway may hang up before it has returned what to call.
  const held: { events?: ReturnType<HubWorld['core']['gateway']['accept']> } = {};
  held.events = hub.core.gateway.accept({
    send: (text) => {
      texts.push(text);
      heard.push(JSON.parse(text) as HubMessage);
    },
    backlogBytes: () => 0,
    close: () => {
      if (closed) return;
      closed = true;
      held.events?.onClose();
    },
  });
  return {
    heard,
    texts,
    isClosed: () => closed,
    say: (message) => held.events?.onFrame(JSON.stringify(message)),
    sayText: (text) => held.events?.onFrame(text),
    hear: (t) => until(() => heard.find((message) => message.t === t) as never, `the hub says ${t}; it said ${heard.map((message) => message.t).join(', ')}`),
    hangUp: () => {
      if (closed) return;
      closed = true;
      held.events?.onClose();
    },
  };
};

/** A device without agent: a key, and what a hello needs. */
export interface Device {
  key: DeviceKey;
  ticket: EnrolmentTicket | undefined;
  bootId: string;
}

export const makeDevice = (ticketLine?: string): Device => ({
  key: makeDeviceKey(),
  ticket: ticketLine === undefined ? undefined : value(parseTicket(ticketLine)),
  bootId: `boot-${Buffer.from(systemRandom.bytes(4)).toString('hex')}`,
});

/** A valid hello for one connection. `change` edits it before the key signs. */
export const makeHello = (device: Device, challenge: { hub: string; nonce: string }, change: Partial<Hello> = {}): Hello => {
  const nonce = Buffer.from(systemRandom.bytes(18)).toString('base64url');
  const hello: Omit<Hello, 'proof'> = {
    t: 'hello',
    v: protocolVersion,
    key: device.key.publicKey,
    nonce,
    bootId: device.bootId,
    capabilities: ['bundle-patch', 'attach'],
    resume: {},
    ...(device.ticket === undefined
      ? {}
      : { ticket: { id: device.ticket.id, mac: ticketMac(device.ticket.secret, ticketText(challenge, device.key.publicKey, nonce)) } }),
    ...change,
  };
  return { ...hello, proof: device.key.sign(helloText(challenge, hello)), ...('proof' in change ? { proof: change.proof ?? '' } : {}) };
};

/** Connects a device and says hello. */
export const greet = async (hub: Pick<HubWorld, 'core'>, device: Device, change: Partial<Hello> = {}): Promise<Line> => {
  const line = callHub(hub);
  line.say(makeHello(device, await line.hear('challenge'), change));
  return line;
};

export const makeTicket = async (
  client: Client,
  fields: Partial<{ name: string; uses: number; ttlSeconds: number; autoApprove: boolean; project: string; serials: Record<string, string> }> = {},
): Promise<string> => {
  const { project = 'default', name = `t-${Buffer.from(systemRandom.bytes(4)).toString('hex')}`, ...rest } = fields;
  return value(await client.call('createTicket', { params: { project }, body: { name, ...rest } })).ticket;
};

const manifest = (name: string, data: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  text: ${JSON.stringify(data)}\n`;

/** A released add-on profile of one ConfigMap. */
export const applyProfile = async (client: Client, name: string, version: string, data = version, project = 'default'): Promise<void> => {
  const spec = {
    type: 'addon' as const,
    layers: [{ name, kind: 'addon' as const, namespace: 'shop', manifests: [{ name: 'map', content: manifest(name, data) }] }],
  };
  value(await client.call('applyProfile', { params: { project, name, version }, body: { spec } }));
};

export const applyCluster = async (client: Client, name: string, profile: string, version: string, hosts: string[], project = 'default') =>
  value(await client.call('applyCluster', { params: { project, name }, body: { spec: { profiles: [{ name: profile, version }], hosts } } }));

/** A device that was let in, under this name, connected. */
export const enrolledHost = async (
  hub: HubWorld,
  name: string,
  client: Client = hub.admin,
  project = 'default',
): Promise<{ device: Device; line: Line; id: string }> => {
  const device = makeDevice(await makeTicket(client, { autoApprove: true, project }));
  const line = await greet(hub, device, { name });
  const welcome = await line.hear('welcome');
  return { device, line, id: welcome.host };
};
