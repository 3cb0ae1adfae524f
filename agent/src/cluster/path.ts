import type { ApiResource } from '../port/cluster.ts';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

const invalid = (element: string, message: string): ReturnType<typeof fail> =>
  fail('fatal', 'object-invalid', element.replaceAll(/[^\x20-\x7e]/g, '?'), message);

const quoted = (value: string): string => JSON.stringify(value.slice(0, 100));

const versionPattern = /^[a-z][a-z0-9]{0,62}$/;
const groupPattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const kindPattern = /^[A-Za-z][A-Za-z0-9]{0,62}$/;
const namespacePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Path of a group version: `/api/v1`, `/apis/apps/v1`. Hostile versions (`../`, `v1?x`) are `object-invalid`. */
export const groupVersionPath = (apiVersion: string, element: string): Result<string> => {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  if (!versionPattern.test(version) || (slash >= 0 && !groupPattern.test(group)))
    return invalid(element, `apiVersion ${quoted(apiVersion)} is not like "v1" or "group/v1".`);
  return ok(slash < 0 ? `/api/${version}` : `/apis/${group}/${version}`);
};

export const checkKind = (kind: string, element: string): Result<void> =>
  kindPattern.test(kind) ? ok(undefined) : invalid(element, `kind ${quoted(kind)} is not a word of letters and digits.`);

/** Kubernetes' rule for names in paths (apimachinery, `IsValidPathSegmentName`), plus its length limit. */
export const checkName = (name: string, element: string): Result<void> => {
  if (name === '') return invalid(element, 'metadata.name is missing.');
  if (name === '.' || name === '..') return invalid(element, `metadata.name may not be ${quoted(name)}.`);
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for
  if (/[/%\u0000-\u001f\u007f]/.test(name)) return invalid(element, `metadata.name ${quoted(name)} may contain neither "/" nor "%" nor control characters.`);
  if (name.length > 253) return invalid(element, 'metadata.name is longer than 253 characters.');
  return ok(undefined);
};

/** Collection path of a resource. A namespace where none belongs, or none where one is needed, is `object-invalid`; lists may leave it out for "all". */
export const collectionPath = (resource: ApiResource, namespace: string | undefined, element: string, mayBeAll: boolean): Result<string> => {
  const base = groupVersionPath(resource.apiVersion, element);
  if (!base.ok) return base;
  const plural = encodeURIComponent(resource.resource);
  if (!resource.namespaced) {
    return namespace === undefined
      ? ok(`${base.value}/${plural}`)
      : invalid(element, `${resource.kind} is not in any namespace, but the namespace ${quoted(namespace)} is given; remove it.`);
  }
  if (namespace === undefined) return mayBeAll ? ok(`${base.value}/${plural}`) : invalid(element, `${resource.kind} needs metadata.namespace.`);
  if (!namespacePattern.test(namespace)) return invalid(element, `metadata.namespace ${quoted(namespace)} is not a valid namespace name.`);
  return ok(`${base.value}/namespaces/${namespace}/${plural}`);
};

/** Path of one object. */
export const objectPath = (resource: ApiResource, namespace: string | undefined, name: string, element: string): Result<string> => {
  const checked = checkName(name, element);
  if (!checked.ok) return checked;
  const collection = collectionPath(resource, namespace, element, false);
  return collection.ok ? ok(`${collection.value}/${encodeURIComponent(name)}`) : collection;
};

/** `?a=1&b=2`, leaving out what is undefined. */
export const queryText = (parameters: Record<string, string | number | undefined>): string => {
  const pairs = Object.entries(parameters).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  return pairs.length === 0 ? '' : `?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
};
