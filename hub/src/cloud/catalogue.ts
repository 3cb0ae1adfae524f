import { catalogueSchema, type Catalogue } from '@groundplane/protocol/environment/catalogue';
import type { Store } from '../port/store.ts';
import { upstreamEnds } from './upstream-ends.ts';

/** At a site images have the names that somebody gave them; this is how most of them begin. */
const atSites = (pattern: string) => ({ openstack: { '*': pattern }, vsphere: { '*': pattern }, nutanix: { '*': pattern } });

const google = (project: string, amd64: string, arm64: string) => {
  const family = (name: string): string => `projects/${project}/global/images/family/${name}`;
  return { '*': { amd64: family(amd64), arm64: family(arm64) } };
};
const azure = (amd64: string, arm64: string) => ({ '*': { amd64, arm64 } });
/** Canonical's and Debian's own public parameters, which hold the newest image of a region. */
const aws = (parameter: (letters: string) => string) => ({ '*': { amd64: parameter('amd64'), arm64: parameter('arm64') } });
const canonical = (series: string, disk: string) =>
  aws((letters) => `/aws/service/canonical/ubuntu/server/${series}/stable/current/${letters}/hvm/${disk}/ami-id`);
const debian = (release: string) => aws((letters) => `/aws/service/debian/release/${release}/latest/${letters}`);

/**
 * What this release knows. Images: their makers' own names in each cloud. Ends of support: EKS' calendar as it stood in April 2026, the Kubernetes project's
 * release pages. AKS and GKE publish theirs as estimates that move; an operator who wants to be warned there replaces the catalogue.
 */
export const builtInCatalogue: Catalogue = {
  source: 'built in: as of April 2026, Kubernetes upstream as of September 2026',
  images: {
    'debian-12': {
      title: 'Debian 12 (bookworm)',
      environments: {
        aws: debian('12'),
        azure: azure('Debian:debian-12:12-gen2:latest', 'Debian:debian-12:12-arm64:latest'),
        google: google('debian-cloud', 'debian-12', 'debian-12-arm64'),
        ...atSites('debian-12*'),
      },
    },
    'debian-13': {
      title: 'Debian 13 (trixie)',
      environments: {
        aws: debian('13'),
        azure: azure('Debian:debian-13:13-gen2:latest', 'Debian:debian-13:13-arm64:latest'),
        google: google('debian-cloud', 'debian-13', 'debian-13-arm64'),
        ...atSites('debian-13*'),
      },
    },
    'ubuntu-22.04': {
      title: 'Ubuntu 22.04 LTS',
      environments: {
        aws: canonical('22.04', 'ebs-gp2'),
        azure: azure('Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest', 'Canonical:0001-com-ubuntu-server-jammy:22_04-lts-arm64:latest'),
        google: google('ubuntu-os-cloud', 'ubuntu-2204-lts', 'ubuntu-2204-lts-arm64'),
        maas: { '*': 'ubuntu/jammy' },
        ...atSites('ubuntu-22.04*'),
      },
    },
    'ubuntu-24.04': {
      title: 'Ubuntu 24.04 LTS',
      environments: {
        aws: canonical('24.04', 'ebs-gp3'),
        azure: azure('Canonical:ubuntu-24_04-lts:server:latest', 'Canonical:ubuntu-24_04-lts:server-arm64:latest'),
        google: google('ubuntu-os-cloud', 'ubuntu-2404-lts-amd64', 'ubuntu-2404-lts-arm64'),
        maas: { '*': 'ubuntu/noble' },
        ...atSites('ubuntu-24.04*'),
      },
    },
  },
  kubernetes: {
    eks: { '1.31': '2025-11-26', '1.32': '2026-03-23', '1.33': '2026-07-29', '1.34': '2026-12-02', '1.35': '2027-03-27' },
    upstream: { ...upstreamEnds },
  },
};

export const catalogueKey = (tenant: string): string => `catalogue-${tenant}`;

/** Read anew each time: it is small, and a tenant's change counts at once. One that this release does not understand any more is as none. */
export const catalogueOf = async (store: Pick<Store, 'get'>, tenant: string): Promise<Catalogue & { isBuiltIn: boolean }> => {
  const row = await store.get('setting', tenant, catalogueKey(tenant));
  const parsed = row === undefined ? undefined : catalogueSchema.safeParse(JSON.parse(row.value.value));
  return parsed?.success === true ? { ...parsed.data, isBuiltIn: false } : { ...builtInCatalogue, isBuiltIn: true };
};
