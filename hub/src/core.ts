import { createHmac } from 'node:crypto';
import type { Verify } from '@groundplane/protocol/trust';
import { openCloud, type CloudOptions } from './cloud/open.ts';
import type { Clock } from './port/clock.ts';
import type { ContentStore } from './port/content.ts';
import type { Random } from './port/random.ts';
import type { Store, Write } from './port/store.ts';
import { createFleet } from './fleet/index.ts';
import { createDelivery } from './gateway/delivery.ts';
import { createGateway } from './gateway/gateway.ts';
import { createAssigner } from './reconcile/assign.ts';
import { createClusterInputs } from './reconcile/cluster-inputs.ts';
import { clusterReconciler } from './reconcile/clusters.ts';
import { createRunner } from './reconcile/runner.ts';
import { createBundler } from './render/bundle.ts';
import type { HelmRenderer } from './render/helm/index.ts';
import type { HubKeys } from './trust/keys.ts';
import { createSealers } from './trust/sealer.ts';

export interface CoreDeps {
  store: Store;
  content: ContentStore;
  helm: HelmRenderer;
  keys: HubKeys;
  /** Names this life of the database; a restored backup begins a new one. */
  epoch: string;
  /** Its macros are those of every tenant. */
  systemTenant: string;
  /** Seeds the random values of charts. */
  secret: string;
  /** What bundles are rendered with. */
  engine: string;
  clock: Clock;
  random: Random;
  log: (text: string) => void;
  verify?: Verify;
  /** Environments that the hub makes clusters in; without it, it makes none. */
  cloud?: CloudOptions;
}

/** Rows that nobody refers to any more: signatures of changes that every host has left behind, and sessions that are over. Done at each start. */
const sweepRows = async (store: Store, clock: Clock): Promise<void> => {
  const used = new Set<string>();
  for await (const row of store.scan('desired')) used.add(row.value.director);
  const stale: Write[] = [];
  for await (const row of store.scan('director')) if (!used.has(row.id)) stale.push({ op: 'delete', kind: 'director', tenant: row.tenant, id: row.id });
  for await (const row of store.scan('session'))
    if (row.value.expiresAtMs < clock.wallMs()) stale.push({ op: 'delete', kind: 'session', tenant: row.tenant, id: row.id });
  if (stale.length > 0) await store.commit(stale);
};

/** The hub without its doors: store, fleet, rendering, reconcilers and gateway, wired. The simulator runs exactly this. */
export const createCore = async (deps: CoreDeps) => {
  const { store, content, keys, epoch, clock, random, log } = deps;
  const fleet = createFleet(store);
  const bundler = createBundler(
    { content, helm: deps.helm, seed: (cluster, release) => createHmac('sha256', deps.secret).update(`${cluster} ${release} 1`).digest('hex') },
    deps.engine,
  );
  const sealers = createSealers(keys.sealKey);
  const inputs = createClusterInputs({ store, fleet, content, systemTenant: deps.systemTenant, sealers });
  const delivery = createDelivery({ store, content, bundler });
  const assigner = createAssigner({ store, fleet, keys, epoch, clock });
  const gateway = createGateway({
    store,
    fleet,
    keys,
    epoch,
    clock,
    random,
    delivery,
    assigner,
    log,
    secret: deps.secret,
    ...(deps.verify === undefined ? {} : { verify: deps.verify }),
  });
  const clusters = clusterReconciler({
    store,
    fleet,
    bundler,
    assigner,
    clock,
    inputs,
    onAssigned: (rows) => void gateway.push(rows).catch((error: unknown) => log(`push: ${String(error)}`)),
  });
  const runner = createRunner([clusters], (delayMs, callback) => clock.after(delayMs, callback), log);
  const cloud = openCloud(deps.cloud, { store, fleet, inputs, clock, random, keys, secret: deps.secret, log, sealers, content, accept: () => gateway.accept });
  await fleet.load();
  await sweepRows(store, clock);
  store.onChange(runner.onChange);
  runner.startAll();
  return {
    fleet,
    sealers,
    bundler,
    inputs,
    delivery,
    gateway,
    runner,
    /** Its driver is started by whoever knows where this hub is reached. */
    cloud,
    close: async (): Promise<void> => {
      await cloud.stop();
      await gateway.close();
      await runner.stop();
    },
  };
};
export type Core = Awaited<ReturnType<typeof createCore>>;
