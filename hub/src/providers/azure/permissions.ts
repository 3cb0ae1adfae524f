import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts } from '../../port/provider.ts';
import type { Session } from './session.ts';

const both = (thing: string): string[] => [`${thing}/read`, `${thing}/write`, `${thing}/delete`];

/** What the providers' calls need; the role definitions beside the READMEs hold the same lists, which a test compares. */
export const machineActions: readonly string[] = [
  ...both('Microsoft.Resources/subscriptions/resourceGroups'),
  'Microsoft.Resources/subscriptions/resources/read',
  'Microsoft.Resources/subscriptions/providers/read',
  ...both('Microsoft.Compute/virtualMachines'),
  ...both('Microsoft.Compute/virtualMachineScaleSets'),
  ...both('Microsoft.Compute/disks'),
  'Microsoft.Compute/skus/read',
  'Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions/read',
  ...both('Microsoft.Network/networkSecurityGroups'),
  'Microsoft.Network/networkSecurityGroups/join/action',
  ...both('Microsoft.Network/virtualNetworks'),
  'Microsoft.Network/virtualNetworks/join/action',
  'Microsoft.Network/virtualNetworks/joinLoadBalancer/action',
  'Microsoft.Network/virtualNetworks/subnets/join/action',
  ...both('Microsoft.Network/natGateways'),
  'Microsoft.Network/natGateways/join/action',
  ...both('Microsoft.Network/publicIPAddresses'),
  'Microsoft.Network/publicIPAddresses/join/action',
  ...both('Microsoft.Network/loadBalancers'),
  'Microsoft.Network/loadBalancers/backendAddressPools/join/action',
  ...both('Microsoft.Network/networkInterfaces'),
  'Microsoft.Network/networkInterfaces/join/action',
];

export const managedActions: readonly string[] = [
  ...both('Microsoft.Resources/subscriptions/resourceGroups'),
  'Microsoft.Resources/subscriptions/resources/read',
  'Microsoft.Resources/subscriptions/providers/read',
  'Microsoft.Compute/skus/read',
  ...both('Microsoft.ContainerService/managedClusters'),
  ...both('Microsoft.ContainerService/managedClusters/agentPools'),
  'Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action',
  'Microsoft.ContainerService/managedClusters/listClusterUserCredential/action',
  'Microsoft.ContainerService/locations/kubernetesversions/read',
  'Microsoft.Network/virtualNetworks/read',
  'Microsoft.Network/virtualNetworks/subnets/read',
  'Microsoft.Network/virtualNetworks/subnets/join/action',
];

const permissionsSchema = z.object({
  value: z.array(z.object({ actions: z.array(z.string()).default([]), notActions: z.array(z.string()).default([]) })),
});

const matches = (pattern: string, action: string): boolean => {
  const parts = pattern.toLowerCase().split('*');
  let rest = action.toLowerCase();
  for (const [index, part] of parts.entries()) {
    const at = index === parts.length - 1 && index > 0 ? rest.lastIndexOf(part) : rest.indexOf(part);
    if (at < 0 || (index === 0 && at !== 0)) return false;
    rest = rest.slice(at + part.length);
  }
  return rest === '' || pattern.endsWith('*');
};

/** Each role assignment grants its actions without its notActions; the sum counts (Azure role-based access control). */
export const missingActions = (permissions: readonly { actions: readonly string[]; notActions: readonly string[] }[], wanted: readonly string[]): string[] =>
  wanted.filter(
    (action) =>
      !permissions.some((item) => item.actions.some((pattern) => matches(pattern, action)) && !item.notActions.some((pattern) => matches(pattern, action))),
  );

/** Who we are, and which of the wanted actions the roles of this account lack over the whole subscription. */
export const checkAccount = async (session: Session, subscription: string | undefined, wanted: readonly string[]): Promise<Result<AccountFacts>> => {
  const token = await session.token();
  if (!token.ok) return token;
  const { clientId, tenantId } = session.settings;
  const identity = `${clientId ?? 'the identity of the hub'} in tenant ${tenantId}`;
  const at = subscription ?? session.settings.subscription;
  if (at === undefined) return ok({ identity, missing: [], unchecked: ['permissions: neither the account nor a placement names a subscription'] });
  const answer = await session.get(`/subscriptions/${encodeURIComponent(at)}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`);
  if (!answer.ok) {
    if (answer.failure.code !== 'permission-missing') return answer;
    return ok({ identity, missing: [`any role in subscription ${at}`], unchecked: [] });
  }
  const parsed = permissionsSchema.safeParse(answer.value);
  if (!parsed.success) return ok({ identity, missing: [], unchecked: ['permissions: Azure answered in another shape'] });
  return ok({
    identity,
    missing: missingActions(parsed.data.value, wanted),
    unchecked: ['roles that hold in single resource groups only', 'quotas', 'policies of the subscription'],
  });
};
