import { insideTeardown, insideTurn } from '@groundplane/hub/cloud/inside-turn';
import { freshInfrastructure, scopeOf, type CloudDeps, type Turn } from '@groundplane/hub/cloud/turn';
import type { Row } from '@groundplane/hub/port/store';
import { residentPool } from '@groundplane/hub/resident/ensure';
import { infrastructureSchema } from '@groundplane/protocol/environment/infrastructure';
import { currentMark } from '@groundplane/hub/inside/mark';
import { insideMark } from '@groundplane/protocol/inside/manifest';
import { expect, test } from 'vitest';

const spec = infrastructureSchema.parse({ environment: 'existing', placement: { agent: 'inside', mode: 'full' } });

/** A cluster whose agent is in this state and was never told to go. */
const world = (state: 'lobby' | 'approved' | 'revoked', { manifest, hasLooked = false }: { manifest?: string; hasLooked?: boolean } = {}) => {
  const row = { kind: 'cluster', tenant: 't', project: 'p', id: 'clu_1', name: 'theirs', value: { deleting: true } } as Row<'cluster'>;
  const host = { id: 'hst_1', tenant: 't', name: 'theirs-agent', state, online: false, cluster: undefined, desired: undefined };
  const fleet = { specOf: () => ({ hosts: [] }), hostByName: () => undefined, hostOfMachine: () => host };
  const seen = { version: '1.37.2', nodes: 3, nodesReady: 3, workloads: 7, mode: 'full', ...(manifest === undefined ? {} : { manifest }) };
  const told: string[] = [];
  const store = {
    get: async (kind: string) => (kind === 'host' && hasLooked ? { value: { info: { inside: seen } } } : undefined),
    commit: async (writes: { event?: { reason: string } }[]) => (told.push(...writes.flatMap((write) => write.event?.reason ?? [])), { ok: true }),
  };
  const deps = { fleet, store, clock: { wallMs: () => 0 } } as unknown as CloudDeps;
  const turn: Turn = { deps, row, spec, infra: freshInfrastructure(spec), scope: scopeOf(row, spec), nowMs: 0 };
  const machine = { id: 'mch_1', tenant: 't', name: 'theirs-agent', value: { pool: residentPool, phase: 'made', ticket: 'tic_1' } } as Row<'machine'>;
  return { turn, rows: [machine], told };
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

test('a manifest of another release is told once, with what to run, until it was applied; an agent that does not tell is left alone', async () => {
  const notice = async (manifest?: string) => {
    const { turn, rows, told } = world('approved', { hasLooked: true, ...(manifest === undefined ? {} : { manifest }) });
    await insideTurn(turn, rows);
    await insideTurn(turn, rows);
    return { told, notice: turn.infra.manifestNotice, turn, rows };
  };
  expect(await notice(currentMark)).toMatchObject({ told: [], notice: undefined });
  expect(await notice()).toMatchObject({ told: [], notice: undefined });
  for (const older of ['', insideMark('another program')])
    expect(await notice(older)).toMatchObject({ told: ['ManifestOlder'], notice: expect.stringContaining('gp cloud import theirs --mode full') });
  const { turn } = await notice('');
  const after = world('approved', { hasLooked: true, manifest: currentMark });
  await insideTurn({ ...after.turn, infra: turn.infra }, after.rows);
  expect(turn.infra.manifestNotice).toBeUndefined();
});
