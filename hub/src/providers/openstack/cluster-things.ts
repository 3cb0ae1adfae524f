import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { shortId, tagKeys, type ClusterScope, type ProviderDeps } from '../../port/provider.ts';
import { balancerCalls, type BalancerCalls } from './balancer.ts';
import { computeCalls, type ComputeCalls } from './compute.ts';
import { networkCalls, oldestFirst, type Kind, type NetworkCalls, type Thing } from './network.ts';
import type { Session, Token } from './session.ts';

export type Scope = ClusterScope<'openstack'>;
export const apiPort = 6_443;

/** Calls of one region, and who we are there. */
export interface Cloud {
  session: Session;
  network: NetworkCalls;
  compute: ComputeCalls;
  balancer: BalancerCalls;
  projectId: string;
  token: Token;
}

export const cloudOf = async (
  session: Session,
  settings: Pick<ProviderDeps<'openstack'>['settings'], 'region'>,
  placement: { region?: string | undefined },
): Promise<Result<Cloud>> => {
  const known = await session.token();
  if (!known.ok) return known;
  const region = placement.region ?? settings.region;
  const calls = { network: networkCalls(session, region), compute: computeCalls(session, region), balancer: balancerCalls(session, region) };
  return ok({ session, ...calls, projectId: known.value.token.project?.id ?? '', token: known.value.token });
};

/**
 * Neutron sets tags in a second call, and a cut between the two would leave things that nobody finds. A description comes with the thing and can be
 * searched by, so it is our mark there. Nova takes tags with the server; they may hold no slash.
 */
export const markOf = (scope: Pick<Scope, 'id'>): string => `${tagKeys.cluster}=${scope.id}`;
export const clusterOfMark = (text: string | null | undefined): string | undefined => new RegExp(`^${tagKeys.cluster}=(\\S+)$`).exec(text ?? '')?.[1];
export const serverKey = (key: keyof typeof tagKeys): string => tagKeys[key].replace('/', '-');
export const serverTag = (scope: Pick<Scope, 'id'>): string => `${serverKey('cluster')}=${scope.id}`;

export const baseName = (scope: Scope): string => `${scope.name}-${shortId(scope)}`;
export const apiPortName = (scope: Scope): string => `${baseName(scope)}-api`;
/** A server group has a name and nothing else to know it by, hence the whole id. */
export const groupName = (scope: Pick<Scope, 'id'>): string => `groundplane-${scope.id}-servers`;
export const clusterOfGroup = (name: string): string | undefined => /^groundplane-(\S+)-servers$/.exec(name)?.[1];

/** Our things of one kind, oldest first. */
export const listOwn = async <K extends Kind>(
  cloud: Cloud,
  scope: Pick<Scope, 'id'>,
  kind: K,
  query: Readonly<Record<string, string>> = {},
): Promise<Result<Thing<K>[]>> => {
  const found = await cloud.network.list(kind, { description: markOf(scope), project_id: cloud.projectId, ...query });
  // The filter is a wish: a cloud that does not know it would show us the things of others.
  return found.ok ? ok(oldestFirst(found.value.filter((item) => item.description === markOf(scope))) as Thing<K>[]) : found;
};

/** The one of ours with this name, made when there is none. Of several the oldest stays. */
export const ensureOwn = async <K extends Exclude<Kind, 'floatingip'>>(
  cloud: Cloud,
  scope: Scope,
  kind: K,
  name: string,
  body: Record<string, unknown>,
  query: Readonly<Record<string, string>> = {},
): Promise<Result<Thing<K>>> => {
  const found = await listOwn(cloud, scope, kind, { name, ...query });
  if (!found.ok) return found;
  const [first, ...doubles] = found.value.filter((item) => (item as { name?: string }).name === name);
  for (const double of doubles) {
    const gone = await cloud.network.remove(kind, double.id);
    if (!gone.ok && gone.failure.code !== 'cloud-conflict') return gone;
  }
  return first === undefined ? cloud.network.create(kind, { name, description: markOf(scope), ...body }) : ok(first);
};

/** One of somebody else's by its id or name. */
export const pick = <T extends { id: string; name?: string | null | undefined }>(items: readonly T[], wanted: string, what: string): Result<T> => {
  const byId = items.find((item) => item.id === wanted);
  if (byId !== undefined) return ok(byId);
  const named = items.filter((item) => item.name === wanted);
  const [first] = named;
  const element = `OpenStack ${what} ${wanted}`;
  if (first === undefined) {
    const some = items.slice(0, 20).map((item) => item.name ?? item.id);
    return fail('blocked', 'choice-missing', element, `there is none; there are: ${some.join(', ') || 'none'}`);
  }
  return named.length === 1
    ? ok(first)
    : fail(
        'blocked',
        'choice-ambiguous',
        element,
        `${named.length} have this name; give the id: ${named
          .map((item) => item.id)
          .slice(0, 10)
          .join(', ')}`,
      );
};
