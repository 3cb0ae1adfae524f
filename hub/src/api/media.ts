import { osContent } from '@groundplane/protocol/os-spec';
import type { MediaView } from '@groundplane/protocol/api/registries';
import { ociReferences } from '@groundplane/protocol/bundle';
import { apiVersion, type ProfileSpec } from '@groundplane/protocol/profile';
import { childrenOf, parseManifest } from '../registry/oci-manifest.ts';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { isDigest } from '@groundplane/protocol/digest';
import { bundleSbom, imagesOfBundle, type UsedImage } from '../media/sbom.ts';
import { imagesOf } from '../render/images.ts';
import type { Row } from '../port/store.ts';
import type { BuiltBundle } from '../render/bundle.ts';
import { notFound } from './errors.ts';
import { siteDesired } from './media-desired.ts';
import type { ApiDeps, Handler } from './handler.ts';

interface Loaded {
  row: Row<'cluster'>;
  built: BuiltBundle;
}

const load = async (deps: ApiDeps, tenant: string, project: string, name: string): Promise<Result<Loaded>> => {
  const row = await deps.store.byName('cluster', tenant, project, name);
  if (row === undefined) return notFound(`cluster ${name}`, 'See: gp get clusters');
  const entry = deps.fleet.cluster(row.id);
  const built = entry?.bundle === undefined ? undefined : await deps.bundler.load(entry.bundle);
  if (built !== undefined) return ok({ row, built });
  return entry?.failure === undefined
    ? fail('retry', 'bundle-missing', `cluster ${name}`, 'its bundle is not made yet; try again in a moment')
    : fail('blocked', 'bundle-missing', `cluster ${name}`, `its profiles and values make no bundle: ${entry.failure.message}`);
};

const isObject = (value: unknown): value is KubeObject =>
  typeof value === 'object' && value !== null && typeof (value as KubeObject).apiVersion === 'string' && typeof (value as KubeObject).kind === 'string';

const readImages = async (deps: ApiDeps, built: BuiltBundle): Promise<UsedImage[]> => {
  const found = new Map<string, string[]>();
  for (const layer of built.bundle.layers)
    for (const { digest } of layer.images === undefined ? [...layer.objects, ...layer.hooks] : []) {
      if (found.has(digest)) continue;
      const bytes = await deps.content.read(digest);
      const object: unknown = bytes === undefined ? undefined : JSON.parse(bytes.toString('utf8'));
      if (isObject(object)) found.set(digest, imagesOf(object));
    }
  return imagesOfBundle(built.bundle, found);
};

export const clusterImages: Handler<'clusterImages'> = async ({ principal, params, project }, deps) => {
  const loaded = await load(deps, principal.tenant, project, params.name);
  if (!loaded.ok) return loaded;
  return ok({ bundle: loaded.value.built.digest, items: await readImages(deps, loaded.value.built) });
};

export const clusterSbom: Handler<'clusterSbom'> = async ({ principal, params, project }, deps) => {
  const loaded = await load(deps, principal.tenant, project, params.name);
  if (!loaded.ok) return loaded;
  const { built } = loaded.value;
  return ok(bundleSbom({ name: params.name, version: built.digest }, built.bundle, await readImages(deps, built)));
};

interface Unit {
  kind: 'chart' | 'pack' | 'zarf' | 'blob';
  name: string;
  version: string;
  digest: string;
}

/** What the layers of a profile name by digest; of a Zarf package also the layers that its manifest names. */
const unitsOf = async (deps: ApiDeps, spec: ProfileSpec): Promise<Unit[]> => {
  const units: Unit[] = [];
  for (const { helm, pack, zarf, os } of spec.layers) {
    for (const { name, version, digest } of osContent(os)) units.push({ kind: 'blob', name, version, digest });
    if (helm !== undefined) units.push({ kind: 'chart', ...helm.chart });
    if (pack?.digest !== undefined) units.push({ kind: 'pack', name: pack.name, version: pack.version, digest: pack.digest });
    if (zarf === undefined) continue;
    units.push({ kind: 'zarf', ...zarf.package });
    const bytes = await deps.content.read(zarf.package.digest);
    const parsed = bytes === undefined ? undefined : parseManifest(bytes, undefined, `zarf package ${zarf.package.name}`);
    if (parsed?.ok === true)
      units.push(
        ...childrenOf(parsed.value).map((child) => ({ kind: 'zarf' as const, name: zarf.package.name, version: zarf.package.version, digest: child.digest })),
      );
  }
  return units;
};

type Item = MediaView['items'][number];

const itemOf = async (deps: ApiDeps, kind: Item['kind'], name: string, digest: string, version?: string): Promise<Result<Item>> => {
  const size = await deps.content.size(digest);
  if (size === undefined || !isDigest(digest)) return fail('blocked', 'content-missing', `${kind} ${name}`, `its content ${digest} is not in the store`);
  return ok({ kind, name, ...(version === undefined ? {} : { version }), digest, size });
};

