import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type FoundThing, type Progress } from '../../port/provider.ts';
import { apiName } from './endpoint.ts';
import { remove, thingSchema } from './ensure.ts';
import { googleWaits } from './limits.ts';
import { deleteInstance, ownInstances } from './machines.ts';
import { baseName, clusterOf, labelName, lastOf, projectPath, regionPath, type Scope } from './names.ts';
import { firewallNames } from './network.ts';
import type { Session } from './session.ts';

const removeInstances = async (session: Session, scope: Scope): Promise<Result<Progress<void>>> => {
  const found = await ownInstances(session, scope);
  if (!found.ok) return found;
  for (const instance of found.value.filter((item) => item.status !== 'STOPPING')) {
    const gone = await deleteInstance(session, scope, instance);
    if (!gone.ok) return gone;
  }
  return found.value.length === 0 ? ready(undefined) : pending(`${found.value.length} machines are being deleted`, googleWaits.machine);
};

const placedSchema = thingSchema.extend({ zone: z.string().optional() });
const aggregatedSchema = z.looseObject({ items: z.record(z.string(), z.record(z.string(), z.unknown())).optional() });

/** Everything of one kind in all zones and regions that carries a mark of ours. */
const marked = async (
  session: Session,
  project: string,
  kind: string,
  filter: Readonly<Record<string, string>>,
): Promise<Result<z.infer<typeof placedSchema>[]>> => {
  const pages = await session.listPages(`/projects/${encodeURIComponent(project)}/aggregated/${kind}`, filter, aggregatedSchema);
  if (!pages.ok) return pages;
  const all = pages.value.flatMap((page) => Object.values(page.items ?? {}).flatMap((place) => z.array(placedSchema).catch([]).parse(place[kind])));
  return ok(all.filter((item) => clusterOf(item) !== undefined));
};

const removeGroups = async (session: Session, scope: Scope): Promise<Result<Progress<void>>> => {
  const groups = await marked(session, scope.placement.project, 'instanceGroups', { filter: `name=${apiName(scope)}` });
  if (!groups.ok) return groups;
  for (const group of groups.value.filter((item) => clusterOf(item) === scope.id)) {
    const zone = lastOf(group.zone) ?? '';
    const gone = await remove(session, scope, `instance group ${group.name} in ${zone}`, `${projectPath(scope)}/zones/${zone}/instanceGroups/${group.name}`);
    if (!gone.ok || gone.value.state === 'pending') return gone;
  }
  return ready(undefined);
};

/** In the order in which Google lets go. Where the network is somebody else's, nothing of ours is there to be found. */
export const ensureNothingLeft = async (session: Session, scope: Scope): Promise<Result<Progress<void>>> => {
  const [base, api, region, global] = [baseName(scope), apiName(scope), regionPath(scope), `${projectPath(scope)}/global`];
  const named = (what: string, path: string) => () => remove(session, scope, what, path);
  const steps: (() => Promise<Result<Progress<void>>>)[] = [
    named(`forwarding rule ${api}`, `${region}/forwardingRules/${api}`),
    named(`backend service ${api}`, `${region}/backendServices/${api}`),
    named(`health check ${api}`, `${region}/healthChecks/${api}`),
    () => removeInstances(session, scope),
    () => removeGroups(session, scope),
    named(`address ${api}`, `${region}/addresses/${api}`),
    named(`router ${base}`, `${region}/routers/${base}`),
    ...firewallNames(scope).map((name) => named(`firewall rule ${name}`, `${global}/firewalls/${name}`)),
    named(`subnetwork ${base}`, `${region}/subnetworks/${base}`),
    named(`network ${base}`, `${global}/networks/${base}`),
  ];
  for (const step of steps) {
    const left = await step();
    if (!left.ok || left.value.state === 'pending') return left;
  }
  return ready(undefined);
};

const regionalKinds = ['instances', 'forwardingRules', 'backendServices', 'healthChecks', 'instanceGroups', 'addresses', 'routers', 'subnetworks'] as const;
const globalKinds = ['firewalls', 'networks'] as const;
const listSchema = z.looseObject({ items: z.array(thingSchema).optional() });

/** Everything in the project with a mark of ours, of whichever cluster. */
export const findTagged = async (session: Session, project: string): Promise<Result<FoundThing[]>> => {
  const things: FoundThing[] = [];
  const add = (kind: string, items: readonly z.infer<typeof thingSchema>[]): void => {
    for (const item of items) {
      const cluster = clusterOf(item);
      if (cluster !== undefined) things.push({ thing: `${kind.replace(/s$/, '')} ${item.name}`, cluster, name: item.labels?.[labelName('name')] ?? item.name });
    }
  };
  for (const kind of regionalKinds) {
    const found = await marked(session, project, kind, {});
    if (!found.ok) return found;
    add(kind, found.value);
  }
  for (const kind of globalKinds) {
    const pages = await session.listPages(`/projects/${encodeURIComponent(project)}/global/${kind}`, {}, listSchema);
    if (!pages.ok) return pages;
    for (const page of pages.value) add(kind, page.items ?? []);
  }
  return ok(things);
};
