import { expect, test } from 'vitest';
import type { ClusterLayerView } from '@groundplane/protocol/api/views';
import { onReturn, returnText } from '@groundplane/hub/dashboard/src/model/on-return';

const layer = (name: string, desired: string | undefined, observed: string | undefined, state: 'ready' | 'degraded' = 'ready'): ClusterLayerView => ({
  name,
  kind: 'addon',
  isCurrent: false,
  ...(desired === undefined ? {} : { desired: { pack: { name, version: desired }, digest: `d-${desired}` } }),
  ...(observed === undefined
    ? {}
    : {
        observed: {
          name,
          kind: 'addon',
          pack: { name, version: observed },
          digest: observed === '' ? '' : `d-${observed}`,
          state,
          objects: { total: 1, ready: 1 },
          drift: { healed: 0 },
        },
      }),
});

test('a host that is away has its next steps told: what goes comes last, what is as desired is left out', () => {
  const steps = onReturn([
    layer('gone', undefined, '1.0.0'),
    layer('same', '1.0.0', '1.0.0'),
    layer('new', '2.0.0', undefined),
    layer('up', '2.0.0', '1.0.0'),
    layer('ill', '1.0.0', '1.0.0', 'degraded'),
    layer('pending', '3.0.0', ''),
  ]);
  expect(steps.map(returnText)).toEqual([
    'install new 2.0.0',
    'upgrade up from 1.0.0 to 2.0.0',
    'bring ill back to ready',
    'install pending 3.0.0',
    'remove gone',
  ]);
  expect(returnText({ action: 'upgrade', layer: 'x', from: '1', to: '1' })).toBe('upgrade x to new content of 1');
});
