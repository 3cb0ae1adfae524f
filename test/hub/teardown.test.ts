import { expect, test } from 'vitest';
import { teardown } from '@groundplane/hub/cloud/teardown';
import { freshInfrastructure, scopeOf, type CloudDeps, type Turn } from '@groundplane/hub/cloud/turn';
import { ready, type ManagedClusterProvider } from '@groundplane/hub/port/provider';
import type { Row } from '@groundplane/hub/port/store';
import { infrastructureSchema } from '@groundplane/protocol/environment/infrastructure';

const minuteMs = 60_000;
const spec = infrastructureSchema.parse({ environment: 'eks', account: 'a', placement: { region: 'r' }, pools: [] });

/** A cluster whose layers are off already, and what its cloud was asked for. */
const world = (forced = false) => {
  const row = { kind: 'cluster', tenant: 't', project: 'p', id: 'clu_1', name: 'shop', value: { forced } } as Row<'cluster'>;
  const asked: string[] = [];
  const fleet = { specOf: () => ({ hosts: [] }), hostByName: () => undefined, hostOfMachine: () => undefined };
  const deps = { fleet, store: { commit: async () => ({ ok: true }) }, clock: { wallMs: () => 0 } } as unknown as CloudDeps;
  const turn: Turn = { deps, row, spec, infra: freshInfrastructure(spec), scope: scopeOf(row, spec), nowMs: 0 };
  const provider = { ensureNothingLeft: async () => (asked.push('deleted'), ready(undefined)) } as unknown as ManagedClusterProvider;
  const at = async (minutes: number, left: string[]): Promise<string> => {
    turn.nowMs = minutes * minuteMs;
    await teardown(turn, provider, [], async () => (asked.push('looked'), left));
    const step = turn.infra.steps.find((item) => item.name === 'layers');
    return `${step?.state}: ${step?.message}`;
  };
  return { at, asked };
};

test('a cluster waits for what it gives back to its cloud, and goes when that is done', async () => {
  const { at, asked } = world();
  const things = Array.from({ length: 7 }, (_unused, index) => `Service a/${index}`);
  expect(await at(0, things)).toBe('doing: give back to the cloud: Service a/0, Service a/1, Service a/2, Service a/3, Service a/4, and 2 more');
  expect(await at(29, ['Service a/0'])).toBe('doing: give back to the cloud: Service a/0');
  expect(await at(29.5, [])).toBe('done: are gone');
  expect(asked).toEqual(['looked', 'looked', 'looked', 'deleted']);
});

test('it does not wait for ever, nor by force, nor again once they are gone', async () => {
  const { at, asked } = world();
  await at(0, ['Service a/0']);
  expect(await at(30, ['Service a/0'])).toContain('doing');
  expect(await at(30.1, ['Service a/0'])).toBe('done: are not waited for any longer: give back to the cloud: Service a/0');
  await at(31, ['Service a/0']);
  expect(asked).toEqual(['looked', 'looked', 'deleted', 'deleted']);
  const forced = world(true);
  await forced.at(0, ['Service a/0']);
  expect(forced.asked).toEqual(['deleted']);
});
