import type { AccountKind } from '@groundplane/protocol/environment/account';
import type { MachineEnvironment, ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import type { MachineProvider, ManagedClusterProvider, ProviderDeps } from '../port/provider.ts';

/** Opens a provider; its client is loaded here and not before, so that a hub without such an account never holds it in memory. */
export type ProviderTable = {
  machines: { [E in MachineEnvironment]?: (deps: ProviderDeps<AccountKind>) => Promise<MachineProvider> };
  managed: { [E in ManagedEnvironment]?: (deps: ProviderDeps<AccountKind>) => Promise<ManagedClusterProvider> };
};

export const providerTable: ProviderTable = {
  machines: {
    aws: async (deps) => (await import('./aws/provider.ts')).openAws(deps),
    azure: async (deps) => (await import('./azure/provider.ts')).openAzure(deps),
    google: async (deps) => (await import('./google/provider.ts')).openGoogle(deps),
    maas: async (deps) => (await import('./maas/provider.ts')).openMaas(deps),
    nutanix: async (deps) => (await import('./nutanix/provider.ts')).openNutanix(deps),
    openstack: async (deps) => (await import('./openstack/provider.ts')).openStack(deps),
    vsphere: async (deps) => (await import('./vsphere/provider.ts')).openVsphere(deps),
  },
  managed: {
    aks: async (deps) => (await import('./aks/provider.ts')).openAks(deps),
    eks: async (deps) => (await import('./eks/provider.ts')).openEks(deps),
    gke: async (deps) => (await import('./gke/provider.ts')).openGke(deps),
  },
};
