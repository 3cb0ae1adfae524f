import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type FoundThing, type Progress } from '../../port/provider.ts';
import { clusterOfFolder, findFolder } from './folder.ts';
import { inventoryOf, plainName, propertyText, ways } from './inventory.ts';
import { machinesSettled, removeMachine } from './machines.ts';
import type { Session } from './session.ts';
import type { Scope, Site } from './site.ts';
import { startTask, type Tasks } from './tasks.ts';

/** Machines, then their folder: never a folder with something in it, since vCenter would delete that, too. */
export const ensureNothingLeft = async (site: Site, scope: Scope, tasks: Tasks): Promise<Result<Progress<void>>> => {
  const folder = await findFolder(site, scope);
  if (!folder.ok) return folder;
  if (folder.value === undefined) return ready(undefined);
  const machines = await machinesSettled(site, scope, folder.value);
  if (!machines.ok) return machines;
  let words = '';
  for (const machine of machines.value.filter((item) => item.ownership !== 'foreign')) {
    const removed = await removeMachine(site, machine, tasks);
    if (!removed.ok && removed.failure.code !== 'cloud-conflict') return removed;
    words = removed.ok ? removed.value : removed.failure.message;
  }
  if (words !== '') return pending(words, 2_000);
  const others = await site.inventory.collect(folder.value, ways.children, { ManagedEntity: ['name'] });
  if (!others.ok) return others;
  if (others.value.length > 0) {
    const names = others.value.map((item) => plainName(propertyText(item, 'name') ?? item.ref.id)).slice(0, 10);
    return fail('blocked', 'not-ours', `folder of cluster ${scope.name}`, `there is something in it that has no mark of ours: ${names.join(', ')}. Move it somewhere else`); // prettier-ignore
  }
  const task = await startTask(site.session, 'Destroy_Task', folder.value, {});
  if (!task.ok) return task;
  const state = await tasks.look(task.value, `folder of cluster ${scope.name}`);
  return state.ok ? pending('its folder is being deleted', 1_000) : state;
};

/** Folders of ours in the whole vCenter, and what is in them. */
export const findTagged = async (session: Session): Promise<Result<FoundThing[]>> => {
  const login = await session.open();
  if (!login.ok) return login;
  const types = { Folder: ['name'], VirtualMachine: ['name', 'parent'] };
  const found = await inventoryOf(session).collect(login.value.content.root, ways.everything, types);
  if (!found.ok) return found;
  const clusters = new Map<string, string>();
  for (const item of found.value) {
    const cluster = item.ref.type === 'Folder' ? clusterOfFolder(propertyText(item, 'name') ?? '') : undefined;
    if (cluster !== undefined) clusters.set(item.ref.id, cluster);
  }
  return ok(
    found.value.flatMap((item): FoundThing[] => {
      const name = propertyText(item, 'name');
      const isFolder = item.ref.type === 'Folder';
      const cluster = clusters.get(isFolder ? item.ref.id : (propertyText(item, 'parent') ?? ''));
      return cluster === undefined ? [] : [{ thing: `${isFolder ? 'folder' : 'machine'} ${item.ref.id}`, cluster, name }];
    }),
  );
};
