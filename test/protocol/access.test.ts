import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allowedProjects, isAllowed, permissions, roleNames, roles, type Grant, type Permission } from '@groundplane/protocol/access';
import { routes } from '@groundplane/protocol/api/routes';
import type { Route } from '@groundplane/protocol/api/route';

const grants = fc.array(fc.record({ role: fc.constantFrom(...roleNames), project: fc.constantFrom(undefined, 'a', 'b') }), { maxLength: 4 });
const permission = fc.constantFrom(...permissions);
const scope = fc.constantFrom(undefined, 'a', 'b', 'c');
const gives = (role: Grant['role'], wanted: Permission): boolean => (roles[role] as readonly Permission[]).includes(wanted);

describe('access', () => {
  test('without a grant nothing is allowed', () => {
    for (const wanted of permissions) for (const project of [undefined, 'a', '']) expect(isAllowed([], wanted, project)).toBe(false);
  });

  test('a grant for a project counts there only: not in others, not for the tenant', () => {
    const mine: Grant[] = [{ role: 'TenantAdmin', project: 'a' }];
    for (const wanted of permissions) {
      expect(isAllowed(mine, wanted, 'a')).toBe(true);
      expect(isAllowed(mine, wanted, 'b')).toBe(false);
      expect(isAllowed(mine, wanted, undefined)).toBe(false);
      expect(isAllowed(mine, wanted, '')).toBe(false);
    }
  });

  test('a grant for the tenant counts everywhere in it', () => {
    for (const role of roleNames)
      for (const wanted of permissions) for (const project of [undefined, 'a']) expect(isAllowed([{ role }], wanted, project)).toBe(gives(role, wanted));
  });

  test('several grants are a union for each scope, never a cross product', () => {
    const mixed: Grant[] = [
      { role: 'Viewer', project: 'a' },
      { role: 'TenantAdmin', project: 'b' },
    ];
    expect(isAllowed(mixed, 'cluster.apply', 'a')).toBe(false);
    expect(isAllowed(mixed, 'cluster.apply', 'b')).toBe(true);
    fc.assert(
      fc.property(grants, permission, scope, (list, wanted, project) => {
        const one = list.some((grant) => isAllowed([grant], wanted, project));
        expect(isAllowed(list, wanted, project)).toBe(one);
        expect(isAllowed(list, wanted, project)).toBe(
          list.some((grant) => gives(grant.role, wanted) && (grant.project === undefined || grant.project === project)),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  test('more grants never allow less', () => {
    fc.assert(
      fc.property(
        grants,
        grants,
        permission,
        scope,
        (a, b, wanted, project) => void (isAllowed(a, wanted, project) && expect(isAllowed([...a, ...b], wanted, project)).toBe(true)),
      ),
    );
  });

  test('the projects of a permission are those where it is allowed', () => {
    fc.assert(
      fc.property(grants, permission, (list, wanted) => {
        const projects = allowedProjects(list, wanted);
        for (const project of ['a', 'b', 'c']) expect(projects === 'all' || projects.includes(project)).toBe(isAllowed(list, wanted, project));
        expect(projects === 'all').toBe(isAllowed(list, wanted, undefined));
        if (projects !== 'all') expect(new Set(projects).size).toBe(projects.length);
      }),
    );
  });

  test('reading roles write nothing', () => {
    const writing = permissions.filter((name) => !name.endsWith('.get'));
    for (const role of ['Viewer', 'Auditor'] as const) for (const wanted of writing) expect(gives(role, wanted)).toBe(false);
    expect(gives('Viewer', 'access.get')).toBe(false);
    expect(gives('Viewer', 'content.get')).toBe(false);
    expect(gives('ProfileAuthor', 'profile.release')).toBe(false);
    expect(gives('ReleaseSigner', 'profile.create')).toBe(false);
    expect(gives('ProjectAdmin', 'access.set')).toBe(false);
  });

  test('every route of the API names a permission that exists, except the few that cannot', () => {
    const open = (Object.entries(routes) as [string, Route][]).filter(([, route]) => route.auth.access !== 'permission').map(([name]) => name);
    expect(open.toSorted()).toEqual(['headContent', 'listProjects', 'login', 'logout', 'setup', 'whoami']);
    for (const route of Object.values(routes) as Route[]) {
      if (route.auth.access !== 'permission') continue;
      expect(permissions).toContain(route.auth.permission);
      expect(route.auth.scope).toBe(route.path.startsWith('/projects/{project}/') ? 'project' : 'tenant');
      if (route.method !== 'GET' && !/\/(plan|profile-comparison|validate|offers|orphans)$/.test(route.path))
        expect(route.auth.permission).not.toMatch(/\.get$/);
    }
  });
});
