import { expect, test } from 'vitest';
import { digestOf } from '@groundplane/protocol/digest';
import { configMap, deployment, desiredOf, osLayer, packLayer, startRig } from './rig.ts';

const layers = [osLayer('base', { '/etc/motd': 'hello' }), packLayer('web', [configMap('web', 'v1'), deployment('web')])];

/** A desired state without a cluster, as the hub writes it for a host that leaves one. */
const goodbye = (generation: number, detached: boolean) => {
  const record = desiredOf(generation, undefined);
  const desired = detached ? { ...record.desired, detached: true } : record.desired;
  return { ...record, desired, version: { ...record.version, digest: digestOf(desired) } };
};

test('a host that leaves a cluster which goes on gives back its own machine and leaves Kubernetes alone', async () => {
  const rig = startRig();
  rig.offer(1, layers);
  await rig.clock.advance(10_000);
  expect(rig.phase()).toBe('converged');
  rig.engine.offer(goodbye(2, true), {}, undefined);
  await rig.clock.advance(10_000);
  expect(rig.live('Deployment', 'web')).toBeDefined();
  expect(rig.live('ConfigMap', 'web')).toBeDefined();
  expect(rig.host.state.files['/etc/motd']).toBeUndefined();
  expect(rig.status()).toMatchObject({ phase: 'converged', committed: { generation: 2 } });
  expect(rig.store.keys('objects')).toEqual([]);
  // It owns nothing any more, so that going away for good does not take anything along either.
  rig.engine.offer(goodbye(3, false), {}, undefined);
  await rig.clock.advance(10_000);
  expect(rig.live('Deployment', 'web')).toBeDefined();
  await rig.close();
});

test('the last host of a cluster takes everything away', async () => {
  const rig = startRig();
  rig.offer(1, layers);
  await rig.clock.advance(10_000);
  rig.engine.offer(goodbye(2, false), {}, undefined);
  await rig.clock.advance(10_000);
  expect(rig.live('Deployment', 'web')).toBeUndefined();
  expect(rig.phase()).toBe('converged');
  await rig.close();
});
