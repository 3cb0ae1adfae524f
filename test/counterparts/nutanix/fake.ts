import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A Prism Central as version 4 of its API shows it: tasks, ETag and If-Match, request ids that answer as the first time, pages and filters. Nutanix's own
 * Python clients work against it (nutanix.test.ts). How long tasks take and what they refuse is our model; what is late to be
 * read is put before it (rig.ts).
 */
export const prismAccount = { username: 'groundplane', password: 'counterpart-only' } as const;
export const prismNames = { cluster: 'site-a', otherCluster: 'site-b', subnet: 'machines', image: 'ubuntu-24.04' } as const;

interface Thing {
  extId: string;
  [field: string]: unknown;
}
type Vm = Thing & { name: string; powerState: string; generation: number };
interface FakeTask {
  extId: string;
  operation: string;
  rel: string;
  entity: string;
  createdMs: number;
  doneAtMs: number;
  apply: () => void;
  failure: string | undefined;
  isApplied: boolean;
}
interface Answer {
  status: number;
  body?: unknown;
  etag?: string;
}

const version = /^\/api\/(\w+)\/v4(?:\.\d+)?(?:\.[ab]\d+)?\/(.*)$/;
const typeOfList: Readonly<Record<string, [response: string, item: string]>> = {
  'vmm/ahv/config/vms': ['vmm.v4.ahv.config.ListVmsApiResponse', 'vmm.v4.ahv.config.Vm'],
  'vmm/content/images': ['vmm.v4.content.ListImagesApiResponse', 'vmm.v4.content.Image'],
  'prism/config/categories': ['prism.v4.config.ListCategoriesApiResponse', 'prism.v4.config.Category'],
  'networking/config/subnets': ['networking.v4.config.ListSubnetsApiResponse', 'networking.v4.config.Subnet'],
  'clustermgmt/config/clusters': ['clustermgmt.v4.config.ListClustersApiResponse', 'clustermgmt.v4.config.Cluster'],
};

export const errorBody = (code: string, message: string, namespace = 'vmm'): unknown => ({
  $objectType: `${namespace}.v4.ahv.config.GetVmApiResponse`,
  $dataItemDiscriminator: `${namespace}.v4.error.ErrorResponse`,
  data: {
    $objectType: `${namespace}.v4.error.ErrorResponse`,
    $errorItemDiscriminator: `List<${namespace}.v4.error.AppMessage>`,
    error: [{ $objectType: `${namespace}.v4.error.AppMessage`, code, message, severity: 'ERROR', locale: 'en_US' }],
  },
});
const refuse = (status: number, code: string, message: string): Answer => ({ status, body: errorBody(code, message) });

const meets = (item: Thing, filter: string | null): boolean =>
  filter === null ||
  filter.split(' and ').every((part) => {
    const [, starts = '', prefix = ''] = /^startswith\((\w+), ?'(.*)'\)$/.exec(part) ?? [];
    if (starts !== '') return String(item[starts]).startsWith(prefix);
    const [, field = '', value = ''] = /^(\w+) eq '(.*)'$/.exec(part) ?? [];
    return field !== '' && item[field] === value.replaceAll("''", "'");
  });

const listAnswer = (kind: string, all: readonly Thing[], query: URLSearchParams): Answer => {
  const [$objectType = '', item = ''] = typeOfList[kind] ?? [];
  const [page, limit] = [Number(query.get('$page') ?? 0), Number(query.get('$limit') ?? 50)];
  if (limit < 1 || limit > 100) return refuse(400, 'COMMON-1', '$limit must be between 1 and 100');
  const fitting = all.filter((thing) => meets(thing, query.get('$filter')));
  const part = fitting.slice(page * limit, (page + 1) * limit).map((thing) => ({ $objectType: item, ...thing }));
  const metadata = { $objectType: 'common.v1.response.ApiResponseMetadata', totalAvailableResults: fitting.length };
  return { status: 200, body: { $objectType, metadata, ...(part.length === 0 ? {} : { $dataItemDiscriminator: `List<${item}>`, data: part }) } };
};

