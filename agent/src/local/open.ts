import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import type { Agent } from '../agent.ts';
import type { DeviceKey } from '../identity/key.ts';
import { verifySignature } from '../identity/key.ts';
import type { EnrolmentTicket } from '../identity/ticket.ts';
import { watchPlugged } from '../media/plugged.ts';
import { createImporter } from '../media/job.ts';
import { createUploads } from '../media/upload.ts';
import type { Blobs } from '../port/blobs.ts';
import type { Clock } from '../port/clock.ts';
import type { Host } from '../port/host.ts';
import type { Random } from '../port/random.ts';
import type { AgentStore } from '../port/store.ts';
import { writeSecretly } from '../system/durable.ts';
import { readJournal } from '../system/journal.ts';
import { isGatewayReachable, isPortOpen, listInterfaces, reloadNetwork } from '../system/network.ts';
import { readPasswordHash } from '../system/password.ts';
import type { Control } from './control.ts';
import { createGuard } from './guard.ts';
import { createNetworkTrials } from './network.ts';
import type { ProxyStore } from './proxy-settings.ts';

/** Files of the local page below the data folder. */
export const passwordFile = (data: string): string => join(data, 'local-password');
const tokenFile = (data: string): string => join(data, 'local.token');

export interface ControlDeps {
  data: string;
  agent: Pick<Agent, 'engine' | 'session'>;
  store: AgentStore;
  host: Host;
  blobs: Blobs;
  architecture: AgentArch | undefined;
  key: DeviceKey;
  ticket: EnrolmentTicket;
  proxy: ProxyStore;
  clock: Clock;
  random: Random;
  log: (text: string) => void;
  /** Ends the watch for media. */
  signal: AbortSignal;
}

/** What the local page can do on a real host. The token is made anew at each start; whoever can read it is root here anyway. */
export const openControl = async (deps: ControlDeps): Promise<Control> => {
  const { data, agent, clock, random, ticket } = deps;
  const token = Buffer.from(random.bytes(32)).toString('base64url');
  writeSecretly(tokenFile(data), `${token}\n`);
  const network = createNetworkTrials({
    host: deps.host,
    state: agent.engine.state,
    clock,
    reload: reloadNetwork,
    isReachable: async () => (await isPortOpen(ticket.content)) || (await isGatewayReachable()),
    log: deps.log,
  });
  await network.recover();
  const importer = createImporter({
    media: { engine: agent.engine, blobs: deps.blobs, architecture: deps.architecture, ticket, verify: verifySignature },
    receipt: { engine: agent.engine, store: deps.store, key: deps.key, hub: ticket.hub, clock },
  });
  const uploads = createUploads({ folder: join(data, 'upload'), importer });
  await uploads.clear().catch(() => deps.log('the rest of an upload cannot be removed; is the disk read-only?'));
  void watchPlugged({ importer, state: agent.engine.state, clock, log: deps.log }, deps.signal);
  return {
    guard: createGuard({ clock, random, token, passwordHash: () => readPasswordHash(passwordFile(data)) }),
    importer,
    uploads,
    network,
    proxy: deps.proxy,
    interfaces: listInterfaces,
    logs: readJournal,
  };
};

/** What root's commands show to the running agent; undefined when none has run here, or the caller may not read it. */
export const readLocalToken = (data: string): string | undefined => {
  try {
    return readFileSync(tokenFile(data), 'utf8').trim();
  } catch {
    return undefined;
  }
};
