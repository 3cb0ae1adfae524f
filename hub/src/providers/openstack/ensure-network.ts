import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { apiPort, baseName, ensureOwn, listOwn, pick, type Cloud, type Scope } from './cluster-things.ts';
import type { Thing } from './network.ts';

/** What machines are plugged into. */
export interface Plug {
  networkId: string;
  subnetId: string;
  groupId: string;
}

const externalNetwork = async (cloud: Cloud, scope: Scope): Promise<Result<Thing<'network'>>> => {
  const found = await cloud.network.list('network', { 'router:external': 'true' });
  if (!found.ok) return found;
  const wanted = scope.placement.externalNetwork;
  if (wanted !== undefined) return pick(found.value, wanted, 'external network');
  const [first, ...others] = found.value;
  const element = 'OpenStack external network';
  if (first === undefined)
    return fail('blocked', 'choice-missing', element, 'there is none, and machines need a way out; name an existing "network" of the placement that has one');
  if (others.length > 0)
    return fail(
      'blocked',
      'choice-ambiguous',
      element,
      `there are several (${found.value.map((item) => item.name).join(', ')}); name one as "externalNetwork" of the placement`,
    );
  return ok(first);
};

/** The network and subnet that the placement names. */
const existingSubnet = async (cloud: Cloud, scope: Scope, wanted: string): Promise<Result<Pick<Plug, 'networkId' | 'subnetId'>>> => {
  const networks = await cloud.network.list('network', {});
  if (!networks.ok) return networks;
  const network = pick(networks.value, wanted, 'network');
  if (!network.ok) return network;
  const subnets = await cloud.network.list('subnet', { network_id: network.value.id, ip_version: '4' });
  if (!subnets.ok) return subnets;
  const { subnet } = scope.placement;
  const [first] = subnets.value;
  if (subnet === undefined && first !== undefined && subnets.value.length === 1) return ok({ networkId: network.value.id, subnetId: first.id });
  if (subnet === undefined)
    return fail(
      'blocked',
      'choice-ambiguous',
      `OpenStack network ${wanted}`,
      `it has ${subnets.value.length} IPv4 subnets; name one as "subnet" of the placement`,
    );
  const chosen = pick(subnets.value, subnet, 'subnet');
  return chosen.ok ? ok({ networkId: network.value.id, subnetId: chosen.value.id }) : chosen;
};

const ownSubnet = async (cloud: Cloud, scope: Scope): Promise<Result<Pick<Plug, 'networkId' | 'subnetId'>>> => {
  const name = baseName(scope);
  const outside = await externalNetwork(cloud, scope);
  if (!outside.ok) return outside;
  const network = await ensureOwn(cloud, scope, 'network', name, {});
  if (!network.ok) return network;
  const { cidr, dns } = scope.placement;
  const body = { network_id: network.value.id, ip_version: 4, cidr, dns_nameservers: dns };
  const subnet = await ensureOwn(cloud, scope, 'subnet', name, body, { network_id: network.value.id });
  if (!subnet.ok) return subnet;
  const router = await ensureOwn(cloud, scope, 'router', name, { external_gateway_info: { network_id: outside.value.id } });
  if (!router.ok) return router;
  const plugged = await cloud.network.list('port', { device_id: router.value.id, network_id: network.value.id });
  if (!plugged.ok) return plugged;
  if (plugged.value.length === 0) {
    const added = await cloud.network.routerInterface('add', router.value.id, subnet.value.id);
    if (!added.ok) return added;
  }
  return ok({ networkId: network.value.id, subnetId: subnet.value.id });
};

interface Rule {
  remote_ip_prefix?: string;
  remote_group_id?: string;
  port?: number;
}

/** Everything between the cluster's machines, and the API server from where the placement says. What goes out is allowed by neutron's own default. */
const wantedRules = (scope: Scope, groupId: string): Rule[] => [
  { remote_group_id: groupId },
  ...scope.placement.apiSources.map((prefix) => ({ remote_ip_prefix: prefix, port: apiPort })),
];

const isThere = (group: Thing<'security_group'>, rule: Rule): boolean =>
  group.security_group_rules.some(
    (item) =>
      item.direction === 'ingress' &&
      item.ethertype === 'IPv4' &&
      (item.port_range_min ?? undefined) === rule.port &&
      (item.remote_group_id ?? undefined) === rule.remote_group_id &&
      // Neutron may keep "from everywhere" as nothing at all.
      (item.remote_ip_prefix ?? (rule.remote_ip_prefix === '0.0.0.0/0' ? '0.0.0.0/0' : undefined)) === rule.remote_ip_prefix,
  );

const ensureGroup = async (cloud: Cloud, scope: Scope): Promise<Result<Thing<'security_group'>>> => {
  const group = await ensureOwn(cloud, scope, 'security_group', baseName(scope), {});
  if (!group.ok) return group;
  for (const rule of wantedRules(scope, group.value.id)) {
    if (isThere(group.value, rule)) continue;
    const { port, ...remote } = rule;
    const ports = port === undefined ? {} : { protocol: 'tcp', port_range_min: port, port_range_max: port };
    const added = await cloud.network.addRule({ security_group_id: group.value.id, direction: 'ingress', ethertype: 'IPv4', ...ports, ...remote });
    if (!added.ok) return added;
  }
  return group;
};

export const ensurePlug = async (cloud: Cloud, scope: Scope): Promise<Result<Plug>> => {
  const wanted = scope.placement.network;
  const subnet = wanted === undefined ? await ownSubnet(cloud, scope) : await existingSubnet(cloud, scope, wanted);
  if (!subnet.ok) return subnet;
  const group = await ensureGroup(cloud, scope);
  return group.ok ? ok({ ...subnet.value, groupId: group.value.id }) : group;
};

/** What ensurePlug made, without making anything. */
export const findPlug = async (cloud: Cloud, scope: Scope): Promise<Result<Plug>> => {
  const notYet = fail('retry', 'network-missing', `network of cluster ${scope.name}`, 'it is not there (any more); it is made first');
  const groups = await listOwn(cloud, scope, 'security_group');
  if (!groups.ok) return groups;
  const groupId = groups.value[0]?.id;
  if (groupId === undefined) return notYet;
  const wanted = scope.placement.network;
  if (wanted !== undefined) {
    const existing = await existingSubnet(cloud, scope, wanted);
    return existing.ok ? ok({ ...existing.value, groupId }) : existing;
  }
  const subnets = await listOwn(cloud, scope, 'subnet');
  if (!subnets.ok) return subnets;
  const [subnet] = subnets.value;
  return subnet === undefined ? notYet : ok({ networkId: subnet.network_id, subnetId: subnet.id, groupId });
};
