import { canonicalJson } from '@groundplane/protocol/canonical';
import type { Digest } from '@groundplane/protocol/digest';
import type { MediaDesired } from '@groundplane/protocol/media';
import type { Row } from '../port/store.ts';
import type { BuiltBundle } from '../render/bundle.ts';
import type { ApiDeps } from './handler.ts';

const releasesOf = async (deps: ApiDeps, row: Row<'cluster'>, built: BuiltBundle) => {
  const releases = [];
  for (const { name, version } of built.bundle.profiles) {
    const profile = await deps.store.byName('profile', row.tenant, row.project, `${name}@${version}`);
    if (profile?.value.release !== undefined) releases.push(profile.value.release);
  }
  return releases;
};

/**
 * What the hosts of a cluster were told, for a medium: only hosts that were told the bundle which lies on it. Puts it into the content store and answers its
 * digest; undefined when there is no such host.
 */
export const siteDesired = async (deps: ApiDeps, row: Row<'cluster'>, built: BuiltBundle): Promise<Digest | undefined> => {
  const releases = await releasesOf(deps, row, built);
  const hosts: MediaDesired['hosts'] = [];
  for (const name of deps.fleet.specOf(row).hosts) {
    const host = deps.fleet.hostByName(row.tenant, row.project, name);
    const told = host === undefined || host.state !== 'approved' ? undefined : await deps.store.get('desired', row.tenant, host.id);
    if (told === undefined || told.value.desired.bundle !== built.digest) continue;
    const director = await deps.store.get('director', row.tenant, told.value.director);
    if (director === undefined) continue;
    const { desired, proof, adopted } = told.value;
    hosts.push({
      host: desired.host,
      name,
      message: { t: 'desired', desired, proof, director: director.value, releases, ...(adopted === undefined ? {} : { adopted }) },
    });
  }
  if (hosts.length === 0) return undefined;
  const document: MediaDesired = { schema: 'groundplane.dev/media-desired/1', hub: deps.keys.hub, root: deps.keys.root, hosts };
  return deps.content.put(canonicalJson(document));
};
