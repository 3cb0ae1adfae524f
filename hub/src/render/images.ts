import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { imageText, normaliseImage, parseImage } from './image-reference.ts';

/** Given a reference as it is written; answers with what shall stand there. */
export type RewriteImage = (reference: string) => string;

type Plain = Record<string, unknown>;
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Custom objects are searched this deep; real ones have under 20 levels. */
const depthMax = 64;

/** Replaces one field and keeps the order of the others; the same object when nothing changed, so that equal inputs stay equal bytes. */
const withField = (value: Plain, key: string, changed: unknown): Plain => {
  if (!Object.hasOwn(value, key) || value[key] === changed) return value;
  return Object.fromEntries(Object.entries(value).map(([name, old]) => [name, name === key ? changed : old]));
};

const mapList = (value: unknown, each: (item: unknown) => unknown): unknown => {
  if (!Array.isArray(value)) return value;
  const items = value as unknown[];
  const changed = items.map((item) => each(item));
  return changed.some((item, index) => item !== items[index]) ? changed : value;
};

/** Rewrites at a fixed path of maps; where the path ends early nothing happens. */
const mapPath = (value: unknown, path: readonly string[], each: (item: unknown) => unknown): unknown => {
  const [key, ...rest] = path;
  if (key === undefined) return each(value);
  return isPlain(value) ? withField(value, key, mapPath(value[key], rest, each)) : value;
};

/** Operators learn by these variables which images they shall start (a convention of the Operator Lifecycle Manager that most operators follow). */
const isImageVariable = (name: unknown): boolean => typeof name === 'string' && name.startsWith('RELATED_IMAGE_');

const mapContainer = (container: unknown, rewrite: RewriteImage): unknown => {
  if (!isPlain(container)) return container;
  const withImage =
    typeof container['image'] === 'string' && container['image'] !== '' ? withField(container, 'image', rewrite(container['image'])) : container;
  const variables = mapList(withImage['env'], (item) =>
    isPlain(item) && isImageVariable(item['name']) && typeof item['value'] === 'string' && parseImage(item['value']) !== undefined
      ? withField(item, 'value', rewrite(item['value']))
      : item,
  );
  return withField(withImage, 'env', variables);
};

const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;

const mapVolume = (volume: unknown, rewrite: RewriteImage): unknown =>
  mapPath(volume, ['image', 'reference'], (value) => (typeof value === 'string' && value !== '' ? rewrite(value) : value));

const mapPodSpec = (spec: unknown, rewrite: RewriteImage): unknown => {
  if (!isPlain(spec)) return spec;
  let mapped = spec;
  for (const list of containerLists)
    mapped = withField(
      mapped,
      list,
      mapList(mapped[list], (item) => mapContainer(item, rewrite)),
    );
  return withField(
    mapped,
    'volumes',
    mapList(mapped['volumes'], (item) => mapVolume(item, rewrite)),
  );
};

