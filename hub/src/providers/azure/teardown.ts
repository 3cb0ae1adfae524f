import { ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type FoundThing, type Progress } from '../../port/provider.ts';
import { removeOwnGroup, workState } from './ensure.ts';
import { azureWaits } from './limits.ts';
import { clusterTag, groupOf, isOurs, isOwnGroup, tagName, type VmScope } from './names.ts';
import type { Cloud } from './network.ts';
import { collect, submit, type Clients } from './session.ts';

interface Listed {
  name?: string;
  tags?: Record<string, string>;
  provisioningState?: string;
}
interface Kind {
  what: string;
  list: () => AsyncIterable<Listed>;
  remove: (name: string) => { submitted(): Promise<void> };
}

/** In the order in which Azure lets go. */
const kindsOf = ({ compute, network }: Cloud, group: string): Kind[] => [
  {
    what: 'machines',
    list: () => compute.virtualMachines.list(group),
    remove: (name) => compute.virtualMachines.delete(group, name, { forceDeletion: true }),
  },
  {
    what: 'scale sets',
    list: () => compute.virtualMachineScaleSets.list(group),
    remove: (name) => compute.virtualMachineScaleSets.delete(group, name),
  },
  { what: 'load balancers', list: () => network.loadBalancers.list(group), remove: (name) => network.loadBalancers.delete(group, name) },
  { what: 'network interfaces', list: () => network.networkInterfaces.list(group), remove: (name) => network.networkInterfaces.delete(group, name) },
  { what: 'disks', list: () => compute.disks.listByResourceGroup(group), remove: (name) => compute.disks.delete(group, name) },
  { what: 'virtual networks', list: () => network.virtualNetworks.list(group), remove: (name) => network.virtualNetworks.delete(group, name) },
  { what: 'NAT gateways', list: () => network.natGateways.list(group), remove: (name) => network.natGateways.delete(group, name) },
  { what: 'public addresses', list: () => network.publicIPAddresses.list(group), remove: (name) => network.publicIPAddresses.delete(group, name) },
  {
    what: 'network security groups',
    list: () => network.networkSecurityGroups.list(group),
    remove: (name) => network.networkSecurityGroups.delete(group, name),
  },
];

/** Our own group goes as a whole. In somebody else's group only what carries our tag goes, kind by kind. */
export const ensureNothingLeft = async (cloud: Cloud, scope: VmScope): Promise<Result<Progress<void>>> => {
  if (isOwnGroup(scope)) return removeOwnGroup(cloud, scope);
  const group = groupOf(scope);
  for (const kind of kindsOf(cloud, group)) {
    const found = await collect(`Azure ${kind.what} of ${group}`, kind.list);
    if (!found.ok) return found;
    const ours = found.value.filter((item) => isOurs(scope, item));
    for (const item of ours.filter((one) => workState(one) !== 'going')) {
      const sent = await submit(`Azure ${kind.what} ${item.name ?? ''}`, () => kind.remove(item.name ?? ''));
      if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
    }
    if (ours.length > 0) return pending(`${ours.length} ${kind.what} are being deleted`, azureWaits.machine);
  }
  return ready(undefined);
};

/**
 * Everything in the subscription with a tag of ours, of whichever cluster. ARM's list of everything lags behind by seconds, sometimes by minutes. It is not
 * asked for by tag: what it lists by tag it may list without its tags (reference of Resources - List).
 */
export const findTagged = async (cloud: Clients): Promise<Result<FoundThing[]>> => {
  const filter = `tagName eq '${clusterTag}'`;
  const groups = await collect('Azure resource groups', () => cloud.resources.resourceGroups.list({ filter }));
  if (!groups.ok) return groups;
  const things = await collect('Azure resources', () => cloud.resources.resources.list());
  if (!things.ok) return things;
  const all = [...groups.value.map((item) => ({ ...item, type: 'resource group' })), ...things.value];
  return ok(
    all.flatMap((item) => {
      const cluster = item.tags?.[clusterTag];
      const name = item.tags?.[tagName('name')] ?? item.name;
      return cluster === undefined
        ? []
        : [{ thing: `${item.type ?? 'resource'} ${item.id ?? item.name ?? ''}`, cluster, ...(name === undefined ? {} : { name }) }];
    }),
  );
};
