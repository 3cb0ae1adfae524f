/**
 * Where clusters can live. `machines`: the hub makes machines that boot our agent, which does everything from there. `managed`: the environment runs Kubernetes,
 * and the hub drives its API. `existing`: somebody else's cluster, by kubeconfig. Edge hosts need nothing of this: they come by themselves.
 */
export const environments = {
  aws: { kind: 'machines', title: 'AWS EC2' },
  azure: { kind: 'machines', title: 'Azure virtual machines' },
  google: { kind: 'machines', title: 'Google Compute Engine' },
  vsphere: { kind: 'machines', title: 'VMware vSphere' },
  nutanix: { kind: 'machines', title: 'Nutanix' },
  openstack: { kind: 'machines', title: 'OpenStack' },
  maas: { kind: 'machines', title: 'Canonical MAAS' },
  eks: { kind: 'managed', title: 'Amazon EKS' },
  aks: { kind: 'managed', title: 'Azure AKS' },
  gke: { kind: 'managed', title: 'Google GKE' },
  existing: { kind: 'existing', title: 'existing cluster' },
} as const satisfies Record<string, { kind: 'machines' | 'managed' | 'existing'; title: string }>;

export type Environment = keyof typeof environments;
export const environmentNames = Object.keys(environments) as [Environment, ...Environment[]];
type OfKind<K extends string> = { [E in Environment]: (typeof environments)[E]['kind'] extends K ? E : never }[Environment];
export type MachineEnvironment = OfKind<'machines'>;
export type ManagedEnvironment = OfKind<'managed'>;

/** Environments whose Kubernetes version is the one of the profile's Kubernetes layer with this distribution. */
export const managedEnvironments = ['eks', 'aks', 'gke'] as const satisfies readonly ManagedEnvironment[];
export const isManagedEnvironment = (name: string): name is ManagedEnvironment => (managedEnvironments as readonly string[]).includes(name);
export const isMachineEnvironment = (name: Environment): name is MachineEnvironment => environments[name].kind === 'machines';
