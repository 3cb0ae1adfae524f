import { memoryContent } from '@groundplane/hub/content/memory';
import { createBundler, type BundleInput } from '@groundplane/hub/render/bundle';
import { createHelmPool, type HelmPool } from '@groundplane/hub/render/helm/index';
import { digestOf } from '@groundplane/protocol/digest';
import { refText } from '@groundplane/protocol/kubernetes';
import type { ProfileSpec } from '@groundplane/protocol/profile';
import { value } from '../hub/world.ts';

const clock = {
  after: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

export interface Rendered {
  /** Name of the layer, pack and objects, in the order they are installed. */
  layers: { name: string; pack: string; refs: string[]; objects: Record<string, unknown>[] }[];
  warnings: string[];
}

export interface Kitchen {
  content: ReturnType<typeof memoryContent>;
  render(profiles: readonly { name: string; version: string; spec: ProfileSpec }[], more?: Partial<BundleInput>): Promise<Rendered>;
  close(): Promise<void>;
}

/** Renders as the hub does, in memory. */
export const createKitchen = (): Kitchen => {
  const content = memoryContent();
  const helm: HelmPool = createHelmPool({ workers: 1, timeoutMs: 60_000, idleMs: 60_000, memoryMaxBytes: 512 * 2 ** 20, clock });
  const bundler = createBundler({ content, helm, seed: (cluster, release) => `${cluster} ${release}` }, 'test');
  return {
    content,
    render: async (profiles, more = {}) => {
      const cluster = more.cluster ?? 'site-1';
      const built = value(
        await bundler.make({
          cluster,
          profiles: profiles.map((profile) => ({ ...profile, digest: digestOf(profile.spec) })),
          variables: {},
          macros: {},
          system: { 'cluster.name': cluster },
          kubeVersion: 'v1.34.0',
          ...more,
        }),
      );
      const layers = built.bundle.layers.map(async (layer) => ({
        name: layer.name,
        pack: `${layer.pack.name} ${layer.pack.version}`,
        refs: layer.objects.map((object) => refText(object.ref)),
        objects: await Promise.all(layer.objects.map(async (object) => JSON.parse(String(await content.read(object.digest))) as Record<string, unknown>)),
      }));
      return { layers: await Promise.all(layers), warnings: (built.warnings ?? []).map((item) => `${item.code} ${item.message}`) };
    },
    close: () => helm.close(),
  };
};
