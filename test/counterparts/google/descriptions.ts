import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

/**
 * What Google's own clients know about its APIs: the protos that they are generated from, with the path and verb of each method (`google.api.http`) and the
 * messages that go in and out.
 */
export interface Route {
  service: string;
  method: string;
  verb: string;
  path: RegExp;
  /** Of the request's body; undefined: it has none. */
  body: protobuf.Type | undefined;
  answer: protobuf.Type;
}

interface Rule {
  body?: string;
  [verb: string]: unknown;
}
const verbs = ['get', 'post', 'put', 'patch', 'delete'] as const;

const patternOf = (template: string): RegExp => {
  const pattern = template.replaceAll(/\{[^}=]+(?:=([^}]+))?\}/g, (_all, shape: string | undefined) =>
    shape === undefined ? '([^/:]+)' : `(${shape.replaceAll('**', '.+').replaceAll('*', '[^/:]+')})`,
  );
  return new RegExp(`^${pattern}$`);
};

const camel = (text: string): string => text.replaceAll(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
const typeOf = (field: protobuf.Field | undefined): protobuf.Type | undefined => {
  const resolved = field?.resolve().resolvedType;
  return resolved instanceof protobuf.Type ? resolved : undefined;
};

const routesOf = (packageName: string, namespace: string, services: readonly string[]): Route[] => {
  const folder = dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`));
  const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(join(folder, 'build/protos/protos.json'), 'utf8')) as protobuf.INamespace);
  const routes: Route[] = [];
  for (const service of services) {
    for (const method of root.lookupService(`${namespace}.${service}`).methodsArray) {
      method.resolve();
      const options = (method.parsedOptions ?? []) as unknown as Record<string, Rule>[];
      const rule = options.find((item) => item['(google.api.http)'] !== undefined)?.['(google.api.http)'];
      const verb = verbs.find((item) => typeof rule?.[item] === 'string');
      const request = method.resolvedRequestType;
      const answer = method.resolvedResponseType;
      if (rule === undefined || verb === undefined || request === null || answer === null) continue;
      const field = rule.body === undefined || rule.body === '*' ? undefined : (request.fields[camel(rule.body)] ?? request.fields[rule.body]);
      const body = rule.body === '*' ? request : typeOf(field);
      routes.push({ service, method: method.name, verb: verb.toUpperCase(), path: patternOf(String(rule[verb])), body, answer });
    }
  }
  return routes;
};

const computeServices = [
  'Instances',
  'Networks',
  'Subnetworks',
  'Firewalls',
  'Routers',
  'Addresses',
  'RegionHealthChecks',
  'RegionBackendServices',
  'InstanceGroups',
  'InstanceGroupManagers',
  'ForwardingRules',
  'GlobalOperations',
  'RegionOperations',
  'ZoneOperations',
  'Regions',
  'MachineTypes',
  'Images',
  'HealthChecks',
  'BackendServices',
] as const;

let loaded: Route[] | undefined;
export const loadRoutes = (): Route[] => {
  loaded ??= [
    ...routesOf('@google-cloud/compute', 'google.cloud.compute.v1', computeServices),
    ...routesOf('@google-cloud/container', 'google.container.v1', ['ClusterManager']),
  ];
  return loaded;
};

const scalar = (field: protobuf.Field, value: unknown): boolean => {
  if (field.type === 'string') return typeof value === 'string';
  if (field.type === 'bool') return typeof value === 'boolean';
  if (field.type === 'bytes') return typeof value === 'string';
  if (/int|fixed/.test(field.type)) return /^-?\d+$/.test(String(value));
  return typeof value === 'number';
};

const checkOne = (field: protobuf.Field, value: unknown, path: string, out: string[]): void => {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type) return check(resolvedType, value, path, out);
  // Compute's own protos spell enumerated values of its JSON as plain strings.
  if (resolvedType instanceof protobuf.Enum) return void (typeof value === 'string' && value in resolvedType.values ? 0 : out.push(`${path}: ${JSON.stringify(value)} is none of its values`)); // prettier-ignore
  if (!scalar(field, value)) out.push(`${path}: must be ${field.type}`);
};

/** What a proto finds wrong with JSON on the wire, in lines. */
export const check = (type: protobuf.Type, value: unknown, path: string, out: string[]): void => {
  if (type.fullName.startsWith('.google.protobuf.')) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return void out.push(`${path}: must be a ${type.name}`);
  const fields = new Map(type.fieldsArray.flatMap((field) => [[camel(field.name), field] as const, [field.name, field] as const]));
  for (const [key, item] of Object.entries(value)) {
    const field = fields.get(key);
    if (field === undefined) {
      out.push(`${path}.${key}: unknown field of ${type.name}`);
      continue;
    }
    field.resolve();
    if (field instanceof protobuf.MapField) continue;
    if (!field.repeated) checkOne(field, item, `${path}.${key}`, out);
    else if (Array.isArray(item)) item.forEach((one, index) => checkOne(field, one, `${path}.${key}[${index}]`, out));
    else out.push(`${path}.${key}: must be a list`);
  }
};

export const complaints = (type: protobuf.Type, value: unknown): string[] => {
  const out: string[] = [];
  check(type, value, 'body', out);
  return out;
};
