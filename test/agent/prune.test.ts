import { writes } from '@groundplane/agent/store/state';
import { digestBytes } from '@groundplane/protocol/digest';
import { expect, test } from 'vitest';
import { configMap, packLayer, startRig, type Rig } from './rig.ts';

const base = packLayer('base', [configMap('base', 'b')]);
const web = packLayer('web', [configMap('web', 'v1')]);

/** Makes the ConfigMap anew behind the agent's back, so that it is another incarnation than the one in the inventory. */
const anew = async (rig: Rig, manager: string): Promise<void> => {
  const { managedFields: _fields, uid: _uid, resourceVersion: _version, creationTimestamp: _created, ...metadata } = rig.live('ConfigMap', 'web')!.metadata;
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'web' };
  expect((await rig.cluster.delete(ref, { propagation: 'Background' })).ok).toBe(true);
  expect((await rig.cluster.apply({ ...configMap('web', 'v1'), metadata }, { fieldManager: manager, force: true })).ok).toBe(true);
};

/** The layer is installed, its object made anew by somebody, and at once the layer has to go. */
const removed = async (manager: string): Promise<Rig> => {
  const rig = startRig();
  rig.offer(1, [base, web]);
  await rig.clock.advance(10_000);
  expect(rig.phase()).toBe('converged');
  await anew(rig, manager);
  rig.offer(2, [base]);
  await rig.clock.advance(20_000);
  expect(rig.status()).toMatchObject({ phase: 'converged', committed: { generation: 2 } });
  return rig;
};

test('an object that we made anew and died before we noted it goes with its layer', async () => {
  const rig = await removed('groundplane');
  expect(rig.live('ConfigMap', 'web')).toBeUndefined();
  await rig.close();
});

test('a copy that somebody else made, with our labels, stays', async () => {
  const rig = await removed('kubectl');
  expect(rig.live('ConfigMap', 'web')).toBeDefined();
  expect(rig.reasons()).toContain('ObjectKept');
  await rig.close();
});

/** An agent that noted what it was about to make, and died before it noted that it had; then it is told of other layers. */
const begun = async (manager: string): Promise<Rig> => {
  const rig = startRig();
  rig.offer(1, [base]);
  await rig.clock.advance(10_000);
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'base', name: 'web' };
  const labels = { 'groundplane.dev/managed': 'true', 'groundplane.dev/layer': 'web' };
  await rig.cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'base' } }, { fieldManager: 'kubectl', force: true });
  const made = await rig.cluster.apply({ ...ref, metadata: { name: 'web', namespace: 'base', labels }, data: {} }, { fieldManager: manager, force: true });
  expect(made.ok).toBe(true);
  const digest = digestBytes('web');
  rig.store.commit([writes.object({ ref, layer: 'web', digest, adopted: false, keep: false, uid: '', fields: {}, projection: digest })]);
  rig.offer(2, [base, other]);
  await rig.clock.advance(60_000);
  expect(rig.status()).toMatchObject({ phase: 'converged', committed: { generation: 2 } });
  return rig;
};
const other = packLayer('other', [configMap('other', 'o')]);

test('an object that was made and never noted goes when nobody wants it any more', async () => {
  const rig = await begun('groundplane');
  expect(rig.live('ConfigMap', 'web')).toBeUndefined();
  await rig.close();
});

test('one of that name that somebody else made stays', async () => {
  const rig = await begun('kubectl');
  expect(rig.live('ConfigMap', 'web')).toBeDefined();
  await rig.close();
});
