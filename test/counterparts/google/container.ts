import type { Route } from './descriptions.ts';
import { linkOf } from './compute.ts';
import { Refused, type Store, type Thing } from './store.ts';

/** Kubernetes Engine in this model: paths are `/projects/p/locations/l/clusters/c/nodePools/n`. */
const base = 'https://container.googleapis.com/v1';
export const gkeVersions = ['1.35.0-gke.1200', '1.34.1-gke.2037', '1.34.0-gke.1000', '1.33.4-gke.1350'] as const;
const callsToMake = 5;
const callsToChange = 3;

const exact = (version: unknown): string => {
  const found = gkeVersions.find((item) => item === version || item.startsWith(`${String(version)}.`) || item.startsWith(`${String(version)}-`));
  if (found === undefined) throw new Refused(400, 'INVALID_ARGUMENT', `Master version "${String(version)}" is unsupported.`);
  return found;
};
const minor = (version: unknown): number => Number(String(version).split('.')[1]);

const notFound = (path: string): Refused => new Refused(404, 'NOT_FOUND', `Not found: ${path.slice(1)}.`);
const clusterPathOf = (path: string): string => path.split('/').slice(0, 7).join('/');

const refuseWhileBusy = (store: Store, cluster: string): void => {
  const running = [...store.operations.values()].find(
    (item) => item.body['status'] !== 'DONE' && String(item.body['targetLink']).startsWith(`${base}${cluster}`),
  );
  if (running !== undefined) throw new Refused(400, 'FAILED_PRECONDITION', `Cluster is running incompatible operation ${running.body.name}.`);
};

const operate = (store: Store, type: string, target: string, done: () => void, calls = callsToChange): Thing => {
  const name = `operation-${store.nextId()}`;
  const parent = target.split('/').slice(0, 5).join('/');
  const body: Thing = { name, operationType: type, status: 'RUNNING', targetLink: `${base}${target}`, selfLink: `${base}${parent}/operations/${name}` };
  return store.begin(`${parent}/operations/${name}`, body, calls, done);
};

const zonesOf = (path: string): string[] => {
  const location = path.split('/')[4] ?? '';
  return /-[a-z]$/.test(location) ? [location] : ['b', 'c', 'd'].map((letter) => `${location}-${letter}`);
};

const groupsOf = (store: Store, pool: Thing): Thing[] =>
  ((pool['instanceGroupUrls'] ?? []) as string[]).flatMap((url) => store.things.get(/\/projects\/.+$/.exec(url)?.[0] ?? '') ?? []);

const groupIn = (store: Store, cluster: string, pool: string, zone: string, targetSize: unknown): string => {
  const name = `gke-${cluster.split('/').at(-1)}-${pool}-grp`.slice(0, 60);
  const at = `${cluster.split('/').slice(0, 3).join('/')}/zones/${zone}/instanceGroupManagers/${name}`;
  store.things.set(at, { name, id: store.nextId(), selfLink: linkOf(at), targetSize });
  return linkOf(at);
};

/** Nodes are made in zones that are added, and are gone with those that are taken out. */
const moveTo = (store: Store, cluster: string, pool: Thing, zones: readonly string[]): void => {
  const [first] = groupsOf(store, pool);
  const has = (pool['instanceGroupUrls'] ?? []) as string[];
  const kept = has.filter((url) => zones.some((zone) => url.includes(`/zones/${zone}/`)));
  for (const url of has) if (!kept.includes(url)) store.things.delete(/\/projects\/.+$/.exec(url)?.[0] ?? '');
  const added = zones.filter((zone) => !has.some((url) => url.includes(`/zones/${zone}/`)));
  pool['instanceGroupUrls'] = [...kept, ...added.map((zone) => groupIn(store, cluster, pool.name, zone, first?.['targetSize'] ?? 0))];
  pool['locations'] = [...zones];
};

