import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  SetSubnetsCommand,
  type LoadBalancer,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { pending, ready, type Endpoint, type MachineFacts, type Progress } from '../../port/provider.ts';
import { balancerName, isOurs, tagsOf, type AwsScope, type Named } from './names.ts';
import { findGroups } from './network.ts';
import type { Subnet } from './network-facts.ts';
import { findPlace, type Place } from './place.ts';
import { isAbsent } from './role.ts';
import type { Cloud } from './session.ts';

const apiPort = 6443;
const balancerMs = 10_000;
const targetMs = 5_000;

/** Undefined: there is none of its name. */
const ownByArn = async <T>(cloud: Cloud, scope: Named, element: string, thing: T, arn: string): Promise<Result<T>> => {
  const tags = await cloud.call(element, 'elasticloadbalancing:DescribeTags', () => cloud.elb.send(new DescribeTagsCommand({ ResourceArns: [arn] })));
  if (!tags.ok) return tags;
  if (isOurs({ Tags: tags.value.TagDescriptions?.[0]?.Tags }, scope)) return ok(thing);
  return fail('blocked', 'not-ours', element, 'is there without the tag of this cluster; somebody else made it. Delete it, or give the cluster another name');
};

export const findBalancer = async (cloud: Cloud, scope: Named): Promise<Result<LoadBalancer | undefined>> => {
  const element = `load balancer ${balancerName(scope)}`;
  const found = await cloud.call(element, 'elasticloadbalancing:DescribeLoadBalancers', () =>
    cloud.elb.send(new DescribeLoadBalancersCommand({ Names: [balancerName(scope)] })),
  );
  if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
  const [first] = found.value.LoadBalancers ?? [];
  return first?.LoadBalancerArn === undefined ? ok(undefined) : ownByArn(cloud, scope, element, first, first.LoadBalancerArn);
};

export const findTargets = async (cloud: Cloud, scope: Named): Promise<Result<string | undefined>> => {
  const element = `target group ${balancerName(scope)}`;
  const found = await cloud.call(element, 'elasticloadbalancing:DescribeTargetGroups', () =>
    cloud.elb.send(new DescribeTargetGroupsCommand({ Names: [balancerName(scope)] })),
  );
  if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
  const arn = found.value.TargetGroups?.[0]?.TargetGroupArn;
  return arn === undefined ? ok(undefined) : ownByArn(cloud, scope, element, arn, arn);
};

/** A balancer takes one subnet for each zone. */
const balancerSubnets = (scope: AwsScope, place: Place): Subnet[] => {
  const wanted = scope.placement.access === 'public' ? place.subnets.filter((subnet) => subnet.face === 'public') : place.nodes;
  return [...new Map(wanted.toSorted((a, b) => b.id.localeCompare(a.id)).map((subnet) => [subnet.zone, subnet])).values()];
};

const ensureBalancer = async (cloud: Cloud, scope: AwsScope, place: Place, group: string): Promise<Result<LoadBalancer>> => {
  const Name = balancerName(scope);
  const element = `load balancer ${Name}`;
  const Scheme = scope.placement.access === 'public' ? 'internet-facing' : 'internal';
  const subnets = balancerSubnets(scope, place);
  const there = await findBalancer(cloud, scope);
  if (!there.ok) return there;
  const balancer = there.value;
  if (balancer === undefined) {
    const made = await cloud.call(element, 'elasticloadbalancing:CreateLoadBalancer', () =>
      cloud.elb.send(
        new CreateLoadBalancerCommand({
          Name,
          Scheme,
          Type: 'network',
          IpAddressType: 'ipv4',
          Subnets: subnets.map((subnet) => subnet.id),
          SecurityGroups: [group],
          Tags: tagsOf(scope, Name),
        }),
      ),
    );
    if (!made.ok) return made;
    const [first] = made.value.LoadBalancers ?? [];
    return first === undefined ? fail('retry', 'cloud-failed', element, 'AWS made it and told nothing of it') : ok(first);
  }
  if (balancer.Scheme !== Scheme)
    return fail(
      'blocked',
      'placement-fixed',
      element,
      `is ${balancer.Scheme ?? 'unknown'} and cannot become ${Scheme}. Put access back, or make the cluster anew`,
    );
  const zones = balancer.AvailabilityZones ?? [];
  const missing = subnets.filter((subnet) => !zones.some((zone) => zone.ZoneName === subnet.zone));
  if (missing.length > 0) {
    const Subnets = [...zones.map((zone) => zone.SubnetId ?? ''), ...missing.map((subnet) => subnet.id)];
    const set = await cloud.call(element, 'elasticloadbalancing:SetSubnets', () =>
      cloud.elb.send(new SetSubnetsCommand({ LoadBalancerArn: balancer.LoadBalancerArn, Subnets })),
    );
    if (!set.ok) return set;
  }
  return ok(balancer);
};

/** A control plane reaches the API server through the balancer too, which with preserved addresses would send it its own packets back. */
const targetAttributes = { 'preserve_client_ip.enabled': 'false', 'deregistration_delay.timeout_seconds': '30' };
/** Control planes need not stand in every zone. */
const balancerAttributes = { 'load_balancing.cross_zone.enabled': 'true' };

const differing = (has: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined, wanted: Readonly<Record<string, string>>) =>
  Object.entries(wanted)
    .filter(([key, value]) => has?.find((item) => item.Key === key)?.Value !== value)
    .map(([Key, Value]) => ({ Key, Value }));

