import { describe, expect, test } from 'vitest';
import type { JoinSecrets } from '@groundplane/protocol/distribution/kubeadm-config';
import { managedKubernetesSchema } from '@groundplane/protocol/distribution/spec';
import type { Distribution, DistributionSetup, KeptFile, MachineState } from '@groundplane/agent/port/distribution';
import type { VirtualClock } from '../fake/clock.ts';
import { bad, good } from './cluster-objects.ts';

/** One machine with the distribution's programs on it. Machines of one site know one cluster. */
export interface DistributionUnderTest {
  driver: Distribution;
  clock: VirtualClock;
  files: Map<string, string>;
  /** The power goes at this step (a command, a file) from now on, before or after its effect; a call that is in it throws. */
  cutAt(step: number, when: 'before' | 'after'): void;
  /** It comes back; steps since `cutAt`. */
  powerOn(): number;
  removeProgram(): void;
  /** Its services end by themselves. */
  stopServices(): void;
  /** The next drain meets a pod that may not go. */
  holdPods(words: string): void;
}

export interface SiteUnderTest {
  version: string;
  /** Something that its programs write and nobody else, and something that is renewed. */
  exact: string;
  valid: string;
  /** Paths that may stay after a wipe: programs, and what other layers own. */
  mayStay: RegExp;
  machine(name: string, role: DistributionSetup['role']): DistributionUnderTest;
}

const yearMs = 365 * 86_400_000;

const setupOf = (distribution: string, version: string, name: string, role: DistributionSetup['role'], config: object = {}): DistributionSetup => ({
  spec: managedKubernetesSchema.parse({ distribution, version, config }),
  cluster: 'site',
  role,
  identity: {
    name,
    address: '10.0.0.7',
    endpoint: 'api.site.groundplane.internal',
    endpointPort: 6443,
    alsoKnownAs: ['10.0.0.7'],
    labels: {},
    taints: [],
    taintControlPlane: false,
  },
});

/** A call that may be cut: undefined when it was. Drivers wait by the clock, so time goes on beside it. */
const lives = async <T>(machine: DistributionUnderTest, call: () => Promise<T>): Promise<T | undefined> => {
  const running = call().catch((error: unknown) => {
    if (error instanceof Error && error.message === 'power cut') return undefined;
    throw error;
  });
  await machine.clock.advance(30_000);
  return running;
};

