import { createHash } from 'node:crypto';
import type { Clock } from '@groundplane/agent/port/clock';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { ObjectStore } from './object-store.ts';
import { ownersOf, type Writes } from './writes.ts';

/** What the simulated controllers and kubelets work with. */
export interface WorkloadWorld {
  store: ObjectStore;
  writes: Writes;
  clock: Clock;
  readyMs: number;
  /** Runs the work after the delay unless the controllers were stopped. */
  later(delayMs: number, work: () => void): void;
  /** Since when a workload works on its current generation; for progress deadlines. */
  startedMs: Map<string, { generation: number; atMs: number }>;
}

export const record = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {});

export const nowText = (clock: Clock): string => new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');

/** Name of a template's revision, as Kubernetes' `pod-template-hash`. */
export const templateHash = (template: unknown): string => createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);

export const isOwnedBy = (object: KubeObject, owner: KubeObject): boolean => ownersOf(object).some(({ uid }) => uid === owner.metadata.uid);

export const childrenOf = (world: WorkloadWorld, owner: KubeObject, kind: string): KubeObject[] =>
  world.store
    .all()
    .filter((object) => object.kind === kind && isOwnedBy(object, owner))
    .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));

export const isPodReady = (pod: KubeObject): boolean => {
  const { conditions = [] } = record(pod['status']) as { conditions?: { type?: string; status?: string }[] };
  return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
};

/** A pod from a workload's template. */
export const createPod = (world: WorkloadWorld, owner: KubeObject, name: string, labels: Record<string, string>, nodeName: string): void => {
  const template = record(record(owner['spec'])['template']);
  const metadata = record(template['metadata']);
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
      labels: { ...(metadata['labels'] as Record<string, string> | undefined), ...labels },
      ...(metadata['annotations'] === undefined ? {} : { annotations: metadata['annotations'] as Record<string, string> }),
      ownerReferences: [
        {
          apiVersion: owner.apiVersion,
          kind: owner.kind,
          name: owner.metadata.name ?? '',
          uid: owner.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { ...record(template['spec']), nodeName },
  };
  world.writes.create(pod, 'kube-controller-manager');
};