const addPool = (store: Store, cluster: string, body: Thing, calls: number): void => {
  const path = `${cluster}/nodePools/${body.name}`;
  if (store.things.has(path)) throw new Refused(409, 'ALREADY_EXISTS', `Already exists: ${path.slice(1)}.`);
  const running = store.things.get(cluster)?.['currentMasterVersion'];
  const version = body['version'] === undefined ? String(running) : exact(body['version']);
  if (minor(version) > minor(running))
    throw new Refused(400, 'INVALID_ARGUMENT', `Node version "${version}" must not be newer than the master's, ${String(running)}.`);
  const locations = (body['locations'] as string[] | undefined) ?? zonesOf(cluster);
  const urls = locations.map((zone) => groupIn(store, cluster, body.name, zone, body['initialNodeCount']));
  store.things.set(path, {
    ...body,
    version,
    locations,
    instanceGroupUrls: urls,
    status: calls === 0 ? 'RUNNING' : 'PROVISIONING',
    selfLink: `${base}${path}`,
  });
};

const dropPool = (store: Store, path: string): void => {
  const pool = store.things.get(path);
  for (const url of (pool?.['instanceGroupUrls'] ?? []) as string[]) store.things.delete(/\/projects\/.+$/.exec(url)?.[0] ?? '');
  store.things.delete(path);
};

const poolsOf = (store: Store, cluster: string): [string, Thing][] => [...store.things].filter(([path]) => path.startsWith(`${cluster}/nodePools/`));
const shown = (store: Store, path: string, cluster: Thing): Thing => ({ ...cluster, nodePools: poolsOf(store, path).map(([, pool]) => pool) });

const create = (store: Store, path: string, body: Thing): Thing => {
  const at = `${path}/${body.name}`;
  if (!/^[a-z][-a-z0-9]{0,38}[a-z0-9]$/.test(body.name)) throw new Refused(400, 'INVALID_ARGUMENT', `Invalid cluster name "${body.name}".`);
  if (store.things.has(at)) throw new Refused(409, 'ALREADY_EXISTS', `Already exists: ${at.slice(1)}.`);
  const version = exact(body['initialClusterVersion']);
  const pools = (body['nodePools'] ?? []) as Thing[];
  if (pools.length === 0 && body['initialNodeCount'] === undefined)
    throw new Refused(400, 'INVALID_ARGUMENT', 'Cluster.initial_node_count must be greater than zero.');
  const { nodePools: _pools, ...rest } = body;
  const cluster: Thing = {
    ...rest,
    status: 'PROVISIONING',
    currentMasterVersion: version,
    location: path.split('/')[4],
    locations: zonesOf(path),
    selfLink: `${base}${at}`,
  };
  store.things.set(at, cluster);
  for (const pool of pools) addPool(store, at, pool, callsToMake);
  return operate(
    store,
    'CREATE_CLUSTER',
    at,
    () => {
      // Of a real one the endpoint is an address without a port.
      const { server, ca } = store.controlPlane(cluster.name) ?? { server: 'https://34.9.0.1', ca: '-----BEGIN CERTIFICATE-----\nca\n' };
      const masterAuth = { clusterCaCertificate: Buffer.from(ca).toString('base64') };
      Object.assign(cluster, { status: 'RUNNING', endpoint: new URL(server).host, masterAuth });
      for (const [, pool] of poolsOf(store, at)) pool['status'] = 'RUNNING';
    },
    callsToMake,
  );
};

const updateCluster = (store: Store, path: string, cluster: Thing, update: Record<string, unknown>): Thing => {
  refuseWhileBusy(store, path);
  const wanted = update['desiredMasterVersion'];
  if (wanted !== undefined) {
    const version = exact(wanted);
    const running = cluster['currentMasterVersion'];
    if (minor(version) > minor(running) + 1) throw new Refused(400, 'INVALID_ARGUMENT', `Master cannot be upgraded to "${version}": only one minor at a time.`);
    cluster['status'] = 'RECONCILING';
    return operate(store, 'UPGRADE_MASTER', path, () => void Object.assign(cluster, { currentMasterVersion: version, status: 'RUNNING' }));
  }
  const sources = update['desiredMasterAuthorizedNetworksConfig'];
  return operate(store, 'UPDATE_CLUSTER', path, () => void Object.assign(cluster, sources === undefined ? {} : { masterAuthorizedNetworksConfig: sources }));
};

