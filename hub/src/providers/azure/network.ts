import type { NetworkSecurityGroup, SecurityRule } from '@azure/arm-network';
import type { Result } from '@groundplane/protocol/failure';
import { ready, type Progress } from '../../port/provider.ts';
import { ensure, ensureGroup } from './ensure.ts';
import { apiPort, idOf, namesOf, tagsOf, type VmScope } from './names.ts';
import { submit, type Clients } from './session.ts';

export type Cloud = Clients & { subscription: string };

/** Where machines are plugged in: the placement's subnet, or the cluster's own. */
export const subnetOf = (cloud: Pick<Cloud, 'subscription'>, scope: VmScope): { network: string; subnet: string } => {
  const given = scope.placement.network;
  const network =
    given === undefined
      ? idOf(cloud.subscription, namesOf(scope).group, `Microsoft.Network/virtualNetworks/${namesOf(scope).network}`)
      : idOf(cloud.subscription, given.resourceGroup, `Microsoft.Network/virtualNetworks/${given.name}`);
  return { network, subnet: `${network}/subnets/${given?.subnet ?? 'machines'}` };
};

export const firewallId = (cloud: Pick<Cloud, 'subscription'>, scope: VmScope): string =>
  idOf(cloud.subscription, namesOf(scope).group, `Microsoft.Network/networkSecurityGroups/${namesOf(scope).firewall}`);

/** What Azure lets in by itself: its own network, and its load balancers' probes. Everything else is closed, but the API server to those whom the placement names. */
const rulesOf = (scope: VmScope): SecurityRule[] => [
  {
    name: 'api-server',
    description: 'API server of the cluster',
    access: 'Allow',
    direction: 'Inbound',
    protocol: 'Tcp',
    priority: 100,
    sourcePortRange: '*',
    destinationPortRange: String(apiPort),
    destinationAddressPrefix: '*',
    sourceAddressPrefixes: [...scope.placement.apiSources],
  },
];

const sourcesOf = (group: NetworkSecurityGroup): string =>
  (group.securityRules ?? [])
    .filter((rule) => rule.name === 'api-server')
    .flatMap((rule) => rule.sourceAddressPrefixes ?? (rule.sourceAddressPrefix === undefined ? [] : [rule.sourceAddressPrefix]))
    .toSorted()
    .join();

const ensureFirewall = async (cloud: Cloud, scope: VmScope): Promise<Result<Progress<void>>> => {
  const { group, firewall } = namesOf(scope);
  const what = `network security group ${firewall}`;
  const groups = cloud.network.networkSecurityGroups;
  const put = () => groups.createOrUpdate(group, firewall, { location: scope.placement.location, tags: tagsOf(scope), securityRules: rulesOf(scope) });
  const made = await ensure(scope, { what, get: () => groups.get(group, firewall), put });
  if (!made.ok) return made;
  if (made.value.state === 'pending') return { ok: true, value: made.value };
  if (sourcesOf(made.value.value) === [...scope.placement.apiSources].toSorted().join()) return ready(undefined);
  const sent = await submit(`Azure ${what}`, put);
  return sent.ok ? ready(undefined) : sent;
};

/** Machines have no public address, and subnets no way out by themselves any more: a NAT gateway with an address of its own. */
const ensureOwnNetwork = async (cloud: Cloud, scope: VmScope): Promise<Result<Progress<unknown>>> => {
  const { group, natAddress, nat, network } = namesOf(scope);
  const { location } = scope.placement;
  const tags = tagsOf(scope);
  const address = await ensure(scope, {
    what: `public address ${natAddress}`,
    get: () => cloud.network.publicIPAddresses.get(group, natAddress),
    put: () =>
      cloud.network.publicIPAddresses.createOrUpdate(group, natAddress, { location, tags, sku: { name: 'Standard' }, publicIPAllocationMethod: 'Static' }),
  });
  if (!address.ok || address.value.state === 'pending') return address;
  const addressId = idOf(cloud.subscription, group, `Microsoft.Network/publicIPAddresses/${natAddress}`);
  const gateway = await ensure(scope, {
    what: `NAT gateway ${nat}`,
    get: () => cloud.network.natGateways.get(group, nat),
    put: () => cloud.network.natGateways.createOrUpdate(group, nat, { location, tags, sku: { name: 'Standard' }, publicIpAddresses: [{ id: addressId }] }),
  });
  if (!gateway.ok || gateway.value.state === 'pending') return gateway;
  const natGateway = { id: idOf(cloud.subscription, group, `Microsoft.Network/natGateways/${nat}`) };
  const prefixes = [scope.placement.cidr];
  return ensure(scope, {
    what: `virtual network ${network}`,
    get: () => cloud.network.virtualNetworks.get(group, network),
    put: () =>
      cloud.network.virtualNetworks.createOrUpdate(group, network, {
        location,
        tags,
        addressSpace: { addressPrefixes: prefixes },
        subnets: [{ name: 'machines', addressPrefix: scope.placement.cidr, natGateway }],
      }),
  });
};

export const ensureNetwork = async (cloud: Cloud, scope: VmScope): Promise<Result<Progress<void>>> => {
  const group = await ensureGroup(cloud, scope);
  if (!group.ok || group.value.state === 'pending') return group;
  const firewall = await ensureFirewall(cloud, scope);
  if (!firewall.ok || firewall.value.state === 'pending') return firewall;
  if (scope.placement.network !== undefined) return ready(undefined);
  const network = await ensureOwnNetwork(cloud, scope);
  if (!network.ok) return network;
  return network.value.state === 'pending' ? { ok: true, value: network.value } : ready(undefined);
};
