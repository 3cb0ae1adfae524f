import type { LoadBalancer } from '@azure/arm-network';
import type { Result } from '@groundplane/protocol/failure';
import { pending, ready, type Endpoint, type MachineFacts, type Progress } from '../../port/provider.ts';
import { ensure } from './ensure.ts';
import { azureWaits } from './limits.ts';
import { apiPort, idOf, namesOf, tagsOf, type VmScope } from './names.ts';
import { subnetOf, type Cloud } from './network.ts';
import { submit } from './session.ts';

const isPublic = (scope: VmScope): boolean => scope.placement.access === 'public';

interface Member {
  name: string;
  ip: string;
}

/** With its members, so that a second PUT never leaves the API server without anybody behind it. */
const balancerBody = (cloud: Cloud, scope: VmScope, members: readonly Member[]): LoadBalancer => {
  const { group, balancer, apiAddress } = namesOf(scope);
  const self = idOf(cloud.subscription, group, `Microsoft.Network/loadBalancers/${balancer}`);
  const frontend = isPublic(scope)
    ? { publicIPAddress: { id: idOf(cloud.subscription, group, `Microsoft.Network/publicIPAddresses/${apiAddress}`) } }
    : { subnet: { id: subnetOf(cloud, scope).subnet }, privateIPAllocationMethod: 'Dynamic' };
  const virtualNetwork = { id: subnetOf(cloud, scope).network };
  return {
    location: scope.placement.location,
    tags: tagsOf(scope),
    sku: { name: 'Standard' },
    frontendIPConfigurations: [{ name: 'api', ...frontend }],
    backendAddressPools: [{ name: 'servers', loadBalancerBackendAddresses: members.map(({ name, ip }) => ({ name, ipAddress: ip, virtualNetwork })) }],
    probes: [{ name: 'api', protocol: 'Tcp', port: apiPort, intervalInSeconds: 5, numberOfProbes: 2 }],
    loadBalancingRules: [
      {
        name: 'api',
        protocol: 'Tcp',
        frontendPort: apiPort,
        backendPort: apiPort,
        idleTimeoutInMinutes: 30,
        enableTcpReset: true,
        // The way out is the subnet's, not this address.
        disableOutboundSnat: true,
        frontendIPConfiguration: { id: `${self}/frontendIPConfigurations/api` },
        backendAddressPool: { id: `${self}/backendAddressPools/servers` },
        probe: { id: `${self}/probes/api` },
      },
    ],
  };
};

const ensureAddress = async (cloud: Cloud, scope: VmScope): Promise<Result<Progress<string | undefined>>> => {
  if (!isPublic(scope)) return ready(undefined);
  const { group, apiAddress } = namesOf(scope);
  const { location } = scope.placement;
  const addresses = cloud.network.publicIPAddresses;
  const made = await ensure(scope, {
    what: `public address ${apiAddress}`,
    get: () => addresses.get(group, apiAddress),
    put: () => addresses.createOrUpdate(group, apiAddress, { location, tags: tagsOf(scope), sku: { name: 'Standard' }, publicIPAllocationMethod: 'Static' }),
  });
  if (!made.ok) return made;
  return made.value.state === 'pending' ? { ok: true, value: made.value } : ready(made.value.value.ipAddress);
};

const membersOf = (balancer: LoadBalancer): string =>
  (balancer.backendAddressPools ?? [])
    .flatMap((pool) => pool.loadBalancerBackendAddresses ?? [])
    .flatMap((item) => (item.ipAddress === undefined ? [] : [item.ipAddress]))
    .toSorted()
    .join();

/** A pool of addresses, not of network cards: one PUT says who stands behind the API server, and nobody else does. */
export const ensureEndpoint = async (cloud: Cloud, scope: VmScope, servers: readonly MachineFacts[]): Promise<Result<Progress<Endpoint>>> => {
  const { group, balancer } = namesOf(scope);
  const what = `load balancer ${balancer}`;
  const address = await ensureAddress(cloud, scope);
  if (!address.ok || address.value.state === 'pending') return address as Result<Progress<Endpoint>>;
  const members = servers.flatMap((machine) => machine.addresses.slice(0, 1).map((ip) => ({ name: machine.name, ip })));
  const put = () => cloud.network.loadBalancers.createOrUpdate(group, balancer, balancerBody(cloud, scope, members));
  const made = await ensure(scope, { what, get: () => cloud.network.loadBalancers.get(group, balancer), put });
  if (!made.ok || made.value.state === 'pending') return made as Result<Progress<Endpoint>>;
  const wanted = members
    .map((item) => item.ip)
    .toSorted()
    .join();
  if (membersOf(made.value.value) !== wanted) {
    const sent = await submit(`Azure ${what}`, put);
    return sent.ok ? pending(`the servers behind ${balancer} are being changed`, azureWaits.network) : sent;
  }
  const host = address.value.value ?? made.value.value.frontendIPConfigurations?.[0]?.privateIPAddress;
  return host === undefined ? pending(`${what} has no address yet`, azureWaits.network) : ready({ kind: 'external', host, port: apiPort });
};
