import { isAllowed, type Permission } from '@groundplane/protocol/access';
import type { WhoView } from '@groundplane/protocol/api/views';

/** Undefined when allowed; otherwise the sentence for the disabled button. The hub decides again; this only explains beforehand. */
export const whyNot = (who: WhoView | undefined, permission: Permission, project: string | undefined): string | undefined => {
  if (who === undefined) return 'Your permissions are not loaded yet.';
  if (isAllowed(who.grants, permission, project)) return undefined;
  const roles = who.grants.filter((grant) => grant.project === undefined || grant.project === project).map((grant) => grant.role);
  const where = project === undefined ? 'in this tenant' : `in project ${project}`;
  const held = roles.length === 0 ? 'without a role there' : roles.join(', ');
  return `Needs the permission ${permission} ${where}. You are ${held}; an administrator can grant more.`;
};
