import { fail, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type Endpoint, type MachineFacts, type Progress } from '../../port/provider.ts';
import { apiPort, apiPortName, baseName, ensureOwn, listOwn, markOf, type Cloud, type Scope } from './cluster-things.ts';
import type { Balancer } from './balancer.ts';
import { findPlug } from './ensure-network.ts';
import { oldestFirst } from './network.ts';

/** An address of the subnet that no machine has: the control planes move it between them (kube-vip), and their ports may carry it. */
const ensureVip = async (cloud: Cloud, scope: Scope): Promise<Result<Progress<Endpoint>>> => {
  const plug = await findPlug(cloud, scope);
  if (!plug.ok) return plug;
  const { networkId, subnetId, groupId } = plug.value;
  const { vip } = scope.placement;
  const fixed = { subnet_id: subnetId, ...(vip === undefined ? {} : { ip_address: vip }) };
  const port = await ensureOwn(cloud, scope, 'port', apiPortName(scope), { network_id: networkId, fixed_ips: [fixed], security_groups: [groupId] });
  if (!port.ok) return port;
  const address = port.value.fixed_ips[0]?.ip_address;
  const element = `API address of cluster ${scope.name}`;
  if (address === undefined) return fail('retry', 'cloud-failed', element, 'its port has no address');
  if (vip !== undefined && vip !== address)
    return fail('blocked', 'choice-differs', element, `it is ${address} and cannot become ${vip}; the address of a cluster stays`);
  return ready({ kind: 'vip', host: address, port: apiPort });
};

const ensureBalancer = async (cloud: Cloud, scope: Scope): Promise<Result<Balancer>> => {
  const found = await ownBalancers(cloud, scope);
  if (!found.ok) return found;
  const [first, ...doubles] = found.value;
  for (const double of doubles) {
    const gone = await cloud.balancer.remove(double.id);
    if (!gone.ok && gone.failure.code !== 'cloud-conflict') return gone;
  }
  if (first !== undefined) return { ok: true, value: first };
  const plug = await findPlug(cloud, scope);
  if (!plug.ok) return plug;
  return cloud.balancer.create(baseName(scope), markOf(scope), plug.value.subnetId, apiPort, scope.placement.apiSources);
};

export const ownBalancers = async (cloud: Cloud, scope: Pick<Scope, 'id'>): Promise<Result<Balancer[]>> => {
  const found = await cloud.balancer.list({ description: markOf(scope), project_id: cloud.projectId });
  return found.ok ? { ok: true, value: oldestFirst(found.value.filter((item) => item.description === markOf(scope))) } : found;
};

/** A floating address, where there is a network to take it from; otherwise the balancer's own. */
const ensureFloating = async (cloud: Cloud, scope: Scope, balancer: Balancer): Promise<Result<string>> => {
  const wanted = scope.placement.externalNetwork;
  if (wanted === undefined) return { ok: true, value: balancer.vip_address };
  const found = await listOwn(cloud, scope, 'floatingip');
  if (!found.ok) return found;
  const [first, ...doubles] = found.value;
  for (const double of doubles) {
    const gone = await cloud.network.remove('floatingip', double.id);
    if (!gone.ok) return gone;
  }
  if (first === undefined) {
    const outside = await cloud.network.list('network', { 'router:external': 'true' });
    if (!outside.ok) return outside;
    const network = outside.value.find((item) => item.id === wanted || item.name === wanted);
    if (network === undefined) return fail('blocked', 'choice-missing', `OpenStack external network ${wanted}`, 'there is none');
    const made = await cloud.network.create('floatingip', { floating_network_id: network.id, port_id: balancer.vip_port_id, description: markOf(scope) });
    return made.ok ? { ok: true, value: made.value.floating_ip_address } : made;
  }
  if (first.port_id !== balancer.vip_port_id) {
    const moved = await cloud.network.update('floatingip', first.id, { port_id: balancer.vip_port_id });
    if (!moved.ok) return moved;
  }
  return { ok: true, value: first.floating_ip_address };
};

const ensureOctavia = async (cloud: Cloud, scope: Scope, servers: readonly MachineFacts[]): Promise<Result<Progress<Endpoint>>> => {
  const balancer = await ensureBalancer(cloud, scope);
  if (!balancer.ok) return balancer;
  const { provisioning_status: status, pools, id } = balancer.value;
  if (status === 'ERROR') return fail('blocked', 'endpoint-failed', `load balancer ${id}`, 'octavia reports ERROR; delete it, and it is made anew: openstack loadbalancer delete --cascade ' + id); // prettier-ignore
  const [pool] = pools;
  if (status !== 'ACTIVE' || pool === undefined) return pending(`load balancer is ${status}`, 5_000);
  const addresses = servers.flatMap((machine) => machine.addresses.slice(0, 1)).toSorted();
  const members = await cloud.balancer.members(pool.id);
  if (!members.ok) return members;
  if (
    members.value
      .map((item) => item.address)
      .toSorted()
      .join() !== addresses.join()
  ) {
    const set = await cloud.balancer.setMembers(pool.id, addresses, apiPort);
    if (!set.ok) return set;
  }
  const host = await ensureFloating(cloud, scope, balancer.value);
  return host.ok ? ready({ kind: 'external', host: host.value, port: apiPort }) : host;
};

export const ensureEndpoint = (cloud: Cloud, scope: Scope, servers: readonly MachineFacts[]): Promise<Result<Progress<Endpoint>>> =>
  scope.placement.endpoint === 'octavia' ? ensureOctavia(cloud, scope, servers) : ensureVip(cloud, scope);
