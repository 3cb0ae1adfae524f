import { ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type FoundThing, type Progress } from '../../port/provider.ts';
import { clusterOfGroup, clusterOfMark, groupName, listOwn, serverKey, type Cloud, type Scope } from './cluster-things.ts';
import { ownBalancers } from './endpoint.ts';
import { listMachines } from './machines.ts';
import { networkKinds, type Kind } from './network.ts';

const hasBalancers = (cloud: Cloud): boolean => cloud.token.catalog.some((entry) => entry.type === 'load-balancer');

/** How many are still there after asking each to go; one that is in use waits for the next round. */
const removeAll = async <T>(items: readonly T[], remove: (item: T) => Promise<Result<void>>): Promise<Result<number>> => {
  let inUse = 0;
  for (const item of items) {
    const gone = await remove(item);
    if (!gone.ok && gone.failure.code !== 'cloud-conflict') return gone;
    if (!gone.ok) inUse += 1;
  }
  return ok(inUse);
};

const removeServers = async (cloud: Cloud, scope: Scope): Promise<Result<number>> => {
  const machines = await listMachines(cloud, scope);
  if (!machines.ok) return machines;
  const removed = await removeAll(
    machines.value.filter((machine) => machine.state !== 'going'),
    (machine) => cloud.compute.deleteServer(machine.instance),
  );
  return removed.ok ? ok(machines.value.length) : removed;
};

const removeBalancers = async (cloud: Cloud, scope: Scope): Promise<Result<number>> => {
  if (!hasBalancers(cloud)) return ok(0);
  const found = await ownBalancers(cloud, scope);
  if (!found.ok) return found;
  const going = found.value.filter((item) => item.provisioning_status !== 'PENDING_DELETE');
  const removed = await removeAll(going, (item) => cloud.balancer.remove(item.id));
  return removed.ok ? ok(found.value.length) : removed;
};

const removeGroups = async (cloud: Cloud, scope: Scope): Promise<Result<number>> => {
  const found = await cloud.compute.groups();
  if (!found.ok) return found;
  return removeAll(
    found.value.filter((group) => group.name === groupName(scope)),
    (group) => cloud.compute.deleteGroup(group.id),
  );
};

const removeKind = async (cloud: Cloud, scope: Scope, kind: Kind): Promise<Result<number>> => {
  const found = await listOwn(cloud, scope, kind);
  return found.ok ? removeAll(found.value, (item) => cloud.network.remove(kind, item.id)) : found;
};

/** A router goes when nothing is plugged into it. */
const removeRouters = async (cloud: Cloud, scope: Scope): Promise<Result<number>> => {
  const routers = await listOwn(cloud, scope, 'router');
  if (!routers.ok) return routers;
  return removeAll(routers.value, async (router) => {
    const ports = await cloud.network.list('port', { device_id: router.id });
    if (!ports.ok) return ports;
    // The gateway's port goes with the router.
    const subnets = ports.value
      .filter((port) => port.device_owner.startsWith('network:router_interface'))
      .flatMap((port) => port.fixed_ips.map((ip) => ip.subnet_id));
    for (const subnet of new Set(subnets)) {
      const unplugged = await cloud.network.routerInterface('remove', router.id, subnet);
      if (!unplugged.ok) return unplugged;
    }
    return cloud.network.remove('router', router.id);
  });
};

/** In the order in which neutron lets go; whatever is in use today makes the rest wait. */
export const ensureNothingLeft = async (cloud: Cloud, scope: Scope): Promise<Result<Progress<void>>> => {
  const rounds: [string, () => Promise<Result<number>>][] = [
    ['servers', () => removeServers(cloud, scope)],
    ['load balancers', () => removeBalancers(cloud, scope)],
    ['floating addresses', () => removeKind(cloud, scope, 'floatingip')],
    ['ports', () => removeKind(cloud, scope, 'port')],
    ['server groups', () => removeGroups(cloud, scope)],
    ['routers', () => removeRouters(cloud, scope)],
    ['subnets', () => removeKind(cloud, scope, 'subnet')],
    ['networks', () => removeKind(cloud, scope, 'network')],
    ['security groups', () => removeKind(cloud, scope, 'security_group')],
  ];
  for (const [what, remove] of rounds) {
    const left = await remove();
    if (!left.ok) return left;
    if (left.value > 0) return pending(`${left.value} ${what} are being deleted`, 2_000);
  }
  return ready(undefined);
};

/** Everything with a mark of ours in this project, of whichever cluster. */
export const findTagged = async (cloud: Cloud): Promise<Result<FoundThing[]>> => {
  const servers = await cloud.compute.servers({});
  if (!servers.ok) return servers;
  const things: FoundThing[] = servers.value.flatMap((server) => {
    const cluster = server.metadata[serverKey('cluster')];
    return cluster === undefined ? [] : [{ thing: `server ${server.id}`, cluster, name: server.name }];
  });
  const groups = await cloud.compute.groups();
  if (!groups.ok) return groups;
  for (const group of groups.value) {
    const cluster = clusterOfGroup(group.name);
    if (cluster !== undefined) things.push({ thing: `server group ${group.id}`, cluster, name: group.name });
  }
  if (hasBalancers(cloud)) {
    const balancers = await cloud.balancer.list({ project_id: cloud.projectId });
    if (!balancers.ok) return balancers;
    for (const item of balancers.value) {
      const cluster = clusterOfMark(item.description);
      if (cluster !== undefined) things.push({ thing: `load balancer ${item.id}`, cluster, name: item.name });
    }
  }
  for (const kind of networkKinds) {
    const found = await cloud.network.list(kind, { project_id: cloud.projectId });
    if (!found.ok) return found;
    for (const item of found.value) {
      const cluster = clusterOfMark(item.description);
      if (cluster !== undefined)
        things.push({ thing: `${kind.replace('_', ' ')} ${item.id}`, cluster, name: 'name' in item ? item.name : item.floating_ip_address });
    }
  }
  return ok(things);
};
