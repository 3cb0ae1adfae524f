import type { MediaView } from '@groundplane/protocol/api/registries';
import { apiVersion, type ProfileSpec } from '@groundplane/protocol/profile';
import { childrenOf, parseManifest } from '../registry/oci-manifest.ts';
import { canonicalJson } from '@groundplane/protocol/canonical';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { isDigest } from '@groundplane/protocol/digest';
import { bundleSbom, imagesOfBundle, type UsedImage } from '../media/sbom.ts';
import { podImages, type ImagesOf } from '../media/pod-images.ts';
import type { Row } from '../port/store.ts';
import type { BuiltBundle } from '../render/bundle.ts';
import { notFound } from './errors.ts';
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

const readImages = async (deps: ApiDeps, built: BuiltBundle, imagesOf: ImagesOf): Promise<UsedImage[]> => {
  const found = new Map<string, string[]>();
  for (const layer of built.bundle.layers)
    for (const { digest } of [...layer.objects, ...layer.hooks]) {
      if (found.has(digest)) continue;
      const bytes = await deps.content.read(digest);
      if (bytes !== undefined) found.set(digest, imagesOf(JSON.parse(bytes.toString('utf8')) as unknown));
    }
  return imagesOfBundle(built.bundle, found);
};

export const clusterImages: Handler<'clusterImages'> = async ({ principal, params, project }, deps) => {
  const loaded = await load(deps, principal.tenant, project, params.name);
  if (!loaded.ok) return loaded;
  return ok({ bundle: loaded.value.built.digest, items: await readImages(deps, loaded.value.built, podImages) });
};

export const clusterSbom: Handler<'clusterSbom'> = async ({ principal, params, project }, deps) => {
  const loaded = await load(deps, principal.tenant, project, params.name);
  if (!loaded.ok) return loaded;
  const { built } = loaded.value;
  return ok(bundleSbom({ name: params.name, version: built.digest }, built.bundle, await readImages(deps, built, podImages)));
};

interface Unit {
  kind: 'chart' | 'pack' | 'zarf';
  name: string;
  version: string;
  digest: string;
}

/** What the layers of a profile name by digest; of a Zarf package also the layers that its manifest names. */
const unitsOf = async (deps: ApiDeps, spec: ProfileSpec): Promise<Unit[]> => {
  const units: Unit[] = [];
  for (const { helm, pack, zarf } of spec.layers) {
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

/** Everything that a cluster needs, by digest: its profiles as documents, their units, the bundle and its blobs, and the images that it names. */
export const clusterMedia: Handler<'clusterMedia'> = async ({ principal, params, project }, deps) => {
  const { tenant } = principal;
  const loaded = await load(deps, tenant, project, params.name);
  if (!loaded.ok) return loaded;
  const { row, built } = loaded.value;
  const items: MediaView['items'] = [];
  const add = async (kind: MediaView['items'][number]['kind'], name: string, digest: string, version?: string): Promise<Result<void>> => {
    const size = await deps.content.size(digest);
    if (size === undefined || !isDigest(digest)) return fail('blocked', 'content-missing', `${kind} ${name}`, `its content ${digest} is not in the store`);
    items.push({ kind, name, ...(version === undefined ? {} : { version }), digest, size });
    return ok(undefined);
  };
  for (const { name, version } of row.value.spec.profiles) {
    const profile = await deps.store.byName('profile', tenant, project, `${name}@${version}`);
    if (profile === undefined) return notFound(`profile ${name}@${version}`, '');
    const document = { apiVersion, kind: 'Profile', metadata: { name, version, labels: profile.value.labels }, spec: profile.value.spec };
    const added = [await add('profile', name, await deps.content.put(canonicalJson(document)), version)];
    for (const unit of await unitsOf(deps, profile.value.spec)) added.push(await add(unit.kind, unit.name, unit.digest, unit.version));
    const bad = added.find((item) => !item.ok);
    if (bad !== undefined && !bad.ok) return bad;
  }
  const bundle = await add('bundle', params.name, built.digest);
  if (!bundle.ok) return bundle;
  for (const [digest] of built.blobs) {
    const added = await add('object', 'object', digest);
    if (!added.ok) return added;
  }
  const images = (await readImages(deps, built, podImages)).map(({ reference }) => ({ reference }));
  return ok({ schema: 'groundplane.dev/media/1', subject: { project: params.project, cluster: params.name }, bundle: built.digest, items, images });
};

/** Whether a person may read a blob because a cluster's medium names it. Rendered objects hold secrets, so the permission is that of content. */
export const isInMedia = async (deps: ApiDeps, tenant: string, project: string, cluster: string, digest: string): Promise<boolean> => {
  const loaded = await load(deps, tenant, project, cluster);
  if (!loaded.ok) return false;
  if (digest === loaded.value.built.digest || loaded.value.built.blobs.has(digest)) return true;
  for (const { name, version } of loaded.value.row.value.spec.profiles) {
    const profile = await deps.store.byName('profile', tenant, project, `${name}@${version}`);
    if (profile === undefined) continue;
    const document = { apiVersion, kind: 'Profile', metadata: { name, version, labels: profile.value.labels }, spec: profile.value.spec };
    if ((await deps.content.put(canonicalJson(document))) === digest) return true;
    if (profile.value.spec.layers.some((layer) => [layer.helm?.chart.digest, layer.pack?.digest, layer.zarf?.package.digest].includes(digest as never)))
      return true;
  }
  return false;
};
