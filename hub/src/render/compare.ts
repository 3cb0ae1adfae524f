import type { Bundle, BundleLayer } from '@groundplane/protocol/bundle';
import { refKey, refText } from '@groundplane/protocol/kubernetes';
import { compareLayers } from '@groundplane/protocol/layer';
import { stringify } from 'yaml';
import type { ContentStore } from '../port/content.ts';

export type Change = 'add' | 'change' | 'remove' | 'same';

export interface ObjectDifference {
  layer: string;
  /** `Deployment shop/web`; hooks carry their events in front. */
  object: string;
  change: Exclude<Change, 'same'>;
  /** YAML; empty where the object is not. Secrets show digests instead of their data. */
  before: string;
  after: string;
}

export interface BundleDifference {
  layers: { name: string; change: Change; from?: string; to?: string }[];
  objects: ObjectDifference[];
  images: { added: string[]; removed: string[]; same: number };
  /** Objects beyond this many are counted only. */
  hidden: number;
}

interface Item {
  key: string;
  text: string;
  digest: string;
}

const objectsMax = 2_000;

const itemsOf = (layer: BundleLayer | undefined): Item[] => [
  ...(layer?.objects ?? []).map((object) => ({ key: refKey(object.ref), text: refText(object.ref), digest: object.digest })),
  ...(layer?.hooks ?? []).map((hook) => ({
    key: `hook ${hook.events.join()} ${refKey(hook.ref)}`,
    text: `${hook.events.join(',')} ${refText(hook.ref)}`,
    digest: hook.digest,
  })),
];

/** Whoever may compare profiles need not be allowed to read secrets. */
const hideSecret = (object: Record<string, unknown>): Record<string, unknown> => {
  if (object['kind'] !== 'Secret') return object;
  const hide = (data: unknown): unknown =>
    typeof data === 'object' && data !== null ? Object.fromEntries(Object.keys(data).map((key) => [key, '‹redacted›'])) : data;
  return {
    ...object,
    ...(object['data'] === undefined ? {} : { data: hide(object['data']) }),
    ...(object['stringData'] === undefined ? {} : { stringData: hide(object['stringData']) }),
  };
};

const textOf = async (content: ContentStore, digest: string | undefined): Promise<string> => {
  const bytes = digest === undefined ? undefined : await content.read(digest);
  return bytes === undefined
    ? ''
    : stringify(hideSecret(JSON.parse(bytes.toString('utf8')) as Record<string, unknown>), { lineWidth: 0, aliasDuplicateObjects: false });
};

const packText = (layer: BundleLayer | undefined): string | undefined => (layer === undefined ? undefined : `${layer.pack.name} ${layer.pack.version}`);
const imagesOf = (bundle: Bundle): Set<string> => new Set(bundle.layers.flatMap((layer) => layer.images ?? []));

/** What two bundles do differently: layers, every object with its text, and images. */
export const compareBundles = async (content: ContentStore, before: Bundle, after: Bundle): Promise<BundleDifference> => {
  const old = new Map(before.layers.map((layer) => [layer.name, layer]));
  const next = new Map(after.layers.map((layer) => [layer.name, layer]));
  const all = [...after.layers, ...before.layers.filter((layer) => !next.has(layer.name))].toSorted(compareLayers);
  const layers: BundleDifference['layers'] = [];
  const objects: ObjectDifference[] = [];
  let hidden = 0;
  for (const { name } of all) {
    const [was, will] = [old.get(name), next.get(name)];
    const had = new Map(itemsOf(was).map((item) => [item.key, item]));
    const has = new Map(itemsOf(will).map((item) => [item.key, item]));
    const differing = [...has.values(), ...[...had.values()].filter((item) => !has.has(item.key))].filter(
      (item) => had.get(item.key)?.digest !== has.get(item.key)?.digest,
    );
    const [from, to] = [packText(was), packText(will)];
    const change: Change = was === undefined ? 'add' : will === undefined ? 'remove' : differing.length > 0 || from !== to ? 'change' : 'same';
    layers.push({ name, change, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) });
    for (const item of differing) {
      if (objects.length >= objectsMax) {
        hidden += 1;
        continue;
      }
      const [a, b] = [had.get(item.key)?.digest, has.get(item.key)?.digest];
      const kind = a === undefined ? 'add' : b === undefined ? 'remove' : 'change';
      objects.push({ layer: name, object: item.text, change: kind, before: await textOf(content, a), after: await textOf(content, b) });
    }
  }
  const [imagesBefore, imagesAfter] = [imagesOf(before), imagesOf(after)];
  return {
    layers,
    objects,
    images: {
      added: [...imagesAfter].filter((image) => !imagesBefore.has(image)),
      removed: [...imagesBefore].filter((image) => !imagesAfter.has(image)),
      same: [...imagesAfter].filter((image) => imagesBefore.has(image)).length,
    },
    hidden,
  };
};
