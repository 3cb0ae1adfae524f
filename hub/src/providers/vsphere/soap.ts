import { XMLParser } from 'fast-xml-parser';

/** A managed object of vSphere: `VirtualMachine vm-42`. */
export interface Ref {
  readonly type: string;
  readonly id: string;
}

/** What goes into an envelope. Fields keep their order, since vCenter reads them by it. `$type`: the type where a field may hold several (`xsi:type`). */
export type SoapValue = string | number | boolean | undefined | { readonly ref: Ref } | SoapFields | readonly SoapValue[];
export interface SoapFields {
  readonly $type?: string;
  readonly $text?: string;
  readonly [field: string]: SoapValue;
}

export const refTo = (type: string, id: string): { ref: Ref } => ({ ref: { type, id } });

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
/** Text of an element or an attribute. Control characters that XML 1.0 cannot hold are left out. */
// oxlint-disable-next-line no-control-regex
export const escapeXml = (text: string): string => text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '').replaceAll(/[&<>"']/g, (letter) => entities[letter] ?? ''); // prettier-ignore

const isList = (value: SoapValue): value is readonly SoapValue[] => Array.isArray(value);
const isRef = (value: object): value is { ref: Ref } => 'ref' in value && typeof value.ref === 'object' && value.ref !== null && 'id' in value.ref;

/** One element, several for a list, none for undefined. */
export const element = (name: string, value: SoapValue): string => {
  if (value === undefined) return '';
  if (isList(value)) return value.map((item) => element(name, item)).join('');
  if (typeof value !== 'object') return `<${name}>${escapeXml(String(value))}</${name}>`;
  if (isRef(value)) return `<${name} type="${escapeXml(value.ref.type)}">${escapeXml(value.ref.id)}</${name}>`;
  const { $type, $text, ...fields } = value as SoapFields;
  const type = $type === undefined ? '' : ` xsi:type="${escapeXml($type)}"`;
  const inner = Object.entries(fields).map(([field, item]) => element(field, item));
  return `<${name}${type}>${inner.join('')}${$text === undefined ? '' : escapeXml($text)}</${name}>`;
};

export const envelope = (method: string, target: Ref, fields: SoapFields): string =>
  [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">',
    `<soapenv:Body><${method} xmlns="urn:vim25">${element('_this', { ref: target })}`,
    ...Object.entries(fields).map(([name, value]) => element(name, value)),
    `</${method}></soapenv:Body></soapenv:Envelope>`,
  ].join('');

/** An element of an answer: its text, its attributes and its children by name. */
export interface Node {
  readonly text: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Readonly<Record<string, readonly Node[]>>;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#',
  parseTagValue: false,
  parseAttributeValue: false,
  transformTagName: (name) => name.replace(/^.*:/, ''),
});

const nodeOf = (value: unknown): Node => {
  if (typeof value !== 'object' || value === null) return { text: typeof value === 'string' ? value : '', attributes: {}, children: {} };
  const attributes: Record<string, string> = {};
  const children: Record<string, Node[]> = {};
  let text = '';
  for (const [key, item] of Object.entries(value)) {
    if (key === '#') text = String(item);
    // Whatever prefix stands for the schema's instance namespace there: no other attribute of vSphere has one.
    else if (key.startsWith('@')) attributes[key.slice(1).replace(/^.*:type$/, 'xsi:type')] = String(item);
    else children[key] = (Array.isArray(item) ? item : [item]).map(nodeOf);
  }
  return { text, attributes, children };
};

/** Undefined for what is no XML, and for what declares entities of its own: no vCenter does, and they can grow without bounds. */
export const parseXml = (body: Buffer): Node | undefined => {
  const text = body.toString('utf8');
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) return undefined;
  try {
    return nodeOf(parser.parse(text));
  } catch {
    return undefined;
  }
};

export const childOf = (node: Node | undefined, ...path: readonly string[]): Node | undefined => {
  let current = node;
  for (const name of path) current = current?.children[name]?.[0];
  return current;
};
export const childrenOf = (node: Node | undefined, name: string): readonly Node[] => node?.children[name] ?? [];
export const textOf = (node: Node | undefined, ...path: readonly string[]): string | undefined => childOf(node, ...path)?.text;
export const typeOf = (node: Node | undefined): string => node?.attributes['xsi:type']?.replace(/^.*:/, '') ?? '';

/** A reference in an answer. `type`: where the element does not tell. */
export const refOf = (node: Node | undefined, type = ''): Ref | undefined =>
  node === undefined || node.text === '' ? undefined : { type: node.attributes['type'] ?? type, id: node.text };
