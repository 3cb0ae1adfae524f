import { freeBlocks } from './cidr.ts';
import { awsLimits } from './limits.ts';
import { baseName, type AwsScope } from './names.ts';
import type { Face, NetworkFacts, Rule, Subnet } from './network-facts.ts';

/** One line for each kind of step; the union and the table of executors derive from it. */
export interface NetworkStepArgs {
  makeVpc: { cidr: string };
  nameHosts: { vpc: string };
  makeGateway: object;
  attachGateway: { gateway: string; vpc: string };
  dropGateway: { gateway: string };
  dropVpc: { vpc: string };
  makeSubnet: { vpc: string; zone: string; cidr: string; face: Face };
  makeTable: { vpc: string; name: string };
  route: { table: string; gateway: string } | { table: string; nat: string };
  associate: { table: string; subnet: string };
  makeAddress: { name: string };
  makeNat: { name: string; subnet: string; address: string; token: readonly string[] };
  dropNat: { nat: string };
  makeGroup: { vpc: string; name: string; purpose: string };
  allow: { group: string; rules: readonly Rule[] };
  forbid: { group: string; rules: readonly Rule[] };
}
export type NetworkStep = { [K in keyof NetworkStepArgs]: { kind: K } & NetworkStepArgs[K] }[keyof NetworkStepArgs];

export type NetworkPlan = { kind: 'steps'; steps: NetworkStep[]; waits: string | undefined } | { kind: 'blocked'; why: string };

export const subnetName = (scope: AwsScope, face: Face, zone: string): string => `${baseName(scope)}-${face}-${zone}`;
export const tableName = (scope: AwsScope, face: Face, zone?: string): string => `${baseName(scope)}-${face}${zone === undefined ? '' : `-${zone}`}`;
export const natName = (scope: AwsScope, zone: string): string => `${baseName(scope)}-nat-${zone}`;
export const nodesGroupName = (scope: AwsScope): string => `${baseName(scope)}-nodes`;
export const apiGroupName = (scope: AwsScope): string => `${baseName(scope)}-api`;

/** The wanted ones, and those where there is something already: a zone that is not wanted any more stays as it is. At least `atLeast`, for EKS needs two. */
export const zonesOf = (scope: Pick<AwsScope, 'zones'>, facts: Pick<NetworkFacts, 'zones' | 'subnets'>, atLeast = 1): string[] => {
  const own = scope.zones.length === 0 ? facts.zones.slice(0, awsLimits.zonesDefault) : scope.zones;
  const more = facts.zones.filter((zone) => !own.includes(zone)).slice(0, Math.max(0, atLeast - own.length));
  return [...new Set([...own, ...more, ...facts.subnets.map((subnet) => subnet.zone)])].toSorted();
};

/** Of two with our tag, which a cut and a late list can make, the one with something in it stays, or else the first by its id. */
export const chosen = <T extends { id: string }>(things: readonly T[], isUsed: (thing: T) => boolean): T | undefined => {
  const sorted = things.toSorted((a, b) => a.id.localeCompare(b.id));
  return sorted.find(isUsed) ?? sorted[0];
};
export const ownVpc = (facts: Pick<NetworkFacts, 'vpcs' | 'subnets'>) => chosen(facts.vpcs, (vpc) => facts.subnets.some((subnet) => subnet.vpc === vpc.id));

const planSubnets = (scope: AwsScope, facts: NetworkFacts, vpc: string, zones: readonly string[]): NetworkStep[] | string => {
  const there = facts.subnets.filter((subnet) => subnet.vpc === vpc);
  const faces: Face[] = scope.placement.nat === 'none' ? ['public'] : ['public', 'private'];
  const missing = zones.flatMap((zone) =>
    faces.filter((face) => !there.some((subnet) => subnet.zone === zone && subnet.face === face)).map((face) => ({ zone, face })),
  );
  const blocks = freeBlocks(scope.placement.cidr, there.map((subnet) => subnet.cidr)); // prettier-ignore
  if (blocks.length < missing.length) return `${scope.placement.cidr} has no room for ${missing.length} more subnets; a larger cidr or fewer zones`;
  return missing.map(({ zone, face }, index): NetworkStep => ({ kind: 'makeSubnet', vpc, zone, face, cidr: blocks[index] ?? '' }));
};

const planTable = (facts: NetworkFacts, vpc: string, name: string, target: NetworkStep | undefined, subnets: readonly Subnet[]): NetworkStep[] => {
  const table = facts.tables.find((item) => item.name === name);
  if (table === undefined) return [{ kind: 'makeTable', vpc, name }];
  const route: NetworkStep[] = target === undefined || table.defaultTarget !== undefined ? [] : [{ ...target, table: table.id } as NetworkStep];
  return [
    ...route,
    ...subnets
      .filter((subnet) => !table.associations.some((item) => item.subnet === subnet.id))
      .map((subnet): NetworkStep => ({ kind: 'associate', table: table.id, subnet: subnet.id })),
  ];
};

const isLive = (nat: { state: string }): boolean => nat.state === 'pending' || nat.state === 'available';
export const liveNat = (facts: Pick<NetworkFacts, 'nats'>, name: string) => facts.nats.find((nat) => nat.name === name && isLive(nat));

