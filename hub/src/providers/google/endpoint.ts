import { z } from 'zod';
import type { Result } from '@groundplane/protocol/failure';
import { pending, ready, type Endpoint, type MachineFacts, type Progress } from '../../port/provider.ts';
import { ensure, thingSchema } from './ensure.ts';
import { googleWaits } from './limits.ts';
import { apiPort, baseName, labelsOf, lastOf, machineName, markOf, projectPath, regionPath, type Scope } from './names.ts';
import { networkOf, subnetOf } from './network.ts';
import type { Session } from './session.ts';

/** Regional passthrough load balancer: address, health check, an unmanaged group of the control planes in each zone, backend service, forwarding rule. */
export const apiName = (scope: Scope): string => `${baseName(scope)}-api`;
const isPublic = (scope: Scope): boolean => scope.placement.access === 'public';
const scheme = (scope: Scope): string => (isPublic(scope) ? 'EXTERNAL' : 'INTERNAL');

const addressSchema = thingSchema.extend({ address: z.string().optional() });
const backendSchema = thingSchema.extend({ backends: z.array(z.looseObject({ group: z.string().optional() })).optional() });

const ensureAddress = (session: Session, scope: Scope): Promise<Result<Progress<z.infer<typeof addressSchema>>>> => {
  const subnetwork = subnetOf(scope);
  const inside = { purpose: 'GCE_ENDPOINT', ...(subnetwork === undefined ? {} : { subnetwork }) };
  return ensure(session, scope, {
    what: `address ${apiName(scope)}`,
    path: `${regionPath(scope)}/addresses`,
    body: { name: apiName(scope), description: markOf(scope), addressType: scheme(scope), ...(isPublic(scope) ? {} : inside) },
    schema: addressSchema,
  });
};

const ensureHealthCheck = (session: Session, scope: Scope) =>
  ensure(session, scope, {
    what: `health check ${apiName(scope)}`,
    path: `${regionPath(scope)}/healthChecks`,
    body: { name: apiName(scope), description: markOf(scope), type: 'TCP', tcpHealthCheck: { port: apiPort }, checkIntervalSec: 5, timeoutSec: 3 },
    schema: thingSchema,
  });

const groupPath = (scope: Scope, zone: string): string => `${projectPath(scope)}/zones/${zone}/instanceGroups`;
const memberSchema = z.looseObject({ items: z.array(z.looseObject({ instance: z.string() })).optional() });

const membersOf = async (session: Session, scope: Scope, zone: string): Promise<Result<string[]>> => {
  const path = `${groupPath(scope, zone)}/${apiName(scope)}/listInstances`;
  const found = await session.read({ service: 'compute', method: 'POST', path, body: {} }, memberSchema);
  return found.ok ? { ok: true, value: (found.value.items ?? []).flatMap((item) => lastOf(item.instance) ?? []) } : found;
};

/** Exactly these control planes, in the group of one zone. */
const ensureGroup = async (session: Session, scope: Scope, zone: string, wanted: readonly string[]): Promise<Result<Progress<void>>> => {
  const what = `instance group ${apiName(scope)} in ${zone}`;
  const group = await ensure(session, scope, {
    what,
    path: groupPath(scope, zone),
    body: { name: apiName(scope), description: markOf(scope), network: networkOf(scope) },
    schema: thingSchema,
  });
  if (!group.ok) return group;
  if (group.value.state === 'pending') return { ok: true, value: group.value };
  const members = await membersOf(session, scope, zone);
  if (!members.ok) return members;
  const missing = wanted.filter((name) => !members.value.includes(name));
  const strangers = members.value.filter((name) => !wanted.includes(name));
  for (const [act, names] of [
    ['addInstances', missing],
    ['removeInstances', strangers],
  ] as const) {
    if (names.length === 0) continue;
    const instances = names.map((name) => ({ instance: `${projectPath(scope).slice(1)}/zones/${zone}/instances/${name}` }));
    const path = `${groupPath(scope, zone)}/${apiName(scope)}/${act}`;
    const sent = await session.start({ service: 'compute', method: 'POST', path, body: { instances } }, what);
    return sent.ok ? pending(`${what} is being changed`, googleWaits.network) : sent;
  }
  return ready(undefined);
};

