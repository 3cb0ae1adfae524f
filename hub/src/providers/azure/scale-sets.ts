import { createHash } from 'node:crypto';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { MachineWant } from '../../port/provider.ts';
import { ensure, workState } from './ensure.ts';
import { baseName, groupOf, idOf, isOurs, tagName, tagsOf, type VmScope } from './names.ts';
import type { Cloud } from './network.ts';
import { collect, submit } from './session.ts';

/**
 * Scale sets of orchestration mode Flexible without a profile of machines: they make none, they only say that those which are put into them stand on different
 * hardware. The machines keep their names, bodies and ways; a set costs nothing.
 */

/** Control planes are few and have zones; a static place is one machine's own. */
export const isInSet = (scope: VmScope, want: Pick<MachineWant, 'role' | 'place'>): boolean =>
  scope.placement.scaleSets && want.role === 'worker' && want.place === undefined;

/** One for each pool, and for each zone of it: the zones of a set are chosen when it is made, those of a pool change. At most 64 letters (Azure's naming rules). */
export const setName = (scope: Pick<VmScope, 'id' | 'name'>, pool: string, zone: string | undefined): string => {
  const digest = createHash('sha256')
    .update(`${pool}/${zone ?? ''}`)
    .digest('hex')
    .slice(0, 8);
  return `${baseName(scope)}-${digest}`;
};

/** The id of the set that this machine belongs into; it is made where there is none. */
export const ensureSet = async (cloud: Cloud, scope: VmScope, want: MachineWant): Promise<Result<string>> => {
  const group = groupOf(scope);
  const name = setName(scope, want.pool, want.zone);
  const sets = cloud.compute.virtualMachineScaleSets;
  const made = await ensure(scope, {
    what: `scale set ${name} of pool ${want.pool}`,
    get: () => sets.get(group, name),
    put: () =>
      sets.createOrUpdate(group, name, {
        location: scope.placement.location,
        tags: tagsOf(scope, { [tagName('pool')]: want.pool }),
        orchestrationMode: 'Flexible',
        // As many fault domains as there are, which every region and zone has.
        platformFaultDomainCount: 1,
        singlePlacementGroup: false,
        ...(want.zone === undefined ? {} : { zones: [want.zone] }),
      }),
  });
  if (!made.ok) return made;
  if (made.value.state === 'pending') return fail('retry', 'cloud-conflict', `Azure scale set ${name}`, 'it is not ready yet; the next round goes on');
  return ok(idOf(cloud.subscription, group, `Microsoft.Compute/virtualMachineScaleSets/${name}`));
};

/** Sets that no machine is in any more: their pool is gone, or empty, and would make them again. */
export const removeEmptySets = async (cloud: Cloud, scope: VmScope): Promise<Result<void>> => {
  if (!scope.placement.scaleSets) return ok(undefined);
  const group = groupOf(scope);
  const sets = await collect(`Azure scale sets of ${group}`, () => cloud.compute.virtualMachineScaleSets.list(group));
  if (!sets.ok) return sets;
  const ours = sets.value.filter((set) => isOurs(scope, set) && workState(set) !== 'going');
  if (ours.length === 0) return ok(undefined);
  const machines = await collect(`Azure machines of ${group}`, () => cloud.compute.virtualMachines.list(group));
  if (!machines.ok) return machines;
  const used = new Set(machines.value.map((machine) => machine.virtualMachineScaleSet?.id?.split('/').at(-1)?.toLowerCase()));
  for (const { name = '' } of ours.filter((set) => !used.has(set.name?.toLowerCase()))) {
    const sent = await submit(`Azure scale set ${name}`, () => cloud.compute.virtualMachineScaleSets.delete(group, name));
    // Somebody put a machine into it just now.
    if (!sent.ok && sent.failure.code !== 'cloud-conflict') return sent;
  }
  return ok(undefined);
};
