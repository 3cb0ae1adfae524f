import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { podWaiting, readinessOf } from '@groundplane/protocol/readiness';

const object = (apiVersion: string, kind: string, spec: unknown, status: unknown, metadata: Record<string, unknown> = {}): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name: 'x', ...metadata },
  spec,
  status,
});
const state = (item: KubeObject): string => readinessOf(item).state;
const says = (item: KubeObject): string => {
  const ready = readinessOf(item);
  return ready.state === 'ready' ? '' : ready.message;
};
const condition = (type: string, status: string, reason = '', message = ''): Record<string, string> => ({ type, status, reason, message });

const deployment = (status: unknown, replicas: unknown = 3, metadata: Record<string, unknown> = {}): KubeObject =>
  object('apps/v1', 'Deployment', { replicas }, status, metadata);
const statefulSet = (status: unknown, spec: unknown = { replicas: 3 }): KubeObject => object('apps/v1', 'StatefulSet', spec, status);
const daemonSet = (status: unknown, spec: unknown = {}): KubeObject => object('apps/v1', 'DaemonSet', spec, status);
const job = (conditions: unknown[], spec: unknown = {}): KubeObject => object('batch/v1', 'Job', spec, { conditions });
const pod = (status: unknown): KubeObject => object('v1', 'Pod', {}, status);
const full = { updatedReplicas: 3, replicas: 3, availableReplicas: 3, readyReplicas: 3, observedGeneration: 2 };

