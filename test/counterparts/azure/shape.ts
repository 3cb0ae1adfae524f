import type { CompositeMapper, Mapper } from '@azure/core-client';

type Mappers = Readonly<Record<string, Mapper>>;

interface Node {
  mapper?: Mapper;
  children: Map<string, Node>;
  isOpen: boolean;
}

const propertiesOf = (mapper: CompositeMapper, mappers: Mappers): Record<string, Mapper> =>
  mapper.type.modelProperties ?? (mappers[mapper.type.className ?? ''] as CompositeMapper | undefined)?.type.modelProperties ?? {};

/** Models are flat in the client and nested on the wire: `properties.hardwareProfile` is one name of theirs. */
const treeOf = (mapper: CompositeMapper, mappers: Mappers): Node => {
  const root: Node = { children: new Map(), isOpen: mapper.type.additionalProperties !== undefined };
  for (const [key, property] of Object.entries(propertiesOf(mapper, mappers))) {
    const path = (property.serializedName ?? key).split(/(?<!\\)\./).map((part) => part.replaceAll('\\', ''));
    let at = root;
    for (const part of path) {
      const next: Node = at.children.get(part) ?? { children: new Map(), isOpen: false };
      at.children.set(part, next);
      at = next;
    }
    at.mapper = property;
  }
  return root;
};

const walk = (node: Node, value: unknown, mappers: Mappers, path: string, out: string[]): void => {
  if (node.mapper !== undefined) return check(node.mapper, value, mappers, path, out);
  if (typeof value !== 'object' || value === null) return void (value === undefined || out.push(`${path}: must be an object`));
  for (const [key, child] of node.children) {
    const item = (value as Record<string, unknown>)[key];
    if (item !== undefined) walk(child, item, mappers, `${path}.${key}`, out);
    else if (child.mapper?.required === true && child.mapper.readOnly !== true && child.mapper.isConstant !== true) out.push(`${path}.${key}: is required`);
  }
  for (const key of Object.keys(value)) if (!node.children.has(key) && !node.isOpen) out.push(`${path}.${key}: unknown property`);
};

const primitive: Readonly<Record<string, string>> = { Number: 'number', String: 'string', Boolean: 'boolean', Uuid: 'string', DateTime: 'string' };

/** What a description finds wrong with a value on the wire, in lines. */
export const check = (mapper: Mapper, value: unknown, mappers: Mappers, path = 'body', out: string[] = []): void => {
  if (value === undefined || value === null) return;
  const { type, constraints } = mapper;
  const wanted = primitive[type.name];
  if (wanted !== undefined && typeof value !== wanted) out.push(`${path}: must be a ${wanted}`);
  if (type.name === 'Composite') walk(treeOf(mapper as CompositeMapper, mappers), value, mappers, path, out);
  if (type.name === 'Sequence') {
    const { element } = type as unknown as { element: Mapper };
    if (Array.isArray(value)) value.forEach((item, index) => check(element, item, mappers, `${path}[${index}]`, out));
    else out.push(`${path}: must be a list`);
  }
  if (type.name === 'Dictionary') {
    const { value: element } = type as unknown as { value: Mapper };
    for (const [key, item] of Object.entries(value)) check(element, item, mappers, `${path}.${key}`, out);
  }
  if (type.name === 'Enum' && !(type as unknown as { allowedValues: unknown[] }).allowedValues.includes(value))
    out.push(`${path}: ${JSON.stringify(value)} is none of its values`);
  if (constraints?.Pattern !== undefined && typeof value === 'string' && !new RegExp(constraints.Pattern).test(value)) out.push(`${path}: does not match ${String(constraints.Pattern)}`); // prettier-ignore
  if (constraints?.MaxLength !== undefined && typeof value === 'string' && value.length > constraints.MaxLength) out.push(`${path}: is too long`);
  if (constraints?.InclusiveMaximum !== undefined && Number(value) > constraints.InclusiveMaximum) out.push(`${path}: is too large`);
  if (constraints?.InclusiveMinimum !== undefined && Number(value) < constraints.InclusiveMinimum) out.push(`${path}: is too small`);
};

export const complaints = (mapper: Mapper, value: unknown, mappers: Mappers): string[] => {
  const out: string[] = [];
  check(mapper, value, mappers, 'body', out);
  return out;
};
