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
    openstack: async (deps) => (await import('./openstack/provider.ts')).openStack(deps),
    maas: async (deps) => (await import('./maas/provider.ts')).openMaas(deps as ProviderDeps<'maas'>) as Promise<MachineProvider>,
    nutanix: async (deps) => (await import('./nutanix/provider.ts')).openNutanix(deps as ProviderDeps<'nutanix'>) as Promise<MachineProvider>,
    azure: async (deps) => (await import('./azure/provider.ts')).openAzure(deps as ProviderDeps<'azure'>) as Promise<MachineProvider>,
    google: async (deps) => (await import('./google/provider.ts')).openGoogle(deps as ProviderDeps<'google'>) as Promise<MachineProvider>,
    openstack: async (deps) => (await import('./openstack/provider.ts')).openStack(deps as ProviderDeps<'openstack'>) as Promise<MachineProvider>,
    vsphere: async (deps) => (await import('./vsphere/provider.ts')).openVsphere(deps as ProviderDeps<'vsphere'>) as Promise<MachineProvider>,
  },
  managed: {},
    aws: async (deps) => (await import('./aws/provider.ts')).openAws(deps),
  },
  managed: {
    eks: async (deps) => (await import('./eks/provider.ts')).openEks(deps),
  managed: {
    aks: async (deps) => (await import('./aks/provider.ts')).openAks(deps as ProviderDeps<'azure'>) as Promise<ManagedClusterProvider>,
    gke: async (deps) => (await import('./gke/provider.ts')).openGke(deps as ProviderDeps<'google'>) as Promise<ManagedClusterProvider>,
  },
};
