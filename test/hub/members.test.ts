import { clusterSpecSchema, type ClusterSpec } from '@groundplane/protocol/profile';
import { memberProblem, planMembers } from '@groundplane/hub/plan/members';
import type { HostEntry } from '@groundplane/hub/fleet/index';
import { describe, expect, test } from 'vitest';

const spec = (hosts: string[], more: object = {}): ClusterSpec => clusterSpecSchema.parse({ profiles: [{ name: 'p', version: '1.0.0' }], hosts, ...more });
const worker = (...names: string[]) => ({ hostSettings: Object.fromEntries(names.map((name) => [name, { role: 'worker' }])) });
const sharing = { wasShared: false, nowMs: 1 };
const host = (name: string, node?: 'none' | 'waiting' | 'joined') => ({ id: `hos_${name}`, name, node }) as HostEntry;

describe('who makes the cluster', () => {
  const founderOf = (hosts: HostEntry[], told: string[] = [], more: object = {}): string | undefined =>
    planMembers(
      {
        id: 'c',
        name: 'site',
        spec: spec(
          hosts.map((item) => item.name),
          more,
        ),
      },
      hosts,
      true,
      new Set(told.map((name) => `hos_${name}`)),
      sharing,
    ).find((part) => part.cluster.site?.founder)?.host;

  test('the first control plane', () => expect(founderOf([host('w'), host('a'), host('b')], [], worker('w'))).toBe('hos_a'));
  test('the one that was told so, also when another one comes first now', () => expect(founderOf([host('b'), host('a')], ['a'])).toBe('hos_a'));
  test('the one that has done it', () => expect(founderOf([host('b'), host('a', 'joined')])).toBe('hos_a'));
  test('nobody any more, once another one has joined: a machine that was replaced must not make a second cluster', () => {
    expect(founderOf([host('a', 'waiting'), host('b', 'joined')], ['a'])).toBeUndefined();
  });
});

test('the API server is found by a name of the cluster, unless somebody gave an address', () => {
  const [part] = planMembers({ id: 'c', name: 'site', spec: spec(['a']) }, [host('a')], true, new Set(), sharing);
  expect(part?.cluster.site?.endpoint).toEqual({ kind: 'managed', host: 'api.site.groundplane.internal', port: 6443 });
  const given = spec(['a'], { endpoint: { kind: 'vip', host: '10.0.0.9' } });
  expect(planMembers({ id: 'c', name: 'site', spec: given }, [host('a')], true, new Set(), sharing)[0]?.cluster.site?.endpoint).toEqual({
    kind: 'vip',
    host: '10.0.0.9',
    port: 6443,
  });
});

test('of hosts whose agents know no Lease the first one applies', () => {
  const parts = planMembers({ id: 'c', name: 'site', spec: spec(['a', 'b']) }, [host('a'), host('b')], false, new Set(), sharing);
  expect(parts.map((part) => part.cluster)).toEqual([
    { id: 'c', name: 'site', role: 'control-plane', applier: true },
    { id: 'c', name: 'site', role: 'control-plane', applier: false },
  ]);
});

describe('what would harm a cluster is refused with the reason', () => {
  const before = spec(['a', 'b', 'c'], worker('c'));
  const change = (next: ClusterSpec, joined: string[] = ['a', 'c']) => memberProblem({ spec: next, before, isManaged: true, joined: new Set(joined) });
  test.each([
    ['settings of a stranger', spec(['a'], worker('x')), /names x/],
    ['workers only', spec(['a'], worker('a')), /all its hosts are workers/],
    ['another role', spec(['a', 'b', 'c']), /host c cannot change its role/],
    ['no control plane of today stays', spec(['b', 'c'], worker('c')), /its control planes are a, and none/],
    ['another endpoint', spec(['a', 'b', 'c'], { ...worker('c'), endpoint: { kind: 'external', host: 'lb' } }), /cannot change once/],
  ])('%s', (_, next, words) => expect(change(next)).toMatch(words));
  test('the same, more hosts, fewer hosts, and nobody at all are fine', () => {
    for (const next of [before, spec(['a', 'b', 'c', 'd'], worker('c', 'd')), spec(['a']), spec([])]) expect(change(next)).toBeUndefined();
    expect(change(spec(['b']), [])).toBeUndefined();
  });
  test('an endpoint means nothing for a Kubernetes that is there', () => {
    expect(
      memberProblem({ spec: spec(['a'], { endpoint: { kind: 'vip', host: '10.0.0.9' } }), before: undefined, isManaged: false, joined: new Set() }),
    ).toMatch(/agents bring up/);
  });
});
