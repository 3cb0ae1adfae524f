import { isAllowed } from '@groundplane/protocol/access';
import { isDigest, type Digest } from '@groundplane/protocol/digest';
import { ok } from '@groundplane/protocol/failure';
import type { Write } from '../port/store.ts';
import type { Catalogue, HeldItem, Repository } from '../registry/catalogue.ts';
import type { ApiDeps } from './handler.ts';

/** The key from `Bearer` or, as containerd and Docker log in, from the password of `Basic`. */
const keyOf = (authorization: string | undefined): string | undefined => {
  if (authorization?.startsWith('Bearer ') === true) return authorization.slice('Bearer '.length);
  if (authorization?.startsWith('Basic ') !== true) return undefined;
  const text = Buffer.from(authorization.slice('Basic '.length), 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : text.slice(colon + 1);
};

const listMax = 1_000;

/** Ids of rows are per tenant; repositories are told apart by their project, whose name begins theirs. */
const itemId = (repository: string, digest: string): string => `${repository}@${digest}`;
const tagId = (repository: string, tag: string): string => `${repository}:${tag}`;

const makeRepository = (deps: Pick<ApiDeps, 'store'>, tenant: string, project: string, name: string): Repository => {
  const { store } = deps;
  const held = async (digest: string): Promise<HeldItem | undefined> => {
    if (!isDigest(digest)) return undefined;
    const row = await store.byName('artifactBlob', tenant, project, itemId(name, digest));
    if (row === undefined) return undefined;
    const { size, mediaType, needs } = row.value;
    return { digest, size, ...(mediaType === undefined ? {} : { mediaType }), ...(needs === undefined ? {} : { needs }) };
  };
  const tagRows = (after: string | undefined, limit: number) => store.list('artifact', tenant, { project, after: tagId(name, after ?? ''), limit });

  return {
    name,
    held,
    tagged: async (tag) => (await store.byName('artifact', tenant, project, tagId(name, tag)))?.value.digest as Digest | undefined,
    tags: async (after, limit) => {
      const rows = (await tagRows(after, limit)).filter((row) => row.value.repository === name);
      if (rows.length > 0 || after !== undefined) return rows.map((row) => row.value.tag);
      const [first] = await store.list('artifactBlob', tenant, { project, after: itemId(name, ''), limit: 1 });
      return first?.value.repository === name ? [] : undefined;
    },
    hold: async (item, tag) => {
      const { digest, size, mediaType, needs } = item;
      const writes: Write[] = [
        {
          op: 'put',
          kind: 'artifactBlob',
          tenant,
          id: `${project} ${itemId(name, digest)}`,
          project,
          name: itemId(name, digest),
          value: { repository: name, digest, size, ...(mediaType === undefined ? {} : { mediaType }), ...(needs === undefined ? {} : { needs }) },
        },
      ];
      if (tag !== undefined)
        writes.push({
          op: 'put',
          kind: 'artifact',
          tenant,
          id: `${project} ${tagId(name, tag)}`,
          project,
          name: tagId(name, tag),
          value: { repository: name, tag, digest, mediaType: mediaType ?? '', size },
        });
      const done = await store.commit(writes);
      return done.ok ? ok(undefined) : done;
    },
    drop: async (tagOrDigest) => {
      const writes: Write[] = [];
      if (isDigest(tagOrDigest)) {
        if ((await held(tagOrDigest)) === undefined) return ok(false);
        writes.push({ op: 'delete', kind: 'artifactBlob', tenant, id: `${project} ${itemId(name, tagOrDigest)}` });
        // Tags of a manifest go with it.
        for (let after: string | undefined; ;) {
          const rows = (await tagRows(after, listMax)).filter((row) => row.value.repository === name);
          for (const row of rows) if (row.value.digest === tagOrDigest) writes.push({ op: 'delete', kind: 'artifact', tenant, id: row.id });
          if (rows.length < listMax) break;
          after = rows.at(-1)?.value.tag;
        }
      } else {
        const row = await store.byName('artifact', tenant, project, tagId(name, tagOrDigest));
        if (row === undefined) return ok(false);
        writes.push({ op: 'delete', kind: 'artifact', tenant, id: row.id });
      }
      const done = await store.commit(writes);
      return done.ok ? ok(true) : done;
    },
  };
};

/** The repository for the hub itself: imports and media go through it too. */
export const repositoryOf = (deps: Pick<ApiDeps, 'store'>, tenant: string, project: string, name: string): Repository =>
  makeRepository(deps, tenant, project, name);

/**
 * Who may use which repository. Names begin with the project; people need `content.get` or `content.upload` in it; hosts read what their own project holds,
 * and write nothing. A project that is missing and one that may not be seen look the same.
 */
export const hubCatalogue = (deps: ApiDeps): Catalogue => {
  const hostOf = (key: string) => {
    const id = deps.gateway.hostByToken(key);
    const host = id === undefined ? undefined : deps.fleet.host(id);
    return host?.state === 'approved' ? host : undefined;
  };
  return {
    isKnown: async (authorization) => {
      const key = keyOf(authorization);
      return key !== undefined && (hostOf(key) !== undefined || (await deps.auth.byBearer(key)) !== undefined);
    },
    enter: async (authorization, name, action) => {
      const key = keyOf(authorization);
      if (key === undefined) return 'unauthenticated';
      const projectName = name.split('/')[0] ?? '';
      const host = hostOf(key);
      if (host !== undefined) {
        const project = await deps.store.byName('project', host.tenant, '', projectName);
        if (project === undefined || project.id !== host.project || !name.includes('/')) return 'unknown';
        return action === 'pull' ? makeRepository(deps, host.tenant, project.id, name) : 'denied';
      }
      const principal = await deps.auth.byBearer(key);
      if (principal === undefined) return 'unauthenticated';
      const project = await deps.store.byName('project', principal.tenant, '', projectName);
      const mayEnter = project !== undefined && principal.grants.some((grant) => grant.project === undefined || grant.project === project.id);
      if (project === undefined || !mayEnter || !name.includes('/')) return 'unknown';
      if (!isAllowed(principal.grants, action === 'pull' ? 'content.get' : 'content.upload', project.id)) return 'denied';
      return makeRepository(deps, principal.tenant, project.id, name);
    },
  };
};
