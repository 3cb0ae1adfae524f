import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { propertyText, ways } from './inventory.ts';
import { find, findPath, type Scope, type Site } from './site.ts';
import { refOf, type Ref } from './soap.ts';

/**
 * One folder for each cluster. A folder has a name and nothing else to know it by (tags and custom attributes are set in a second call, and a cut between
 * the two would leave things that nobody finds), hence the whole id.
 */
export const folderName = (scope: Pick<Scope, 'id'>): string => `groundplane-${scope.id}`;
export const clusterOfFolder = (name: string): string | undefined => /^groundplane-(clu_[0-9a-z]+)$/.exec(name)?.[1];

const parentOf = async (site: Site, scope: Scope): Promise<Result<{ ref: Ref; path: string }>> => {
  const { folder } = scope.placement;
  if (folder === undefined) {
    const path = `${site.path}/vm`;
    const found = await site.inventory.at(path);
    if (!found.ok) return found;
    return found.value === undefined ? fail('blocked', 'permission-missing', `vSphere folder ${path}`, 'it cannot be seen (privilege System.View)') : ok({ ref: found.value, path }); // prettier-ignore
  }
  const found = await find(site, 'folder', folder);
  return found.ok ? ok({ ref: found.value, path: folder }) : found;
};

/** Undefined when it is not there. */
export const findFolder = async (site: Site, scope: Scope): Promise<Result<Ref | undefined>> => {
  const { folder } = scope.placement;
  if (folder === undefined) return site.inventory.at(`${site.path}/vm/${folderName(scope)}`);
  const direct = await findPath(site, 'folder', `${folder}/${folderName(scope)}`);
  if (!direct.ok || direct.value !== undefined) return direct;
  // The placement may name a folder somewhere below by its name only.
  const parent = await parentOf(site, scope);
  if (!parent.ok) return parent.failure.code === 'choice-missing' ? ok(undefined) : parent;
  const children = await site.inventory.collect(parent.value.ref, ways.children, { Folder: ['name'] });
  return children.ok ? ok(children.value.find((item) => propertyText(item, 'name') === folderName(scope))?.ref) : children;
};

export const ensureFolder = async (site: Site, scope: Scope): Promise<Result<Ref>> => {
  const found = await findFolder(site, scope);
  if (!found.ok) return found;
  if (found.value !== undefined) return ok(found.value);
  const parent = await parentOf(site, scope);
  if (!parent.ok) return parent;
  const made = await site.session.call('CreateFolder', parent.value.ref, { name: folderName(scope) });
  if (!made.ok) return made;
  const ref = refOf(made.value[0], 'Folder');
  return ref === undefined ? fail('retry', 'cloud-failed', `vSphere folder ${folderName(scope)}`, 'the answer does not name it') : ok(ref);
};
