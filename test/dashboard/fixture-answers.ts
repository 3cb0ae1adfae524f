import { stringify } from 'yaml';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, type Failure } from '@groundplane/protocol/failure';
import type { Output } from '@groundplane/protocol/api/client';
import type { RouteName, Routes } from '@groundplane/protocol/api/routes';
import type { ClusterSummaryView, ClusterView, HostSummaryView, PlanView, ProfileSummaryView, ProfileView, WhoView } from '@groundplane/protocol/api/views';
import type { ClusterSpec } from '@groundplane/protocol/profile';
import type { z } from 'zod';
import { contentAnswers } from './fixture-content-answers.ts';
import { cloudAnswers } from './fixture-clouds.ts';
import { placeAnswers } from './fixture-places.ts';
import { newId, project, type World } from './fixture-data.ts';

export type Answer<T> = { ok: true; value: T } | { ok: false; failure: Failure; status: 400 | 401 | 403 | 404 | 409 };
export type Change = { kind: 'cluster' | 'host' | 'profile' | 'ticket' | 'project'; name: string };

interface Asked<N extends RouteName> {
  params: z.output<Routes[N]['params']>;
  query: z.output<Routes[N]['query']>;
  body: Routes[N]['body'] extends z.ZodType ? z.output<Routes[N]['body']> : undefined;
}
export type Answers = { [N in RouteName]?: (asked: Asked<N>) => Answer<Output<N>> };

export interface Fixture {
  world: World;
  who: WhoView;
  nowMs: () => number;
  changed: (...changes: Change[]) => void;
  projects: string[];
}

export const yes = <T>(value: T): { ok: true; value: T } => ({ ok: true, value });
export const no = (status: 400 | 401 | 403 | 404 | 409, code: string, element: string, message: string) =>
  ({ ...fail('fatal', code, element, message), status }) as const;
export const missing = (what: string, name: string) => no(404, 'not-found', `${what} ${name}`, 'does not exist in this project');

export const pageOf = <T extends { name: string }>(items: readonly T[], query: { after?: string | undefined; limit?: number | undefined }) => {
  const sorted = items.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const start = query.after === undefined ? 0 : Number(query.after);
  const end = start + (query.limit ?? 100);
  return { items: sorted.slice(start, end), ...(end < sorted.length ? { next: String(end) } : {}) };
};

const clusterSummary = (cluster: ClusterView): ClusterSummaryView => ({
  ...cluster,
  hosts: cluster.hosts.length,
  online: cluster.hosts.filter((host) => host.online).length,
});
const profileSummary = (profile: ProfileView): ProfileSummaryView => ({
  ...profile,
  type: profile.spec.type,
  ...(profile.spec.description === undefined ? {} : { description: profile.spec.description }),
  layers: profile.spec.layers.map(({ name, kind, pack }) => ({ name, kind, pack: pack ?? { name, version: profile.version } })),
  clusters: profile.usedBy.length,
});

export const fleetOf = (world: World) => {
  const hosts = [...world.hosts.values()].filter((host) => host.state === 'approved');
  const clusters = [...world.clusters.values()];
  const byState: Record<string, number> = {};
  for (const { state } of clusters) byState[state] = (byState[state] ?? 0) + 1;
  const lobby = world.hosts.size - hosts.length;
  return {
    hosts: hosts.length,
    online: hosts.filter((host) => host.online).length,
    lobby,
    simulated: hosts.filter((host) => host.simulated).length,
    clusters: clusters.length,
    byState,
    drifted: clusters.reduce((sum, cluster) => sum + cluster.drifted, 0),
    profiles: world.profiles.size,
  };
};

const planOf = (world: World, name: string, spec: ClusterSpec): PlanView | undefined => {
  const profiles = spec.profiles.map((each) => world.profiles.get(`${each.name}@${each.version}`));
  if (profiles.includes(undefined)) return undefined;
  const wanted = profiles.flatMap((profile) => (profile === undefined ? [] : profileSummary(profile).layers));
  const held = world.clusters.get(name)?.layers ?? [];
  const layers = wanted.map((layer): PlanView['layers'][number] => {
    const old = held.find((each) => each.name === layer.name);
    const objects = [
      { object: `Namespace ${layer.name}`, change: 'keep' as const },
      { object: `Deployment ${layer.name}/${layer.name}`, change: old === undefined ? ('add' as const) : ('change' as const) },
    ];
    return {
      name: layer.name,
      kind: layer.kind,
      change: old === undefined ? 'add' : 'change',
      to: layer.pack,
      ...(old?.desired === undefined ? {} : { from: old.desired.pack }),
      objects,
    };
  });
  const steps = layers.map((layer) => `apply layer ${layer.name}: 1 object is written, 1 is kept`);
  return {
    bundle: digestOf(spec),
    changes: true,
    layers,
    steps,
    hosts: spec.hosts.length,
    warnings: spec.hosts.length === 0 ? ['no host is assigned, so nothing happens until one is'] : [],
  };
};

