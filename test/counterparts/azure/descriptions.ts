import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInThisContext } from 'node:vm';
import * as coreClient from '@azure/core-client';
import type { Mapper, OperationSpec } from '@azure/core-client';

/**
 * What Microsoft's own clients know about Azure Resource Manager: each operation's path and verb, the shapes of its request and its answers. The last versions
 * that were generated with AutoRest have them as data; newer ones have code in their stead.
 */
export interface Operation {
  name: string;
  verb: string;
  path: RegExp;
  /** `/subscriptions/{subscriptionId}/…` */
  template: string;
  request?: Mapper | undefined;
  answers: Record<number, Mapper | undefined>;
  mappers: Record<string, Mapper>;
}

const descriptions = ['azure-compute-description', 'azure-network-description', 'azure-resources-description', 'azure-containerservice-description'] as const;

const specsOf = (text: string, mappers: object, parameters: object): [string, OperationSpec][] => {
  const at = text.indexOf('// Operation Specifications');
  if (at < 0) return [];
  const tail = text.slice(at);
  const names = [...tail.matchAll(/^const (\w+OperationSpec) = /gm)].map((match) => match[1] ?? '');
  // The package keeps these constants to itself, so their part of the file is run with what it asks for.
  const code = `(coreClient, Mappers, Parameters) => {\n${tail.replaceAll(/^export .*$/gm, '')}\nreturn [${names.join(',')}];\n}`;
  const read = runInThisContext(code) as (...given: object[]) => OperationSpec[];
  const specs = read(coreClient, mappers, parameters);
  return specs.map((spec, index) => [names[index]?.replace('OperationSpec', '') ?? '', spec]);
};

const escape = (text: string): string => text.replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`);
const patternOf = (template: string): RegExp =>
  new RegExp(`^${escape(template.startsWith('/') ? template : `/${template}`).replaceAll(/\{[^}]+\}/g, '([^/]+)')}$`, 'i');

const load = async (name: string): Promise<Operation[]> => {
  const folder = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'dist/esm');
  const mappers = (await import(pathToFileURL(join(folder, 'models/mappers.js')).href)) as Record<string, Mapper>;
  const parameters = (await import(pathToFileURL(join(folder, 'models/parameters.js')).href)) as object;
  const operations: Operation[] = [];
  for (const file of readdirSync(join(folder, 'operations')).filter((item) => item.endsWith('.js') && item !== 'index.js')) {
    for (const [spec, value] of specsOf(readFileSync(join(folder, 'operations', file), 'utf8'), mappers, parameters)) {
      if (value.path === undefined || value.path === '{nextLink}') continue;
      const answers = Object.fromEntries(Object.entries(value.responses).map(([status, answer]) => [status, answer.bodyMapper]));
      const request = value.requestBody?.mapper;
      operations.push({
        name: `${file.replace('.js', '')}.${spec}`,
        verb: value.httpMethod,
        path: patternOf(value.path),
        template: value.path,
        request,
        answers,
        mappers,
      });
    }
  }
  return operations;
};

let loaded: Promise<Operation[]> | undefined;

/** Read once for all counterparts of a process: 1,500 operations. Those with fewer parameters come first, so that `…/kubernetesVersions` is no name. */
export const loadOperations = (): Promise<Operation[]> => {
  const parameters = (operation: Operation): number => operation.template.split('{').length;
  loaded ??= Promise.all(descriptions.map(load)).then((all) => all.flat().toSorted((a, b) => parameters(a) - parameters(b)));
  return loaded;
};
