import { poolName } from '@groundplane/hub/providers/aks/pool-body';
import { baseName } from '@groundplane/hub/providers/azure/names';
import { openAks } from '@groundplane/hub/providers/aks/provider';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { ManagedRig } from '../../conformance/providers/rig.ts';
import { azureAccount, azureHttp } from './http.ts';
import { azureCounterpart, azureDeps, inventoryOf, quotaAnswer, throttledAnswer } from './rig.ts';

export const aksRig = async (group: 'own' | 'shared' = 'own'): Promise<ManagedRig> => {
  const { http, arm } = await azureHttp();
  const { subscription } = azureAccount;
  const id = `/subscriptions/${subscription}/resourceGroups/shared`;
  arm.store.put({ id, name: 'shared', type: 'Microsoft.Resources/resourceGroups', location: 'westeurope', properties: { provisioningState: 'Succeeded' } });
  const choice = group === 'own' ? {} : { resourceGroup: 'shared' };
  const rig: ManagedRig<'aks'> = {
    kind: 'managed',
    counterpart: azureCounterpart,
    http,
    pollMs: 0,
    callsPerLook: 4,
    versions: ['1.33', '1.34'],
    open: (through) => openAks(azureDeps(through)),
    openWrong: (through) => openAks(azureDeps(through, 'wrong')),
    scope: (cluster, name) => ({ id: cluster, name, zones: [], placement: placementSchemas.aks.parse({ subscription, location: 'westeurope', ...choice }) }),
    inventory: async () => inventoryOf(arm, new Set([id])),
    strangerIn: (_scope, name) => {
      const first = [...arm.store.resources.values()].find((item) => item.type.endsWith('/agentPools'));
      if (first === undefined) return;
      const { tags: _tags, ...properties } = first.properties;
      arm.store.put({ ...first, id: first.id.replace(/[^/]+$/, name), name, properties });
    },
    untag: async (scope, pool) => {
      const end = pool === undefined ? `/managedClusters/${baseName(scope)}` : `/managedClusters/${baseName(scope)}/agentPools/${poolName(pool)}`;
      const thing = [...arm.store.resources.values()].find((item) => item.id.toLowerCase().endsWith(end.toLowerCase()));
      if (thing === undefined) throw new Error(`there is no ${end}`);
      // Tags of pools are among their properties.
      const holder: { tags?: unknown } = pool === undefined ? thing : thing.properties;
      const before = holder.tags;
      holder.tags = {};
      return () => void (holder.tags = before);
    },
    otherSize: 'Standard_D4s_v5',
    pool: (name, count) => ({
      name,
      pool: name,
      size: 'Standard_D2s_v5',
      count,
      zones: [],
      spot: false,
      labels: { tier: name },
      taints: name === 'second' ? [{ key: 'only', value: 'this', effect: 'NoSchedule' }] : [],
      update: { maxSurge: 1, maxUnavailable: 0 },
    }),
    deleteBehind: async (_scope, pool) => {
      for (const item of arm.store.resources.values()) if (item.type.endsWith('/agentPools') && item.name === poolName(pool)) arm.store.drop(item.id);
    },
    answers: { throttled: throttledAnswer, quota: quotaAnswer(/\/managedClusters\/[^/?]+\?/) },
    close: async () => undefined,
  };
  return rig;
};
