import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clusterState, clusterStates, type ClusterFacts } from '@groundplane/protocol/cluster-state';
import { digestBytes } from '@groundplane/protocol/digest';
import { hostPhases, hostStatusSchema, layerStates, type HostPhase, type HostStatus } from '@groundplane/protocol/observed';

const phases = Object.keys(hostPhases) as HostPhase[];
const status = (phase: HostPhase, generation: number | undefined, fields: Partial<HostStatus> = {}): HostStatus => ({
  phase,
  layers: [],
  kubernetes: { state: 'unknown' },
  ...(generation === undefined ? {} : { version: { epoch: 'e', generation, digest: digestBytes('d') } }),
  ...fields,
});
const facts = (hosts: readonly { generation: number; status: HostStatus | undefined }[], fields: Partial<ClusterFacts> = {}): ClusterFacts => ({
  deleting: false,
  failure: undefined,
  hosts: hosts.map((host) => ({ desired: { epoch: 'e', generation: host.generation, digest: digestBytes('d') }, status: host.status })),
  ...fields,
});
const failure = { kind: 'fatal' as const, code: 'c', element: 'layer web', message: 'image not found' };

describe('state of a cluster', () => {
  test('without hosts it says where to look: at the lobby, or at what is being made', () => {
    expect(clusterState(facts([])).message).toBe(clusterStates.waiting);
    expect(clusterState(facts([], { isMade: true }))).toEqual({ state: 'waiting', message: expect.stringContaining('gp cloud show') });
  });

  test.each<[string, ClusterFacts, string]>([
    ['no host', facts([]), 'waiting'],
    ['nobody reported', facts([{ generation: 1, status: undefined }]), 'applying'],
    ['one converged', facts([{ generation: 1, status: status('converged', 1) }]), 'ready'],
    [
      'one of two reported',
      facts([
        { generation: 1, status: status('converged', 1) },
        { generation: 1, status: undefined },
      ]),
      'applying',
    ],
    [
      'each at its own generation',
      facts([
        { generation: 7, status: status('converged', 7) },
        { generation: 2, status: status('converged', 2) },
      ]),
      'ready',
    ],
    [
      'one degraded',
      facts([
        { generation: 1, status: status('converged', 1) },
        { generation: 1, status: status('degraded', 1) },
      ]),
      'degraded',
    ],
    [
      'failed beats degraded',
      facts([
        { generation: 1, status: status('degraded', 1) },
        { generation: 1, status: status('rolled-back', 1) },
      ]),
      'failed',
    ],
    [
      'blocked beats applying',
      facts([
        { generation: 1, status: status('applying', 1) },
        { generation: 1, status: status('blocked', 1) },
      ]),
      'blocked',
    ],
    ['does not resolve', facts([{ generation: 1, status: status('converged', 1) }], { failure: { message: 'no such variable' } }), 'unresolved'],
    ['is being deleted', facts([{ generation: 1, status: status('converged', 1) }], { deleting: true, failure: { message: 'x' } }), 'deleting'],
  ])('%s', (_, given, state) => expect(clusterState(given).state).toBe(state));

  test('a report about any other generation counts for nothing, good or bad', () => {
    for (const phase of phases) {
      for (const spoken of [0, 1, 2, 4, 400, undefined])
        expect(clusterState(facts([{ generation: 3, status: status(phase, spoken, { failure }) }])).state).toBe('applying');
    }
  });

  test('the number alone is not enough: digest and epoch must be those of the desired state', () => {
    const version = { epoch: 'e', generation: 3, digest: digestBytes('d') };
    for (const other of [
      { ...version, digest: digestBytes('x') },
      { ...version, epoch: 'f' },
    ])
      expect(clusterState(facts([{ generation: 3, status: status('converged', 3, { version: other }) }])).state).toBe('applying');
    expect(clusterState({ deleting: false, failure: undefined, hosts: [{ desired: undefined, status: status('converged', undefined) }] }).state).toBe(
      'applying',
    );
  });

  test('it is ready only when every host says so about the generation it should be at', () => {
    const host = fc.record({
      generation: fc.integer({ min: 1, max: 3 }),
      phase: fc.constantFrom(...phases),
      spoken: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      silent: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(host, { minLength: 1, maxLength: 5 }), (list) => {
        const judged = clusterState(
          facts(list.map((item) => ({ generation: item.generation, status: item.silent ? undefined : status(item.phase, item.spoken) }))),
        );
        expect(judged.state === 'ready').toBe(list.every((item) => !item.silent && item.spoken === item.generation && item.phase === 'converged'));
        expect(Object.keys(clusterStates)).toContain(judged.state);
        expect(judged.message).not.toBe('');
      }),
      { numRuns: 1_000 },
    );
  });

  test("the message is the host's own reason: poison, failure, then the first layer that is not ready", () => {
    const layer = {
      name: 'web',
      kind: 'addon' as const,
      pack: { name: 'p', version: '1' },
      digest: '',
      state: 'degraded' as const,
      message: '0 of 1 pods available',
      objects: { total: 1, ready: 0 },
      drift: { healed: 0 },
    };
    const said = (fields: Partial<HostStatus>, phase: HostPhase = 'degraded'): string =>
      clusterState(facts([{ generation: 1, status: status(phase, 1, fields) }])).message;
    expect(said({ layers: [layer] })).toBe('0 of 1 pods available');
    expect(said({ layers: [layer], failure })).toBe('image not found');
    expect(
      said(
        { failure, poisoned: { version: { epoch: 'e', generation: 1, digest: digestBytes('d') }, failure: { ...failure, message: 'poison' } } },
        'rolled-back',
      ),
    ).toBe('poison');
    expect(said({})).toBe(clusterStates.degraded);
    expect(said({ failure }, 'converged')).toBe(clusterStates.ready);
  });

  test('every state is one sentence', () => {
    for (const table of [clusterStates, hostPhases, layerStates]) for (const [name, text] of Object.entries(table)) expect(text, name).toMatch(/^[A-Z].*\.$/);
  });

  test('the phases of the protocol are the phases of the schema', () => {
    for (const phase of phases) expect(hostStatusSchema.safeParse(status(phase, 1)).success).toBe(true);
    expect(hostStatusSchema.safeParse({ ...status('idle', 1), phase: 'fine' }).success).toBe(false);
  });
});