const groupLink = (scope: Scope, zone: string): string => `https://www.googleapis.com/compute/v1${groupPath(scope, zone)}/${apiName(scope)}`;
const zoneOfGroup = (link: string): string => link.split('/').at(-3) ?? '';

const ensureBackend = async (session: Session, scope: Scope, zones: readonly string[]): Promise<Result<Progress<string[]>>> => {
  const name = apiName(scope);
  const what = `backend service ${name}`;
  const path = `${regionPath(scope)}/backendServices`;
  const backendsOf = (all: readonly string[]) => all.map((zone) => ({ group: groupLink(scope, zone), balancingMode: 'CONNECTION' }));
  const made = await ensure(session, scope, {
    what,
    path,
    body: {
      name,
      description: markOf(scope),
      protocol: 'TCP',
      loadBalancingScheme: scheme(scope),
      healthChecks: [`${regionPath(scope).slice(1)}/healthChecks/${name}`],
      backends: backendsOf(zones),
      ...(isPublic(scope) ? {} : { network: networkOf(scope) }),
    },
    schema: backendSchema,
  });
  if (!made.ok) return made;
  if (made.value.state === 'pending') return { ok: true, value: made.value };
  const has = (made.value.value.backends ?? []).flatMap((item) => (item.group === undefined ? [] : [zoneOfGroup(item.group)]));
  const missing = zones.filter((zone) => !has.includes(zone));
  if (missing.length === 0) return ready(has);
  const { fingerprint } = made.value.value;
  const body = { backends: backendsOf([...has, ...missing]), ...(fingerprint === undefined ? {} : { fingerprint }) };
  const sent = await session.start({ service: 'compute', method: 'PATCH', path: `${path}/${name}`, body }, what);
  return sent.ok ? pending(`${what} is being changed`, googleWaits.network) : sent;
};

const ensureRule = (session: Session, scope: Scope, address: string) => {
  const name = apiName(scope);
  const subnetwork = subnetOf(scope);
  const inside = { network: networkOf(scope), ...(subnetwork === undefined ? {} : { subnetwork }), allowGlobalAccess: true };
  return ensure(session, scope, {
    what: `forwarding rule ${name}`,
    path: `${regionPath(scope)}/forwardingRules`,
    body: {
      name,
      description: markOf(scope),
      labels: labelsOf(scope),
      loadBalancingScheme: scheme(scope),
      IPAddress: address,
      IPProtocol: 'TCP',
      ports: [String(apiPort)],
      backendService: `${regionPath(scope).slice(1)}/backendServices/${name}`,
      ...(isPublic(scope) ? {} : inside),
    },
    schema: thingSchema,
  });
};

const waits = (step: Result<Progress<unknown>>): boolean => !step.ok || step.value.state === 'pending';

export const ensureEndpoint = async (session: Session, scope: Scope, servers: readonly MachineFacts[]): Promise<Result<Progress<Endpoint>>> => {
  const address = await ensureAddress(session, scope);
  if (waits(address)) return address as Result<Progress<Endpoint>>;
  const check = await ensureHealthCheck(session, scope);
  if (waits(check)) return check as Result<Progress<Endpoint>>;
  const byZone = new Map<string, string[]>();
  for (const { name, zone } of servers) if (zone !== undefined) byZone.set(zone, [...(byZone.get(zone) ?? []), machineName(scope, name)]);
  for (const [zone, names] of byZone) {
    const group = await ensureGroup(session, scope, zone, names);
    if (waits(group)) return group as Result<Progress<Endpoint>>;
  }
  const backend = await ensureBackend(session, scope, [...byZone.keys()].toSorted());
  if (!backend.ok || backend.value.state === 'pending') return backend as Result<Progress<Endpoint>>;
  // Zones that have no control plane any more keep their group, with nobody in it.
  for (const zone of backend.value.value.filter((item) => !byZone.has(item))) {
    const group = await ensureGroup(session, scope, zone, []);
    if (waits(group)) return group as Result<Progress<Endpoint>>;
  }
  const host = address.ok && address.value.state === 'ready' ? address.value.value.address : undefined;
  if (host === undefined) return pending('the address has no number yet', googleWaits.network);
  const rule = await ensureRule(session, scope, host);
  if (waits(rule)) return rule as Result<Progress<Endpoint>>;
  return ready({ kind: 'external', host, port: apiPort });
};
