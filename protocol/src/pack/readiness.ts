import type { Finding } from '../finding.ts';
import { isPlainMap, own, placeOf, type PackSource } from './source.ts';

/** An object that has to be ready, or that has to say something in its status, before the layer counts as ready. */
export interface ReadinessCheck {
  kind: string;
  apiVersion?: string;
  /** Absent: every object of this kind in the layer. */
  name?: string;
  namespace?: string;
  /** A status condition that has to be so; without one the usual rules for the kind decide. */
  condition?: { type: string; status: string };
  /** A field, by dotted path, that has to read so. */
  field?: { path: string; value: string };
}

export interface PackReadiness {
  checks: ReadinessCheck[];
  timeoutSeconds?: number;
  /** Whether everything that is written was understood. When not, the usual rules decide for what was not. */
  isUnderstood: boolean;
  /** As written, so that nothing is lost between a version that does not understand it and one that does. */
  written: unknown;
}

/** Lists by kind, `deployments: [web]`, beside lists of objects. */
const kindOfList: Readonly<Record<string, string>> = {
  deployments: 'Deployment',
  statefulsets: 'StatefulSet',
  daemonsets: 'DaemonSet',
  jobs: 'Job',
  pods: 'Pod',
  services: 'Service',
  namespaces: 'Namespace',
  crds: 'CustomResourceDefinition',
  customresourcedefinitions: 'CustomResourceDefinition',
};

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;

const known = new Set(['kind', 'apiVersion', 'name', 'namespace', 'condition', 'conditionType', 'conditionStatus', 'status', 'field', 'path', 'value']);

const checkOf = (item: unknown, kind: string | undefined): ReadinessCheck | undefined => {
  const name = text(item);
  if (name !== undefined) {
    if (kind === undefined) return undefined;
    const [namespace, inner] = name.includes('/') ? [name.slice(0, name.indexOf('/')), name.slice(name.indexOf('/') + 1)] : [undefined, name];
    return { kind, name: inner, ...(namespace === undefined ? {} : { namespace }) };
  }
  if (!isPlainMap(item) || Object.keys(item).some((key) => !known.has(key))) return undefined;
  const of = text(own(item, 'kind')) ?? kind;
  if (of === undefined) return undefined;
  const condition = own(item, 'condition');
  const type = text(own(condition, 'type')) ?? text(condition) ?? text(own(item, 'conditionType'));
  const status = text(own(condition, 'status')) ?? text(own(item, 'conditionStatus')) ?? text(own(item, 'status')) ?? 'True';
  const field = own(item, 'field');
  const path = text(own(field, 'path')) ?? text(own(item, 'path'));
  const value = text(own(field, 'value')) ?? text(own(item, 'value'));
  const [apiVersion, ownName, namespace] = [text(own(item, 'apiVersion')), text(own(item, 'name')), text(own(item, 'namespace'))];
  return {
    kind: of,
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(ownName === undefined ? {} : { name: ownName }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(type === undefined ? {} : { condition: { type, status } }),
    ...(path === undefined || value === undefined ? {} : { field: { path, value } }),
  };
};

const checksMax = 100;

/**
 * `readinessCheck:` at the top of values.yaml. It is documented nowhere; the forms taken are a list of objects (`kind`, `name`, `namespace`, `condition`) and lists
 * of names by kind. Anything else is kept as written and told, so that nobody believes in a check that is not made.
 */
export const parseReadiness = (source: PackSource): { readiness?: PackReadiness; findings: Finding[] } => {
  const written = own(source.plain, 'readinessCheck');
  if (written === undefined || written === null) return { findings: [] };
  const checks: ReadinessCheck[] = [];
  const odd: string[] = [];
  const take = (item: unknown, kind: string | undefined, where: string): void => {
    const check = checks.length < checksMax ? checkOf(item, kind) : undefined;
    if (check === undefined) odd.push(where);
    else checks.push(check);
  };
  let timeoutSeconds: number | undefined;
  if (Array.isArray(written)) written.forEach((item, index) => take(item, undefined, `[${index}]`));
  else if (isPlainMap(written) && text(own(written, 'kind')) !== undefined) take(written, undefined, 'the object');
  else if (isPlainMap(written)) {
    for (const key of Object.keys(written)) {
      const value = written[key];
      const kind = Object.hasOwn(kindOfList, key.toLowerCase()) ? kindOfList[key.toLowerCase()] : undefined;
      if (/^timeout(Seconds|InSeconds)?$/.test(key) && typeof value === 'number' && value > 0 && value <= 86_400) timeoutSeconds = Math.ceil(value);
      else if (Array.isArray(value) && (kind !== undefined || /^(resources|objects|checks)$/.test(key)))
        value.forEach((item, index) => take(item, kind, `${key}[${index}]`));
      else odd.push(key);
    }
  } else odd.push('the value');
  const findings: Finding[] =
    odd.length === 0
      ? []
      : [
          {
            severity: 'warning',
            code: 'readiness-not-understood',
            file: source.file,
            ...placeOf(source, ['readinessCheck']),
            message: `readinessCheck is understood in part only; left out: ${odd.slice(0, 10).join(', ')}. The usual rules decide when the layer is ready`,
          },
        ];
  return { readiness: { checks, ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }), isUnderstood: odd.length === 0, written }, findings };
};