/** What every Distribution has to do, on a machine whose programs do as they are documented. */
export const distributionConformance = (name: 'kubeadm' | 'k3s' | 'rke2', makeSite: () => SiteUnderTest): void => {
  describe(`Distribution: ${name}`, () => {
    const begin = (role: DistributionSetup['role'] = 'control-plane') => {
      const site = makeSite();
      const machine = site.machine('one', role);
      return { site, machine, setup: setupOf(name, site.version, 'one', role) };
    };
    const run = async <T>(machine: DistributionUnderTest, call: () => Promise<T>): Promise<T> => (await lives(machine, call)) as T;
    const seen = async (machine: DistributionUnderTest, setup: DistributionSetup, kept: Record<string, KeptFile> = {}): Promise<MachineState> =>
      good(await run(machine, () => machine.driver.look(setup, kept)));
    /** As the agent looks: with the files that it keeps. */
    const seenKept = async (machine: DistributionUnderTest, setup: DistributionSetup): Promise<MachineState> =>
      seen(machine, setup, good(await run(machine, () => machine.driver.keep(setup.role))));
    /** What has to be the same after a cut; ages go on. */
    const lasting = async (machine: DistributionUnderTest, setup: DistributionSetup): Promise<unknown> => {
      const { certificates, snapshotAgeMs, ...state } = await seenKept(machine, setup);
      return { ...state, isFresh: (certificates?.left ?? 1) > 0.5, hasSnapshots: snapshotAgeMs !== undefined, files: [...machine.files.keys()].toSorted() };
    };
    const founded = async () => {
      const begun = begin();
      good(await run(begun.machine, () => begun.machine.driver.init(begun.setup)));
      return begun;
    };
    const invited = async (role: DistributionSetup['role']) => {
      const first = await founded();
      const secrets: JoinSecrets = good(await run(first.machine, () => first.machine.driver.invite(role)));
      return { ...first, secrets, joiner: first.site.machine('two', role), joinSetup: setupOf(name, first.site.version, 'two', role) };
    };

    test('an empty machine shows no traces; taking off what is not there is no failure', async () => {
      const { machine, setup } = begin();
      expect(await seen(machine, setup)).toMatchObject({ hasTraces: false, services: 'stopped', broken: [], certificates: undefined });
      good(await run(machine, () => machine.driver.wipe(setup, true)));
      expect((await seen(machine, setup)).hasTraces).toBe(false);
    });

    test('without its program it is blocked, and the words say where it comes from', async () => {
      const { machine, setup } = begin();
      machine.removeProgram();
      const failure = bad(await run(machine, () => machine.driver.init(setup)), 'program-missing', 'blocked');
      expect(failure.message).toMatch(/gp kubernetes upload/);
    });

    test('the first host makes the cluster, runs, and shows its version and whole certificates', async () => {
      const { machine, setup, site } = await founded();
      const state = await seenKept(machine, setup);
      expect(state).toMatchObject({ hasTraces: true, services: 'running', broken: [], renewed: [], isStale: false });
      expect(state.kubeletVersion).toContain(site.version);
      expect(state.certificates?.left).toBeGreaterThan(0.5);
      expect(machine.files.has(machine.driver.adminConfig)).toBe(true);
    });

    test.each(['control-plane', 'worker'] as const)('a %s joins with an invitation', async (role) => {
      const { joiner, joinSetup, secrets } = await invited(role);
      good(await run(joiner, () => joiner.driver.join(joinSetup, secrets)));
      expect(await seen(joiner, joinSetup)).toMatchObject({ hasTraces: true, services: 'running' });
      expect(joiner.files.has(joiner.driver.nodeConfig)).toBe(true);
    });

    test('an invitation that the cluster does not take is told apart, and may be tried again with another one', async () => {
      const { joiner, joinSetup, secrets } = await invited('worker');
      bad(await run(joiner, () => joiner.driver.join(joinSetup, { ...secrets, token: 'zzzzzz.0000000000000000' })), 'join-refused', 'retry');
      good(await run(joiner, () => joiner.driver.join(joinSetup, secrets)));
      expect((await seen(joiner, joinSetup)).services).toBe('running');
    });

    test('what somebody changed is named and put back; what was renewed is kept', async () => {
      const { machine, setup, site } = await founded();
      const kept = good(await run(machine, () => machine.driver.keep('control-plane')));
      expect(Object.keys(kept)).toEqual(expect.arrayContaining([site.exact, site.valid]));
      const before = machine.files.get(site.exact);
      machine.files.set(site.exact, `${before ?? ''}\n# mine\n`);
      machine.files.set(site.valid, `${machine.files.get(site.valid) ?? ''}\n`);
      const state = await seen(machine, setup, kept);
      expect(state).toMatchObject({ broken: [site.exact], renewed: [site.valid] });
      good(await run(machine, () => machine.driver.repair(kept, state.broken)));
      expect(machine.files.get(site.exact)).toBe(before);
      machine.files.delete(site.valid);
      machine.files.set(site.exact, '');
      expect((await seen(machine, setup, kept)).broken.toSorted()).toEqual([site.exact, site.valid].toSorted());
    });

    test('services that ended are seen, and start again', async () => {
      const { machine, setup } = await founded();
      machine.stopServices();
      expect((await seen(machine, setup)).services).toBe('stopped');
      good(await run(machine, () => machine.driver.start(false)));
      expect((await seen(machine, setup)).services).toBe('running');
    });

    test('certificates that are nearly over are renewed', async () => {
      const { machine, setup } = await founded();
      machine.clock.setWall(machine.clock.wallMs() + 0.97 * yearMs);
      expect((await seenKept(machine, setup)).certificates?.left).toBeLessThan(0.05);
      good(await run(machine, () => machine.driver.renewCertificates(setup)));
      const state = await seenKept(machine, setup);
      expect(state.services).toBe('running');
      expect(state.certificates?.left).toBeGreaterThan(0.5);
    });

    test('a snapshot of the datastore is due at first, and not after it was taken; workers have none', async () => {
      const { machine, setup } = await founded();
      expect((await seen(machine, setup)).snapshotAgeMs).toBeGreaterThan(setup.spec.snapshots.everyHours * 3_600_000);
      good(await run(machine, () => machine.driver.saveDatastore(setup, 2)));
      expect((await seen(machine, setup)).snapshotAgeMs).toBeLessThan(120_000);
      const worker = begin('worker');
      expect((await seen(worker.machine, worker.setup)).snapshotAgeMs).toBeUndefined();
    });

    test('only so many snapshots are kept', async () => {
      const { machine, setup } = await founded();
      for (let taken = 0; taken < 4; taken += 1) good(await run(machine, () => machine.driver.saveDatastore(setup, 2)));
      expect([...machine.files.keys()].filter((path) => /snapshots\//.test(path))).toHaveLength(2);
    });

    test('pods that may not go hold a drain up, by their own words', async () => {
      const { machine } = await founded();
      machine.holdPods('Cannot evict pod as it would violate the pod disruption budget shop');
      const failure = bad(await run(machine, () => machine.driver.drain('two', 60_000)), 'drain-blocked', 'retry');
      expect(failure.element).toBe('node two');
      expect(failure.message).toContain('disruption budget shop');
      good(await run(machine, () => machine.driver.drain('two', 60_000)));
    });

    test('taking it off leaves nothing but programs', async () => {
      const { machine, setup, site } = await founded();
      good(await run(machine, () => machine.driver.saveDatastore(setup, 2)));
      good(await run(machine, () => machine.driver.wipe(setup, true)));
      expect(await seen(machine, setup)).toMatchObject({ hasTraces: false, services: 'stopped' });
      expect([...machine.files.keys()].filter((path) => !site.mayStay.test(path))).toEqual([]);
    });

    /** One call cut at each of its steps, and made again after the power came back: it ends as if nothing had been. */
    const cutEverywhere = async (
      prepare: () => Promise<{ machine: DistributionUnderTest; call: () => Promise<unknown>; outcome: () => Promise<unknown> }>,
    ): Promise<number> => {
      const whole = await prepare();
      whole.machine.cutAt(Number.POSITIVE_INFINITY, 'before');
      await lives(whole.machine, whole.call);
      const steps = whole.machine.powerOn();
      const wanted = await whole.outcome();
      for (let step = 1; step <= steps; step += 1)
        for (const when of ['before', 'after'] as const) {
          const { machine, call, outcome } = await prepare();
          machine.cutAt(step, when);
          await lives(machine, call);
          machine.powerOn();
          expect(await lives(machine, call), `cut ${when} step ${step}`).toMatchObject({ ok: true });
          expect(await outcome(), `cut ${when} step ${step}`).toEqual(wanted);
        }
      return steps;
    };

    test('making a cluster, cut anywhere, is gone on with', async () => {
      const steps = await cutEverywhere(() => {
        const { machine, setup } = begin();
        return Promise.resolve({
          machine,
          call: () => machine.driver.init(setup),
          outcome: () => lasting(machine, setup),
        });
      });
      expect(steps).toBeGreaterThan(2);
    });

    test.each(['control-plane', 'worker'] as const)('joining as %s, cut anywhere, is gone on with', async (role) => {
      await cutEverywhere(async () => {
        const { joiner, joinSetup, secrets } = await invited(role);
        return {
          machine: joiner,
          call: () => joiner.driver.join(joinSetup, secrets),
          outcome: () => lasting(joiner, joinSetup),
        };
      });
    });

    test('renewing, cut anywhere, is gone on with', async () => {
      await cutEverywhere(async () => {
        const { machine, setup } = await founded();
        machine.clock.setWall(machine.clock.wallMs() + 0.97 * yearMs);
        return {
          machine,
          call: () => machine.driver.renewCertificates(setup),
          outcome: () => lasting(machine, setup),
        };
      });
    });

    test('taking it off, cut anywhere, leaves nothing after the second time', async () => {
      await cutEverywhere(async () => {
        const { machine, setup, site } = await founded();
        return {
          machine,
          call: () => machine.driver.wipe(setup, true),
          outcome: async () => [(await seen(machine, setup)).hasTraces, [...machine.files.keys()].filter((path) => !site.mayStay.test(path))],
        };
      });
    });

    test('a machine that was wiped is a new one', async () => {
      const { machine, setup } = await founded();
      good(await run(machine, () => machine.driver.wipe(setup, true)));
      good(await run(machine, () => machine.driver.init(setup)));
      expect(await seen(machine, setup)).toMatchObject({ hasTraces: true, services: 'running' });
    });
  });
};
