import { openAzure } from '@groundplane/hub/providers/azure/provider';
import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';
import type { ProviderDeps } from '@groundplane/hub/port/provider';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { accountKinds } from '@groundplane/protocol/environment/account';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { azureAccount, azureHttp } from './http.ts';
import type { Arm } from './arm.ts';

export const azureDeps = (http: Http, clientSecret: string = azureAccount.clientSecret): ProviderDeps<'azure'> => {
  const { tenantId, clientId, subscription } = azureAccount;
  return {
    settings: accountKinds.azure.settings.parse({ tenantId, clientId, subscription }),
    secret: { type: 'client-secret', clientSecret },
    http,
    clock: systemClock,
    random: systemRandom,
  };
};

export const azureCounterpart =
  'model of ours over the operation descriptions of @azure/arm-compute 22.4.0, arm-network 36.0.0, arm-resources 7.0.0 and arm-containerservice 22.3.0';

const said = (status: number, code: string, message: string, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: Buffer.from(JSON.stringify({ error: { code, message } })),
});

/** ARM's limit of calls, with its own words. */
export const throttledAnswer = (): HttpResponse =>
  said(429, 'TooManyRequests', 'The request is being throttled as the limit has been reached for operation type - Read_ObservationWindow_00:05:00.', {
    'retry-after': '2',
  });
export const quotaAnswer =
  (pattern: RegExp) =>
  (request: HttpRequest): HttpResponse | undefined =>
    request.method === 'PUT' && pattern.test(request.url)
      ? said(409, 'OperationNotAllowed', 'Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Additional details - Deployment Model: Resource Manager, Location: westeurope, Current Limit: 10, Current Usage: 10, Additional Required: 2.') // prettier-ignore
      : undefined;

/** Everything but the parts of a resource and what the account had before. */
export const inventoryOf = (arm: Arm, before: ReadonlySet<string>): string[] =>
  [...arm.store.resources.values()].filter((item) => !before.has(item.id)).map((item) => `${item.type.split('/').at(-1)} ${item.id}`);

const sharedGroup = 'shared';

/** `group: shared`: the placement names a resource group that other things live in, too. */
export const azureRig = async (group: 'own' | 'shared' = 'own', scaleSets = false): Promise<MachineRig> => {
  const { http, arm } = await azureHttp();
  const { subscription } = azureAccount;
  const id = `/subscriptions/${subscription}/resourceGroups/${sharedGroup}`;
  arm.store.put({ id, name: sharedGroup, type: 'Microsoft.Resources/resourceGroups', location: 'westeurope', properties: { provisioningState: 'Succeeded' } });
  const disk = `${id}/providers/Microsoft.Compute/disks/of-somebody`;
  arm.store.put({ id: disk, name: 'of-somebody', type: 'Microsoft.Compute/disks', location: 'westeurope', properties: { provisioningState: 'Succeeded' } });
  const before = new Set([id, disk]);
  const choice = group === 'own' ? {} : { resourceGroup: sharedGroup };
  const rig: MachineRig<'azure'> = {
    kind: 'machines',
    counterpart: azureCounterpart,
    http,
    pollMs: 0,
    open: (through) => openAzure(azureDeps(through)),
    openWrong: (through) => openAzure(azureDeps(through, 'wrong')),
    scope: (cluster, name) => ({
      id: cluster,
      name,
      zones: [],
      placement: placementSchemas.azure.parse({ subscription, location: 'westeurope', scaleSets, ...choice }),
    }),
    inventory: async () => inventoryOf(arm, before),
    want: (name, pool, generation) => ({
      name,
      pool,
      generation,
      role: pool === 'servers' ? 'control-plane' : 'worker',
      size: 'Standard_D2s_v5',
      spot: false,
      userData: '#cloud-config\n',
    }),
    deleteBehind: async (_scope, name) => {
      const machine = [...arm.store.resources.values()].find(
        (item) => item.type === 'Microsoft.Compute/virtualMachines' && item.tags?.['groundplane-name'] === name,
      );
      if (machine === undefined) throw new Error(`no machine ${name}`);
      arm.store.drop(machine.id);
      for (const card of arm.store.resources.values()) if (card.name === machine.name) delete card.properties['virtualMachine'];
    },
    answers: {
      throttled: throttledAnswer,
      quota: quotaAnswer(/\/virtualMachines\/[^/?]+\?/),
      notYet: (request) =>
        request.method === 'GET' && /\/(virtualMachines|networkInterfaces|loadBalancers|virtualNetworks)\/[^/?]+\?/.test(request.url)
          ? said(404, 'ResourceNotFound', 'The Resource under resource group was not found.')
          : undefined,
    },
    close: async () => undefined,
  };
  return rig;
};
