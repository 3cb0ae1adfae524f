import type { Route } from './descriptions.ts';
import { Refused, type Store, type Thing } from './store.ts';

/** Compute Engine in this model: paths are `/projects/p/zones/z/instances/n`. */
const base = 'https://www.googleapis.com/compute/v1';
export const linkOf = (path: string): string => `${base}${path}`;
const pathOf = (link: string): string => `/${link.replace(/^https:\/\/[^/]+\/compute\/v1\//, '').replace(/^\//, '')}`;

const callsToDo = 2;
const scopeOf = (path: string): string => /^(\/projects\/[^/]+\/(?:zones\/[^/]+|regions\/[^/]+|global))/.exec(path)?.[1] ?? '';
const placeOf = (path: string): Record<string, string> => {
  const [, kind, name] = /^\/projects\/[^/]+\/(zones|regions)\/([^/]+)/.exec(path) ?? [];
  if (kind === undefined || name === undefined) return {};
  return { [kind.slice(0, -1)]: linkOf(scopeOf(path)) };
};

const operate = (store: Store, type: string, target: string, done: () => void, calls = callsToDo): Thing => {
  const name = `operation-${store.nextId()}`;
  const path = `${scopeOf(target)}/operations/${name}`;
  const body: Thing = { id: store.nextId(), name, kind: 'compute#operation', operationType: type, status: 'RUNNING', targetLink: linkOf(target), selfLink: linkOf(path), ...placeOf(target) }; // prettier-ignore
  return store.begin(path, body, calls, done);
};

/** Paths in a body that point at things: as links, or from `projects/` on. */
const referencesOf = (value: unknown): string[] =>
  [...JSON.stringify(value).matchAll(/"((?:https:\/\/[^"/]+\/compute\/v1\/)?projects\/[^"]+)"/g)]
    .map((match) => pathOf(match[1] ?? ''))
    .filter((path) => !/\/images\/|\/machineTypes\/|^\/projects\/[^/]+\/(zones|regions)\/[^/]+$/.test(path));

const notFound = (path: string): Refused => new Refused(404, 'notFound', `The resource '${path.slice(1)}' was not found`);

const boot = (store: Store, path: string, instance: Thing): void => {
  const plugs = (instance['networkInterfaces'] ?? []) as Record<string, unknown>[];
  plugs.forEach((plug, index) => {
    plug['name'] = `nic${index}`;
    plug['networkIP'] ??= `10.0.${Math.floor(store.things.size / 200) % 200}.${(store.things.size % 200) + 2}`;
  });
  instance['status'] = 'PROVISIONING';
  const zone = /\/zones\/([^/]+)\//.exec(path)?.[1];
  if (!String(instance['machineType']).startsWith(`zones/${zone}/`)) throw new Refused(400, 'invalid', `Invalid value for field 'resource.machineType': '${String(instance['machineType'])}'.`); // prettier-ignore
};

const insert = (store: Store, path: string, body: Thing): Thing => {
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(body.name)) throw new Refused(400, 'invalid', `Invalid value for field 'resource.name': '${body.name}'.`);
  const at = `${path}/${body.name}`;
  if (store.things.has(at)) throw new Refused(409, 'alreadyExists', `The resource '${at.slice(1)}' already exists`);
  for (const reference of referencesOf(body)) {
    if (!store.things.has(reference)) throw new Refused(404, 'notFound', `The resource '${reference.slice(1)}' was not found`);
    if (store.isBusy(linkOf(reference)) && /networks|subnetworks/.test(reference))
      throw new Refused(400, 'resourceNotReady', `The resource '${reference.slice(1)}' is not ready`);
  }
  const thing: Thing = { ...body, id: store.nextId(), selfLink: linkOf(at), creationTimestamp: '2026-01-01T00:00:00Z', ...placeOf(path) };
  if (path.endsWith('/addresses')) thing['address'] = `34.1.${Math.floor(store.things.size / 200) % 200}.${(store.things.size % 200) + 2}`;
  if (path.endsWith('/backendServices')) thing['fingerprint'] = 'AAAA';
  if (path.endsWith('/instances')) boot(store, path, thing);
  store.things.set(at, thing);
  return operate(store, 'insert', at, () => {
    if (path.endsWith('/instances') && thing['status'] !== 'STOPPING') thing['status'] = 'RUNNING';
  });
};

const membersKey = 'members of this model';

const remove = (store: Store, path: string): Thing => {
  const thing = store.things.get(path);
  if (thing === undefined) throw notFound(path);
  const user = [...store.things].find(
    ([other, item]) => other !== path && !path.includes('/instances/') && referencesOf({ ...item, [membersKey]: [] }).includes(path),
  );
  const selfLinks = user === undefined ? undefined : user[0];
  if (selfLinks !== undefined) throw new Refused(400, 'resourceInUseByAnotherResource', `The ${path.split('/').at(-2)} resource '${path.slice(1)}' is already being used by '${selfLinks.slice(1)}'`); // prettier-ignore
  if (path.includes('/instances/')) thing['status'] = 'STOPPING';
  return operate(store, 'delete', path, () => {
    store.things.delete(path);
    for (const other of store.things.values())
      if (Array.isArray(other[membersKey])) other[membersKey] = (other[membersKey] as string[]).filter((item) => item !== path);
  });
};

