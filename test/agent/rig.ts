import { createEngine } from '@groundplane/agent/engine';
import { createOutbox } from '@groundplane/agent/link/outbox';
import type { AgentSlots } from '@groundplane/agent/port/slots';
import type { DesiredRecord } from '@groundplane/agent/store/state';
import type { Bundle, BundleLayer, Desired } from '@groundplane/protocol/bundle';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { digestBytes, digestOf, type Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Failure } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import type { HostEvent, HostStatus } from '@groundplane/protocol/observed';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { virtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeHost } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';

/** Content by digest: what the hub's store would hold. */
export const blobs = new Map<string, string>();

const keep = (text: string): { digest: Digest; size: number } => {
  const digest = digestBytes(text);
  blobs.set(digest, text);
  return { digest, size: Buffer.byteLength(text) };
};

export const configMap = (name: string, text: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'shop' },
  data: { text },
});
export const deployment = (name: string, image = `${name}:1`): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'shop' },
  spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { containers: [{ name, image }] } } },
});

const refOf = (object: KubeObject): BundleLayer['objects'][number]['ref'] => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name ?? '',
  ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }),
});

export const packLayer = (name: string, objects: readonly KubeObject[], fields: Partial<BundleLayer> = {}): BundleLayer => ({
  name,
  kind: 'addon',
  priority: 0,
  profile: { name: 'p', version: '1.0.0' },
  pack: { name, version: '1.0.0', source: 'manifest', digest: digestBytes(name) },
  namespace: 'shop',
  adopt: false,
  readinessTimeoutMs: 60_000,
  objects: objects.map((object) => ({ ref: refOf(object), ...keep(canonicalJson(object)) })),
  hooks: [],
  ...fields,
});
export const osLayer = (name: string, files: Record<string, string>, sysctls: Record<string, string> = {}): BundleLayer => {
  const { namespace: _namespace, ...plain } = packLayer(name, []);
  return {
    ...plain,
    kind: 'os',
    os: { files: Object.entries(files).map(([path, content]) => ({ path, ...keep(content), mode: '0644', owner: 'root', group: 'root' })), sysctls, units: [] },
  };
};

/** A desired state that was checked already, as the session hands it to the engine. */
export const desiredOf = (generation: number, layers: readonly BundleLayer[] | undefined): DesiredRecord => {
  const bundle: Bundle | undefined = layers === undefined ? undefined : { schema: 'groundplane.dev/bundle/1', engine: 'e', profiles: [], layers: [...layers] };
  const desired: Desired = {
    schema: 'groundplane.dev/desired/1',
    epoch: 'e',
    generation,
    tenant: 'ten_00000000000000000000',
    host: 'hos_00000000000000000000',
    ...(bundle === undefined
      ? {}
      : { cluster: { id: 'clu_00000000000000000000', name: 'shop', role: 'control-plane' as const, applier: true }, bundle: digestOf(bundle) }),
  };
  return { version: { epoch: 'e', generation, digest: digestOf(desired) }, desired, bundle };
};

/** The engine with a machine, a cluster and a disk in memory, running in virtual time. */
export const startRig = (options: { store?: FakeAgentStore; largeGate?: (digest: string) => Promise<void>; slots?: AgentSlots } = {}) => {
  const clock = virtualClock();
  const store = options.store ?? fakeAgentStore();
  const host = fakeHost();
  const cluster = fakeCluster({ clock });
  cluster.controllers({ readyMs: 1_000 });
  const outbox = createOutbox(store);
  const world = { open: undefined as Failure | undefined, content: true, fetched: 0, opened: 0 };
  const large = fakeBlobs(blobs, options.largeGate === undefined ? {} : { gate: options.largeGate });
  const engine = createEngine({
    store,
    blobs: large,
    architecture: 'x64',
    slots: options.slots,
    host,
    clock,
    outbox,
    random: seededRandom('engine'),
    onNews: () => undefined,
    openCluster: () => {
      world.opened += 1;
      return Promise.resolve(world.open === undefined ? ok(cluster) : { ok: false as const, failure: world.open });
    },
    content: {
      fetch: (digest) => {
        world.fetched += 1;
        const text = world.content ? blobs.get(digest) : undefined;
        return Promise.resolve(text === undefined ? fail('retry', 'content-missing', digest, 'not there') : ok(text));
      },
    },
  });
  const stop = new AbortController();
  const running = engine.run(stop.signal);
  return {
    clock,
    store,
    host,
    cluster,
    engine,
    large,
    world,
    offer: (generation: number, layers: readonly BundleLayer[] | undefined) => engine.offer(desiredOf(generation, layers), {}, undefined),
    status: (): HostStatus => engine.status(),
    phase: (): string => engine.status().phase,
    events: (): HostEvent[] =>
      store
        .entries('outbox')
        .filter((row) => row.key.startsWith('event/'))
        .map((row) => JSON.parse(row.value) as HostEvent),
    reasons: (): string[] =>
      store
        .entries('outbox')
        .filter((row) => row.key.startsWith('event/'))
        .map((row) => (JSON.parse(row.value) as HostEvent).reason),
    live: (kind: string, name: string): KubeObject | undefined => cluster.objects().find((object) => object.kind === kind && object.metadata.name === name),
    close: async (): Promise<void> => {
      stop.abort();
      await clock.advance(60_000);
      await running;
    },
  };
};
export type Rig = ReturnType<typeof startRig>;
