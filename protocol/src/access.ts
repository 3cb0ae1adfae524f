/** Every permission there is, as `noun.verb`. Routes name exactly one of these. */
export const permissions = [
  'tenant.get',
  'tenant.create',
  'project.get',
  'project.create',
  'project.delete',
  'profile.get',
  'profile.create',
  'profile.release',
  'profile.delete',
  'cluster.get',
  'cluster.apply',
  'cluster.scale',
  'cluster.delete',
  'host.get',
  'host.approve',
  'host.update',
  'host.delete',
  'ticket.get',
  'ticket.create',
  'ticket.delete',
  'macro.get',
  'macro.set',
  'event.get',
  'content.get',
  'content.upload',
  'registry.get',
  'registry.set',
  'account.get',
  'account.set',
  'access.get',
  'access.set',
] as const;
export type Permission = (typeof permissions)[number];

const read = permissions.filter((permission) => permission.endsWith('.get') && permission !== 'access.get' && permission !== 'content.get');
const author: readonly Permission[] = ['profile.create', 'content.upload', 'content.get'];
const operate: readonly Permission[] = ['cluster.apply', 'cluster.scale', 'cluster.delete', 'host.update', 'macro.set', 'content.get'];
const technician: readonly Permission[] = ['host.approve', 'ticket.create', 'ticket.delete'];

const ofTheTenant: readonly Permission[] = ['access.set', 'project.create', 'project.delete', 'tenant.create'];

/** Which role may do what. A role is granted for a whole tenant or for one project of it. */
export const roles = {
  TenantAdmin: permissions,
  ProjectAdmin: permissions.filter((permission) => !ofTheTenant.includes(permission)),
  ProfileAuthor: [...read, ...author],
  ReleaseSigner: [...read, 'profile.release'],
  Operator: [...read, ...operate, ...technician, 'host.delete'],
  SiteTechnician: [...read, ...technician],
  Viewer: read,
  Auditor: [...read, 'access.get'],
  /** For a cluster autoscaler's key: it sees clusters and sets sizes of pools within their bounds, and nothing else. */
  Autoscaler: ['cluster.get', 'cluster.scale'],
} as const satisfies Record<string, readonly Permission[]>;
export type RoleName = keyof typeof roles;
export const roleNames = Object.keys(roles) as [RoleName, ...RoleName[]];

export interface Grant {
  role: RoleName;
  /** Absent: the whole tenant. */
  project?: string | undefined;
}

/** Default deny. A grant for a project counts for that project only, and for nothing that has no project. */
export const isAllowed = (grants: readonly Grant[], permission: Permission, project: string | undefined): boolean =>
  grants.some((grant) => (grant.project === undefined || grant.project === project) && (roles[grant.role] as readonly Permission[]).includes(permission));

/** The projects in which the grants give the permission: all of them, or a list. */
export const allowedProjects = (grants: readonly Grant[], permission: Permission): 'all' | string[] => {
  const matching = grants.filter((grant) => (roles[grant.role] as readonly Permission[]).includes(permission));
  if (matching.some((grant) => grant.project === undefined)) return 'all';
  return [...new Set(matching.flatMap((grant) => (grant.project === undefined ? [] : [grant.project])))];
};
