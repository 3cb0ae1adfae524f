/** What a registry of a project holds. Apart from the schemas, so that gp starts without them. */
export const registryKinds = ['oci', 'helm', 'pack', 'zarf'] as const;
export type RegistryKind = (typeof registryKinds)[number];
