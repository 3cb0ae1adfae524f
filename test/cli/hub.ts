import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHub } from '@groundplane/hub/main';
import { gp, type FakeOptions, type Ran } from './fake-io.ts';

export interface TestHub {
  url: string;
  folder: string;
  /** Runs gp as the administrator, who has logged in with the set-up link. */
  gp: (argv: readonly string[], options?: FakeOptions) => Promise<Ran>;
  setupLink: () => Promise<string>;
  /** What the hub wrote to its log; empty unless something is wrong. */
  log: () => string;
  close: () => Promise<void>;
}

export const password = 'four words of a password';

/** A real hub on a free port and a folder of its own, and a gp that is logged in to it. */
export const startTestHub = async (options: { egressAllow?: readonly string[] } = {}): Promise<TestHub> => {
  const folder = await mkdtemp(join(tmpdir(), 'gp-cli-'));
  let log = '';
  const hub = await startHub({
    data: join(folder, 'hub'),
    host: '127.0.0.1',
    port: 0,
    mqttPort: undefined,
    publicUrl: undefined,
    publicMqttUrl: undefined,
    ...options,
    log: (text) => void (log += `${text}\n`),
  });
  const link = await hub.setupLink();
  const env = { XDG_CONFIG_HOME: join(folder, 'config') };
  const inHub = (argv: readonly string[], options: FakeOptions = {}): Promise<Ran> =>
    gp(argv, { fetch, cwd: folder, nowMs: Date.now(), ...options, env: { ...env, ...options.env } });
  const login = await inHub(['login', '--setup', link ?? '', '--name', 'anna', '--password-stdin'], { stdin: `${password}\n` });
  if (login.code !== 0) throw new Error(login.error);
  return {
    url: hub.url,
    folder,
    gp: inHub,
    setupLink: hub.newSetupLink,
    log: () => log,
    close: async () => {
      await hub.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
};
