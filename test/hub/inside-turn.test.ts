import { insideTeardown, insideTurn } from '@groundplane/hub/cloud/inside-turn';
import { freshInfrastructure, scopeOf, type CloudDeps, type Turn } from '@groundplane/hub/cloud/turn';
import type { Row } from '@groundplane/hub/port/store';
import { residentPool } from '@groundplane/hub/resident/ensure';
import { infrastructureSchema } from '@groundplane/protocol/environment/infrastructure';
import { expect, test } from 'vitest';

const spec = infrastructureSchema.parse({ environment: 'existing', placement: { agent: 'inside', mode: 'full' } });

/** A cluster whose agent is in this state and was never told to go. */
const world = (state: 'lobby' | 'approved' | 'revoked') => {
  const row = { kind: 'cluster', tenant: 't', project: 'p', id: 'clu_1', name: 'theirs', value: { deleting: true } } as Row<'cluster'>;
  const host = { id: 'hst_1', tenant: 't', name: 'theirs-agent', state, online: false, cluster: undefined, desired: undefined };
  const fleet = { specOf: () => ({ hosts: [] }), hostByName: () => undefined, hostOfMachine: () => host };
  const deps = { fleet, store: { get: async () => undefined, commit: async () => ({ ok: true }) }, clock: { wallMs: () => 0 } } as unknown as CloudDeps;
  const turn: Turn = { deps, row, spec, infra: freshInfrastructure(spec), scope: scopeOf(row, spec), nowMs: 0 };
  const machine = { id: 'mch_1', tenant: 't', name: 'theirs-agent', value: { pool: residentPool, phase: 'made', ticket: 'tic_1' } } as Row<'machine'>;
  return { turn, rows: [machine] };
};

test('an agent that nobody can tell anything holds up no deletion; one that can be told is told first', async () => {
  const [revoked, lobby, approved] = [world('revoked'), world('lobby'), world('approved')];
  expect(await insideTeardown(revoked.turn, revoked.rows)).toBeUndefined();
  expect(await insideTeardown(lobby.turn, lobby.rows)).toBeUndefined();
  expect(await insideTeardown(approved.turn, approved.rows)).toBeGreaterThan(0);
});

test('an agent that is not let in is no cluster that is done', async () => {
  const said = async (state: 'lobby' | 'approved' | 'revoked'): Promise<string> => {
    const { turn, rows } = world(state);
    await insideTurn(turn, rows);
    const step = turn.infra.steps.find((item) => item.name === 'control-plane');
    return `${step?.state}: ${step?.message}`;
  };
  expect(await said('lobby')).toBe('waiting: its agent theirs-agent waits in the lobby: gp approve theirs-agent');
  expect(await said('revoked')).toContain('kubectl delete secret -n groundplane-agent groundplane-agent-key');
  expect(await said('approved')).toContain('doing');
});
