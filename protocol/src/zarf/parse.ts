import { LineCounter, parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import type { Finding } from '../finding.ts';
import { fromAlpha, fromBeta } from './convert.ts';
import { zarfLimits } from './limits.ts';
import type { ZarfPackage } from './package.ts';
import { alphaSchema } from './schema-alpha.ts';
import { betaSchema } from './schema-beta.ts';
import { alphaFindings, betaFindings } from './unsupported.ts';

export interface ParsedZarf {
  package: ZarfPackage;
  /** Errors name what the package needs and does not get here; with any, it cannot be used. */
  findings: Finding[];
  /** The definition as data, for the configuration of the OCI form. */
  definition: unknown;
}

/** Fields of old versions that Zarf itself has dropped: what they were. */
const dropped: Readonly<Record<string, string>> = {
  extensions: 'Big Bang extensions were removed from Zarf; build the package with the charts instead',
  cosignKeyPath: 'the key is given when the package is read',
  variables: 'v1beta1 has no variables; values take their place',
  constants: 'v1beta1 has no constants; values take their place',
  dataInjections: 'v1beta1 has no data injections',
};

const pathText = (path: readonly PropertyKey[]): string =>
  path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`)).join('');

const issueText = (issue: z.core.$ZodIssue, version: string): string => {
  const where = issue.path.length === 0 ? 'zarf.yaml' : pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = dropped[issue.keys[0] ?? ''];
    const names = issue.keys.map((key) => JSON.stringify(key.slice(0, 64))).join(', ');
    return `${where}: ${version} has no field ${names}; it would be ignored${known === undefined ? '. Correct the name, or build the package with a newer Zarf' : `: ${known}`}`;
  }
  return `${where}: ${issue.message}`;
};

const issuesMax = 5;

const check = <T extends z.ZodType>(schema: T, value: unknown, version: string, element: string): Result<z.output<T>> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const { issues } = parsed.error;
  const shown = issues.slice(0, issuesMax).map((issue) => issueText(issue, version));
  return fail('fatal', 'zarf-invalid', element, `${shown.join('; ')}${issues.length > issuesMax ? `; and ${issues.length - issuesMax} more` : ''}`);
};

const readDocuments = (text: string, element: string): Result<unknown[]> => {
  if (text.length > zarfLimits.definitionBytes) return fail('fatal', 'zarf-invalid', element, `zarf.yaml has more than ${zarfLimits.definitionBytes} bytes`);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { uniqueKeys: true, lineCounter: lines });
  if (!Array.isArray(documents)) return fail('fatal', 'zarf-invalid', element, 'zarf.yaml is empty');
  const values: unknown[] = [];
  for (const document of documents) {
    const error = document.errors[0];
    if (error !== undefined)
      return fail('fatal', 'zarf-invalid', element, `zarf.yaml, line ${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0] ?? ''}`);
    try {
      const value: unknown = document.toJS({ maxAliasCount: zarfLimits.yamlAliases });
      if (value !== null && value !== undefined) values.push(value);
    } catch (problem) {
      return fail('fatal', 'zarf-invalid', element, `zarf.yaml: ${problem instanceof Error ? problem.message : String(problem)}`);
    }
  }
  return ok(values);
};

const twice = (names: readonly string[]): string | undefined => names.find((name, index) => names.indexOf(name) !== index);

const checkWhole = (parsed: ParsedZarf, element: string): Result<ParsedZarf> => {
  const wrong = (message: string): Result<never> => fail('fatal', 'zarf-invalid', element, message);
  const component = twice(parsed.package.components.map((item) => item.name));
  if (component !== undefined) return wrong(`it has two components named ${component}`);
  const variable = twice([...parsed.package.variables, ...parsed.package.constants].map((item) => item.name));
  if (variable !== undefined) return wrong(`it has two variables or constants named ${variable}`);
  for (const item of parsed.package.components) {
    const chart = twice(item.charts.map((entry) => `${entry.name} ${entry.version}`));
    if (chart !== undefined) return wrong(`component ${item.name} has two charts named ${chart}`);
    const manifest = twice(item.manifests.map((entry) => entry.name));
    if (manifest !== undefined) return wrong(`component ${item.name} has two manifests named ${manifest}`);
    const idle = item.actions.find((action) => (action.cmd === undefined) === (action.wait === undefined));
    if (idle !== undefined) return wrong(`component ${item.name}: an action of on${idle.event === 'deploy' ? 'Deploy' : 'Remove'} has either cmd or wait`);
  }
  return ok(parsed);
};

/** Empty for the time before there were versions; what is no text as JSON, to be shown. */
const versionOf = (value: unknown): string => {
  const version = typeof value === 'object' && value !== null && 'apiVersion' in value ? value.apiVersion : '';
  return typeof version === 'string' ? version : JSON.stringify(version);
};

/**
 * Reads zarf.yaml of a built package, v1alpha1 (also without apiVersion) or v1beta1. A file may hold the same package in both versions; the newer one is taken.
 * A field that nobody would look at is a failure that names it (`zarf-invalid`). What is known and not supported comes as error findings.
 */
export const parseZarf = (text: string, element: string): Result<ParsedZarf> => {
  const documents = readDocuments(text, element);
  if (!documents.ok) return documents;
  const found = documents.value;
  if (found.length === 0) return fail('fatal', 'zarf-invalid', element, 'zarf.yaml is empty');
  const versions = found.map((value) => versionOf(value));
  const odd = versions.find((version) => !['', 'zarf.dev/v1alpha1', 'zarf.dev/v1beta1'].includes(version));
  if (odd !== undefined)
    return fail(
      'fatal',
      'zarf-version',
      element,
      `apiVersion ${JSON.stringify(odd).slice(0, 64)} is not known here; zarf.dev/v1alpha1 and zarf.dev/v1beta1 are`,
    );
  if (found.length > 1 && new Set(versions.map((version) => (version === '' ? 'zarf.dev/v1alpha1' : version))).size !== found.length)
    return fail('fatal', 'zarf-invalid', element, 'zarf.yaml has several documents of the same apiVersion');
  const beta = versions.indexOf('zarf.dev/v1beta1');
  const value = found[Math.max(beta, 0)];
  if (beta >= 0) {
    const definition = check(betaSchema, value, 'v1beta1', element);
    return definition.ok
      ? checkWhole({ package: fromBeta(definition.value), findings: betaFindings(definition.value), definition: value }, element)
      : definition;
  }
  const definition = check(alphaSchema, value, 'v1alpha1', element);
  return definition.ok
    ? checkWhole({ package: fromAlpha(definition.value), findings: alphaFindings(definition.value), definition: value }, element)
    : definition;
};