const planNat = (scope: AwsScope, facts: NetworkFacts, zone: string): NetworkStep[] => {
  const name = natName(scope, zone);
  if (liveNat(facts, name) !== undefined) return [];
  const failed = facts.nats.find((nat) => nat.name === name && nat.state === 'failed');
  if (failed !== undefined) return [{ kind: 'dropNat', nat: failed.id }];
  const address = chosen(facts.addresses.filter((item) => item.name === name), () => false); // prettier-ignore
  if (address === undefined) return [{ kind: 'makeAddress', name }];
  const subnet = facts.subnets.find((item) => item.face === 'public' && item.zone === zone);
  const before = facts.nats.filter((nat) => nat.name === name).map((nat) => nat.id).toSorted(); // prettier-ignore
  return subnet === undefined ? [] : [{ kind: 'makeNat', name, subnet: subnet.id, address: address.id, token: before }];
};

const planWays = (scope: AwsScope, facts: NetworkFacts, vpc: string, gateway: string, zones: readonly string[]): NetworkStep[] => {
  const subnets = facts.subnets.filter((subnet) => subnet.vpc === vpc);
  const open = planTable(facts, vpc, tableName(scope, 'public'), { kind: 'route', table: '', gateway }, subnets.filter((subnet) => subnet.face === 'public')); // prettier-ignore
  if (scope.placement.nat === 'none') return open;
  const natZones = scope.placement.nat === 'one' ? zones.slice(0, 1) : zones;
  const nats = natZones.flatMap((zone) => planNat(scope, facts, zone));
  const closed = zones.flatMap((zone) => {
    const nat = liveNat(facts, natName(scope, scope.placement.nat === 'one' ? (zones[0] ?? zone) : zone));
    const target: NetworkStep | undefined = nat?.state === 'available' ? { kind: 'route', table: '', nat: nat.id } : undefined;
    return planTable(facts, vpc, tableName(scope, 'private', zone), target, subnets.filter((subnet) => subnet.face === 'private' && subnet.zone === zone)); // prettier-ignore
  });
  return [...open, ...nats, ...closed];
};

/** What cannot go with the wanted things: a VPC that a cut and a late list left behind, with its gateway. */
const planDoubles = (facts: NetworkFacts, vpc: string, gateway: string | undefined): NetworkStep[] => [
  ...facts.gateways.filter((item) => item.id !== gateway && item.vpc === undefined).map((item): NetworkStep => ({ kind: 'dropGateway', gateway: item.id })),
  ...facts.vpcs.filter((item) => item.id !== vpc).map((item): NetworkStep => ({ kind: 'dropVpc', vpc: item.id })),
];

/** The next round towards the cluster's own network: all that can be done with what is known by now. No steps and nothing to wait for: it stands. */
export const planNetwork = (scope: AwsScope, facts: NetworkFacts, zonesMin = 1): NetworkPlan => {
  const unknown = scope.zones.find((zone) => !facts.zones.includes(zone));
  if (unknown !== undefined) return { kind: 'blocked', why: `${scope.placement.region} has no zone ${unknown}; it has ${facts.zones.join(', ')}` };
  const zones = zonesOf(scope, facts, zonesMin);
  if (zones.length > awsLimits.zonesMax) return { kind: 'blocked', why: `${zones.length} zones are more than ${awsLimits.zonesMax}` };
  const vpc = ownVpc(facts);
  if (vpc === undefined) return { kind: 'steps', steps: [{ kind: 'makeVpc', cidr: scope.placement.cidr }], waits: undefined };
  const subnets = planSubnets(scope, facts, vpc.id, zones);
  if (typeof subnets === 'string') return { kind: 'blocked', why: subnets };
  const gateway = chosen(facts.gateways, (item) => item.vpc === vpc.id);
  const doubles = planDoubles(facts, vpc.id, gateway?.id);
  if (gateway === undefined)
    return { kind: 'steps', steps: [...doubles, { kind: 'nameHosts', vpc: vpc.id }, { kind: 'makeGateway' }, ...subnets], waits: undefined };
  if (gateway.vpc === undefined)
    return { kind: 'steps', steps: [...doubles, { kind: 'attachGateway', gateway: gateway.id, vpc: vpc.id }, ...subnets], waits: undefined };
  if (subnets.length > 0) return { kind: 'steps', steps: [...doubles, ...subnets], waits: undefined };
  const steps = [...doubles, ...planWays(scope, facts, vpc.id, gateway.id, zones)];
  const waiting = facts.nats.find((nat) => nat.state === 'pending');
  return { kind: 'steps', steps, waits: waiting === undefined ? undefined : `the NAT gateway ${waiting.id} is being made` };
};

/** What the groups of a cluster of machines let in. `cidrs`: of the VPC; `egress`: public addresses that machines are seen under. */
export const groupRules = (
  placement: AwsScope['placement'],
  { cidrs, egress, nodes, api }: { cidrs: readonly string[]; egress: readonly string[]; nodes: string; api: string },
): { nodes: Rule[]; api: Rule[] } => ({
  nodes: [`all ${nodes}`, `tcp 6443 ${api}`],
  api: [...new Set([...placement.apiSources, ...cidrs, ...(placement.access === 'public' ? egress.map((ip) => `${ip}/32`) : [])])].map(
    (source) => `tcp 6443 ${source}`,
  ),
});

/** The nodes' group is shared with whatever Kubernetes adds to it, the API's is ours alone. */
export const planGroup = (group: { id: string; rules: readonly Rule[] }, wanted: readonly Rule[], isExact: boolean): NetworkStep[] => {
  const more = wanted.filter((rule) => !group.rules.includes(rule));
  const fewer = isExact ? group.rules.filter((rule) => !wanted.includes(rule)) : [];
  return [
    ...(more.length === 0 ? [] : [{ kind: 'allow' as const, group: group.id, rules: more }]),
    ...(fewer.length === 0 ? [] : [{ kind: 'forbid' as const, group: group.id, rules: fewer }]),
  ];
};
