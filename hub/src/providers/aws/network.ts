import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type Progress } from '../../port/provider.ts';
import { nodeRoleName, type AwsScope } from './names.ts';
import { executeNetwork } from './network-execute.ts';
import { apiGroupName, groupRules, nodesGroupName, planGroup, planNetwork, type NetworkStep } from './network-plan.ts';
import { ownFilter, readGroups, readNetwork, readZones } from './network-read.ts';
import { findPlace, isGiven, readAddresses, type Place } from './place.ts';
import { ensureProfile, ensureRole } from './role.ts';
import type { Cloud } from './session.ts';

/** EC2 lists within seconds what it made; a NAT gateway takes a minute or two. */
const soonMs = 2_000;
const natMs = 10_000;

/** The network that is made for a cluster; a given one is only looked at. */
export const ensureOwnNetwork = async (cloud: Cloud, scope: AwsScope, zonesMin: number): Promise<Result<Progress<void>>> => {
  const zones = await readZones(cloud);
  if (!zones.ok) return zones;
  const facts = await readNetwork(cloud, scope);
  if (!facts.ok) return facts;
  const plan = planNetwork(scope, { ...facts.value, zones: zones.value }, zonesMin);
  if (plan.kind === 'blocked') return fail('blocked', 'choice-missing', `network of cluster ${scope.name}`, plan.why);
  const done = await executeNetwork(cloud, scope, plan.steps);
  if (!done.ok) return done;
  if (plan.steps.length > 0) return pending(`the network is being made: ${plan.steps.length} things in this round`, soonMs);
  return plan.waits === undefined ? ready(undefined) : pending(plan.waits, natMs);
};

interface Groups {
  nodes: string;
  api: string;
}

/** Undefined: not (both) there. */
export const findGroups = async (cloud: Cloud, scope: AwsScope): Promise<Result<Groups | undefined>> => {
  const found = await readGroups(cloud, [ownFilter(scope)]);
  if (!found.ok) return found;
  const idOf = (name: string): string | undefined => found.value.find((group) => group.name === name)?.id;
  const [nodes, api] = [idOf(nodesGroupName(scope)), idOf(apiGroupName(scope))];
  return ok(nodes === undefined || api === undefined ? undefined : { nodes, api });
};

const ensureGroups = async (cloud: Cloud, scope: AwsScope, place: Place): Promise<Result<Progress<void>>> => {
  const found = await readGroups(cloud, [{ Name: 'vpc-id', Values: [place.vpc] }, ownFilter(scope)]);
  if (!found.ok) return found;
  const [nodes, api] = [nodesGroupName(scope), apiGroupName(scope)].map((name) => found.value.find((group) => group.name === name));
  const steps: NetworkStep[] = [];
  if (nodes === undefined) steps.push({ kind: 'makeGroup', vpc: place.vpc, name: nodesGroupName(scope), purpose: 'machines of a Groundplane cluster' });
  if (api === undefined) steps.push({ kind: 'makeGroup', vpc: place.vpc, name: apiGroupName(scope), purpose: 'API server of a Groundplane cluster' });
  if (nodes !== undefined && api !== undefined) {
    const addresses = await readAddresses(cloud, place.vpc);
    if (!addresses.ok) return addresses;
    const rules = groupRules(scope.placement, { ...addresses.value, nodes: nodes.id, api: api.id });
    steps.push(...planGroup(nodes, rules.nodes, false), ...planGroup(api, rules.api, true));
  }
  const done = await executeNetwork(cloud, scope, steps);
  if (!done.ok) return done;
  return steps.length > 0 ? pending('security groups are being made', soonMs) : ready(undefined);
};

/** Machines with public addresses reach a public API server from addresses that nobody knows before they run. */
const isShutOut = (scope: AwsScope): boolean =>
  !isGiven(scope) && scope.placement.nat === 'none' && scope.placement.access === 'public' && !scope.placement.apiSources.includes('0.0.0.0/0');

/** Network, groups, and the role of its machines: they can be looked after through Systems Manager, and read images from ECR. */
export const ensureNetwork = async (cloud: Cloud, scope: AwsScope): Promise<Result<Progress<void>>> => {
  const element = `network of cluster ${scope.name}`;
  if (isShutOut(scope))
    return fail(
      'blocked',
      'choice-missing',
      element,
      'with nat: none its machines have public addresses, which apiSources would shut out. Use access: private, or a NAT gateway',
    );
  if (!isGiven(scope)) {
    const own = await ensureOwnNetwork(cloud, scope, 1);
    if (!own.ok || own.value.state === 'pending') return own;
  }
  const place = await findPlace(cloud, scope);
  if (!place.ok) return place;
  if (scope.placement.access === 'public' && !place.value.subnets.some((subnet) => subnet.face === 'public'))
    return fail(
      'blocked',
      'choice-missing',
      element,
      'none of its subnets has a way to an internet gateway, which a public API server needs. Name one, or use access: private',
    );
  const groups = await ensureGroups(cloud, scope, place.value);
  if (!groups.ok || groups.value.state === 'pending') return groups;
  const name = nodeRoleName(scope);
  const role = await ensureRole(cloud, scope, {
    name,
    service: 'ec2.amazonaws.com',
    policies: ['AmazonSSMManagedInstanceCore', 'AmazonEC2ContainerRegistryReadOnly'],
  });
  if (!role.ok) return role;
  const profile = await ensureProfile(cloud, scope, name);
  return profile.ok ? ready(undefined) : profile;
};
