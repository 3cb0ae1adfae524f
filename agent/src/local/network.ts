import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { sleep, type Clock } from '../port/clock.ts';
import type { Host } from '../port/host.ts';
import { writes, type State } from '../store/state.ts';
import type { NetworkSettings } from './network-settings.ts';

export interface NetworkDeps {
  host: Pick<Host, 'readFile' | 'writeFile' | 'removeFile'>;
  state: Pick<State, 'kv' | 'commit'>;
  clock: Clock;
  /** Makes the system take up what the file says. */
  reload: (name: string) => Promise<Result<void>>;
  /** The hub or the gateway answers. */
  isReachable: () => Promise<boolean>;
  log: (text: string) => void;
}

/** What was there before, on disk before anything changes: a power cut in the middle of a trial comes back with the old settings. */
interface Trial {
  path: string;
  name: string;
  before: string | null;
}
const trialKey = 'networkTrial';
const trialMs = 120_000;
const lookMs = 5_000;

/**
 * Network settings on trial: they stay when the hub or the gateway answers within two minutes or a person confirms them, and are taken back otherwise. Nobody has
 * to drive to a device that somebody has cut off by a typing error.
 */
export const createNetworkTrials = (deps: NetworkDeps) => {
  const { state, clock } = deps;
  let running: { settings: NetworkSettings; untilMs: number; confirm: () => void } | undefined;
  let last = '';

  const put = async (path: string, name: string, content: string | null): Promise<Result<void>> => {
    const done = content === null ? await deps.host.removeFile(path) : await deps.host.writeFile({ path, content, mode: '0644', owner: 'root', group: 'root' });
    return done.ok ? deps.reload(name) : done;
  };
  const say = (text: string): void => {
    last = text;
    deps.log(text);
  };
  const forget = (): Result<void> => state.commit([{ table: 'kv', key: trialKey, value: null }]);

  const takeBack = async (trial: Trial, why: string): Promise<void> => {
    const back = await put(trial.path, trial.name, trial.before);
    if (!back.ok) return say(`${why}; the settings before cannot be put back: ${back.failure.message}`);
    forget();
    say(`${why}; the settings before are back`);
  };

  const watch = async (trial: Trial, settings: NetworkSettings): Promise<void> => {
    const confirmed = new AbortController();
    running = { settings, untilMs: clock.monotonicMs() + trialMs, confirm: () => confirmed.abort() };
    let holds = false;
    while (!holds && clock.monotonicMs() < running.untilMs) {
      await sleep(clock, lookMs, confirmed.signal);
      holds = confirmed.signal.aborted || (await deps.isReachable());
    }
    running = undefined;
    if (!holds) return takeBack(trial, `neither hub nor gateway answered by ${trial.name} within ${trialMs / 1_000} s`);
    forget();
    say(`the settings of ${trial.name} hold`);
  };

  return {
    /** What an earlier life left unproven is taken back. Call once at start. */
    recover: async (): Promise<void> => {
      const trial = state.kv<Trial>(trialKey);
      if (trial !== undefined) await takeBack(trial, 'the agent was started anew before the new settings were proven');
    },
    apply: async (settings: NetworkSettings): Promise<Result<void>> => {
      if (running !== undefined) return fail('blocked', 'network-busy', 'network', 'other settings are being tried; wait or confirm them');
      const { networkFile, networkPath } = await import('./network-settings.ts');
      const path = networkPath(settings.interface);
      const before = await deps.host.readFile(path);
      if (!before.ok) return before;
      const trial: Trial = { path, name: settings.interface, before: before.value === 'absent' ? null : before.value.content };
      const noted = state.commit([writes.kv(trialKey, trial)]);
      if (!noted.ok) return noted;
      const done = await put(path, settings.interface, networkFile(settings));
      if (!done.ok) {
        await takeBack(trial, `the settings of ${settings.interface} were not taken`);
        return done;
      }
      void watch(trial, settings);
      return ok(undefined);
    },
    confirm: (): void => running?.confirm(),
    status: (): { trying: NetworkSettings | undefined; leftMs: number; last: string } => ({
      trying: running?.settings,
      leftMs: running === undefined ? 0 : Math.max(0, running.untilMs - clock.monotonicMs()),
      last,
    }),
  };
};
export type NetworkTrials = ReturnType<typeof createNetworkTrials>;