/** A profile version as a document, and everything that its layers name. */
const profileItems = async (deps: ApiDeps, tenant: string, project: string, name: string, version: string): Promise<Result<Item[]>> => {
  const profile = await deps.store.byName('profile', tenant, project, `${name}@${version}`);
  if (profile === undefined) return notFound(`profile ${name}@${version}`, 'See: gp get profiles');
  const document = { apiVersion, kind: 'Profile', metadata: { name, version, labels: profile.value.labels }, spec: profile.value.spec };
  const items: Item[] = [];
  const units = [
    { kind: 'profile' as const, name, version, digest: (await deps.content.put(canonicalJson(document))) as string },
    ...(await unitsOf(deps, profile.value.spec)),
  ];
  for (const unit of units) {
    const item = await itemOf(deps, unit.kind, unit.name, unit.digest, unit.version);
    if (!item.ok) return item;
    items.push(item.value);
  }
  return ok(items);
};

/** Everything that a cluster needs, by digest: its profiles as documents, their units, the bundle and its blobs, and the images that it names. */
export const clusterDocument = async (
  deps: ApiDeps,
  tenant: string,
  project: string,
  params: { project: string; name: string },
): Promise<Result<MediaView>> => {
  const loaded = await load(deps, tenant, project, params.name);
  if (!loaded.ok) return loaded;
  const { row, built } = loaded.value;
  const items: Item[] = [];
  for (const { name, version } of row.value.spec.profiles) {
    const parts = await profileItems(deps, tenant, project, name, version);
    if (!parts.ok) return parts;
    items.push(...parts.value);
  }
  for (const [kind, name, digest] of [
    ['bundle', params.name, built.digest] as const,
    ...[...built.blobs.keys()].map((blob) => ['object', 'object', blob] as const),
    ...[...built.large].map(([digest, blob]) => ['blob', blob.name, digest] as const),
  ]) {
    const item = await itemOf(deps, kind, name, digest);
    if (!item.ok) return item;
    items.push(item.value);
  }
  const desired = await siteDesired(deps, row, built);
  const own = desired === undefined ? undefined : await itemOf(deps, 'desired', params.name, desired);
  if (own?.ok === false) return own;
  if (own !== undefined) items.push(own.value);
  // What the bundle brings itself lies among its blobs.
  const brought = ociReferences(built.bundle);
  const images = (await readImages(deps, built)).filter(({ reference }) => !brought.has(reference)).map(({ reference }) => ({ reference }));
  return ok({ schema: 'groundplane.dev/media/1', subject: { project: params.project, cluster: params.name }, bundle: built.digest, items, images });
};

export const clusterMedia: Handler<'clusterMedia'> = ({ principal, params, project }, deps) => clusterDocument(deps, principal.tenant, project, params);

/** A profile version and what it names. Which images that leads to is known once it is rendered with a cluster's values; Zarf packages bring theirs. */
export const profileMedia: Handler<'profileMedia'> = async ({ principal, params, project }, deps) => {
  const items = await profileItems(deps, principal.tenant, project, params.name, params.version);
  if (!items.ok) return items;
  const subject = { project: params.project, profile: `${params.name}@${params.version}` };
  return ok({ schema: 'groundplane.dev/media/1', subject, items: items.value, images: [] });
};

const isInProfile = async (deps: ApiDeps, tenant: string, project: string, name: string, version: string, digest: string): Promise<boolean> => {
  const items = await profileItems(deps, tenant, project, name, version);
  return items.ok && items.value.some((item) => item.digest === digest);
};

/** What a medium is asked for: a cluster by name, or a profile as `name@version`. */
export type MediaSubject = { cluster: string } | { profile: string };

/** Whether a person may read a blob because a medium names it. Rendered objects hold secrets, so the permission is that of content. */
export const isInMedia = async (deps: ApiDeps, tenant: string, project: string, subject: MediaSubject, digest: string): Promise<boolean> => {
  if ('profile' in subject) {
    const [name = '', version = ''] = subject.profile.split('@');
    return isInProfile(deps, tenant, project, name, version, digest);
  }
  const loaded = await load(deps, tenant, project, subject.cluster);
  if (!loaded.ok) return false;
  if (digest === loaded.value.built.digest || loaded.value.built.blobs.has(digest) || loaded.value.built.large.has(digest)) return true;
  for (const { name, version } of loaded.value.row.value.spec.profiles) if (await isInProfile(deps, tenant, project, name, version, digest)) return true;
  return (await siteDesired(deps, loaded.value.row, loaded.value.built)) === digest;
};