const hostSummaryOf = (fixture: Fixture, spec: ClusterSpec): HostSummaryView[] => spec.hosts.flatMap((name) => fixture.world.hosts.get(name) ?? []);

const applied = (fixture: Fixture, name: string, spec: ClusterSpec, labels: Record<string, string>): ClusterView => {
  const held = fixture.world.clusters.get(name);
  const plan = planOf(fixture.world, name, spec);
  const atMs = fixture.nowMs();
  return {
    id: held?.id ?? newId('clu', fixture.world.clusters.size + 500),
    createdAtMs: held?.createdAtMs ?? atMs,
    updatedAtMs: atMs,
    rowVersion: (held?.rowVersion ?? 0) + 1,
    name,
    project,
    labels,
    state: spec.hosts.length === 0 ? 'waiting' : 'applying',
    message: 'A change is on its way to its hosts.',
    profiles: spec.profiles,
    layersReady: 0,
    layersTotal: plan?.layers.length ?? 0,
    drifted: 0,
    simulated: false,
    spec,
    bundle: digestOf(spec),
    layers: (plan?.layers ?? []).map((layer) => ({
      name: layer.name,
      kind: layer.kind,
      desired: { pack: layer.to ?? { name: layer.name, version: '1' }, digest: digestOf(layer) },
      isCurrent: false,
    })),
    conditions: [],
    hosts: hostSummaryOf(fixture, spec),
    deleting: false,
  };
};

const profileAnswers = (fixture: Fixture): Answers => {
  const { profiles } = fixture.world;
  const find = (params: { name: string; version: string }) => profiles.get(`${params.name}@${params.version}`);
  return {
    listProfiles: ({ query }) =>
      yes(
        pageOf(
          [...profiles.values()].map(profileSummary).filter((row) => query.name === undefined || row.name === query.name),
          query,
        ),
      ),
    getProfile: ({ params }) => {
      const found = find(params);
      return found === undefined ? missing('profile', `${params.name} ${params.version}`) : yes(found);
    },
    applyProfile: ({ params: { name, version }, body }) => {
      const held = find({ name, version });
      if (held?.state === 'released') return no(409, 'version-released', `profile ${name} ${version}`, 'is released and never changes; apply the next version');
      const atMs = fixture.nowMs();
      const profile: ProfileView = {
        id: newId('prv', profiles.size + 50),
        createdAtMs: atMs,
        updatedAtMs: atMs,
        rowVersion: 1,
        name,
        project,
        version,
        labels: body.labels ?? {},
        state: body.draft === true ? 'draft' : 'released',
        digest: digestOf(body.spec),
        spec: body.spec,
        usedBy: [],
      };
      profiles.set(`${name}@${version}`, profile);
      fixture.changed({ kind: 'profile', name });
      return yes(profile);
    },
    releaseProfile: ({ params }) => {
      const found = find(params);
      if (found === undefined) return missing('profile', params.name);
      found.state = 'released';
      fixture.changed({ kind: 'profile', name: params.name });
      return yes(found);
    },
    diffProfile: ({ params: { name }, query }) => {
      const [from, to] = [find({ name, version: query.from }), find({ name, version: query.to })];
      if (from === undefined || to === undefined) return missing('profile', name);
      const names = [...new Set([...from.spec.layers, ...to.spec.layers].map((layer) => layer.name))];
      const text = (profile: ProfileView, layer: string): string =>
        stringify(profile.spec.layers.find((each) => each.name === layer) ?? '').replace(/^""\n$/, '');
      const layers = names.map((layer) => {
        const [before, after] = [text(from, layer), text(to, layer)];
        const change = before === after ? ('same' as const) : before === '' ? ('add' as const) : after === '' ? ('remove' as const) : ('change' as const);
        return { name: layer, change, before, after };
      });
      return yes({ from: query.from, to: query.to, layers });
    },
  };
};

/** Its hosts share the duty to apply. */
const shared = (cluster: ClusterView): ClusterView => ({
  ...cluster,
  hosts: cluster.hosts.map((host, index) => ({ ...host, ...(index === 0 ? { applier: 'holds' } : { applier: 'cannot', why: 'kubeconfig: cannot be read' }) })),
});