const readBody = async (request: IncomingMessage): Promise<Record<string, unknown>> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return parts.length === 0 ? {} : (JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>);
};
const etagOf = (generation: number): string => `YXBwbGljYXRpb24vanNvbg==:${generation}`;
const idsIn = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => (/^(extId|imageExtId)$/.test(key) && typeof item === 'string' ? [item] : idsIn(item)));
};

export const startPrism = async ({ stepMs = 10 }: { stepMs?: number } = {}) => {
  const vms = new Map<string, Vm>();
  const tasks = new Map<string, FakeTask>();
  const categories = new Map<string, Thing>();
  const answered = new Map<string, string>();
  const failures: string[] = [];
  let isHeld = false;
  let address = 10;
  const [cluster, otherCluster] = [
    { extId: randomUUID(), name: prismNames.cluster },
    { extId: randomUUID(), name: prismNames.otherCluster },
  ];
  const fixed: Readonly<Record<string, readonly Thing[]>> = {
    'clustermgmt/config/clusters': [cluster, otherCluster],
    // One name in two clusters, as it is in real sites.
    'networking/config/subnets': [cluster, otherCluster].map((item) => ({ extId: randomUUID(), name: prismNames.subnet, subnetType: 'VLAN', clusterReference: item.extId })), // prettier-ignore
    'vmm/content/images': [{ extId: randomUUID(), name: prismNames.image, type: 'DISK_IMAGE', sizeBytes: 2 ** 31 }],
  };

  const settle = (): void => {
    if (isHeld) return;
    for (const task of tasks.values()) {
      if (task.isApplied || performance.now() < task.doneAtMs) continue;
      task.isApplied = true;
      if (task.failure === undefined) task.apply();
    }
  };
  const startTask = (operation: string, entity: string, responseType: string, apply: () => void, failure?: string): Answer => {
    const extId = `ZXJnb24=:${randomUUID()}`;
    tasks.set(extId, { extId, operation, rel: 'vmm:ahv:config:vm', entity, createdMs: Date.now(), doneAtMs: performance.now() + stepMs, apply, failure, isApplied: false }); // prettier-ignore
    return { status: 202, body: taskReference(extId, responseType) };
  };
  const taskReference = (extId: string, $objectType: string) => ({ $objectType, $dataItemDiscriminator: 'prism.v4.config.TaskReference', data: { $objectType: 'prism.v4.config.TaskReference', extId } }); // prettier-ignore

  const showTask = (id: string): Answer => {
    const task = tasks.get(id);
    if (task === undefined) return refuse(404, 'TASK-40000', `Task ${id} is not there`);
    const status = !task.isApplied ? 'RUNNING' : task.failure === undefined ? 'SUCCEEDED' : 'FAILED';
    const errorMessages = task.isApplied && task.failure !== undefined ? [{ $objectType: 'prism.v4.error.AppMessage', code: 'VMM-30303', message: task.failure, severity: 'ERROR' }] : undefined; // prettier-ignore
    const data = {
      $objectType: 'prism.v4.config.Task',
      extId: id,
      operation: task.operation,
      status,
      progressPercentage: task.isApplied ? 100 : 10,
      createdTime: new Date(task.createdMs).toISOString(),
      entitiesAffected: [{ $objectType: 'prism.v4.config.EntityReference', extId: task.entity, rel: task.rel }],
      ...(errorMessages === undefined ? {} : { errorMessages }),
    };
    return { status: 200, body: { $objectType: 'prism.v4.config.GetTaskApiResponse', $dataItemDiscriminator: 'prism.v4.config.Task', data } };
  };

  const shown = ({ generation: _generation, ...vm }: Vm): Thing => ({ ...vm, extId: vm.extId });
  const createVm = (request: IncomingMessage, body: Record<string, unknown>): Answer => {
    const requestId = request.headers['ntnx-request-id'];
    const responseType = 'vmm.v4.ahv.config.CreateVmApiResponse';
    if (typeof requestId !== 'string') return refuse(400, 'VMM-10001', 'The header NTNX-Request-Id is missing');
    const before = answered.get(requestId);
    if (before !== undefined) return { status: 202, body: taskReference(before, responseType) };
    const known = new Set([...Object.values(fixed).flat(), ...categories.values()].map((item) => item.extId));
    const unknown = idsIn(body).find((id) => !known.has(id));
    if (unknown !== undefined) return refuse(404, 'VMM-30102', `There is no entity ${unknown}`);
    if (typeof body['name'] !== 'string' || (body['name'].length < 1 || body['name'].length > 80)) return refuse(400, 'VMM-30100', 'The name is invalid'); // prettier-ignore
    const extId = randomUUID();
    const nics = (body['nics'] as Record<string, unknown>[] | undefined)?.map((nic) => ({
      ...nic,
      networkInfo: { ...(nic['networkInfo'] as object), ipv4Info: { learnedIpAddresses: [{ value: `10.7.0.${(address += 1) % 250}`, prefixLength: 32 }] } },
    }));
    const apply = (): void => void vms.set(extId, { ...body, ...(nics === undefined ? {} : { nics }), name: String(body['name']), extId, powerState: 'OFF', createTime: new Date().toISOString(), generation: 1 }); // prettier-ignore
    const answer = startTask('CreateVm', extId, responseType, apply, failures.shift());
    answered.set(requestId, [...tasks.keys()].at(-1) ?? '');
    return answer;
  };

  const changeVm = (request: IncomingMessage, vm: Vm, action: string | undefined): Answer => {
    const match = request.headers['if-match'];
    if (match === undefined) return refuse(428, 'VMM-428', 'The header If-Match is missing');
    if (match !== etagOf(vm.generation)) return refuse(412, 'VMM-412', 'The entity was changed in between; its ETag does not match');
    vm.generation += 1;
    if (request.method === 'DELETE') return startTask('DeleteVm', vm.extId, 'vmm.v4.ahv.config.DeleteVmApiResponse', () => void vms.delete(vm.extId));
    if (action !== 'power-on' && action !== 'power-off') return refuse(404, 'VMM-404', `There is no action ${action ?? ''}`);
    const state = action === 'power-on' ? 'ON' : 'OFF';
    const responseType = `vmm.v4.ahv.config.${action === 'power-on' ? 'PowerOnVmApiResponse' : 'PowerOffVmApiResponse'}`;
    return startTask('PowerState', vm.extId, responseType, () => void Object.assign(vm, { powerState: state }), failures.shift());
  };
  const onVms = async (request: IncomingMessage, rest: string, query: URLSearchParams): Promise<Answer> => {
    if (rest === '' && request.method === 'GET') return listAnswer('vmm/ahv/config/vms', [...vms.values()].map(shown), query);
    if (rest === '') return createVm(request, await readBody(request));
    const [, id = '', action] = /^\/([^/]+)(?:\/\$actions\/([\w-]+))?$/.exec(rest) ?? [];
    const vm = vms.get(id);
    if (vm === undefined) return refuse(404, 'VMM-30101', `There is no machine ${id}`);
    if (request.method !== 'GET') return changeVm(request, vm, action);
    const etag = etagOf(vm.generation);
    const data = { $objectType: 'vmm.v4.ahv.config.Vm', ...shown(vm), $reserved: { ETag: etag } };
    return { status: 200, etag, body: { $objectType: 'vmm.v4.ahv.config.GetVmApiResponse', $dataItemDiscriminator: 'vmm.v4.ahv.config.Vm', data } };
  };

  const categoryAnswer = (category: Thing, status: number, $objectType: string): Answer => ({
    status,
    etag: etagOf(1),
    body: { $objectType, $dataItemDiscriminator: 'prism.v4.config.Category', data: { $objectType: 'prism.v4.config.Category', ...category } },
  });
  const onCategories = async (request: IncomingMessage, rest: string, query: URLSearchParams): Promise<Answer> => {
    if (rest === '' && request.method === 'GET') return listAnswer('prism/config/categories', [...categories.values()], query);
    if (rest === '') {
      const { key, value, description } = await readBody(request);
      if ([...categories.values()].some((item) => item['key'] === key && item['value'] === value))
        return refuse(409, 'CTGRS-50001', 'Category with the same key and value exists');
      const category = { extId: randomUUID(), key, value, description, type: 'USER' };
      categories.set(category.extId, category);
      return categoryAnswer(category, 201, 'prism.v4.config.CreateCategoryApiResponse');
    }
    const category = categories.get(rest.slice(1));
    if (category === undefined) return refuse(404, 'CTGRS-50006', 'There is no such category');
    if (request.method === 'GET') return categoryAnswer(category, 200, 'prism.v4.config.GetCategoryApiResponse');
    if ([...vms.values()].some((vm) => idsIn(vm['categories']).includes(category.extId))) return refuse(409, 'CTGRS-50010', 'The category is in use');
    categories.delete(category.extId);
    return { status: 204 };
  };

  const respond = async (request: IncomingMessage, url: URL): Promise<Answer> => {
    const expected = `Basic ${Buffer.from(`${prismAccount.username}:${prismAccount.password}`).toString('base64')}`;
    if (request.headers.authorization !== expected) return refuse(401, 'AUTH-401', 'Authentication required');
    if (url.pathname === '/api/vmm/unversioned/info' || url.pathname === '/api/prism/unversioned/info') return { status: 200, body: { data: 'v4.3' } };
    settle();
    const [, namespace = '', path = ''] = version.exec(url.pathname) ?? [];
    const place = `${namespace}/${path}`;
    const rest = (kind: string): string | undefined => (place === kind || place.startsWith(`${kind}/`) ? place.slice(kind.length) : undefined);
    const vmRest = rest('vmm/ahv/config/vms');
    if (vmRest !== undefined) return onVms(request, vmRest, url.searchParams);
    const categoryRest = rest('prism/config/categories');
    if (categoryRest !== undefined) return onCategories(request, categoryRest, url.searchParams);
    const task = rest('prism/config/tasks');
    if (task !== undefined && task !== '') return showTask(decodeURIComponent(task.slice(1)));
    const things = fixed[place];
    return things === undefined ? refuse(404, 'COMMON-404', `Nothing at ${url.pathname}`) : listAnswer(place, things, url.searchParams);
  };

  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body, etag } = await respond(request, new URL(request.url ?? '/', 'http://prism.invalid'));
    response.writeHead(status, { 'content-type': 'application/json', ...(etag === undefined ? {} : { etag }) });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    onRequest(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    ids: () => {
      const first = (kind: string): string => fixed[kind]?.[0]?.extId ?? '';
      return { cluster: first('clustermgmt/config/clusters'), subnet: first('networking/config/subnets'), image: first('vmm/content/images') };
    },
    vms: (): Vm[] => {
      settle();
      return [...vms.values()];
    },
    categories: (): Thing[] => [...categories.values()],
    /** Tasks stay under way until `underWay`, however long the calls in between take. */
    hold: (): void => void (isHeld = true),
    /** What is still on its way counts as well. */
    underWay: async (): Promise<void> => {
      isHeld = false;
      while ([...tasks.values()].some((task) => !task.isApplied)) {
        await delay(stepMs);
        settle();
      }
    },
    remove: (extId: string): boolean => vms.delete(extId),
    /** Somebody else changes it: its ETag is another one. */
    touch: (extId: string): void => {
      const vm = vms.get(extId);
      if (vm !== undefined) vm.generation += 1;
    },
    /** The next task of a create or power call fails with these words. */
    failNext: (words: string): void => void failures.push(words),
    put: (name: string, description: string): void => void vms.set(name, { extId: randomUUID(), name, description, powerState: 'OFF', generation: 1 }),
    close: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
};
export type FakePrism = Awaited<ReturnType<typeof startPrism>>;
