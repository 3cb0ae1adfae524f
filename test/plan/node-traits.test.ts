import { isKubeletLabel, traitsToSet, type NodeTraits, type TraitsNow } from '@groundplane/protocol/distribution/node-traits';
import { joinConfig } from '@groundplane/protocol/distribution/kubeadm-config';
import { expect, test } from 'vitest';

const taint = (key: string, effect = 'NoSchedule', value?: string) => ({ key, effect, ...(value === undefined ? {} : { value }) });
const bare: NodeTraits = { labels: {}, taints: [] };
const now = (fields: Partial<TraitsNow>): TraitsNow => ({ ...bare, given: undefined, ...fields });

test('nothing wanted and nothing noted: nothing to do, whatever others put there', () => {
  expect(traitsToSet(now({ labels: { a: '1' }, taints: [taint('node.kubernetes.io/not-ready', 'NoExecute')] }), bare)).toBeUndefined();
});

test('ours are added, those of others stay', () => {
  const set = traitsToSet(now({ labels: { theirs: 'x' }, taints: [taint('theirs')] }), { labels: { tier: 'web' }, taints: [taint('gpu', 'NoExecute', 'yes')] });
  expect(set).toEqual({
    labels: { theirs: 'x', tier: 'web' },
    taints: [taint('theirs'), taint('gpu', 'NoExecute', 'yes')],
    given: { labels: ['tier'], taints: ['gpu:NoExecute'] },
  });
});

test('what is wanted no more goes, and only that', () => {
  const given = { labels: ['tier', 'old'], taints: ['gpu:NoSchedule', 'gpu:NoExecute'] };
  const state = now({ labels: { tier: 'web', old: '1', theirs: 'x' }, taints: [taint('gpu'), taint('gpu', 'NoExecute'), taint('theirs')], given });
  expect(traitsToSet(state, { labels: { tier: 'web' }, taints: [taint('gpu')] })).toEqual({
    labels: { tier: 'web', theirs: 'x' },
    taints: [taint('theirs'), taint('gpu')],
    given: { labels: ['tier'], taints: ['gpu:NoSchedule'] },
  });
});

test.each([
  ['a label that somebody changed', { labels: { tier: 'db' } }],
  ['a taint that somebody took away', { taints: [] }],
  ['a taint with another value', { taints: [taint('gpu', 'NoSchedule', 'no')] }],
])('%s is put right', (_, drift) => {
  const want = { labels: { tier: 'web' }, taints: [taint('gpu')] };
  const good = now({ ...want, given: { labels: ['tier'], taints: ['gpu:NoSchedule'] } });
  expect(traitsToSet(good, want)).toBeUndefined();
  expect(traitsToSet({ ...good, ...drift }, want)).toMatchObject({ ...want });
});

test('the order of lines and an empty value make no difference', () => {
  const given = { labels: ['b', 'a'], taints: ['y:NoSchedule', 'x:NoSchedule'] };
  const want = { labels: { a: '', b: '' }, taints: [taint('y', 'NoSchedule', ''), taint('x')] };
  expect(traitsToSet(now({ labels: { b: '', a: '' }, taints: [taint('x'), taint('y')], given }), want)).toBeUndefined();
});

// Kubernetes' own rule: kubelet --node-labels, and NodeRestriction.
test.each([
  ['tier', true],
  ['example.com/tier', true],
  ['node.kubernetes.io/instance-type', true],
  ['kubelet.kubernetes.io/x', true],
  ['topology.kubernetes.io/zone', true],
  ['kubernetes.io/hostname', true],
  ['kubernetes.io/role', false],
  ['node-role.kubernetes.io/worker', false],
  ['node-restriction.kubernetes.io/x', false],
  ['topology.kubernetes.io/rack', false],
  ['x.k8s.io/y', false],
  ['notkubernetes.io/y', true],
])('a kubelet may give itself %s: %s', (label, expected) => {
  expect(isKubeletLabel(label)).toBe(expected);
});

test('a label that a kubelet may not give itself does not keep it from joining', () => {
  const identity = {
    name: 'w1',
    address: '10.0.0.7',
    endpoint: 'api',
    endpointPort: 6443,
    alsoKnownAs: [],
    labels: { 'node-role.kubernetes.io/worker': '', tier: 'web' },
    taints: [],
    taintControlPlane: false,
  };
  const config = joinConfig(identity, 'worker', { token: 'a.b', caHashes: ['sha256:00'] });
  expect(config).toContain('tier=web');
  expect(config).not.toContain('node-role');
});
