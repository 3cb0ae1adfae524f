import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, ManagedFieldsEntry } from '@groundplane/protocol/kubernetes';
import { compareFields, fromFieldsV1, isSame, mergeObjects, ownableFields, pathText, removeAt, toFieldsV1, valueAt, type FieldSet } from './fields.ts';

interface Owner {
  manager: string;
  operation: 'Apply' | 'Update';
  subresource: string;
  apiVersion: string;
  time: string;
  fields: FieldSet;
}

const readOwners = (object: KubeObject): Owner[] =>
  (object.metadata.managedFields ?? []).map((entry) => ({
    manager: entry.manager ?? '',
    operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
    subresource: entry.subresource ?? '',
    apiVersion: entry.apiVersion ?? object.apiVersion,
    time: entry.time ?? '',
    fields: fromFieldsV1(entry.fieldsV1 ?? {}),
  }));

const writeOwners = (object: KubeObject, owners: readonly Owner[]): void => {
  const entries = owners
    .filter((owner) => owner.fields.size > 0)
    .map((owner): ManagedFieldsEntry => ({
      manager: owner.manager,
      operation: owner.operation,
      apiVersion: owner.apiVersion,
      time: owner.time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(owner.fields),
      ...(owner.subresource === '' ? {} : { subresource: owner.subresource }),
    }));
  object.metadata.managedFields = entries;
};

const without = (fields: FieldSet, gone: FieldSet): FieldSet => new Set([...fields].filter((path) => !gone.has(path)));

export type Applied = { object: KubeObject } | { conflicts: { manager: string; path: string }[] };

/** Something another manager, or the new configuration, still holds inside what is to be removed. */
const isHeldInside = (path: string, held: Iterable<string>): boolean => {
  for (const other of held) if (other === path || other.startsWith(`${path}\n`)) return true;
  return false;
};

const removeNoLongerApplied = (object: KubeObject, last: FieldSet, now: FieldSet, others: readonly Owner[]): void => {
  const held = [...now, ...others.flatMap((owner) => [...owner.fields])];
  // A list item before its fields: without its key field it could not be found any more.
  const gone = [...last].filter((path) => !isHeldInside(path, held)).sort((a, b) => a.length - b.length);
  for (const path of gone) if (valueAt(object, path) !== undefined) removeAt(object, path);
};

/**
 * Server-side apply (Kubernetes documentation, "Server-Side Apply"; algorithm of structured-merge-diff): merge the configuration in, refuse changes
 * to fields that somebody else owns unless forced, and remove what this manager applied before and does not any more.
 */
export const applyFields = (live: KubeObject | undefined, config: KubeObject, options: { manager: string; force: boolean; time: string }): Applied => {
  const fields = ownableFields(config);
  const mine: Owner = { manager: options.manager, operation: 'Apply', subresource: '', apiVersion: config.apiVersion, time: options.time, fields };
  if (live === undefined) {
    const object = structuredClone(config);
    writeOwners(object, [mine]);
    return { object };
  }
  const owners = readOwners(live);
  const isMine = (owner: Owner): boolean => owner.manager === options.manager && owner.operation === 'Apply' && owner.subresource === '';
  const previous = owners.find(isMine);
  const others = owners.filter((owner) => !isMine(owner));
  const merged = mergeObjects(live, config);
  const changed = new Set([...fields].filter((path) => !isSame(valueAt(live, path), valueAt(merged, path), path)));
  const conflicts = others.flatMap((owner) =>
    [...owner.fields].filter((path) => changed.has(path)).map((path) => ({ manager: owner.manager, path: pathText(path) })),
  );
  if (conflicts.length > 0 && !options.force) return { conflicts };
  const left = others.map((owner) => ({ ...owner, fields: without(owner.fields, changed) }));
  removeNoLongerApplied(merged, previous?.fields ?? new Set(), fields, left);
  const isUnchanged = previous !== undefined && isDeepStrictEqual(previous.fields, fields);
  writeOwners(merged, [isUnchanged ? { ...mine, time: previous.time } : mine, ...left]);
  return { object: merged };
};

/** Ownership after a plain write: the writer owns what it changed, nobody owns what is gone. Returns the object with managedFields. */
export const updateFields = (live: KubeObject | undefined, next: KubeObject, options: { manager: string; subresource?: string; time: string }): KubeObject => {
  const object = structuredClone(next);
  const isReset = next.metadata.managedFields !== undefined && next.metadata.managedFields.length === 0;
  const owners = live === undefined || isReset ? [] : readOwners(live);
  const compared = live === undefined ? { changed: ownableFields(next), removed: new Set<string>() } : compareFields(live, next);
  const subresource = options.subresource ?? '';
  const isMine = (owner: Owner): boolean => owner.manager === options.manager && owner.operation === 'Update' && owner.subresource === subresource;
  const touched = new Set([...compared.changed, ...compared.removed]);
  const left = owners.map((owner) => ({ ...owner, fields: without(owner.fields, isMine(owner) ? compared.removed : touched) }));
  const mine = left.find(isMine);
  if (mine !== undefined) {
    for (const path of compared.changed) mine.fields.add(path);
    if (touched.size > 0) mine.time = options.time;
    writeOwners(object, left);
  } else {
    const fresh: Owner = {
      manager: options.manager,
      operation: 'Update',
      subresource,
      apiVersion: next.apiVersion,
      time: options.time,
      fields: compared.changed,
    };
    writeOwners(object, [...left, fresh]);
  }
  return object;
};
