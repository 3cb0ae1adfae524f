import { expect, test } from 'vitest';
import { seenWords } from '@groundplane/hub/plan/seen-words';

test('what was seen of a cluster, and what of it is only a lower bound', () => {
  const seen = { version: 'v1.34.1', nodes: 3, nodesReady: 2, workloads: 40 };
  expect(seenWords(seen)).toBe('Kubernetes v1.34.1, 2 of 3 nodes ready, 40 workloads');
  expect(seenWords({ ...seen, more: ['nodes', 'workloads'] })).toBe('Kubernetes v1.34.1, at least 2 ready of at least 3 nodes, at least 40 workloads');
  expect(seenWords({ ...seen, more: ['workloads'] })).toBe('Kubernetes v1.34.1, 2 of 3 nodes ready, at least 40 workloads');
});
