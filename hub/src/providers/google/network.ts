import { z } from 'zod';
import type { Result } from '@groundplane/protocol/failure';
import { pending, ready, type Progress } from '../../port/provider.ts';
import { ensure, thingSchema } from './ensure.ts';
import { googleWaits } from './limits.ts';
import { apiPort, baseName, markOf, projectPath, regionPath, type Scope } from './names.ts';
import type { Session } from './session.ts';

/** Where machines are plugged in; names become paths, paths and links stay. */
export const networkOf = (scope: Scope): string => {
  const given = scope.placement.network;
  if (given?.includes('/') === true) return given;
  return `${projectPath(scope).slice(1)}/global/networks/${given ?? baseName(scope)}`;
};
export const subnetOf = (scope: Scope): string | undefined => {
  const { network, subnetwork } = scope.placement;
  if (subnetwork?.includes('/') === true) return subnetwork;
  // An existing network in auto mode has one subnetwork in each region, which Google finds by itself.
  if (network !== undefined && subnetwork === undefined) return undefined;
  return `${regionPath(scope).slice(1)}/subnetworks/${subnetwork ?? baseName(scope)}`;
};

/** Google's own probes, of both kinds of load balancers. */
const probes = ['35.191.0.0/16', '130.211.0.0/22', '209.85.152.0/22', '209.85.204.0/22'];

const firewallSchema = thingSchema.extend({ sourceRanges: z.array(z.string()).optional() });

interface Rule {
  suffix: string;
  sources: { sourceRanges: string[] } | { sourceTags: string[] };
  allowed: { IPProtocol: string; ports?: string[] }[];
}
/** The tag that this cluster's machines carry: rules reach nobody else in a shared network. */
export const machineTag = baseName;

const rulesOf = (scope: Scope): Rule[] => [
  { suffix: 'inside', sources: { sourceTags: [machineTag(scope)] }, allowed: [{ IPProtocol: 'all' }] },
  {
    suffix: 'api',
    sources: { sourceRanges: [...new Set([...scope.placement.apiSources, ...probes])] },
    allowed: [{ IPProtocol: 'tcp', ports: [String(apiPort)] }],
  },
];
export const firewallNames = (scope: Scope): string[] => rulesOf(scope).map((rule) => `${baseName(scope)}-${rule.suffix}`);

const ensureFirewalls = async (session: Session, scope: Scope): Promise<Result<Progress<void>>> => {
  const path = `${projectPath(scope)}/global/firewalls`;
  for (const rule of rulesOf(scope)) {
    const name = `${baseName(scope)}-${rule.suffix}`;
    const what = `firewall rule ${name}`;
    const body = {
      name,
      description: markOf(scope),
      network: networkOf(scope),
      direction: 'INGRESS',
      targetTags: [machineTag(scope)],
      allowed: rule.allowed,
      ...rule.sources,
    };
    const made = await ensure(session, scope, { what, path, body, schema: firewallSchema });
    if (!made.ok) return made;
    if (made.value.state === 'pending') return { ok: true, value: made.value };
    if (!('sourceRanges' in rule.sources)) continue;
    const has = (made.value.value.sourceRanges ?? []).toSorted().join();
    if (has === rule.sources.sourceRanges.toSorted().join()) continue;
    const changed = await session.start(
      { service: 'compute', method: 'PATCH', path: `${path}/${name}`, body: { sourceRanges: rule.sources.sourceRanges } },
      what,
    );
    return changed.ok ? pending(`${what} is being changed`, googleWaits.network) : changed;
  }
  return ready(undefined);
};

/** Machines have no public address: a router with Cloud NAT is their way out. */
const ensureOwnNetwork = async (session: Session, scope: Scope): Promise<Result<Progress<unknown>>> => {
  const name = baseName(scope);
  const description = markOf(scope);
  const network = await ensure(session, scope, {
    what: `network ${name}`,
    path: `${projectPath(scope)}/global/networks`,
    body: { name, description, autoCreateSubnetworks: false, routingConfig: { routingMode: 'REGIONAL' } },
    schema: thingSchema,
  });
  if (!network.ok || network.value.state === 'pending') return network;
  const subnet = await ensure(session, scope, {
    what: `subnetwork ${name}`,
    path: `${regionPath(scope)}/subnetworks`,
    body: { name, description, network: networkOf(scope), ipCidrRange: scope.placement.cidr, privateIpGoogleAccess: true },
    schema: thingSchema,
  });
  if (!subnet.ok || subnet.value.state === 'pending') return subnet;
  const nat = { name, natIpAllocateOption: 'AUTO_ONLY', sourceSubnetworkIpRangesToNat: 'ALL_SUBNETWORKS_ALL_IP_RANGES' };
  return ensure(session, scope, {
    what: `router ${name}`,
    path: `${regionPath(scope)}/routers`,
    body: { name, description, network: networkOf(scope), nats: [nat] },
    schema: thingSchema,
  });
};

export const ensureNetwork = async (session: Session, scope: Scope): Promise<Result<Progress<void>>> => {
  if (scope.placement.network === undefined) {
    const own = await ensureOwnNetwork(session, scope);
    if (!own.ok) return own;
    if (own.value.state === 'pending') return { ok: true, value: own.value };
  }
  return ensureFirewalls(session, scope);
};
