import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent } from '@groundplane/agent/agent';
import { kubernetesCluster } from '@groundplane/agent/cluster/client';
import type { Connection } from '@groundplane/agent/cluster/connection';
import { loadDeviceKey } from '@groundplane/agent/identity/key';
import { openSqliteStore } from '@groundplane/agent/store/sqlite';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { AcceptPeer } from '../port/carrier.ts';
import type { Clock } from '../port/clock.ts';
import type { ContentStore } from '../port/content.ts';
import type { Random } from '../port/random.ts';
import type { HubKeys } from '../trust/keys.ts';
import { ownContent } from './content.ts';
import { processLink } from './link.ts';
import { noBlobs, noMachine } from '@groundplane/agent/system/no-machine';

export interface ResidentDeps {
  /** Where each has its folder. */
  data: string;
  accept: () => AcceptPeer;
  content: ContentStore;
  keys: Pick<HubKeys, 'hub' | 'rootDigest'>;
  clock: Clock;
  random: Random;
  version: string;
  log: (text: string) => void;
}

export interface Wanted {
  cluster: string;
  name: string;
  ticket: { id: string; secret: string };
  /** 32 bytes that its key comes from: the same after its folder was lost. */
  seed: Buffer;
  connect: () => Promise<Result<Connection>>;
}

/** Ed25519 in PKCS #8 is this, then the seed (RFC 8410, section 7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

const keyFile = (folder: string, seed: Buffer): string => {
  const file = join(folder, 'device.key');
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  if (!existsSync(file)) writeFileSync(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return file;
};

/**
 * Agents that live in the hub, one for each cluster that has only an API server: managed clusters and imported ones. They are the same agent as on a host, with
 * the same engine, planner, appliers, store and protocol, so that a layer behaves the same everywhere; they only have no machine. Each runs for itself: an API
 * server that does not answer holds up its own cluster only. See ADR 0016.
 */
export const createResidents = (deps: ResidentDeps) => {
  const running = new Map<string, { wanted: Wanted; stop: AbortController; done: Promise<void> }>();
  const folderOf = (cluster: string): string => join(deps.data, cluster);

  const start = (wanted: Wanted): void => {
    const known = running.get(wanted.cluster);
    // Its account or placement may be another one by now: the next time it connects, it goes the new way.
    if (known !== undefined) return void (known.wanted = wanted);
    const folder = folderOf(wanted.cluster);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const key = loadDeviceKey(keyFile(folder, wanted.seed));
    if (!key.ok) return deps.log(`resident agent of ${wanted.name}: ${key.failure.message}`);
    const store = openSqliteStore(join(folder, 'agent.db'));
    const stop = new AbortController();
    const agent = createAgent({
      store,
      host: noMachine({
        hostname: wanted.name,
        os: 'none (reached through its API server)',
        kernel: '',
        arch: '',
        cpus: 0,
        memoryBytes: 0,
        agentVersion: deps.version,
        privileged: false,
        simulated: false,
      }),
      openCluster: async () => {
        const connection = await (running.get(wanted.cluster)?.wanted ?? wanted).connect();
        return connection.ok
          ? ok(kubernetesCluster({ connection: connection.value, clock: deps.clock, random: deps.random, userAgent: 'groundplane-agent' }))
          : connection;
      },
      links: [processLink(deps.accept)],
      content: () => ownContent(deps.content),
      blobs: () => noBlobs,
      architecture: undefined,
      key: key.value,
      ticket: { hubs: ['process://hub'], content: '', hub: deps.keys.hub, root: deps.keys.rootDigest, ...wanted.ticket },
      clock: deps.clock,
      random: deps.random,
      bootId: Buffer.from(deps.random.bytes(16)).toString('hex'),
      name: wanted.name,
    });
    const done = agent
      .run(stop.signal)
      .catch((error: unknown) => deps.log(`resident agent of ${wanted.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`))
      .finally(() => {
        store.close();
        running.delete(wanted.cluster);
      });
    running.set(wanted.cluster, { wanted, stop, done });
  };

  const stopOne = async (cluster: string): Promise<void> => {
    const one = running.get(cluster);
    one?.stop.abort();
    await one?.done;
  };

  return {
    start,
    /** The cluster is gone: so is everything that its agent remembered. */
    remove: async (cluster: string): Promise<void> => {
      await stopOne(cluster);
      rmSync(folderOf(cluster), { recursive: true, force: true });
    },
    has: (cluster: string): boolean => running.has(cluster),
    stop: async (): Promise<void> => {
      await Promise.all([...running.keys()].map(stopOne));
    },
  };
};
export type Residents = ReturnType<typeof createResidents>;