describe('readiness', () => {
  test.each<[string, KubeObject, string]>([
    ['Deployment: all there', deployment(full), 'ready'],
    ['Deployment: the controller did not look yet', deployment(undefined), 'progressing'],
    ['Deployment: status of an older generation', deployment(full, 3, { generation: 3 }), 'progressing'],
    ['Deployment: status of this generation', deployment(full, 3, { generation: 2 }), 'ready'],
    ['Deployment: not all updated', deployment({ ...full, updatedReplicas: 2 }), 'progressing'],
    ['Deployment: old pods still there', deployment({ ...full, replicas: 4 }), 'progressing'],
    ['Deployment: not all available', deployment({ ...full, availableReplicas: 2 }), 'progressing'],
    ['Deployment: replicas default to one', deployment({ updatedReplicas: 1, replicas: 1, availableReplicas: 1 }, null), 'ready'],
    ['Deployment: none wanted', deployment({}, 0), 'ready'],
    [
      'Deployment: past its deadline',
      deployment({ ...full, availableReplicas: 0, conditions: [condition('Progressing', 'False', 'ProgressDeadlineExceeded', 'too slow')] }),
      'failed',
    ],
    [
      'Deployment: progressing false for another reason',
      deployment({ ...full, availableReplicas: 0, conditions: [condition('Progressing', 'False', 'Paused')] }),
      'progressing',
    ],
    ['Deployment: is being deleted', deployment(full, 3, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'progressing'],
    ['StatefulSet: all there', statefulSet({ readyReplicas: 3, updatedReplicas: 3, currentRevision: 'a', updateRevision: 'a' }), 'ready'],
    ['StatefulSet: not all ready', statefulSet({ readyReplicas: 2, updatedReplicas: 3, currentRevision: 'a', updateRevision: 'a' }), 'progressing'],
    [
      'StatefulSet: in the middle of an update',
      statefulSet({ readyReplicas: 3, updatedReplicas: 1, currentRevision: 'a', updateRevision: 'b' }),
      'progressing',
    ],
    [
      'StatefulSet: partition reached',
      statefulSet(
        { readyReplicas: 3, updatedReplicas: 1, currentRevision: 'a', updateRevision: 'b' },
        { replicas: 3, updateStrategy: { rollingUpdate: { partition: 2 } } },
      ),
      'ready',
    ],
    [
      'StatefulSet: partition not reached',
      statefulSet(
        { readyReplicas: 3, updatedReplicas: 0, currentRevision: 'a', updateRevision: 'b' },
        { replicas: 3, updateStrategy: { rollingUpdate: { partition: 2 } } },
      ),
      'progressing',
    ],
    [
      'StatefulSet: OnDelete waits for nobody',
      statefulSet({ readyReplicas: 3, updatedReplicas: 0, currentRevision: 'a', updateRevision: 'b' }, { replicas: 3, updateStrategy: { type: 'OnDelete' } }),
      'ready',
    ],
    ['DaemonSet: all there', daemonSet({ observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 }), 'ready'],
    ['DaemonSet: never looked at', daemonSet({}), 'progressing'],
    ['DaemonSet: no node wants it', daemonSet({ observedGeneration: 1, desiredNumberScheduled: 0 }), 'ready'],
    ['DaemonSet: not updated', daemonSet({ observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2 }), 'progressing'],
    ['DaemonSet: not available', daemonSet({ observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 }), 'progressing'],
    [
      'DaemonSet: OnDelete',
      daemonSet({ observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 0, numberAvailable: 2 }, { updateStrategy: { type: 'OnDelete' } }),
      'ready',
    ],
    ['ReplicaSet', object('apps/v1', 'ReplicaSet', { replicas: 2 }, { availableReplicas: 2 }), 'ready'],
    ['ReplicaSet: not yet', object('apps/v1', 'ReplicaSet', { replicas: 2 }, {}), 'progressing'],
    ['Job: running', job([]), 'progressing'],
    ['Job: complete', job([condition('Complete', 'True')]), 'ready'],
    ['Job: success criteria', job([condition('SuccessCriteriaMet', 'True')]), 'ready'],
    ['Job: complete is false', job([condition('Complete', 'False')]), 'progressing'],
    ['Job: failed', job([condition('Failed', 'True', 'BackoffLimitExceeded', 'no luck')]), 'failed'],
    ['Job: suspended on purpose', job([], { suspend: true }), 'ready'],
    ['Pod: running and ready', pod({ phase: 'Running', conditions: [condition('Ready', 'True')] }), 'ready'],
    ['Pod: running and not ready', pod({ phase: 'Running', conditions: [condition('Ready', 'False')] }), 'progressing'],
    ['Pod: done', pod({ phase: 'Succeeded' }), 'ready'],
    ['Pod: failed', pod({ phase: 'Failed' }), 'failed'],
    ['Pod: nothing yet', pod(undefined), 'progressing'],
    ['CRD: established', object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', {}, { conditions: [condition('Established', 'True')] }), 'ready'],
    ['CRD: not yet', object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', {}, {}), 'progressing'],
    [
      'CRD: name is taken',
      object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', {}, { conditions: [condition('NamesAccepted', 'False', 'Conflict', 'taken')] }),
      'failed',
    ],
    ['Service', object('v1', 'Service', { type: 'ClusterIP' }, {}), 'ready'],
    ['Service: load balancer waits', object('v1', 'Service', { type: 'LoadBalancer' }, { loadBalancer: {} }), 'progressing'],
    ['Service: load balancer has an address', object('v1', 'Service', { type: 'LoadBalancer' }, { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } }), 'ready'],
    ['PVC: pending is fine, it may wait for its first pod', object('v1', 'PersistentVolumeClaim', {}, { phase: 'Pending' }), 'ready'],
    ['PVC: lost', object('v1', 'PersistentVolumeClaim', {}, { phase: 'Lost' }), 'failed'],
    ['Namespace', object('v1', 'Namespace', {}, { phase: 'Active' }), 'ready'],
    ['Namespace: on its way out', object('v1', 'Namespace', {}, { phase: 'Terminating' }), 'progressing'],
    ['ConfigMap: being there is being ready', object('v1', 'ConfigMap', undefined, undefined), 'ready'],
    ['custom: ready', object('example.org/v1', 'Thing', {}, { conditions: [condition('Ready', 'True')] }), 'ready'],
    ['custom: not ready', object('example.org/v1', 'Thing', {}, { conditions: [condition('Ready', 'Unknown')] }), 'progressing'],
    ['custom: available', object('example.org/v1', 'Thing', {}, { conditions: [condition('Available', 'False')] }), 'progressing'],
    [
      'custom: ready goes before available',
      object('example.org/v1', 'Thing', {}, { conditions: [condition('Available', 'False'), condition('Ready', 'True')] }),
      'ready',
    ],
    ['custom: stalled', object('example.org/v1', 'Thing', {}, { conditions: [condition('Stalled', 'True'), condition('Ready', 'True')] }), 'failed'],
    [
      'custom: old generation',
      object('example.org/v1', 'Thing', {}, { observedGeneration: 1, conditions: [condition('Ready', 'True')] }, { generation: 2 }),
      'progressing',
    ],
    ['a Deployment of somebody else is no Deployment', object('example.org/v1', 'Deployment', { replicas: 5 }, {}), 'ready'],
  ])('%s', (_, item, expected) => expect(state(item)).toBe(expected));

  test('messages say how far it is', () => {
    expect(says(deployment({ ...full, availableReplicas: 1 }))).toBe('1 of 3 pods available');
    expect(says(deployment({ ...full, replicas: 5 }))).toBe('2 old pods are going');
    expect(says(deployment({ conditions: [condition('Progressing', 'False', 'ProgressDeadlineExceeded')] }))).toBe('progress deadline exceeded');
    expect(says(job([condition('Failed', 'True', 'DeadlineExceeded')]))).toBe('DeadlineExceeded');
  });

  test('a pod says why it does not start', () => {
    const waiting = (reason: string, message?: string): KubeObject =>
      pod({ phase: 'Pending', containerStatuses: [{ name: 'web', state: { waiting: { reason, ...(message === undefined ? {} : { message }) } } }] });
    expect(podWaiting(waiting('ImagePullBackOff', 'no such image'))).toBe('container web: ImagePullBackOff (no such image)');
    expect(podWaiting(waiting('CrashLoopBackOff'))).toBe('container web: CrashLoopBackOff');
    expect(podWaiting(waiting('ContainerCreating'))).toBeUndefined();
    expect(podWaiting(pod({ conditions: [condition('PodScheduled', 'False', '', 'no node fits')] }))).toBe('not scheduled: no node fits');
    expect(podWaiting(pod({ initContainerStatuses: [{ name: 'init', state: { waiting: { reason: 'ErrImagePull' } } }], containerStatuses: [] }))).toBe(
      'container init: ErrImagePull',
    );
    expect(says(waiting('ImagePullBackOff', 'no such image'))).toContain('no such image');
  });

  test('no status, however strange, makes it throw', () => {
    const kinds = fc.constantFrom(
      ['apps/v1', 'Deployment'],
      ['apps/v1', 'StatefulSet'],
      ['apps/v1', 'DaemonSet'],
      ['batch/v1', 'Job'],
      ['v1', 'Pod'],
      ['v1', 'Service'],
      ['v1', 'PersistentVolumeClaim'],
      ['apiextensions.k8s.io/v1', 'CustomResourceDefinition'],
      ['example.org/v1', 'Thing'],
    );
    const odd = fc.oneof(
      fc.anything({ maxDepth: 3 }),
      fc.record({
        conditions: fc.anything({ maxDepth: 3 }),
        replicas: fc.anything(),
        containerStatuses: fc.anything({ maxDepth: 3 }),
        observedGeneration: fc.anything(),
        loadBalancer: fc.anything(),
        phase: fc.anything(),
      }),
    );
    fc.assert(
      fc.property(kinds, odd, odd, ([apiVersion, kind], spec, status) => {
        expect(['ready', 'progressing', 'failed']).toContain(state(object(apiVersion ?? '', kind ?? '', spec, status)));
      }),
      { numRuns: 1_000 },
    );
  });
});
