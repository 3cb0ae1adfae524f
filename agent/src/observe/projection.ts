import { isRecord } from '@groundplane/protocol/record';
import { digestOf, type Digest } from '@groundplane/protocol/digest';
import type { FieldsV1, KubeObject } from '@groundplane/protocol/kubernetes';

const matches = (item: unknown, key: Record<string, unknown>): boolean => isRecord(item) && Object.entries(key).every(([name, value]) => item[name] === value);

const listItem = (list: readonly unknown[], selector: string): unknown => {
  const rest = selector.slice(2);
  if (selector.startsWith('i:')) return list[Number(rest)];
  const parsed: unknown = JSON.parse(rest);
  if (selector.startsWith('v:')) return list.find((item) => item === parsed);
  return isRecord(parsed) ? list.find((item) => matches(item, parsed)) : undefined;
};

/**
 * The values that a field set (`fieldsV1`, structured merge diff) names in an object, as nested plain data keyed by the set's own selectors.
 * Fields outside of the set, and the order of keyed lists, do not matter; a field that is gone shows as absent.
 */
export const projectFields = (value: unknown, fields: FieldsV1): unknown => {
  const selectors = Object.keys(fields).filter((selector) => selector !== '.');
  if (selectors.length === 0) return Object.hasOwn(fields, '.') && (isRecord(value) || Array.isArray(value)) ? true : (value ?? null);
  const result: Record<string, unknown> = {};
  for (const selector of selectors) {
    const below = fields[selector] ?? {};
    const child = selector.startsWith('f:')
      ? isRecord(value)
        ? value[selector.slice(2)]
        : undefined
      : Array.isArray(value)
        ? listItem(value, selector)
        : undefined;
    if (child !== undefined) result[selector] = projectFields(child, below);
  }
  return result;
};

/** The field set that a manager holds by server-side apply. */
export const ownedFields = (object: KubeObject, manager: string): FieldsV1 =>
  object.metadata.managedFields?.find((entry) => entry.manager === manager && entry.operation === 'Apply' && entry.subresource === undefined)?.fieldsV1 ?? {};

export const projectionDigest = (object: KubeObject, fields: FieldsV1): Digest => digestOf(projectFields(object, fields));
