import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Cluster } from '@groundplane/agent/port/cluster';
import type { Failure, Result } from '@groundplane/protocol/failure';
import type { KubeObject, ObjectRef } from '@groundplane/protocol/kubernetes';

/** The value of a result that must be good; a failure becomes the test's message. */
export const good = <T>(result: Result<T>): T => {
  if (result.ok) return result.value;
  throw new Error(`${result.failure.code} (${result.failure.kind}) ${result.failure.element}: ${result.failure.message}`);
};

/** The failure of a result that must be bad, with its code checked. */
export const bad = (result: Result<unknown>, code: string, kind: Failure['kind']): Failure => {
  expect(result.ok ? 'no failure' : `${result.failure.code} ${result.failure.kind}: ${result.failure.message}`).toMatch(new RegExp(`^${code} ${kind}: `));
  return (result as { failure: Failure }).failure;
};

/** Repeats until the check holds; its last error is the test's. */
export const eventually = async <T>(check: () => Promise<T> | T, timeoutMs: number = 20_000): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(20);
    }
  }
};

let namespaces = 0;

/** A namespace of its own for each test. */
export const newNamespace = async (cluster: Cluster): Promise<string> => {
  namespaces += 1;
  const name = `conformance-${namespaces}`;
  good(await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { fieldManager: 'test', force: true }));
  // A real pod needs the namespace's service account, which a controller makes.
  return name;
};

export const configMap = (namespace: string, name: string, data: Record<string, string>, labels?: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name, ...(labels === undefined ? {} : { labels }) },
  data,
});

export const refOf = (object: KubeObject): ObjectRef => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name ?? '',
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

export const agent = { fieldManager: 'agent', force: false } as const;

export const deployment = (namespace: string, name: string, image: string, replicas: number = 2): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { namespace, name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'main', image, ports: [{ containerPort: 80, protocol: 'TCP' }], env: [{ name: 'A', value: '1' }] }] },
    },
  },
});

export const job = (namespace: string, name: string, image: string): KubeObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { namespace, name },
  spec: { backoffLimit: 0, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image }] } } },
});

/** Reads a nested field; undefined when something on the way is missing. */
export const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((inner, field) => (typeof inner === 'object' && inner !== null ? (inner as Record<string | number, unknown>)[field] : undefined), value);
