import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describeApi } from './describe.ts';

/**
 * A MAAS region as its REST API 2.0 shows it: OAuth PLAINTEXT, multipart and urlencoded forms, machines that go from Ready to Deployed and back. Canonical's own
 * client works against it (libmaas.test.ts). How long things take, and how many machines there are, is our model.
 */
export const maasKey = 'consumer1:token1:secret1';
const numbers = { Ready: 4, Deployed: 6, Broken: 8, Deploying: 9, Allocated: 10, 'Failed deployment': 11, Releasing: 12 } as const;
type Status = keyof typeof numbers;

interface FakeMachine {
  system_id: string;
  hostname: string;
  status_name: Status;
  cpu_count: number;
  memory: number;
  zone: string;
  pool: string;
  domain: string;
  tag_names: string[];
  power_state: 'on' | 'off';
  owner: string | null;
  owner_data: Record<string, string>;
  agent_name: string;
  distro_series: string;
  user_data: string;
  /** What it becomes, and when. */
  next?: { status: Status; atMs: number };
}

interface Answer {
  status: number;
  body: unknown;
}
type Form = Readonly<Record<string, readonly string[]>>;

const text = (status: number, body: unknown): Answer => ({ status, body });
const lists: Readonly<Record<string, unknown[]>> = {
  zones: ['az1', 'az2'].map((name, id) => ({ id, name, description: '' })),
  resourcepools: ['default', 'kubernetes'].map((name, id) => ({ id, name, description: '' })),
  domains: ['maas', 'example'].map((name, id) => ({ id, name, authoritative: true, ttl: null, is_default: id === 0, resource_record_count: 0 })),
  tags: [{ name: 'ssd', definition: '', comment: '', kernel_opts: '' }],
  'boot-resources': [{ id: 1, type: 'Synced', name: 'ubuntu/noble', architecture: 'amd64/ga-24.04', title: 'Ubuntu 24.04 LTS' }],
  subnets: [{ id: 1, name: '10.9.0.0/24', cidr: '10.9.0.0/24', vlan: { id: 1, vid: 0, fabric: 'fabric-0' } }],
};

const shown = (machine: FakeMachine) => {
  const { agent_name: _agent, user_data: _data, next: _next, zone, pool, domain, ...rest } = machine;
  return {
    ...rest,
    fqdn: `${machine.hostname}.${domain}`,
    status: numbers[machine.status_name],
    status_message: machine.status_name,
    status_action: '',
    ip_addresses: machine.status_name === 'Deployed' ? [`10.9.0.${10 + Number(machine.hostname.replace('node', ''))}`] : [],
    zone: { id: zone === 'az1' ? 0 : 1, name: zone, description: '', resource_uri: `/MAAS/api/2.0/zones/${zone}/` },
    pool: { id: pool === 'default' ? 0 : 1, name: pool, description: '', resource_uri: `/MAAS/api/2.0/resourcepool/${pool}/` },
    domain: { id: 0, name: domain, ttl: null, authoritative: true, is_default: true, resource_record_count: 0 },
    architecture: 'amd64/generic',
    osystem: machine.distro_series === '' ? '' : 'ubuntu',
    hwe_kernel: null,
    min_hwe_kernel: '',
    netboot: machine.status_name !== 'Deployed',
    locked: false,
    node_type: 0,
    node_type_name: 'Machine',
    power_type: 'manual',
    swap_size: null,
    interface_set: [],
    resource_uri: `/MAAS/api/2.0/machines/${machine.system_id}/`,
  };
};

const one = (form: Form, key: string): string | undefined => form[key]?.[0];

/** Whether a free machine meets the constraints of an allocation. */
const meets = (machine: FakeMachine, form: Form): boolean =>
  machine.status_name === 'Ready' &&
  machine.cpu_count >= Number(one(form, 'cpu_count') ?? 0) &&
  machine.memory >= Number(one(form, 'mem') ?? 0) &&
  (one(form, 'zone') ?? machine.zone) === machine.zone &&
  (one(form, 'pool') ?? machine.pool) === machine.pool &&
  (one(form, 'system_id') ?? machine.system_id) === machine.system_id &&
  (form['tags'] ?? []).flatMap((item) => item.split(',')).every((tag) => machine.tag_names.includes(tag));

