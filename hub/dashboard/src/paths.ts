import { rawRoutes } from '@groundplane/protocol/api/routes';

const part = encodeURIComponent;

/** Every address of the page. Names come from elsewhere, so each is encoded; nothing else builds links. */
export const paths = {
  login: (next?: string) => (next === undefined ? '/login' : `/login?next=${part(next)}`),
  project: (project: string) => `/p/${part(project)}`,
  fleet: (project: string) => `/p/${part(project)}/fleet`,
  clusters: (project: string, query = '') => `/p/${part(project)}/clusters${query === '' ? '' : `?q=${part(query)}`}`,
  cluster: (project: string, name: string) => `/p/${part(project)}/clusters/${part(name)}`,
  clusterEdit: (project: string, name: string) => `/p/${part(project)}/clusters/${part(name)}/edit`,
  clusterCreate: (project: string) => `/p/${part(project)}/create/cluster`,
  hosts: (project: string, query = '') => `/p/${part(project)}/hosts${query === '' ? '' : `?q=${part(query)}`}`,
  host: (project: string, name: string) => `/p/${part(project)}/hosts/${part(name)}`,
  sites: (project: string) => `/p/${part(project)}/sites`,
  site: (project: string, name: string) => `/p/${part(project)}/sites/${part(name)}`,
  media: (project: string, cluster?: string) => `/p/${part(project)}/media${cluster === undefined ? '' : `?cluster=${part(cluster)}`}`,
  /** The archive itself, from the hub. */
  mediaFile: (project: string, cluster: string) => rawRoutes.mediaExport.replace('{project}', part(project)).replace('{name}', part(cluster)),
  lobby: (project: string) => `/p/${part(project)}/lobby`,
  /** One waiting host, for a phone. */
  approve: (project: string, name: string) => `/p/${part(project)}/approve/${part(name)}`,
  tickets: (project: string) => `/p/${part(project)}/lobby?tab=tickets`,
  profiles: (project: string, query = '') => `/p/${part(project)}/profiles${query === '' ? '' : `?q=${part(query)}`}`,
  profile: (project: string, name: string, version: string) => `/p/${part(project)}/profiles/${part(name)}/${part(version)}`,
  profileCreate: (project: string) => `/p/${part(project)}/create/profile`,
  profileImport: (project: string) => `/p/${part(project)}/create/profile?open=import`,
  profileDiff: (project: string, name: string, from: string, to: string) => `/p/${part(project)}/profiles/${part(name)}/diff?from=${part(from)}&to=${part(to)}`,
  accounts: (project: string) => `/p/${part(project)}/accounts`,
  registries: (project: string) => `/p/${part(project)}/registries`,
  macros: (project: string) => `/p/${part(project)}/macros`,
  events: (project: string) => `/p/${part(project)}/events`,
} as const;

/** A return address is taken only when it is a path of this page: `//host` and `/\host` leave it. */
export const isOwnPath = (path: string): boolean => /^\/(?![/\\])/.test(path) && !path.startsWith('/login') && !path.startsWith('/setup');