const clusterAnswers = (fixture: Fixture): Answers => {
  const { clusters } = fixture.world;
  return {
    listClusters: ({ query }) => yes(pageOf([...clusters.values()].map(clusterSummary), query)),
    getCluster: ({ params }) => {
      const found = clusters.get(params.name);
      return found === undefined ? missing('cluster', params.name) : yes(params.name === 'store-000' ? shared(found) : found);
    },
    planCluster: ({ params, body }) => {
      const plan = planOf(fixture.world, params.name, body.spec);
      return plan === undefined
        ? no(400, 'profile-unknown', `cluster ${params.name}`, 'names a profile version that does not exist; see gp get profiles')
        : yes(plan);
    },
    applyCluster: ({ params: { name }, query, body }) => {
      const held = clusters.get(name);
      if (query.ifVersion !== undefined && held?.rowVersion !== query.ifVersion)
        return no(409, 'changed-meanwhile', `cluster ${name}`, 'was changed by somebody else; read it again');
      const cluster = applied(fixture, name, body.spec, body.labels ?? {});
      clusters.set(name, cluster);
      for (const host of body.spec.hosts) {
        const found = fixture.world.hosts.get(host);
        if (found !== undefined) found.cluster = name;
      }
      fixture.changed({ kind: 'cluster', name }, ...body.spec.hosts.map((host) => ({ kind: 'host' as const, name: host })));
      return yes(cluster);
    },
    retryCluster: ({ params: { name } }) => {
      const found = clusters.get(name);
      if (found === undefined) return missing('cluster', name);
      delete found.failure;
      found.state = 'applying';
      fixture.changed({ kind: 'cluster', name });
      return yes(undefined);
    },
    deleteCluster: ({ params: { name } }) => {
      if (!clusters.delete(name)) return missing('cluster', name);
      fixture.changed({ kind: 'cluster', name });
      return yes(undefined);
    },
  };
};

const hostAnswers = (fixture: Fixture): Answers => {
  const { hosts } = fixture.world;
  return {
    listHosts: ({ query }) =>
      yes(
        pageOf(
          [...hosts.values()].filter((host) => query.state === undefined || host.state === query.state),
          query,
        ),
      ),
    getHost: ({ params }) => {
      const found = hosts.get(params.name);
      return found === undefined ? missing('host', params.name) : yes(found);
    },
    approveHost: ({ params: { name }, body }) => {
      const found = hosts.get(name);
      if (found === undefined) return missing('host', name);
      if (body.words !== undefined && body.words !== found.words) return no(409, 'words-differ', `host ${name}`, 'has other words now; compare again');
      found.state = 'approved';
      delete found.suspected;
      if (body.replace !== true) {
        fixture.changed({ kind: 'host', name });
        return yes(found);
      }
      const old = hosts.get(found.replaces ?? '');
      if (old === undefined) return no(409, 'nothing-replaced', `host ${name}`, 'has the serial number of no approved host');
      const { replaces: _, ...rest } = found;
      const taken = { ...rest, id: old.id, name: old.name, labels: old.labels, ...(old.cluster === undefined ? {} : { cluster: old.cluster }) };
      hosts.delete(name);
      hosts.set(old.name, taken);
      fixture.changed({ kind: 'host', name }, { kind: 'host', name: old.name });
      return yes(taken);
    },
    revokeHost: ({ params: { name } }) => {
      if (!hosts.delete(name)) return missing('host', name);
      fixture.changed({ kind: 'host', name });
      return yes(undefined);
    },
  };
};

const otherAnswers = (fixture: Fixture): Answers => {
  const { tickets } = fixture.world;
  const stamp = (prefix: string, number: number) => ({ id: newId(prefix, number), createdAtMs: fixture.nowMs(), updatedAtMs: fixture.nowMs(), rowVersion: 1 });
  return {
    whoami: () => yes(fixture.who),
    fleet: () => yes(fleetOf(fixture.world)),
    listProjects: () => yes({ items: fixture.projects.map((name, index) => ({ ...stamp('prj', index), name })) }),
    createProject: ({ body: { name } }) => {
      fixture.projects.push(name);
      fixture.changed({ kind: 'project', name });
      return yes({ ...stamp('prj', 9), name });
    },
    listTickets: ({ query }) => yes(pageOf([...tickets.values()], query)),
    createTicket: ({ body }) => {
      const ticket = {
        ...stamp('tic', tickets.size + 20),
        name: body.name,
        project,
        expiresAtMs: fixture.nowMs() + body.ttlSeconds * 1000,
        usesLeft: body.uses,
        labels: body.labels ?? {},
        autoApprove: body.autoApprove,
        ...(body.serials === undefined ? {} : { serials: Object.keys(body.serials).length, serialsToCome: Object.keys(body.serials).length }),
      };
      tickets.set(body.name, ticket);
      fixture.changed({ kind: 'ticket', name: body.name });
      return yes({ ...ticket, ticket: `gp1.${'QUFB'.repeat(40)}` });
    },
    deleteTicket: ({ params: { name } }) => {
      tickets.delete(name);
      fixture.changed({ kind: 'ticket', name });
      return yes(undefined);
    },
    listEvents: ({ query }) => {
      const rows = fixture.world.events.filter(
        (event) => (query.cluster === undefined || event.cluster === query.cluster) && (query.host === undefined || event.host === query.host),
      );
      return yes({ items: rows.slice(-(query.last ?? 100)) });
    },
  };
};

/** What the hub would answer, out of the fixture's state. Login and set-up are the server's. */
export const answersOf = (fixture: Fixture): Answers => ({
  ...profileAnswers(fixture),
  ...clusterAnswers(fixture),
  ...hostAnswers(fixture),
  ...otherAnswers(fixture),
  ...contentAnswers(fixture),
  ...placeAnswers(fixture),
  ...cloudAnswers(fixture),
});