const readForm = async (request: IncomingMessage): Promise<Form> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  if (parts.length === 0) return {};
  const type = request.headers['content-type'] ?? 'application/x-www-form-urlencoded';
  const data = await new Response(Buffer.concat(parts), { headers: { 'content-type': type } }).formData();
  const form: Record<string, string[]> = {};
  for (const [key, value] of data) (form[key] ??= []).push(typeof value === 'string' ? value : await value.text());
  return form;
};

export interface MaasOptions {
  machines?: number;
  /** How long a deployment and a release take. */
  stepMs?: number;
}

export const startMaas = async ({ machines: count = 12, stepMs = 15 }: MaasOptions = {}) => {
  const nonces = new Set<string>();
  const failing = new Set<string>();
  const machines = new Map<string, FakeMachine>(
    Array.from({ length: count }, (_, index): [string, FakeMachine] => {
      const id = `abc${String(index).padStart(3, '0')}`;
      const [zone, pool] = [index % 2 === 0 ? 'az1' : 'az2', index % 4 === 3 ? 'default' : 'kubernetes'];
      return [id, { system_id: id, hostname: `node${index}`, status_name: 'Ready', cpu_count: 4, memory: 16_384, zone, pool, domain: 'maas', tag_names: ['ssd'], power_state: 'off', owner: null, owner_data: {}, agent_name: '', distro_series: '', user_data: '' }]; // prettier-ignore
    }),
  );

  const isSigned = (header: string): boolean => {
    const fields = new Map(header.replace(/^OAuth /, '').split(/,\s*/).map((item): [string, string] => { const [key = '', value = ''] = item.split('='); return [key, decodeURIComponent(value.replaceAll('"', ''))]; })); // prettier-ignore
    const [consumer, token, secret] = maasKey.split(':');
    const nonce = fields.get('oauth_nonce') ?? '';
    const isFresh = nonce !== '' && !nonces.has(nonce);
    nonces.add(nonce);
    return isFresh && fields.get('oauth_signature_method') === 'PLAINTEXT' && fields.get('oauth_consumer_key') === consumer && fields.get('oauth_token') === token && fields.get('oauth_signature') === `&${secret}`; // prettier-ignore
  };

  const settle = (): void => {
    for (const machine of machines.values()) {
      if (machine.next === undefined || performance.now() < machine.next.atMs) continue;
      machine.status_name = machine.next.status;
      delete machine.next;
      if (machine.status_name === 'Deployed') machine.power_state = 'on';
      if (machine.status_name === 'Ready') Object.assign(machine, { owner: null, owner_data: {}, distro_series: '', user_data: '' });
    }
  };
  const later = (machine: FakeMachine, now: Status, then: Status): void => {
    machine.status_name = now;
    machine.next = { status: then, atMs: performance.now() + stepMs };
  };

  const allocate = (form: Form): Answer => {
    for (const [field, list] of [
      ['zone', 'zones'],
      ['pool', 'resourcepools'],
    ] as const) {
      const wanted = one(form, field);
      if (wanted !== undefined && !lists[list]?.some((item) => (item as { name: string }).name === wanted))
        return text(400, { [field]: [`No such ${field}: '${wanted}'.`] });
    }
    const machine = [...machines.values()].find((item) => meets(item, form));
    if (machine === undefined) return text(409, `No available machine matches constraints: ${JSON.stringify(form)}`);
    Object.assign(machine, { status_name: 'Allocated', owner: 'admin', agent_name: one(form, 'agent_name') ?? '' });
    return text(200, shown(machine));
  };
  const deploy = (machine: FakeMachine, form: Form): Answer => {
    if (machine.status_name !== 'Allocated') return text(409, `Can't deploy a machine that is in the '${machine.status_name}' state`);
    const series = one(form, 'distro_series') ?? 'ubuntu/noble';
    if (!/^(ubuntu\/)?noble$|^custom\//.test(series)) return text(400, { distro_series: [`'${series}' is not a valid distro_series.  It should be one of: '', 'ubuntu/noble'.`] }); // prettier-ignore
    Object.assign(machine, { distro_series: series.replace(/^.*\//, ''), user_data: one(form, 'user_data') ?? '' });
    later(machine, 'Deploying', failing.has(machine.system_id) ? 'Failed deployment' : 'Deployed');
    return text(200, shown(machine));
  };
  const release = (machine: FakeMachine): Answer => {
    if (machine.status_name === 'Releasing') return text(409, `Machine cannot be released in its current state ('Releasing').`);
    if (machine.status_name === 'Ready') return text(200, shown(machine));
    machine.power_state = 'off';
    machine.agent_name = '';
    later(machine, 'Releasing', 'Ready');
    return text(200, shown(machine));
  };
  const onMachine = (machine: FakeMachine, method: string, op: string | null, form: Form): Answer => {
    if (method === 'GET') return text(200, shown(machine));
    if (method === 'PUT') {
      machine.domain = one(form, 'domain') ?? machine.domain;
      return text(200, shown(machine));
    }
    if (op === 'deploy') return deploy(machine, form);
    if (op === 'release') return release(machine);
    if (op !== 'set_owner_data') return text(400, `Unrecognised signature: method=${method} op=${op}`);
    if (machine.owner === null) return text(409, "Cannot set workload annotation: it hasn't been acquired.");
    for (const [key, values] of Object.entries(form)) machine.owner_data[key] = values[0] ?? '';
    return text(200, shown(machine));
  };
  const listed = (query: URLSearchParams): FakeMachine[] =>
    [...machines.values()].filter(
      (machine) =>
        (query.get('agent_name') ?? machine.agent_name) === machine.agent_name &&
        (query.get('pool') ?? machine.pool) === machine.pool &&
        (query.get('status') ?? machine.status_name.toLowerCase().replace(' ', '_')) === machine.status_name.toLowerCase().replace(' ', '_'),
    );

  const respond = async (request: IncomingMessage, url: URL): Promise<Answer> => {
    const method = request.method ?? 'GET';
    const path = url.pathname.replace(/^\/MAAS\/api\/2\.0\//, '').replace(/\/$/, '');
    if (path === 'describe') return text(200, describeApi(url.origin));
    if (path === 'version') return text(200, { version: '3.5.0', subversion: '', capabilities: [] });
    if (!isSigned(request.headers.authorization ?? '')) return text(401, 'Authorization Error: Invalid API key.');
    settle();
    const op = url.searchParams.get('op');
    const form = method === 'GET' ? {} : await readForm(request);
    if (path === 'users' && op === 'whoami') return text(200, { username: 'admin', email: 'admin@example.org', is_superuser: false, is_local: true });
    if (path === 'machines' && method === 'GET') return text(200, listed(url.searchParams).map(shown));
    if (path === 'machines' && op === 'allocate') return allocate(form);
    const id = /^machines\/([^/]+)$/.exec(path)?.[1];
    if (id !== undefined) {
      const machine = machines.get(decodeURIComponent(id));
      return machine === undefined ? text(404, 'No Machine matches the given query.') : onMachine(machine, method, op, form);
    }
    const list = lists[path];
    return list === undefined ? text(404, `Unknown API endpoint: ${url.pathname}.`) : text(200, list);
  };

  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body } = await respond(request, new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`));
    const isText = typeof body === 'string';
    response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' });
    response.end(isText ? body : JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    onRequest(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/MAAS`,
    machines: (): FakeMachine[] => {
      settle();
      return [...machines.values()];
    },
    /** The operator gives a machine back to the free ones. */
    release: async (id: string): Promise<void> => {
      const machine = machines.get(id);
      if (machine !== undefined) release(machine);
      await delay(stepMs * 2);
    },
    breakMachine: (id: string): void => void Object.assign(machines.get(id) ?? {}, { status_name: 'Broken' }),
    /** Its next deployment fails. */
    failDeployment: (id: string): void => void failing.add(id),
    close: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
};
export type FakeMaas = Awaited<ReturnType<typeof startMaas>>;
