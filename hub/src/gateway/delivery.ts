import type { Digest } from '@groundplane/protocol/digest';
import { limits } from '@groundplane/protocol/limits';
import { makeBundlePatch } from '@groundplane/protocol/messages';
import type { ContentStore } from '../port/content.ts';
import type { Row, Store } from '../port/store.ts';
import type { Bundler, BuiltBundle } from '../render/bundle.ts';

const cacheMax = 512;

export interface DeliveryOptions {
  /** The bundle that the host is known to hold and can be patched. */
  base: string | undefined;
  /** Whether small new blobs may ride along. */
  attach: boolean;
}

/**
 * Writes `desired` messages. What many hosts share (bundle or patch, releases, small new blobs, the director's signature) is turned into text once;
 * only the host's own few hundred bytes are made for each.
 */
export const createDelivery = (deps: { store: Store; content: ContentStore; bundler: Bundler }) => {
  const shared = new Map<string, Promise<string | undefined>>();
  const directors = new Map<string, string>();

  const remember = <V>(map: Map<string, V>, key: string, value: V): V => {
    if (map.size >= cacheMax) map.clear();
    map.set(key, value);
    return value;
  };

  const directorText = async (tenant: string, root: string): Promise<string | undefined> => {
    const known = directors.get(root);
    if (known !== undefined) return known;
    const row = await deps.store.get('director', tenant, root);
    return row === undefined ? undefined : remember(directors, root, JSON.stringify(row.value));
  };

  const releasesOf = async (tenant: string, project: string, built: BuiltBundle): Promise<unknown[]> => {
    const releases = [];
    for (const profile of built.bundle.profiles) {
      const row = await deps.store.byName('profile', tenant, project, `${profile.name}@${profile.version}`);
      if (row?.value.release !== undefined) releases.push(row.value.release);
    }
    return releases;
  };

  /** New blobs that fit into the message, smallest first. */
  const attachments = async (built: BuiltBundle, base: BuiltBundle | undefined): Promise<Record<string, string>> => {
    const attached: Record<string, string> = {};
    let room: number = limits.attachBytes;
    const missing = [...built.blobs].filter(([digest]) => base?.blobs.has(digest) !== true).toSorted((a, b) => a[1] - b[1]);
    for (const [digest, size] of missing) {
      if (size > room) break;
      const bytes = await deps.content.read(digest);
      if (bytes === undefined) continue;
      const text = bytes.toString('utf8');
      if (Buffer.byteLength(text) !== bytes.length) continue;
      attached[digest] = text;
      room -= size;
    }
    return attached;
  };

  const sharedText = async (tenant: string, project: string, bundle: string, options: DeliveryOptions): Promise<string | undefined> => {
    const baseDigest = options.base;
    const built = await deps.bundler.load(bundle);
    if (built === undefined) return undefined;
    const base = baseDigest === undefined ? undefined : await deps.bundler.load(baseDigest);
    const body =
      base === undefined ? { bundle: built.bundle } : base.digest === built.digest ? {} : { patch: makeBundlePatch(base, built.bundle, built.layerKeys) };
    const attach = options.attach ? await attachments(built, base) : {};
    // Releases that came with the base are known to the host already.
    const isKnown = base !== undefined && JSON.stringify(base.bundle.profiles) === JSON.stringify(built.bundle.profiles);
    const releases = isKnown ? {} : { releases: await releasesOf(tenant, project, built) };
    return JSON.stringify({ ...body, ...releases, ...(Object.keys(attach).length === 0 ? {} : { attach }) }).slice(1, -1);
  };

  return {
    /** The whole text of a message, or undefined when its parts are gone. */
    message: async (row: Row<'desired'>, project: string, options: DeliveryOptions): Promise<string | undefined> => {
      const director = await directorText(row.tenant, row.value.director);
      if (director === undefined) return undefined;
      const { bundle } = row.value.desired;
      let tail: string | undefined = '';
      if (bundle !== undefined) {
        const key = `${row.tenant} ${project} ${bundle} ${options.base ?? ''} ${options.attach}`;
        tail = await (shared.get(key) ?? remember(shared, key, sharedText(row.tenant, project, bundle, options)));
        if (tail === undefined) return undefined;
      }
      const adopted = row.value.adopted === undefined ? '' : `,"adopted":${JSON.stringify(row.value.adopted)}`;
      return `{"t":"desired","desired":${JSON.stringify(row.value.desired)},"proof":${JSON.stringify(row.value.proof)},"director":${director}${adopted}${tail === '' ? '' : `,${tail}`}}`;
    },
    /** Whether a host may read a blob: only what its own bundle names. */
    mayRead: async (bundle: string | undefined, digest: Digest): Promise<boolean> => {
      if (bundle === undefined) return false;
      if (bundle === digest) return true;
      const built = await deps.bundler.load(bundle);
      return built?.blobs.has(digest) === true || built?.large.has(digest) === true;
    },
  };
};
export type Delivery = ReturnType<typeof createDelivery>;
