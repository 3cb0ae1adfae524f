import type { UnitView } from '@groundplane/protocol/api/packs';
import type { ProfileComparisonView } from '@groundplane/protocol/api/profile-views';
import type { ProfileView } from '@groundplane/protocol/api/views';
import { digestOf } from '@groundplane/protocol/digest';
import { stringify } from 'yaml';
import { missing, no, pageOf, yes, type Answers, type Fixture } from './fixture-answers.ts';
import { clusterImages, clusterValues, packs, previewOf, spoiledPack } from './fixture-content.ts';
import { hostile, newId, project } from './fixture-data.ts';

const registryAnswers = (fixture: Fixture): Answers => {
  const { registries } = fixture.world;
  const versions = ['2.1.0', '2.0.3', '1.9.0'];
  return {
    listRegistries: ({ query }) => yes(pageOf([...registries.values()], query)),
    setRegistry: ({ params: { name }, body: { password, ...facts } }) => {
      if (password === 'wrong') return no(400, 'registry-denied', `registry ${name}`, 'answers 401: the user or password is wrong');
      const held = registries.get(name);
      const atMs = fixture.nowMs();
      const registry = {
        ...facts,
        id: held?.id ?? newId('reg', registries.size + 20),
        createdAtMs: held?.createdAtMs ?? atMs,
        updatedAtMs: atMs,
        rowVersion: (held?.rowVersion ?? 0) + 1,
        name,
        project,
        hasPassword: password === undefined ? (held?.hasPassword ?? false) : password !== '',
      };
      registries.set(name, registry);
      return yes(registry);
    },
    deleteRegistry: ({ params: { name } }) => (registries.delete(name) ? yes(undefined) : missing('registry', name)),
    validateRegistry: ({ params: { name } }) =>
      registries.has(name) ? yes({ reachable: true, message: 'it is a registry, and it lets us in' }) : missing('registry', name),
    listVersions: ({ params: { name }, query }) => {
      if (query.artifact !== undefined) return yes({ artifact: query.artifact, items: versions, truncated: false });
      return registries.get(name)?.kind === 'helm'
        ? yes({ items: ['cache', 'ingress'], truncated: false })
        : no(400, 'registry-unsupported', `registry ${name}`, 'OCI registries do not say which artifacts they have; name one: ?artifact=NAME');
    },
    importArtifact: ({ params: { name }, body }) => {
      const [digest, pack] = [...packs][registries.get(name)?.kind === 'helm' ? 1 : 0] ?? ['', undefined];
      if (pack === undefined) return missing('artifact', body.artifact);
      return yes({ kind: pack.kind, name: pack.name, version: pack.version, digest, size: pack.size, reference: body.artifact, warnings: [] });
    },
    listArtifacts: ({ query }) => {
      const { items, next } = pageOf(
        fixture.world.artifacts.map((artifact) => ({ ...artifact, name: `${artifact.repository}:${artifact.tag}` })),
        query,
      );
      return yes({ items, ...(next === undefined ? {} : { next }) });
    },
  };
};

const macroAnswers = (fixture: Fixture): Answers => {
  const { macros, tenantMacros } = fixture.world;
  const set = (map: typeof macros, of: string, name: string, body: { value: string; sensitive?: boolean | undefined }) => {
    const atMs = fixture.nowMs();
    const sensitive = body.sensitive ?? map.get(name)?.sensitive ?? false;
    const macro = {
      id: newId('mac', map.size + 20),
      createdAtMs: atMs,
      updatedAtMs: atMs,
      rowVersion: 1,
      name,
      project: of,
      value: sensitive ? '(hidden)' : body.value,
      sensitive,
    };
    map.set(name, macro);
    return yes(macro);
  };
  return {
    listMacros: ({ query }) => yes(pageOf([...macros.values()], query)),
    setMacro: ({ params, body }) => set(macros, project, params.name, body),
    deleteMacro: ({ params }) => (macros.delete(params.name) ? yes(undefined) : missing('macro', params.name)),
    listTenantMacros: ({ query }) => yes(pageOf([...tenantMacros.values()], query)),
    setTenantMacro: ({ params, body }) => set(tenantMacros, '', params.name, body),
    deleteTenantMacro: ({ params }) => (tenantMacros.delete(params.name) ? yes(undefined) : missing('macro', params.name)),
  };
};

