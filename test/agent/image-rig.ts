import { createEngine, type Engine } from '@groundplane/agent/engine';
import { createOutbox } from '@groundplane/agent/link/outbox';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import { digestBytes, type Digest } from '@groundplane/protocol/digest';
import { ok } from '@groundplane/protocol/failure';
import { osImageFiles, signedOsImageSchema, type SignedOsImage } from '@groundplane/protocol/os-image';
import type { OsReboot } from '@groundplane/protocol/os-spec';
import { fakeAgentStore, type FakeAgentStore } from '../fake/agent-store.ts';
import { fakeBlobs } from '../fake/blobs.ts';
import { virtualClock, type VirtualClock } from '../fake/clock.ts';
import { fakeCluster } from '../fake/cluster.ts';
import { fakeHost, type FakeHost } from '../fake/host.ts';
import { fakeMachine, type FakeMachine } from '../fake/machine.ts';
import { fakeImages, firstImages, type FakeImages } from '../fake/os-images.ts';
import { seededRandom } from '../fake/random.ts';
import { Crashed, newLife, type Life } from '../sim/crash.ts';
import { blobs, configMap, desiredOf, osLayer, packLayer } from './rig.ts';

const key = `ed25519:${'A'.repeat(43)}`;
const large = (text: string): { digest: Digest; size: number } => {
  blobs.set(digestBytes(text), text);
  return { digest: digestBytes(text), size: text.length };
};
const imageOf = (version: string, by = key): SignedOsImage =>
  signedOsImageSchema.parse({
    signed: {
      schema: 'groundplane.dev/os-image/1',
      name: 'site',
      version,
      architecture: 'x64',
      content: { driver: 'sysupdate', root: large(`root ${version}`), uki: large(`uki ${version}`) },
    },
    signatures: [{ key: by, signature: 'good' }],
  });

export const imageLayer = (version: string, fields: { reboot?: OsReboot; by?: string; files?: Record<string, string> } = {}): BundleLayer => {
  const layer = osLayer('os', fields.files ?? { '/etc/site': version });
  const image = imageOf(version, fields.by);
  return {
    ...layer,
    blobs: osImageFiles(image.signed),
    os: {
      ...(layer.os ?? { files: [], sysctls: {}, units: [] }),
      image: [image],
      ...(fields.reboot === undefined ? {} : { reboot: fields.reboot }),
    },
  };
};
export const app = (text: string): BundleLayer => packLayer('app', [configMap('app', text)]);

/** A machine with two slots, and one agent after another on it. */
export const startImageRig = () => {
  const clock: VirtualClock = virtualClock({ wallStartMs: Date.UTC(2026, 0, 5, 12) });
  const store: FakeAgentStore = fakeAgentStore();
  const host: FakeHost = fakeHost();
  const cluster = fakeCluster({ clock });
  cluster.controllers({ readyMs: 100 });
  const machine: FakeMachine = fakeMachine();
  const images: FakeImages = fakeImages(firstImages('1.0', key));
  const life: { engine?: Engine; stop?: AbortController; now?: Life } = {};
  const trust = { good: true };
  const held = new Map<string, Buffer>();
  const boot = (): void => {
    life.now?.die();
    life.stop?.abort();
    const stop = new AbortController();
    const now = newLife(() => stop.abort());
    life.now = now;
    const wrapped = { store: now.store(store.reopen()), clock: now.clock(clock) };
    const engine = createEngine({
      ...wrapped,
      host: now.wrap(host),
      outbox: createOutbox(wrapped.store),
      random: seededRandom('image'),
      onNews: () => undefined,
      openCluster: () => Promise.resolve(ok(cluster)),
      content: { fetch: (digest) => Promise.resolve(ok(blobs.get(digest) ?? '')) },
      os: { machine: now.wrap(machine), images: now.wrap(images) },
      architecture: 'x64',
      blobs: fakeBlobs(blobs, { held }),
      verify: (_, __, signature) => trust.good && signature === 'good',
      hasContact: () => true,
    });
    life.engine = engine;
    life.stop = stop;
    engine.run(stop.signal).catch((error: unknown) => {
      if (!(error instanceof Crashed)) throw error;
    });
  };
  /** The machine starts, and its health check ends twenty seconds later. */
  const powerCycle = (): void => {
    life.now?.die();
    machine.boot();
    images.boot();
    boot();
    const before = machine.boots;
    clock.after(20_000, () => {
      if (machine.boots === before && images.state.entries[images.running()]?.left !== undefined && !images.judge()) powerCycle();
    });
  };
  machine.onReboot = () => void clock.after(1_000, powerCycle);
  boot();
  return {
    clock,
    machine,
    images,
    host,
    store,
    trust,
    powerCycle,
    /** The process dies at one of its next contacts with the outside. */
    dieAt: (contacts: number, isAfterEffect: boolean) => life.now?.dieAt(contacts, isAfterEffect),
    isDead: () => life.now?.isDead() === true,
    offer: (generation: number, layers: readonly BundleLayer[]) => {
      const record = desiredOf(generation, layers);
      life.engine?.offer(record, {}, undefined);
      return record.version;
    },
    status: () => (life.engine as Engine).status(),
    retry: (version: Parameters<Engine['retry']>[0]) => life.engine?.retry(version),
    journal: () => (life.engine as Engine).state.journal().map((row) => row.text),
  };
};