const ensureTargetGroup = async (cloud: Cloud, scope: AwsScope, vpc: string): Promise<Result<string>> => {
  const Name = balancerName(scope);
  const element = `target group ${Name}`;
  const there = await findTargets(cloud, scope);
  if (!there.ok) return there;
  let arn = there.value;
  if (arn === undefined) {
    const made = await cloud.call(element, 'elasticloadbalancing:CreateTargetGroup', () =>
      cloud.elb.send(
        new CreateTargetGroupCommand({
          Name,
          Protocol: 'TCP',
          Port: apiPort,
          VpcId: vpc,
          TargetType: 'instance',
          HealthCheckProtocol: 'TCP',
          Tags: tagsOf(scope, Name),
        }),
      ),
    );
    if (!made.ok) return made;
    arn = made.value.TargetGroups?.[0]?.TargetGroupArn ?? '';
  }
  const TargetGroupArn = arn;
  const has = await cloud.call(element, 'elasticloadbalancing:DescribeTargetGroupAttributes', () =>
    cloud.elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn })),
  );
  if (!has.ok) return has;
  const Attributes = differing(has.value.Attributes, targetAttributes);
  if (Attributes.length > 0) {
    const set = await cloud.call(element, 'elasticloadbalancing:ModifyTargetGroupAttributes', () =>
      cloud.elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes })),
    );
    if (!set.ok) return set;
  }
  return ok(arn);
};

const ensureListener = async (cloud: Cloud, scope: AwsScope, LoadBalancerArn: string, TargetGroupArn: string): Promise<Result<void>> => {
  const element = `load balancer ${balancerName(scope)}`;
  const has = await cloud.call(element, 'elasticloadbalancing:DescribeLoadBalancerAttributes', () =>
    cloud.elb.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn })),
  );
  if (!has.ok) return has;
  const Attributes = differing(has.value.Attributes, balancerAttributes);
  if (Attributes.length > 0) {
    const set = await cloud.call(element, 'elasticloadbalancing:ModifyLoadBalancerAttributes', () =>
      cloud.elb.send(new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes })),
    );
    if (!set.ok) return set;
  }
  const found = await cloud.call(element, 'elasticloadbalancing:DescribeListeners', () => cloud.elb.send(new DescribeListenersCommand({ LoadBalancerArn })));
  if (!found.ok) return found;
  if ((found.value.Listeners ?? []).some((listener) => listener.Port === apiPort)) return ok(undefined);
  const made = await cloud.call(element, 'elasticloadbalancing:CreateListener', () =>
    cloud.elb.send(
      new CreateListenerCommand({
        LoadBalancerArn,
        Protocol: 'TCP',
        Port: apiPort,
        DefaultActions: [{ Type: 'forward', TargetGroupArn }],
        Tags: tagsOf(scope, balancerName(scope)),
      }),
    ),
  );
  return made.ok || made.failure.message.includes('DuplicateListener') ? ok(undefined) : made;
};

/** Exactly these machines stand behind it. Undefined: done; a text: what is still waited for. */
const ensureTargets = async (cloud: Cloud, scope: AwsScope, TargetGroupArn: string, servers: readonly MachineFacts[]): Promise<Result<string | undefined>> => {
  const element = `target group ${balancerName(scope)}`;
  const found = await cloud.call(element, 'elasticloadbalancing:DescribeTargetHealth', () =>
    cloud.elb.send(new DescribeTargetHealthCommand({ TargetGroupArn })),
  );
  if (!found.ok) return found;
  const there = (found.value.TargetHealthDescriptions ?? []).filter((item) => item.TargetHealth?.State !== 'draining').map((item) => item.Target?.Id ?? '');
  const wanted = servers.map((server) => server.instance);
  const fewer = there.filter((id) => !wanted.includes(id)).map((Id) => ({ Id }));
  if (fewer.length > 0) {
    const out = await cloud.call(element, 'elasticloadbalancing:DeregisterTargets', () =>
      cloud.elb.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets: fewer })),
    );
    if (!out.ok) return out;
  }
  const more = wanted.filter((id) => !there.includes(id)).map((Id) => ({ Id }));
  if (more.length === 0) return ok(undefined);
  const put = await cloud.call(element, 'elasticloadbalancing:RegisterTargets', () =>
    cloud.elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: more })),
  );
  if (put.ok) return ok(undefined);
  // Only what runs can be registered.
  return put.failure.message.includes('InvalidTarget') ? ok('control planes do not run yet') : put;
};

/** A network load balancer at 6443, and the control planes behind it. */
export const ensureEndpoint = async (cloud: Cloud, scope: AwsScope, servers: readonly MachineFacts[]): Promise<Result<Progress<Endpoint>>> => {
  const place = await findPlace(cloud, scope);
  if (!place.ok) return place;
  const groups = await findGroups(cloud, scope);
  if (!groups.ok) return groups;
  if (groups.value === undefined)
    return fail('retry', 'network-missing', `network of cluster ${scope.name}`, 'its security groups are not there (any more); they are made first');
  const balancer = await ensureBalancer(cloud, scope, place.value, groups.value.api);
  if (!balancer.ok) return balancer;
  const targets = await ensureTargetGroup(cloud, scope, place.value.vpc);
  if (!targets.ok) return targets;
  const listener = await ensureListener(cloud, scope, balancer.value.LoadBalancerArn ?? '', targets.value);
  if (!listener.ok) return listener;
  const waits = await ensureTargets(cloud, scope, targets.value, servers);
  if (!waits.ok) return waits;
  if (waits.value !== undefined) return pending(waits.value, targetMs);
  const { State, DNSName } = balancer.value;
  if (State?.Code === 'failed')
    return fail(
      'blocked',
      'cloud-refused',
      `load balancer ${balancerName(scope)}`,
      `could not be made: ${State.Reason ?? 'AWS gives no reason'}. Delete it to try again`,
    );
  if (State?.Code === 'provisioning' || DNSName === undefined) return pending('the load balancer is being made', balancerMs);
  return ready({ kind: 'external', host: DNSName, port: apiPort });
};
