import { createLease } from '@groundplane/agent/cluster/lease';
import { endWithLease, isLastMemory } from '@groundplane/agent/inside/held';
import { expect, test } from 'vitest';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';

const start = async () => {
  const clock = virtualClock();
  const cluster = fakeCluster({ clock });
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } }, { fieldManager: 'test', force: true });
  const lease = (self: string) => createLease({ self: () => self, clock, cluster: () => cluster, onChange: () => undefined });
  return { clock, cluster, lease };
};

test('a pod that cannot renew its Lease ends before another one may begin', async () => {
  const { clock, lease } = await start();
  const one = lease('one');
  await one.check();
  const stop = new AbortController();
  const ended = endWithLease(one, clock, stop);
  await clock.advance(31_000);
  expect(stop.signal.aborted).toBe(false);
  await clock.advance(2_000);
  expect([stop.signal.aborted, await ended]).toEqual([true, true]);
  const told = new AbortController();
  await one.check();
  const other = endWithLease(one, clock, told);
  told.abort();
  await clock.advance(1_000);
  expect(await other).toBe(false);
});

test('whoever takes the Lease again keeps what it knows, unless somebody else had it in between', async () => {
  const { clock, lease } = await start();
  const [one, other] = [lease('one'), lease('other')];
  await one.check();
  const before = one.transitions();
  // It was away for a while and nobody took it: what it did last is only in its own memory.
  await clock.advance(60_000);
  expect(await one.check()).toBe(true);
  expect(isLastMemory(before, one.transitions())).toBe(true);
  // The pod after it on the same volume, which it left the Lease to.
  await one.release();
  expect(await other.check()).toBe(true);
  expect(isLastMemory(before, other.transitions())).toBe(true);
  // Another pod with a memory of its own acted in between, and let go properly.
  await other.release();
  expect(await one.check()).toBe(true);
  expect(isLastMemory(before, one.transitions())).toBe(false);
  expect(isLastMemory(undefined, 0)).toBe(false);
  expect(isLastMemory(0, undefined)).toBe(false);
});
