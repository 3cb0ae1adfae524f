import { afterEach, expect, test } from 'vitest';
import { leavingThings } from '@groundplane/hub/resident/leaving';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { limits } from '@groundplane/protocol/limits';
import { answer, scriptedApi, type Script } from '../agent/cluster/scripted-api.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const served = [
  { name: 'namespaces', kind: 'Namespace', namespaced: false, verbs: ['get', 'list'] },
  { name: 'services', kind: 'Service', namespaced: true, verbs: ['get', 'list'] },
  { name: 'persistentvolumes', kind: 'PersistentVolume', namespaced: false, verbs: ['get', 'list'] },
];
const leavingOf = async (script: Script) => {
  const server = await scriptedApi(script, served);
  open.push(server);
  return { found: await leavingThings(server.connection(), { clock: systemClock, random: systemRandom }), asked: server.asked };
};
const going = { deletionTimestamp: '2026-04-01T00:00:00Z' };

test('load balancers, disks and namespaces that are on their way out are named, also those of a later page', async () => {
  const { found } = await leavingOf((asked, response) => {
    const isLater = asked.path.includes('continue');
    if (asked.path.includes('/namespaces?'))
      return answer(response, 200, { items: [{ metadata: { name: 'stays' } }, { metadata: { name: 'shop', ...going } }] });
    if (asked.path.includes('/services?') && !isLater) return answer(response, 200, { items: [{ metadata: { name: 'a', namespace: 'n', ...going }, spec: null }], metadata: { continue: 'x' } }); // prettier-ignore
    if (asked.path.includes('/services?'))
      return answer(response, 200, { items: [{ metadata: { name: 'b', namespace: 'n', ...going }, spec: { type: 'LoadBalancer' } }] });
    return answer(response, 200, { items: [{ metadata: { name: 'disk' }, spec: { persistentVolumeReclaimPolicy: 'Delete' }, status: { phase: 'Released' } }, { metadata: { name: 'kept' }, status: null }] }); // prettier-ignore
  });
  expect(found).toEqual({ ok: true, value: ['Namespace shop', 'Service n/b', 'PersistentVolume disk'] });
});

test('a server whose lists never end is left, and what was not looked at counts as leaving', async () => {
  const { found, asked } = await leavingOf((_asked, response, count) => answer(response, 200, { items: [], metadata: { continue: `p${count}` } }));
  expect(asked).toHaveLength(3 * limits.lookPages);
  expect(found).toEqual({
    ok: true,
    value: ['Namespace', 'Service', 'PersistentVolume'].map((kind) => `maybe more: there are more objects of kind ${kind} than are looked at`),
  });
});
