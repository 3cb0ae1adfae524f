import { fail, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type Progress } from '../../port/provider.ts';
import { azureWaits } from './limits.ts';
import { groupOf, isOurs, isOwnGroup, notOurs, tagsOf, type Scope } from './names.ts';
import { find, submit, type Clients } from './session.ts';

interface Resource {
  tags?: Record<string, string> | undefined;
  provisioningState?: string | undefined;
}

/** ARM's own three terminal states; everything else is a resource provider's word for "at work". */
export const workState = (resource: Resource): 'done' | 'failed' | 'going' | 'working' => {
  const state = resource.provisioningState?.toLowerCase() ?? 'succeeded';
  if (state === 'succeeded') return 'done';
  if (state === 'failed' || state === 'canceled') return 'failed';
  return state.startsWith('delet') ? 'going' : 'working';
};

export interface Step<T> {
  /** `virtual network gp-web-0abc`, in a person's words. */
  what: string;
  get: () => Promise<T>;
  put: () => { submitted(): Promise<void> };
  waitMs?: number;
}

/**
 * Looks, makes what is not there, and says when to look again. A PUT names the whole thing, so that sending it twice makes one. Much of the network is ready
 * at once, hence the second look; another region's Resource Manager may not know of it yet.
 */
export const ensure = async <T extends Resource>(scope: Scope, step: Step<T>): Promise<Result<Progress<T>>> => {
  const { what, waitMs = azureWaits.network } = step;
  const element = `Azure ${what}`;
  const before = await find(element, step.get);
  if (!before.ok) return before;
  let found = before.value;
  if (found === undefined) {
    const sent = await submit(element, step.put);
    if (!sent.ok) return sent;
    const after = await find(element, step.get);
    if (!after.ok) return after;
    found = after.value;
  }
  if (found === undefined) return pending(`${what} is being made`, waitMs);
  if (!isOurs(scope, found)) return notOurs(element, scope);
  const state = workState(found);
  if (state === 'done') return ready(found);
  if (state !== 'failed') return pending(`${what} is ${found.provisioningState ?? 'being made'}`, waitMs);
  const again = await submit(element, step.put);
  return again.ok ? fail('retry', 'cloud-failed', element, 'its making failed, and was started once more. Its activity log says why') : again;
};

/** The cluster's own resource group, or the one that the placement names, which must be there. */
export const ensureGroup = async (clients: Clients, scope: Scope): Promise<Result<Progress<void>>> => {
  const name = groupOf(scope);
  const element = `Azure resource group ${name}`;
  const found = await find(element, () => clients.resources.resourceGroups.get(name));
  if (!found.ok) return found;
  const group = found.value;
  if (!isOwnGroup(scope))
    return group === undefined
      ? fail('blocked', 'choice-missing', element, `there is none, and "resourceGroup" of the placement names it. Make it: az group create --name ${name}`)
      : ready(undefined);
  if (group === undefined) {
    const made = await find(element, () => clients.resources.resourceGroups.createOrUpdate(name, { location: scope.placement.location, tags: tagsOf(scope) }));
    return made.ok ? ready(undefined) : made;
  }
  if (!isOurs(scope, group)) return notOurs(element, scope);
  return group.properties?.provisioningState === 'Deleting' ? pending(`resource group ${name} is being deleted`, azureWaits.group) : ready(undefined);
};

/** The cluster's own group with everything in it. Ready when it is gone, and for one that is not ours to delete. */
export const removeOwnGroup = async (clients: Clients, scope: Scope): Promise<Result<Progress<void>>> => {
  if (!isOwnGroup(scope)) return ready(undefined);
  const name = groupOf(scope);
  const element = `Azure resource group ${name}`;
  const found = await find(element, () => clients.resources.resourceGroups.get(name));
  if (!found.ok) return found;
  if (found.value === undefined) return ready(undefined);
  if (!isOurs(scope, found.value)) return notOurs(element, scope);
  if (found.value.properties?.provisioningState !== 'Deleting') {
    const sent = await submit(element, () => clients.resources.resourceGroups.delete(name));
    if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
  }
  return pending(`resource group ${name} is being deleted`, azureWaits.group);
};
