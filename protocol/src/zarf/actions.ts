import type { ZarfAction, ZarfWait } from './package.ts';
import type { AlphaActionSet, AlphaComponent } from './schema-alpha.ts';
import type { BetaActionSet } from './schema-beta.ts';

type Loose<T> = T | null | undefined;

const waitOf = (
  wait: Loose<{ cluster?: Loose<NonNullable<ZarfWait['cluster']>>; network?: Loose<NonNullable<ZarfWait['network']>> }>,
): ZarfWait | undefined => {
  if (wait === null || wait === undefined) return undefined;
  return {
    ...(wait.cluster === null || wait.cluster === undefined ? {} : { cluster: wait.cluster }),
    ...(wait.network === null || wait.network === undefined ? {} : { network: wait.network }),
  };
};

interface Draft {
  quiet: Loose<boolean>;
  retries: Loose<number>;
  template: boolean;
  setVariables: string[];
  action: {
    maxTotalSeconds?: Loose<number>;
    dir?: Loose<string>;
    env: string[];
    cmd?: string | undefined;
    shell?: Loose<{ linux?: string | undefined }>;
    setValues: { key?: string | undefined }[];
    description?: string | undefined;
    wait?: Parameters<typeof waitOf>[0];
  };
}
interface Defaults {
  quiet: boolean;
  retries: number;
  maxTotalSeconds: number;
  dir: string;
  env: string[];
  shell: string;
}

const build = (event: ZarfAction['event'], when: ZarfAction['when'], draft: Draft, defaults: Defaults): ZarfAction => {
  const { action } = draft;
  const wait = waitOf(action.wait);
  return {
    event,
    when,
    description: action.description ?? '',
    ...(action.cmd === undefined || action.cmd === '' ? {} : { cmd: action.cmd }),
    ...(wait === undefined ? {} : { wait }),
    shell: action.shell?.linux ?? (defaults.shell === '' ? 'sh' : defaults.shell),
    folder: action.dir ?? defaults.dir,
    environment: [...defaults.env, ...action.env],
    maxTotalSeconds: action.maxTotalSeconds ?? defaults.maxTotalSeconds,
    maxRetries: draft.retries ?? defaults.retries,
    isQuiet: draft.quiet ?? defaults.quiet,
    setVariables: draft.setVariables,
    setValues: action.setValues.map((item) => item.key ?? ''),
    isTemplate: draft.template,
  };
};

export const alphaActions = (event: ZarfAction['event'], set: AlphaActionSet): ZarfAction[] => {
  if (set === null || set === undefined) return [];
  const given = set.defaults;
  const defaults: Defaults = {
    quiet: given?.mute ?? false,
    retries: given?.maxRetries ?? 0,
    maxTotalSeconds: given?.maxTotalSeconds ?? 0,
    dir: given?.dir ?? '',
    env: given?.env ?? [],
    shell: given?.shell?.linux ?? '',
  };
  return (['before', 'after', 'onSuccess', 'onFailure'] as const).flatMap((when) =>
    set[when].map((action) =>
      build(
        event,
        when,
        {
          action,
          quiet: action.mute,
          retries: action.maxRetries,
          template: action.template ?? true,
          setVariables: [
            ...action.setVariables.map((item) => item.name),
            ...(action.setVariable === undefined || action.setVariable === '' ? [] : [action.setVariable]),
          ],
        },
        defaults,
      ),
    ),
  );
};

export const betaActions = (event: ZarfAction['event'], set: BetaActionSet): ZarfAction[] => {
  if (set === null || set === undefined) return [];
  const given = set.defaults;
  const defaults: Defaults = {
    quiet: given?.silent ?? false,
    retries: given?.retries ?? 0,
    maxTotalSeconds: given?.maxTotalSeconds ?? 0,
    dir: given?.dir ?? '',
    env: given?.env ?? [],
    shell: given?.shell?.linux ?? '',
  };
  return (['before', 'onSuccess', 'onFailure'] as const).flatMap((when) =>
    set[when].map((action) =>
      build(event, when, { action, quiet: action.silent, retries: action.retries, template: action.enableValues ?? false, setVariables: [] }, defaults),
    ),
  );
};

/** `scripts` of old packages: what Zarf itself turns into actions. */
export const scriptActions = (scripts: AlphaComponent['scripts']): ZarfAction[] => {
  if (scripts === null || scripts === undefined) return [];
  const one = (when: 'before' | 'after', cmd: string): ZarfAction => ({
    event: 'deploy',
    when,
    description: '',
    cmd,
    shell: 'sh',
    folder: '',
    environment: [],
    maxTotalSeconds: scripts.timeoutSeconds ?? 0,
    maxRetries: scripts.retry === true ? 1_000_000 : 0,
    isQuiet: scripts.showOutput !== true,
    setVariables: [],
    setValues: [],
    isTemplate: true,
  });
  return [...scripts.before.map((cmd) => one('before', cmd)), ...scripts.after.map((cmd) => one('after', cmd))];
};
