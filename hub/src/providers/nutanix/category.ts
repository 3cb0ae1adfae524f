import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import { tagKeys } from '../../port/provider.ts';
import type { Scope } from './choices.ts';
import { quoted, uuidOf, type Session } from './session.ts';

export const categoryKey = tagKeys.cluster.replace('/', '-');
export const categorySchema = z.object({ extId: z.string(), key: z.string(), value: z.string() });
export type Category = z.infer<typeof categorySchema>;

/** The pair of key and value that all machines of a cluster have: for people, policies and bills. */
export const findCategory = async (session: Session, scope: Pick<Scope, 'id'>): Promise<Result<Category | undefined>> => {
  const found = await session.list('categories', categorySchema, `key eq ${quoted(categoryKey)} and value eq ${quoted(scope.id)}`);
  return found.ok ? ok(found.value.find((item) => item.key === categoryKey && item.value === scope.id)) : found;
};

/** A key and value there is once; a second one is refused, so no cut can double it. */
export const ensureCategory = async (session: Session, scope: Scope): Promise<Result<string>> => {
  const found = await findCategory(session, scope);
  if (!found.ok) return found;
  if (found.value !== undefined) return ok(found.value.extId);
  const description = `Kubernetes cluster ${scope.name}, made by Groundplane`;
  const body = { $objectType: 'prism.v4.config.Category', key: categoryKey, value: scope.id, description };
  const made = await session.read({ method: 'POST', api: 'categories', body }, categorySchema);
  return made.ok ? ok(made.value.value.extId) : made;
};

export const removeCategory = async (session: Session, category: Category): Promise<Result<void>> => {
  const path = `/${encodeURIComponent(category.extId)}`;
  const now = await session.read({ method: 'GET', api: 'categories', path }, categorySchema);
  if (!now.ok) return now;
  const gone = await session.call({ method: 'DELETE', api: 'categories', path, etag: now.value.etag, requestId: uuidOf('delete', category.extId) });
  return gone.ok ? ok(undefined) : gone;
};
