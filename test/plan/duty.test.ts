import { mayMakeLease, planDuty, type DutyFacts } from '@groundplane/protocol/plan/duty';
import type { HostFacts } from '@groundplane/protocol/plan/facts';
import { planHost } from '@groundplane/protocol/plan/host';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bundleOf, emptyWorld, factsOf, kubernetesLayer, layer, object, osLayer, unreachable as away } from './model.ts';

const facts = (change: Partial<DutyFacts> = {}): DutyFacts => ({
  self: 'a',
  lease: { hosts: ['a', 'b'], sinceMs: 1 },
  obstacle: undefined,
  isHeld: false,
  holder: undefined,
  isCleared: false,
  wasHolder: false,
  ...change,
});

describe('who applies where hosts share that', () => {
  test.each<[string, Partial<DutyFacts>, object]>([
    ['the holder', { isHeld: true, holder: 'a', wasHolder: true }, { duty: { state: 'holds' }, applier: true }],
    ['nobody else', { holder: 'b' }, { duty: { state: 'waits', why: 'host b holds the Lease and applies' }, applier: false }],
    ['not a host that cannot reach the API server', { obstacle: away }, { duty: { state: 'cannot', failure: away }, applier: false }],
    [
      'the last holder, as far as it knows: it is blocked, and takes nothing for done',
      { obstacle: away, wasHolder: true },
      { duty: { state: 'cannot' }, applier: true },
    ],
    ['not a host that is not named', { self: 'c' }, { duty: { state: 'waits' }, applier: false }],
  ])('%s', (_, change, decided) => expect(planDuty(facts(change))).toMatchObject(decided));

  test('the reason names what to do', () => {
    const why = (change: Partial<DutyFacts>): string => {
      const { duty } = planDuty(facts(change));
      return duty.state === 'waits' ? duty.why : '';
    };
    const lease = { hosts: ['a', 'b'], sinceMs: 1, from: 'b' };
    expect(why({ lease })).toContain('host b applied alone before');
    expect(why({ lease, self: 'b' })).toBe('the Lease is being taken over');
    expect(why({ lease, holder: 'b' })).toContain('host b holds the Lease');
    expect(why({ isCleared: true })).toContain('was cleared');
  });

  test('of hosts that see one holder at most one applies by its Lease', () => {
    const hosts = ['a', 'b', 'c'];
    const view = fc.record({ obstacle: fc.constantFrom(undefined, away), isCleared: fc.boolean() });
    fc.assert(
      fc.property(fc.constantFrom(undefined, ...hosts), fc.tuple(view, view, view), (holder, views) => {
        const decided = hosts.map((self, index) => planDuty(facts({ self, holder, isHeld: holder === self, lease: { hosts, sinceMs: 1 }, ...views[index] })));
        expect(decided.filter(({ duty }) => duty.state === 'holds').length).toBeLessThanOrEqual(1);
        for (const [index, { duty, applier }] of decided.entries()) expect(applier).toBe(duty.state === 'holds' && hosts[index] === holder);
      }),
    );
  });

  test('a Lease is made by anybody where nobody applied before, else by whoever did, and only after it has laid down what it owns', () => {
    const lease = { hosts: ['a', 'b'], sinceMs: 1 };
    expect([mayMakeLease(lease, 'a', false), mayMakeLease({ ...lease, from: 'b' }, 'a', true)]).toEqual([true, false]);
    expect([false, true].map((hasLaidDown) => mayMakeLease({ ...lease, from: 'a' }, 'a', hasLaidDown))).toEqual([false, true]);
  });
});

describe('what a host does that does not apply', () => {
  const bundle = bundleOf(osLayer('base', {}), kubernetesLayer(), layer('web', { objects: [object('ConfigMap shop/web')] }));
  const planned = (change: Partial<HostFacts>, applier: boolean) => {
    const seen = factsOf(emptyWorld(), bundle, { generation: 1, applier });
    return planHost({ ...seen, kubernetes: { state: 'unreachable', failure: away }, ...change });
  };

  test('without an API server it is done with its own machine, and nothing blocks it', () => {
    const plan = planned({ duty: { state: 'cannot', failure: away } }, false);
    expect(plan.blocked).toEqual([]);
    expect(plan.steps.at(-1)).toMatchObject({ step: 'commit' });
    expect(plan.steps.some((step) => 'layer' in step && step.layer === 'web')).toBe(false);
  });
  test('a host that held the Lease is blocked, and does not take the generation as good', () => {
    const plan = planned({ duty: { state: 'cannot', failure: away } }, true);
    expect(plan.blocked.map((item) => item.layer)).toContain('web');
    expect(plan.steps.some((step) => step.step === 'commit')).toBe(false);
  });
  test('where nobody shares anything, it is as it was', () => {
    expect(planned({}, false).blocked.map((item) => item.layer)).toEqual(['k8s']);
  });
});