/** Where Kubernetes' own kinds keep a pod spec. */
const podSpecs: Readonly<Record<string, readonly string[]>> = {
  Pod: ['spec'],
  PodTemplate: ['template', 'spec'],
  ReplicationController: ['spec', 'template', 'spec'],
  ReplicaSet: ['spec', 'template', 'spec'],
  Deployment: ['spec', 'template', 'spec'],
  StatefulSet: ['spec', 'template', 'spec'],
  DaemonSet: ['spec', 'template', 'spec'],
  Job: ['spec', 'template', 'spec'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
};

/** Kubernetes' own groups. `*.x-k8s.io` ones (Cluster API, Gateway) are made of custom resources. */
const isOwnGroup = (apiVersion: string): boolean => {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return ['', 'apps', 'batch', 'autoscaling', 'policy', 'extensions'].includes(group) || (group.endsWith('.k8s.io') && !group.endsWith('.x-k8s.io'));
};

/** In a custom object a single word may be anything (`image: ubuntu-22.04` of a virtual machine), so a tag, a digest or a path is wanted. */
const isClearReference = (text: string): boolean => /[/:@]/.test(text) && !text.includes('://') && !text.includes('{{') && parseImage(text) !== undefined;

interface MapForm {
  reference: string;
  put: (reference: string) => Plain;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined);

/**
 * An image written as a map: `{registry?, repository, tag?, digest?}`, and `{repository, image, version}` (NVIDIA's operators; the version may be a digest).
 * A map without registry must stand under a key that ends with "image", or it may as well be a Git repository.
 */
const readMap = (value: Plain, key: string): MapForm | undefined => {
  const { registry, repository, image } = value;
  if (typeof repository !== 'string' || repository === '') return undefined;
  const isSplit = typeof image === 'string' && image !== '' && !image.includes('/') && value['version'] !== undefined;
  if (!isSplit && typeof registry !== 'string' && !/image$/i.test(key)) return undefined;
  const host = typeof registry === 'string' && registry !== '' ? `${registry}/` : '';
  const tagKey = isSplit ? 'version' : 'tag';
  const given = textOf(value[tagKey]) ?? '';
  const isDigestTag = given.startsWith('sha256:');
  const digest = isDigestTag ? given : typeof value['digest'] === 'string' && value['digest'] !== '' ? value['digest'] : undefined;
  const tag = isDigestTag || given === '' ? undefined : given;
  if (tag === undefined && digest === undefined) return undefined;
  const name = `${host}${repository}${isSplit ? `/${image}` : ''}`;
  const reference = `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  if (parseImage(reference) === undefined) return undefined;
  const put = (text: string): Plain => {
    const parsed = parseImage(text);
    if (parsed === undefined || text === reference) return value;
    const path = isSplit ? parsed.repository.slice(0, Math.max(0, parsed.repository.lastIndexOf('/'))) : parsed.repository;
    const fields: Plain = {
      ...(typeof registry === 'string'
        ? { registry: parsed.registry, repository: path }
        : { repository: `${parsed.registry}${path === '' ? '' : `/${path}`}` }),
      ...(isSplit ? { image: parsed.repository.slice(parsed.repository.lastIndexOf('/') + 1) } : {}),
      [tagKey]: (isDigestTag ? parsed.digest : parsed.tag) ?? parsed.digest ?? parsed.tag ?? 'latest',
      ...(isDigestTag || value['digest'] === undefined ? {} : { digest: parsed.digest ?? '' }),
    };
    return Object.fromEntries(Object.entries(value).map(([name_, old]) => [name_, Object.hasOwn(fields, name_) ? fields[name_] : old]));
  };
  return { reference, put };
};

/** Fields with an image reference whose name is not "image". */
const imageFields: Readonly<Record<string, string>> = { 'postgresql.cnpg.io': 'imageName' };

const mapCustom = (value: unknown, key: string, extra: string | undefined, rewrite: RewriteImage, depth: number): unknown => {
  if (depth > depthMax) return value;
  if (Array.isArray(value)) return mapList(value, (item) => mapCustom(item, key, extra, rewrite, depth + 1));
  if (!isPlain(value)) return value;
  const form = readMap(value, key);
  if (form !== undefined) return form.put(rewrite(form.reference));
  let mapped = containerLists.some((list) => Array.isArray(value[list])) ? (mapPodSpec(value, rewrite) as Plain) : value;
  for (const [name, field] of Object.entries(mapped)) {
    // Done above, with the certainty of a pod spec.
    if (mapped !== value && (containerLists as readonly string[]).includes(name)) continue;
    if (typeof field === 'string') {
      if ((name === 'image' || name === extra) && isClearReference(field)) mapped = withField(mapped, name, rewrite(field));
    } else if (typeof field === 'object' && field !== null) mapped = withField(mapped, name, mapCustom(field, name, extra, rewrite, depth + 1));
  }
  return mapped;
};

/**
 * Rewrites the image references of an object: in pod specs (all container lists, image volumes, `RELATED_IMAGE_*` variables) of Kubernetes' own kinds, and in
 * custom objects by what they look like: pod specs anywhere, string fields named `image`, and maps of repository and tag or digest. Other places (arguments,
 * ConfigMaps, CustomResourceDefinitions, status) stay as they are. Answers with the same object when nothing changed.
 */
export const rewriteImages = (object: KubeObject, rewrite: RewriteImage): KubeObject => {
  if (isOwnGroup(object.apiVersion)) {
    const path = podSpecs[object.kind];
    return path === undefined ? object : (mapPath(object, path, (spec) => mapPodSpec(spec, rewrite)) as KubeObject);
  }
  const extra = imageFields[object.apiVersion.slice(0, object.apiVersion.indexOf('/'))];
  let mapped: Plain = object;
  for (const [name, field] of Object.entries(object))
    if (!['apiVersion', 'kind', 'metadata', 'status'].includes(name)) mapped = withField(mapped, name, mapCustom(field, name, extra, rewrite, 0));
  return mapped as KubeObject;
};

/** The image references of an object, as written, each once, in the order of the object. The places are those of `rewriteImages`. */
export const imagesOf = (object: KubeObject): string[] => {
  const found = new Set<string>();
  rewriteImages(object, (reference) => {
    found.add(reference);
    return reference;
  });
  return [...found];
};

/** A rewrite by a table. Keys match as written or by meaning: an entry for `docker.io/library/nginx:1.27` also fits `nginx:1.27`. */
export const imageRewriter = (rewrites: ReadonlyMap<string, string>): RewriteImage => {
  const byMeaning = new Map([...rewrites].map(([from, to]) => [normaliseImage(from), to]));
  return (reference) => {
    const exact = rewrites.get(reference) ?? byMeaning.get(normaliseImage(reference));
    if (exact !== undefined) return exact;
    // `name:tag@digest` is the image of that digest; a table seldom has both spellings.
    const parsed = parseImage(reference);
    if (parsed?.tag === undefined || parsed.digest === undefined) return reference;
    const { tag: _tag, ...pinned } = parsed;
    return byMeaning.get(imageText(pinned)) ?? reference;
  };
};
