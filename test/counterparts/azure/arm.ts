import { deleteCluster, deletePool, putCluster, putPool, showCluster } from './containers.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import { loadOperations, type Operation } from './descriptions.ts';
import { fixedAnswer, listed } from './lists.ts';
import { deleteResource, partsOf, putResource, type Part } from './machines.ts';
import type { ControlPlaneOf } from '../control-plane.ts';
import { complaints } from './shape.ts';
import { createStore, Refused, type Resource, type Store } from './store.ts';

export interface ArmRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body: string;
}
export interface ArmAnswer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

const groupPattern = /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+$/i;
/** `…/loadBalancers/api/backendAddressPools/servers`: a part of another resource, not one of its own. */
const partPattern = /^(.+\/providers\/Microsoft\.Network\/[^/]+\/[^/]+)\/([^/]+)\/([^/]+)$/i;

const typeOf = (path: string): string => {
  const [namespace = '', ...rest] = path.slice(path.toLowerCase().lastIndexOf('/providers/') + '/providers/'.length).split('/');
  return [namespace, ...rest.filter((_, index) => index % 2 === 0)].join('/');
};

const notFound = (path: string): Refused =>
  new Refused(404, 'ResourceNotFound', `The Resource '${typeOf(path)}/${path.split('/').at(-1)}' under resource group '${path.split('/')[4]}' was not found.`); // prettier-ignore

