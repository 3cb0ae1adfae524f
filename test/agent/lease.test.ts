import { createLease, leaseRef } from '@groundplane/agent/cluster/lease';
import type { Cluster } from '@groundplane/agent/port/cluster';
import { expect, test } from 'vitest';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';

const start = async () => {
  const clock = virtualClock();
  const cluster = fakeCluster({ clock });
  await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } }, { fieldManager: 'test', force: true });
  const asked: string[] = [];
  const counted: Cluster = {
    ...cluster,
    get: (ref) => (asked.push('get'), cluster.get(ref)),
    create: (object) => (asked.push('create'), cluster.create(object)),
    replace: (object) => (asked.push('replace'), cluster.replace(object)),
  };
  const lease = (self: string) => createLease({ self: () => self, clock, cluster: () => counted, onChange: () => undefined });
  return { clock, cluster, asked, lease };
};

test('a holder renews with one request, and is told when somebody else has written', async () => {
  const { clock, cluster, asked, lease } = await start();
  const [one, other] = [lease('one'), lease('other')];
  expect(await one.check()).toBe(true);
  asked.length = 0;
  await clock.advance(10_000);
  expect(await one.check()).toBe(true);
  expect(asked).toEqual(['replace']);
  expect(await other.check()).toBe(false);
  // Another one takes it while the holder is silent for too long.
  await clock.advance(41_000);
  expect(await other.check()).toBe(true);
  expect(other.takenFrom()).toBe('one');
  expect(await one.check()).toBe(false);
  expect(one.isElsewhere()).toBe(true);
  const held = await cluster.get(leaseRef);
  expect(held.ok && (held.value['spec'] as { holderIdentity: string }).holderIdentity).toBe('other');
});

test('a Lease that somebody deleted or touched under the holder is taken anew', async () => {
  const { clock, cluster, lease } = await start();
  const one = lease('one');
  await one.check();
  await cluster.apply(
    { ...leaseRef, metadata: { name: leaseRef.name, namespace: leaseRef.namespace, labels: { touched: 'yes' } } },
    { fieldManager: 'p', force: true },
  );
  await clock.advance(10_000);
  expect(await one.check()).toBe(true);
  await cluster.delete(leaseRef, { propagation: 'Background' });
  await clock.advance(10_000);
  expect(await one.check()).toBe(true);
  expect((await cluster.get(leaseRef)).ok).toBe(true);
});

test('who lets go leaves it to the next one at once; who cannot renew knows it before the time is over', async () => {
  const { clock, lease } = await start();
  const [one, other] = [lease('one'), lease('other')];
  await one.check();
  expect(await other.check()).toBe(false);
  await one.release();
  expect([one.isHeld(), await other.check()]).toEqual([false, true]);
  // Nobody was silent, so there is nothing to be learnt from somebody who is gone.
  expect(other.takenFrom()).toBeUndefined();
  await clock.advance(31_000);
  expect([other.isHeld(8_000), other.isHeld(10_000)]).toEqual([true, false]);
  // Late, and of somebody else's: nothing happens.
  await one.release();
  expect(other.isHeld()).toBe(true);
});