const compare = (from: ProfileView, to: ProfileView, rendered: boolean): ProfileComparisonView => {
  const names = [...new Set([...from.spec.layers, ...to.spec.layers].map((layer) => layer.name))];
  const text = (profile: ProfileView, layer: string): string => {
    const found = profile.spec.layers.find((each) => each.name === layer);
    return found === undefined ? '' : stringify(found);
  };
  const layers = names.map((name) => {
    const [before, after] = [text(from, name), text(to, name)];
    const change = before === after ? ('same' as const) : before === '' ? ('add' as const) : after === '' ? ('remove' as const) : ('change' as const);
    return { name, change, before, after };
  });
  return {
    from: { name: from.name, version: from.version },
    to: { name: to.name, version: to.version },
    layers,
    ...(rendered
      ? {
          rendered: {
            objects: layers.flatMap(({ name, change, before, after }) =>
              change === 'same' ? [] : [{ layer: name, object: `ConfigMap default/${name}`, change, before, after }],
            ),
            images: { added: ['registry.example/longhorn:1.9.1'], removed: ['registry.example/old:1'], same: 4 },
            hidden: 1,
          },
        }
      : {}),
  };
};

const profileAnswers = (fixture: Fixture): Answers => {
  const { profiles } = fixture.world;
  return {
    listPacks: () => {
      const units = [...packs.values()].map(({ kind, name, version, digest }): UnitView => ({
        kind,
        name,
        version,
        digest,
        ...(kind === 'pack' ? { registry: 'packs' } : {}),
        usedBy: [...profiles.values()]
          .filter((profile) => JSON.stringify(profile.spec).includes(digest))
          .map((profile) => `${profile.name}@${profile.version}`),
      }));
      return yes({ items: fixture.world.registries.size === 0 ? [] : units, truncated: false });
    },
    getPack: ({ params: { digest } }) => {
      const pack = packs.get(digest);
      if (pack === undefined) return missing('pack', digest);
      return yes(fixture.world.isHostile ? spoiledPack(pack, Object.values(hostile)) : pack);
    },
    previewProfile: ({ body }) => {
      const open = body.spec.variables.find((variable) => variable.required && variable.default === undefined && body.variables[variable.name] === undefined);
      return open === undefined
        ? yes(previewOf(body.spec, '0.0.0'))
        : no(400, 'variable-missing', `variable ${open.name}`, `needs a value. Set it under spec.variables.${open.name} of the cluster`);
    },
    compareProfiles: ({ body }) => {
      const [from, to] = [body.from, body.to].map(({ name, version }) => profiles.get(`${name}@${version}`));
      return from === undefined || to === undefined ? missing('profile', body.to.name) : yes(compare(from, to, body.rendered));
    },
    cloneProfile: ({ params, body }) => {
      const held = profiles.get(`${params.name}@${params.version}`);
      if (held === undefined) return missing('profile', params.name);
      const [name, version] = [body.name ?? params.name, body.version ?? params.version];
      if (profiles.has(`${name}@${version}`))
        return no(409, 'name-taken', `profile ${name} ${version}`, 'is there already; give the copy another name or version');
      const copy: ProfileView = { ...held, id: newId('prv', profiles.size + 90), name, version, state: 'draft', digest: digestOf(held.spec), usedBy: [] };
      profiles.set(`${name}@${version}`, copy);
      return yes(copy);
    },
    clusterValues: ({ params: { name } }) => (fixture.world.clusters.has(name) ? yes(clusterValues) : missing('cluster', name)),
    clusterImages: ({ params: { name } }) => {
      const cluster = fixture.world.clusters.get(name);
      return cluster === undefined ? missing('cluster', name) : yes(clusterImages(cluster.bundle ?? ''));
    },
    clusterSbom: () => yes({ bomFormat: 'CycloneDX', specVersion: '1.6' }),
  };
};

export const contentAnswers = (fixture: Fixture): Answers => ({ ...registryAnswers(fixture), ...macroAnswers(fixture), ...profileAnswers(fixture) });
