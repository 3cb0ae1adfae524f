import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { Patch } from '@groundplane/protocol/layer';
import { limits } from '@groundplane/protocol/limits';
import { applyPatch } from 'rfc6902';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { kubernetesYaml } from './yaml.ts';

/** Operations of one RFC 6902 patch. */
export const patchOperationsMax = 1_000;
const depthMax = 64;
const candidatesMax = 5;

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names that mean something to JavaScript objects themselves. No Kubernetes field is called so. */
const hostile: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** A key that may not be set, or nesting that no object has. */
const problemIn = (value: unknown, depth = 0): string | undefined => {
  if (depth > depthMax) return `is nested more than ${depthMax} levels deep`;
  if (Array.isArray(value)) return value.map((item) => problemIn(item, depth + 1)).find((problem) => problem !== undefined);
  if (!isPlain(value)) return undefined;
  for (const [key, item] of Object.entries(value)) {
    if (hostile.has(key)) return `sets the field "${key}", which no Kubernetes object has`;
    const problem = problemIn(item, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

/** RFC 7386: maps merge, null deletes, everything else replaces. Nulls inside of something new are left out, as the RFC says. */
const mergePatch = (target: unknown, patch: unknown): unknown => {
  if (!isPlain(patch)) return patch;
  const merged = new Map(isPlain(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
};

const pointer = z
  .string()
  .max(4_096)
  .regex(/^(?:\/(?:[^~/]|~[01])*)*$/, 'is no JSON pointer like /spec/replicas (RFC 6901: ~1 stands for /, ~0 for ~)');
const operationSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.enum(['add', 'replace', 'test']), path: pointer, value: z.unknown().refine((value) => value !== undefined, 'needs a value') }),
  z.strictObject({ op: z.literal('remove'), path: pointer }),
  z.strictObject({ op: z.enum(['move', 'copy']), from: pointer, path: pointer }),
]);
const operationsSchema = z.array(operationSchema).max(patchOperationsMax);
type JsonOperation = z.infer<typeof operationSchema>;

const targetText = ({ apiVersion, kind, name, namespace }: Patch['target']): string => {
  const parts = [
    apiVersion === undefined ? '' : `apiVersion ${apiVersion}`,
    kind === undefined ? '' : `kind ${kind}`,
    name === undefined ? '' : `name ${name}`,
    namespace === undefined ? '' : `namespace ${namespace}`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'every object' : parts.join(', ');
};

const objectText = (object: KubeObject): string =>
  `${object.apiVersion} ${object.kind} ${object.metadata.namespace === undefined ? '' : `${object.metadata.namespace}/`}${object.metadata.name ?? ''}`;

const fits = (object: KubeObject, target: Patch['target']): boolean =>
  (target.apiVersion === undefined || target.apiVersion === object.apiVersion) &&
  (target.kind === undefined || target.kind === object.kind) &&
  (target.name === undefined || target.name === object.metadata.name) &&
  (target.namespace === undefined || target.namespace === object.metadata.namespace);

/** How much of the target an object has; a name that differs in its ending counts a little. */
const likeness = (object: KubeObject, { apiVersion, kind, name, namespace }: Patch['target']): number => {
  const own = object.metadata.name ?? '';
  return (
    (kind !== undefined && kind.toLowerCase() === object.kind.toLowerCase() ? 4 : 0) +
    (name === undefined ? 0 : name === own ? 4 : own.includes(name) || name.includes(own) ? 2 : 0) +
    (apiVersion !== undefined && apiVersion === object.apiVersion ? 1 : 0) +
    (namespace !== undefined && namespace === object.metadata.namespace ? 1 : 0)
  );
};

const nearText = (objects: readonly KubeObject[], target: Patch['target']): string => {
  if (objects.length === 0) return 'The layer renders no objects';
  const ranked = objects.map((object) => ({ object, score: likeness(object, target) })).toSorted((a, b) => b.score - a.score);
  const like = ranked.filter((item) => item.score > 0);
  const shown = (like.length > 0 ? like : ranked).slice(0, candidatesMax).map((item) => objectText(item.object));
  return `${like.length > 0 ? 'Nearest' : 'There are'}: ${shown.join('; ')}`;
};

type Change = (object: KubeObject) => Result<unknown>;

const readYaml = (text: string, element: string): Result<unknown> => {
  const document = parseDocument(text, kubernetesYaml);
  const error = document.errors[0];
  if (error !== undefined) return fail('fatal', 'patch-malformed', element, `is no YAML: ${error.message.split('\n')[0] ?? ''}`);
  try {
    return ok(document.toJS({ maxAliasCount: limits.yamlAliases }) as unknown);
  } catch (problem) {
    return fail('fatal', 'patch-malformed', element, `is no YAML: ${problem instanceof Error ? problem.message : String(problem)}`);
  }
};

const readMerge = (text: string, element: string): Result<Change> => {
  const value = readYaml(text, element);
  if (!value.ok) return value;
  if (!isPlain(value.value)) return fail('fatal', 'patch-malformed', element, 'a merge patch is a map, like spec: {replicas: 2}');
  const problem = problemIn(value.value);
  if (problem !== undefined) return fail('fatal', 'patch-hostile', element, problem);
  return ok((object) => ok(mergePatch(object, value.value)));
};

const operationText = (operation: JsonOperation, index: number): string =>
  `operation ${index + 1} (${operation.op} ${operation.path === '' ? '""' : operation.path})`;

const runOperation = (object: KubeObject, operation: JsonOperation, index: number, element: string): Result<void> => {
  const at = `${operationText(operation, index)} on ${objectText(object)}`;
  let problem: Error | null | undefined;
  try {
    [problem] = applyPatch(object, [operation]);
  } catch (error) {
    problem = error instanceof Error ? error : new Error(String(error));
  }
  if (problem === null || problem === undefined) {
    // Copies of copies double each time.
    if (operation.op === 'copy' && JSON.stringify(object).length > limits.objectBytes)
      return fail('fatal', 'patch-too-large', element, `${at}: the object grows over ${limits.objectBytes} bytes`);
    return ok(undefined);
  }
  const why =
    problem.name === 'TestError'
      ? 'the value there is another one'
      : problem.name === 'MissingError'
        ? `there is nothing at ${'from' in operation && problem.message.endsWith(operation.from) ? operation.from : operation.path}, or it is no place to put something`
        : problem.message;
  return fail('fatal', 'patch-failed', element, `${at}: ${why}`);
};

const readJson = (text: string, element: string): Result<Change> => {
  const value = readYaml(text, element);
  if (!value.ok) return value;
  const parsed = operationsSchema.safeParse(value.value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const [index, ...field] = issue?.path ?? [];
    const where = typeof index === 'number' ? `operation ${index + 1}${field.length === 0 ? '' : `, ${field.map(String).join('.')}`}: ` : '';
    return fail(
      'fatal',
      'patch-malformed',
      element,
      `${where}${issue?.message ?? 'is no list of operations'}. Write a list like - {op: replace, path: /spec/replicas, value: 2}`,
    );
  }
  for (const [index, operation] of parsed.data.entries()) {
    const pointers = [operation.path, ...('from' in operation ? [operation.from] : [])];
    const bad = pointers.find((path) => path.split('/').some((part) => hostile.has(part.replaceAll('~1', '/').replaceAll('~0', '~'))));
    if (bad !== undefined)
      return fail('fatal', 'patch-hostile', element, `${operationText(operation, index)}: the path ${bad} leads where no Kubernetes object has a field`);
    const problem = 'value' in operation ? problemIn(operation.value) : undefined;
    if (problem !== undefined) return fail('fatal', 'patch-hostile', element, `${operationText(operation, index)}: its value ${problem}`);
  }
  return ok((object) => {
    const copy = structuredClone(object);
    for (const [index, operation] of parsed.data.entries()) {
      const ran = runOperation(copy, operation, index, element);
      if (!ran.ok) return ran;
    }
    return ok(copy);
  });
};

/** A patch changes what an object says, never which object it is: another identity would leave the first one behind unowned. */
const checkPatched = (before: KubeObject, after: unknown, element: string): Result<KubeObject> => {
  const metadata = isPlain(after) ? after['metadata'] : undefined;
  const same =
    isPlain(after) &&
    isPlain(metadata) &&
    after['apiVersion'] === before.apiVersion &&
    after['kind'] === before.kind &&
    metadata['name'] === before.metadata.name &&
    metadata['namespace'] === before.metadata.namespace;
  if (!same)
    return fail(
      'fatal',
      'patch-identity',
      element,
      `changes apiVersion, kind, name or namespace of ${objectText(before)}; a patch may not. Change them where the object is made: in the values or the manifest`,
    );
  const deep = problemIn(after);
  return deep === undefined ? ok(after as KubeObject) : fail('fatal', 'patch-hostile', element, `${objectText(before)} ${deep}`);
};

/**
 * Changes rendered objects by the layer's patches, in order; each sees what the ones before it made. The objects given are not touched. `element` names the
 * layer. Failures: `patch-unmatched` (lists the nearest objects), `patch-malformed`, `patch-failed` (names operation and path), `patch-hostile`,
 * `patch-identity`, `patch-too-large`.
 */
export const applyPatches = (objects: readonly KubeObject[], patches: readonly Patch[], element: string): Result<KubeObject[]> => {
  let current = [...objects];
  for (const [index, patch] of patches.entries()) {
    const name = `${element}, patch ${index + 1}`;
    const change = patch.merge === undefined ? readJson(patch.json ?? '', name) : readMerge(patch.merge, name);
    if (!change.ok) return change;
    if (!current.some((object) => fits(object, patch.target))) {
      if (patch.optional) continue;
      return fail(
        'fatal',
        'patch-unmatched',
        name,
        `no object fits its target (${targetText(patch.target)}). ${nearText(current, patch.target)}. Correct the target, or set optional: true`,
      );
    }
    const next: KubeObject[] = [];
    for (const object of current) {
      const changed: Result<unknown> = fits(object, patch.target) ? change.value(object) : ok(object);
      if (!changed.ok) return changed;
      const checked = changed.value === object ? ok(object) : checkPatched(object, changed.value, name);
      if (!checked.ok) return checked;
      next.push(checked.value);
    }
    current = next;
  }
  return ok(current);
};
