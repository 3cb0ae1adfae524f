import { ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, tagKeys, type FoundThing, type Progress } from '../../port/provider.ts';
import { categoryKey, categorySchema, findCategory, removeCategory } from './category.ts';
import type { Scope } from './choices.ts';
import { ownVms, removeVm } from './machines.ts';
import { quoted, type Session } from './session.ts';
import { marksOf } from './vm.ts';

/** Machines, then the category that they had. */
export const ensureNothingLeft = async (session: Session, scope: Scope): Promise<Result<Progress<void>>> => {
  const own = await ownVms(session, scope);
  if (!own.ok) return own;
  for (const vm of own.value) {
    const gone = await removeVm(session, vm);
    if (!gone.ok && gone.failure.code !== 'cloud-conflict') return gone;
  }
  if (own.value.length > 0) return pending(`${own.value.length} machines are being deleted`, 2_000);
  const category = await findCategory(session, scope);
  if (!category.ok) return category;
  if (category.value === undefined) return ready(undefined);
  const gone = await removeCategory(session, category.value);
  return gone.ok ? pending('its category is being deleted', 500) : gone;
};

/** Categories of ours, and the machines of their clusters. */
export const findTagged = async (session: Session): Promise<Result<FoundThing[]>> => {
  const categories = await session.list('categories', categorySchema, `key eq ${quoted(categoryKey)}`);
  if (!categories.ok) return categories;
  const things: FoundThing[] = [];
  for (const category of categories.value.filter((item) => item.key === categoryKey)) {
    things.push({ thing: `category ${categoryKey}/${category.value}`, cluster: category.value });
    const own = await ownVms(session, { id: category.value });
    if (!own.ok) return own;
    for (const vm of own.value) things.push({ thing: `machine ${vm.extId} (${vm.name})`, cluster: category.value, name: marksOf(vm).get(tagKeys.name) });
  }
  return ok(things);
};