const filtered = (items: readonly Thing[], filter: string | null): Thing[] => {
  const [, label, value] = /^labels\.([\w-]+)=(\S+)$/.exec(filter ?? '') ?? [];
  const name = /^name=(\S+)$/.exec(filter ?? '')?.[1];
  if (filter !== null && label === undefined && name === undefined) throw new Refused(400, 'invalid', `Invalid value for field 'filter': '${filter}'.`);
  return items.filter(
    (item) => (label === undefined || (item['labels'] as Record<string, string> | undefined)?.[label] === value) && (name === undefined || item.name === name),
  );
};

/** What goes over the wire has no notes of this model in it. */
const shown = (thing: Thing): Thing => {
  const { [membersKey]: _members, ...rest } = thing;
  return rest;
};
const under = (store: Store, path: string): Thing[] =>
  [...store.things].filter(([at]) => at.startsWith(`${path}/`) && !at.slice(path.length + 1).includes('/')).map(([, item]) => item);

const aggregated = (store: Store, path: string, filter: string | null): unknown => {
  const kind = path.split('/').at(-1) ?? '';
  const project = path.split('/').slice(0, 3).join('/');
  const items: Record<string, Record<string, Thing[]>> = {};
  for (const [at, thing] of store.things) {
    if (!at.startsWith(`${project}/`) || at.split('/').at(-2) !== kind || filtered([thing], filter).length === 0) continue;
    const place = at.split('/').slice(3, -2).join('/');
    const list = (items[place] ??= { [kind]: [] })[kind];
    list?.push(shown(thing));
  }
  return { kind: `compute#${kind}AggregatedList`, id: path.slice(1), items };
};

const members = (store: Store, path: string, route: Route, body: Record<string, unknown>): unknown => {
  const group = path.replace(/\/[^/]+$/, '');
  const thing = store.things.get(group);
  if (thing === undefined) throw notFound(group);
  const has = (thing[membersKey] ?? []) as string[];
  if (route.method === 'ListInstances')
    return { kind: 'compute#instanceGroupsListInstances', id: group.slice(1), items: has.map((item) => ({ instance: linkOf(item), status: 'RUNNING' })) };
  const named = ((body['instances'] ?? []) as { instance: string }[]).map((item) => pathOf(item.instance));
  for (const instance of named) if (!store.things.has(instance)) throw notFound(instance);
  if (route.method === 'AddInstances' && named.some((item) => has.includes(item))) throw new Refused(400, 'memberAlreadyExists', 'The instance is a member of the group already'); // prettier-ignore
  return operate(store, route.method, group, () => {
    const now = (thing[membersKey] ?? []) as string[];
    thing[membersKey] = route.method === 'AddInstances' ? [...new Set([...now, ...named])] : now.filter((item) => !named.includes(item));
  });
};

export const answerCompute = (store: Store, route: Route, path: string, query: URLSearchParams, body: Record<string, unknown>): unknown => {
  if (route.service.endsWith('Operations')) {
    const operation = store.operations.get(path);
    if (operation === undefined) throw notFound(path);
    return operation.body;
  }
  if (route.method === 'Insert') return insert(store, path, body as Thing);
  if (route.method === 'Delete') return remove(store, path);
  if (route.method === 'AggregatedList') return aggregated(store, path, query.get('filter'));
  if (route.method === 'List') return { kind: 'compute#list', id: path.slice(1), items: filtered(under(store, path), query.get('filter')).map(shown) };
  if (['ListInstances', 'AddInstances', 'RemoveInstances'].includes(route.method)) return members(store, path, route, body);
  if (route.method === 'GetFromFamily') {
    const family = path.split('/').at(-1) ?? '';
    if (!/^(debian-1[23]|ubuntu-2[24]04-lts)/.test(family)) throw notFound(path);
    return { kind: 'compute#image', id: '1', name: `${family}-v20260410`, family, status: 'READY' };
  }
  const thing = store.things.get(path);
  if (thing === undefined) throw notFound(path);
  if (route.method === 'Get') return shown(thing);
  if (route.method === 'Patch') {
    if (thing['fingerprint'] !== undefined && body['fingerprint'] !== thing['fingerprint']) throw new Refused(412, 'conditionNotMet', 'Supplied fingerprint does not match current fingerprint.'); // prettier-ignore
    return operate(store, 'patch', path, () => void Object.assign(thing, body));
  }
  throw new Refused(501, 'notImplemented', `this counterpart does not know ${route.service}.${route.method}`);
};