const changePool = (store: Store, path: string, route: Route, body: Record<string, unknown>): Thing => {
  const at = path.replace(/:[A-Za-z]+$/, '');
  const pool = store.things.get(at);
  if (pool === undefined) throw notFound(at);
  refuseWhileBusy(store, clusterPathOf(at));
  pool['status'] = 'RECONCILING';
  const config = (pool['config'] ??= {}) as Record<string, unknown>;
  return operate(store, route.method === 'SetNodePoolSize' ? 'SET_NODE_POOL_SIZE' : 'UPGRADE_NODES', at, () => {
    pool['status'] = 'RUNNING';
    if (route.method === 'SetNodePoolSize') for (const group of groupsOf(store, pool)) group['targetSize'] = body['nodeCount'];
    if (route.method === 'SetNodePoolAutoscaling') pool['autoscaling'] = body['autoscaling'];
    if (body['locations'] !== undefined) moveTo(store, clusterPathOf(at), pool, body['locations'] as string[]);
    if (body['nodeVersion'] !== undefined) pool['version'] = exact(body['nodeVersion']);
    if (body['labels'] !== undefined) config['labels'] = (body['labels'] as { labels: unknown }).labels;
    if (body['taints'] !== undefined) config['taints'] = (body['taints'] as { taints: unknown }).taints;
    if (body['upgradeSettings'] !== undefined) pool['upgradeSettings'] = body['upgradeSettings'];
  });
};

const remove = (store: Store, path: string, type: string): Thing => {
  const thing = store.things.get(path);
  if (thing === undefined) throw notFound(path);
  refuseWhileBusy(store, clusterPathOf(path));
  thing['status'] = 'STOPPING';
  return operate(store, type, path, () => {
    for (const [pool] of type === 'DELETE_CLUSTER' ? poolsOf(store, path) : []) dropPool(store, pool);
    if (type === 'DELETE_CLUSTER') store.things.delete(path);
    else dropPool(store, path);
  });
};

const clustersIn = (store: Store, path: string): Thing[] => {
  const pattern = new RegExp(`^${path.replace('/locations/-/', '/locations/[^/]+/')}/[^/]+$`);
  return [...store.things].filter(([at]) => pattern.test(at)).map(([at, cluster]) => shown(store, at, cluster));
};

export const answerContainer = (store: Store, route: Route, path: string, body: Record<string, unknown>): unknown => {
  if (route.method === 'GetOperation') {
    const operation = store.operations.get(path);
    if (operation === undefined) throw notFound(path);
    return operation.body;
  }
  if (route.method === 'GetServerConfig')
    return { defaultClusterVersion: gkeVersions[1], validMasterVersions: [...gkeVersions], validNodeVersions: [...gkeVersions] };
  if (route.method === 'ListClusters') return { clusters: clustersIn(store, path) };
  if (route.method === 'CreateCluster') return create(store, path, body['cluster'] as Thing);
  const cluster = store.things.get(clusterPathOf(path));
  if (cluster === undefined) throw notFound(clusterPathOf(path));
  if (route.method === 'GetCluster') return shown(store, path, cluster);
  if (route.method === 'UpdateCluster') return updateCluster(store, path, cluster, body['update'] as Record<string, unknown>);
  if (route.method === 'DeleteCluster') return remove(store, path, 'DELETE_CLUSTER');
  if (route.method === 'ListNodePools') return { nodePools: poolsOf(store, clusterPathOf(path)).map(([, pool]) => pool) };
  if (route.method === 'DeleteNodePool') return remove(store, path, 'DELETE_NODE_POOL');
  if (['UpdateNodePool', 'SetNodePoolSize', 'SetNodePoolAutoscaling'].includes(route.method)) return changePool(store, path, route, body);
  if (route.method === 'GetNodePool') {
    const pool = store.things.get(path);
    if (pool === undefined) throw notFound(path);
    return pool;
  }
  if (route.method === 'CreateNodePool') {
    refuseWhileBusy(store, clusterPathOf(path));
    const pool = body['nodePool'] as Thing;
    addPool(store, clusterPathOf(path), pool, callsToChange);
    const at = `${path}/${pool.name}`;
    return operate(store, 'CREATE_NODE_POOL', at, () => {
      const made = store.things.get(at);
      if (made !== undefined) made['status'] = 'RUNNING';
    });
  }
  throw new Refused(501, 'UNIMPLEMENTED', `this counterpart does not know ${route.method}`);
};
