import type { HostEntry } from '@groundplane/hub/fleet/index';
import { createAdoption } from '@groundplane/hub/gateway/adopt';
import type { Assignment } from '@groundplane/hub/plan/assignments';
import type { Desired, Version } from '@groundplane/protocol/bundle';
import { expect, test } from 'vitest';

const version = (generation: number): Version => ({ epoch: 'e', generation, digest: `sha256:${'0'.repeat(64)}` });

test('a host that is ahead is told again all of what it was told', async () => {
  const told: Assignment[] = [];
  const adopt = async (fields: Partial<Desired>): Promise<void> => {
    const store = { get: async () => ({ value: { desired: fields, inputs: 'i' } }), commit: async () => ({ ok: true }) };
    const assigner = { assign: async (wanted: readonly Assignment[]) => (told.push(...wanted), []) };
    const host = { id: 'hst_1', tenant: 't', name: 'h', project: 'p', state: 'approved', desired: version(1) } as HostEntry;
    await createAdoption({ store, assigner, fleet: {}, clock: { wallMs: () => 0 } } as never)(host, version(7));
  };
  await adopt({ detached: true });
  await adopt({ inside: { mode: 'gone' } });
  expect(told).toMatchObject([{ detached: true }, { inside: { mode: 'gone' } }]);
});
