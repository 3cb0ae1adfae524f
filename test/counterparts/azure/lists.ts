import type { Resource, Store } from './store.ts';
import { kubernetesVersions } from './containers.ts';

/** What Azure knows without anybody having made it. */

const sku = (name: string, cpus: number, memory: number, zones: string[]) => ({
  resourceType: 'virtualMachines',
  name,
  locations: ['westeurope'],
  locationInfo: [{ location: 'westeurope', zones }],
  capabilities: [
    { name: 'vCPUs', value: String(cpus) },
    { name: 'MemoryGB', value: String(memory) },
  ],
  restrictions: [],
});

const fixed: readonly [RegExp, unknown][] = [
  [/\/providers\/Microsoft\.Compute\/skus$/i, { value: [sku('Standard_D2s_v5', 2, 8, ['1', '2', '3']), sku('Standard_D4s_v5', 4, 16, ['1', '2', '3'])] }],
  [
    /\/subscriptions\/[^/]+\/providers\/Microsoft\.(Compute|ContainerService)$/i,
    {
      registrationState: 'Registered',
      resourceTypes: [
        { resourceType: 'virtualMachines', locations: ['West Europe', 'North Europe'] },
        { resourceType: 'managedClusters', locations: ['West Europe'] },
      ],
    },
  ],
  [
    /\/publishers\/Debian\/artifacttypes\/vmimage\/offers\/debian-13\/skus\/13-gen2\/versions$/i,
    // By name, which is not by age.
    ['0.20250814.2204', '0.20251117.2299', '0.20250911.2232'].map((name) => ({ name, location: 'westeurope', id: `/Versions/${name}` })),
  ],
  [
    /\/locations\/[^/]+\/kubernetesVersions$/i,
    {
      values: Object.entries(kubernetesVersions).map(([version, patches]) => ({
        version,
        isDefault: version === '1.34',
        capabilities: { supportPlan: ['KubernetesOfficial'] },
        patchVersions: Object.fromEntries(patches.map((patch) => [patch, { upgrades: [] }])),
      })),
    },
  ],
];
export const fixedAnswer = (path: string): unknown => fixed.find(([pattern]) => pattern.test(path))?.[1];

const hasTag = (resource: Resource, filter: string | null): boolean => {
  const name = /tagName eq '([^']+)'/i.exec(filter ?? '')?.[1];
  const value = /tagValue eq '([^']+)'/i.exec(filter ?? '')?.[1];
  return name === undefined || (resource.tags?.[name] !== undefined && (value === undefined || resource.tags[name] === value));
};

const isGroup = (resource: Resource): boolean => /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+$/i.test(resource.id);

/** What a list's path names: everything of one type in a group or in a subscription, all groups, or all resources. */
export const listed = (store: Store, path: string, filter: string | null): Resource[] => {
  const all = [...store.resources.values()].filter((resource) => hasTag(resource, filter));
  if (/^\/subscriptions\/[^/]+\/resourcegroups$/i.test(path)) return all.filter(isGroup);
  if (/^\/subscriptions\/[^/]+\/resources$/i.test(path)) {
    // Parts of a resource are not among them.
    const byTag = filter !== null;
    return all.filter((resource) => !isGroup(resource) && resource.id.split('/').length === 9).map(({ id, name, type, location, tags }) => ({ id, name, type, ...(location === undefined ? {} : { location }), ...(tags === undefined || byTag ? {} : { tags }) }) as unknown as Resource); // prettier-ignore
  }
  const inSubscription = /^\/subscriptions\/([^/]+)\/providers\/(Microsoft\.[^/]+\/[^/]+)$/i.exec(path);
  if (inSubscription !== null) return all.filter((resource) => resource.type.toLowerCase() === inSubscription[2]?.toLowerCase());
  const prefix = `${path.toLowerCase()}/`;
  return all.filter((resource) => resource.id.toLowerCase().startsWith(prefix) && !resource.id.slice(prefix.length).includes('/'));
};