const refuseUnlessGroup = (store: Store, path: string): Resource | undefined => {
  const [, , , , name] = path.split('/');
  const id = path.split('/').slice(0, 5).join('/');
  if (name === undefined || !/^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\//i.test(path)) return undefined;
  const group = store.get(id);
  if (group === undefined) throw new Refused(404, 'ResourceGroupNotFound', `Resource group '${name}' could not be found.`);
  return group;
};

const putGroup = (store: Store, path: string, body: Record<string, unknown>): ArmAnswer => {
  const before = store.get(path);
  if (before !== undefined && store.isGoing(before))
    throw new Refused(409, 'ResourceGroupBeingDeleted', `The resource group '${before.name}' is in deprovisioning state and cannot perform this operation.`);
  const group = { ...body, id: path, name: path.split('/').at(-1) ?? '', type: 'Microsoft.Resources/resourceGroups', properties: { provisioningState: 'Succeeded' } }; // prettier-ignore
  store.put(group);
  return { status: before === undefined ? 201 : 200, body: group };
};

const deleteGroup = (store: Store, group: Resource): ArmAnswer => {
  if (!store.isGoing(group))
    store.work(group, 'Deleting', 5, () => {
      for (const resource of store.under(group.id)) store.drop(resource.id);
      // With a managed cluster goes its group of nodes.
      const [, , , , name] = group.id.split('/');
      for (const other of store.resources.values()) if (other.name.startsWith(`MC_${name}_`)) store.drop(other.id);
      store.drop(group.id);
    });
  return { status: 202 };
};

const partAt = (store: Store, path: string): { whole: Resource; part: Part | undefined; kind: string; name: string } | undefined => {
  const [, whole, kind, name] = partPattern.exec(path) ?? [];
  const resource = whole === undefined ? undefined : store.get(whole);
  if (resource === undefined || kind === undefined || name === undefined) return undefined;
  return { whole: resource, part: partsOf(resource, kind).find((item) => item.name === name), kind, name };
};

const putPart = (store: Store, path: string, body: Record<string, unknown>): ArmAnswer => {
  const at = partAt(store, path);
  if (at === undefined) throw new Refused(404, 'ParentResourceNotFound', `The parent of ${path} was not found.`);
  const whole: Resource = structuredClone(at.whole);
  const part: Part = { ...body, id: path, name: at.name, properties: (body['properties'] as Record<string, unknown> | undefined) ?? {} };
  whole.properties[at.kind] = [...partsOf(whole, at.kind).filter((item) => item.name !== at.name), part];
  putResource(store, whole, at.whole);
  return { status: 200, body: part };
};

const put = (store: Store, path: string, body: Record<string, unknown>): ArmAnswer => {
  if (groupPattern.test(path)) return putGroup(store, path, body);
  const group = refuseUnlessGroup(store, path);
  if (group !== undefined && store.isGoing(group))
    throw new Refused(409, 'ResourceGroupBeingDeleted', `The resource group '${group.name}' is in deprovisioning state and cannot perform this operation.`);
  const type = typeOf(path);
  if (partPattern.test(path)) return putPart(store, path, body);
  const before = store.get(path);
  const resource: Resource = { ...body, id: before?.id ?? path, name: path.split('/').at(-1) ?? '', type, properties: { ...(body['properties'] as object) } };
  if (type === 'Microsoft.ContainerService/managedClusters') putCluster(store, resource, before);
  else if (type === 'Microsoft.ContainerService/managedClusters/agentPools') putPool(store, resource, before);
  else putResource(store, resource, before);
  return { status: before === undefined ? 201 : 200, body: show(store, resource) };
};

const show = (store: Store, resource: Resource): Resource =>
  resource.type === 'Microsoft.ContainerService/managedClusters' ? showCluster(store, resource) : resource;

const remove = (store: Store, path: string): ArmAnswer => {
  const resource = store.get(path);
  if (resource === undefined) {
    if (groupPattern.test(path)) throw new Refused(404, 'ResourceGroupNotFound', `Resource group '${path.split('/').at(-1)}' could not be found.`);
    return { status: 204 };
  }
  if (groupPattern.test(path)) return deleteGroup(store, resource);
  if (store.isGoing(resource)) return { status: 202 };
  if (resource.type === 'Microsoft.ContainerService/managedClusters') deleteCluster(store, resource);
  else if (resource.type === 'Microsoft.ContainerService/managedClusters/agentPools') deletePool(store, resource);
  else deleteResource(store, resource);
  return { status: 202 };
};

const read = (store: Store, url: URL, path: string, template: string): ArmAnswer => {
  const fixed = fixedAnswer(path);
  if (fixed !== undefined) return { status: 200, body: fixed };
  refuseUnlessGroup(store, path);
  // A path that ends with a parameter names one thing, every other one a list.
  if (!template.endsWith('}')) return { status: 200, body: { value: listed(store, path, url.searchParams.get('$filter')).map((item) => show(store, item)) } };
  const found = store.get(path) ?? partAt(store, path)?.part;
  if (found === undefined && groupPattern.test(path))
    throw new Refused(404, 'ResourceGroupNotFound', `Resource group '${path.split('/').at(-1)}' could not be found.`);
  if (found === undefined) throw notFound(path);
  return { status: 200, body: 'type' in found ? show(store, found as Resource) : found };
};

const act = (store: Store, path: string): ArmAnswer => {
  const cluster = store.get(path.replace(/\/[^/]+$/, ''));
  if (cluster === undefined) throw notFound(path);
  const kind = /listCluster(Admin|User)Credential$/i.exec(path)?.[1];
  if (kind !== undefined) return { status: 200, body: { kubeconfigs: [kubeconfigOf(store, cluster, kind === 'Admin' ? 'admin' : 'user')] } };
  throw new Refused(501, 'NotImplemented', `this counterpart does not know ${path}`);
};

/** Our own answers are held against the description as well: a model that lies would prove nothing. */
const checkAnswer = (operation: Operation, answer: ArmAnswer): void => {
  const mapper = operation.answers[answer.status];
  if (!(answer.status in operation.answers)) throw new Error(`${operation.name} never answers ${answer.status}`);
  const wrong = mapper === undefined || answer.body === undefined ? [] : complaints(mapper, JSON.parse(JSON.stringify(answer.body)), operation.mappers);
  if (wrong.length > 0) throw new Error(`the counterpart's answer to ${operation.name} is wrong: ${wrong.slice(0, 5).join('; ')}`);
};

export const createArm = async (controlPlane: ControlPlaneOf) => {
  const operations = await loadOperations();
  const store = createStore(controlPlane);
  const used = new Set<string>();
  const answer = ({ method, url, body }: ArmRequest): ArmAnswer => {
    store.tick();
    const path = decodeURIComponent(url.pathname).replace(/\/$/, '');
    if (url.searchParams.get('api-version') === null) throw new Refused(400, 'MissingApiVersionParameter', 'The api-version query parameter (?api-version=) is required for all requests.'); // prettier-ignore
    // No client here has this operation; its shape is the one that Azure's REST reference shows.
    if (/\/providers\/Microsoft\.Authorization\/permissions$/i.test(path)) return { status: 200, body: { value: [{ actions: ['*'], notActions: ['Microsoft.Authorization/*/Write'] }] } }; // prettier-ignore
    const operation = operations.find((item) => item.verb === method && item.path.test(path));
    if (operation === undefined) throw new Refused(404, 'InvalidResourceType', `no operation ${method} ${path} is described`);
    used.add(operation.name);
    const parsed = body === '' ? undefined : (JSON.parse(body) as Record<string, unknown>);
    const wrong = operation.request === undefined || parsed === undefined ? [] : complaints(operation.request, parsed, operation.mappers);
    if (wrong.length > 0) throw new Refused(400, 'InvalidRequestContent', `The request content was invalid: ${wrong.slice(0, 5).join('; ')}`);
    const said = method === 'PUT' ? put(store, path, parsed ?? {}) : method === 'DELETE' ? remove(store, path) : method === 'GET' ? read(store, url, path, operation.template) : act(store, path); // prettier-ignore
    checkAnswer(operation, said);
    return said;
  };
  return {
    store,
    used,
    handle: (request: ArmRequest): ArmAnswer => {
      try {
        return answer(request);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return { status: error.status, body: { error: { code: error.code, message: error.message } } };
      }
    },
  };
};
export type Arm = Awaited<ReturnType<typeof createArm>>;
