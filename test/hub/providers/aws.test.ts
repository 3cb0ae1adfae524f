import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Nodegroup } from '@aws-sdk/client-eks';
import { fail, FailureError } from '@groundplane/protocol/failure';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { ManagedPoolWant } from '@groundplane/hub/port/provider';
import { policySource } from '@groundplane/hub/providers/aws/check';
import { contains, freeBlocks } from '@groundplane/hub/providers/aws/cidr';
import { failureOf } from '@groundplane/hub/providers/aws/failures';
import { parameterOf } from '@groundplane/hub/providers/aws/image';
import { instanceInput, stateOf, subnetFor } from '@groundplane/hub/providers/aws/machines';
import { balancerName, nodeRoleName, tokenOf, type AwsScope } from '@groundplane/hub/providers/aws/names';
import type { NetworkFacts } from '@groundplane/hub/providers/aws/network-facts';
import { groupRules, planGroup, planNetwork } from '@groundplane/hub/providers/aws/network-plan';
import { permissionsOf, publicSubnets, rulesOf } from '@groundplane/hub/providers/aws/network-read';
import { machineActions, onceActions } from '@groundplane/hub/providers/aws/permissions';
import { policyArn } from '@groundplane/hub/providers/eks/access';
import { managedActions } from '@groundplane/hub/providers/eks/permissions';
import { configChange, differsOf, scalingOf, versionChange } from '@groundplane/hub/providers/eks/pool-plan';
import { clusterToken } from '@groundplane/hub/providers/eks/token';

const thrown = (name: string, message = 'words', status = 400): Error => Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
const told = (name: string, message?: string, status?: number): string => {
  const { failure } = failureOf(thrown(name, message, status), 'thing', 'ec2:RunInstances');
  return `${failure.kind} ${failure.code}`;
};

describe('what AWS says', () => {
  test.each([
    ['AuthFailure', 'blocked credentials-refused'],
    ['InvalidClientTokenId', 'blocked credentials-refused'],
    ['ExpiredTokenException', 'blocked credentials-refused'],
    ['UnauthorizedOperation', 'blocked permission-missing'],
    ['AccessDeniedException', 'blocked permission-missing'],
    ['RequestLimitExceeded', 'retry throttled'],
    ['Throttling', 'retry throttled'],
    ['TooManyRequestsException', 'retry throttled'],
    ['VcpuLimitExceeded', 'blocked quota-reached'],
    ['VpcLimitExceeded', 'blocked quota-reached'],
    ['TooManyLoadBalancers', 'blocked quota-reached'],
    ['ResourceLimitExceededException', 'blocked quota-reached'],
    ['MaxSpotInstanceCountExceeded', 'blocked quota-reached'],
    ['InsufficientInstanceCapacity', 'retry capacity-missing'],
    ['InsufficientFreeAddressesInSubnet', 'retry capacity-missing'],
    ['DependencyViolation', 'retry cloud-conflict'],
    ['IdempotentParameterMismatch', 'retry cloud-conflict'],
    ['ResourceInUseException', 'retry cloud-conflict'],
    ['InvalidVpcID.NotFound', 'retry cloud-conflict'],
    ['NoSuchEntity', 'retry cloud-conflict'],
    ['InternalError', 'retry cloud-failed'],
    ['InvalidParameterValue', 'fatal cloud-refused'],
    ['ValidationError', 'fatal cloud-refused'],
  ])('%s is %s', (name, expected) => expect(told(name)).toBe(expected));

  test('a status of 500 and above is a failure of AWS, whatever its code', () => expect(told('SomethingNew', 'x', 502)).toBe('retry cloud-failed'));
  test('a profile that IAM has not told everybody yet is waited for', () =>
    expect(told('InvalidParameterValue', 'Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name')).toBe(
      'retry cloud-conflict',
    ));
  test('the missing permission is named: by AWS, or else by the call', () => {
    const words = 'User: arn:aws:iam::1:user/x is not authorized to perform: eks:CreateCluster on resource: y';
    expect(failureOf(thrown('AccessDeniedException', words, 403), 'c', 'eks:Other').failure.message).toContain('may not eks:CreateCluster');
    expect(failureOf(thrown('UnauthorizedOperation', 'You are not authorized', 403), 'c', 'ec2:CreateVpc').failure.message).toContain('may not ec2:CreateVpc');
  });
  test('a failure of the door comes out as it went in', () => {
    const gone = fail('retry', 'cloud-unreachable', 'power', 'gone').failure;
    expect(failureOf(new FailureError(gone), 'x', 'y').failure).toEqual(gone);
  });
});

test('networks are cut into sixteenths, and not below what AWS allows', () => {
  expect(freeBlocks('10.0.0.0/16', ['10.0.0.0/20', '10.0.32.0/19']).slice(0, 2)).toEqual(['10.0.16.0/20', '10.0.64.0/20']);
  expect(freeBlocks('10.0.0.0/26', [])).toEqual(['10.0.0.0/28', '10.0.0.16/28', '10.0.0.32/28', '10.0.0.48/28']);
  expect(freeBlocks('192.168.0.0/16', ['192.168.0.0/16'])).toEqual([]);
  expect([contains('10.0.16.0/20', '10.0.31.255'), contains('10.0.16.0/20', '10.0.32.0')]).toEqual([true, false]);
});

const scope = (placement: Record<string, unknown> = {}, zones: string[] = ['a', 'b']): AwsScope => ({
  id: 'clu_0123456789abcdefghij',
  name: 'a-very-long-name-of-a-cluster-with-sixty-three-letters-in-it-012',
  zones,
  placement: placementSchemas.aws.parse({ region: 'eu-central-1', ...placement }),
});
const nothing: NetworkFacts = { zones: ['a', 'b', 'c'], vpcs: [], gateways: [], subnets: [], tables: [], nats: [], addresses: [], groups: [] };
const kinds = (plan: ReturnType<typeof planNetwork>): string[] => (plan.kind === 'steps' ? plan.steps.map((step) => step.kind) : [plan.why]);

describe('the plan of a network', () => {
  test('names fit what AWS allows', () => {
    expect(nodeRoleName(scope()).length).toBeLessThanOrEqual(64);
    expect(balancerName(scope()).length).toBeLessThanOrEqual(32);
    expect(balancerName({ ...scope(), name: 'sixteen-letters-x-and' })).toMatch(/^[a-z0-9]([a-z0-9]|-(?!-))*[a-z0-9]$/);
  });
  test('begins with the VPC, and knows a zone that is not there', () => {
    expect(kinds(planNetwork(scope(), nothing))).toEqual(['makeVpc']);
    expect(kinds(planNetwork(scope({}, ['z']), nothing))).toEqual(['eu-central-1 has no zone z; it has a, b, c']);
  });
  test('of two VPCs the one with something in it stays, and the other one goes', () => {
    const subnets = [{ id: 's', vpc: 'vpc-2', zone: 'a', cidr: '10.0.0.0/20', face: 'public' as const }];
    const vpcs = [{ id: 'vpc-1', cidr: '10.0.0.0/16' }, { id: 'vpc-2', cidr: '10.0.0.0/16' }]; // prettier-ignore
    const plan = planNetwork(scope(), { ...nothing, vpcs, subnets });
    expect(plan.kind === 'steps' && plan.steps[0]).toEqual({ kind: 'dropVpc', vpc: 'vpc-1' });
    expect(plan.kind === 'steps' && plan.steps.filter((step) => step.kind === 'makeSubnet').map((step) => step.cidr)).toEqual(['10.0.16.0/20', '10.0.32.0/20', '10.0.48.0/20']); // prettier-ignore
  });
  test('a network without room for its zones is told', () => {
    const vpcs = [{ id: 'vpc-1', cidr: '10.0.0.0/27' }];
    expect(kinds(planNetwork(scope({ cidr: '10.0.0.0/27' }), { ...nothing, vpcs }))[0]).toContain('has no room for 4 more subnets');
  });
  test('a NAT gateway that failed is taken away and made anew with another token', () => {
    const subnet = (zone: string, face: 'public' | 'private', index: number) => ({
      id: `${face}-${zone}`,
      vpc: 'v',
      zone,
      face,
      cidr: `10.0.${index * 16}.0/20`,
    });
    const subnets = ['a', 'b'].flatMap((zone, index) => [subnet(zone, 'public', index * 2), subnet(zone, 'private', index * 2 + 1)]);
    const base = { ...nothing, vpcs: [{ id: 'v', cidr: '10.0.0.0/16' }], gateways: [{ id: 'g', vpc: 'v' }], subnets };
    const name = `${scope().name.slice(0, 40)}-0123456789-nat-a`;
    const failed = { ...base, nats: [{ id: 'nat-1', name, state: 'failed', publicIps: [] }] };
    expect(kinds(planNetwork(scope(), failed))).toContain('dropNat');
    const after = { ...base, nats: [{ id: 'nat-1', name, state: 'deleted', publicIps: [] }], addresses: [{ id: 'e', name, publicIp: '1.2.3.4' }] };
    const plan = planNetwork(scope(), after);
    expect(plan.kind === 'steps' && plan.steps.find((step) => step.kind === 'makeNat')).toMatchObject({ subnet: 'public-a', address: 'e', token: ['nat-1'] });
    expect(kinds(planNetwork(scope({ nat: 'none' }), base)).some((kind) => /Nat|Address/.test(kind))).toBe(false);
  });
  test('the API lets in what the placement says, the VPC, and its NAT gateways', () => {
    const { placement } = scope({ apiSources: ['203.0.113.0/24'] });
    const rules = groupRules(placement, { cidrs: ['10.0.0.0/16'], egress: ['198.51.100.7'], nodes: 'sg-n', api: 'sg-a' });
    expect(rules.api).toEqual(['tcp 6443 203.0.113.0/24', 'tcp 6443 10.0.0.0/16', 'tcp 6443 198.51.100.7/32']);
    expect(planGroup({ id: 'g', rules: ['tcp 6443 0.0.0.0/0', ...rules.api.slice(1)] }, rules.api, true)).toEqual([
      { kind: 'allow', group: 'g', rules: ['tcp 6443 203.0.113.0/24'] },
      { kind: 'forbid', group: 'g', rules: ['tcp 6443 0.0.0.0/0'] },
    ]);
    // What Kubernetes added to the machines' group stays.
    expect(planGroup({ id: 'g', rules: [...rules.nodes, 'tcp 30000-32767 0.0.0.0/0'] }, rules.nodes, false)).toEqual([]);
  });
  test('rules say the same there and back', () => {
    const rules = ['all sg-1', 'tcp 6443 10.0.0.0/16', 'udp 30000-32767 0.0.0.0/0', 'tcp 22 fd00::/8'];
    expect(rulesOf(permissionsOf(rules))).toEqual(rules);
  });
  test('a subnet is public by its own route table, or by the main one', () => {
    const open = { Routes: [{ GatewayId: 'igw-1' }], Associations: [{ SubnetId: 'one' }] };
    const main = { Routes: [{ GatewayId: 'local' }], Associations: [{ Main: true }] };
    expect([...publicSubnets([open, main], ['one', 'two'])]).toEqual(['one']);
    expect([...publicSubnets([{ ...main, Routes: open.Routes }], ['two'])]).toEqual(['two']);
  });
});

describe('machines', () => {
  const subnets = [
    { id: 's1', vpc: 'v', zone: 'a', cidr: '10.0.0.0/20', face: 'private' as const },
    { id: 's2', vpc: 'v', zone: 'b', cidr: '10.0.16.0/20', face: 'private' as const },
  ];
  const place = { vpc: 'v', cidrs: [], subnets, nodes: subnets, isOpen: false };
  const want = { name: 'm-1', pool: 'workers', role: 'worker' as const, size: 'm5.large', spot: true, userData: '#cloud-config\n', generation: 'g1' };
  test('go where their zone or their address is', () => {
    expect(subnetFor(place, { name: 'm', zone: 'b' })).toMatchObject({ value: { id: 's2' } });
    expect(subnetFor(place, { name: 'm', place: { address: '10.0.17.4/20', dns: [] } })).toMatchObject({ value: { id: 's2' } });
    expect(subnetFor(place, { name: 'm', zone: 'z' })).toMatchObject({ failure: { code: 'choice-missing' } });
  });
  test('are asked for with everything from the first moment', () => {
    const parts = { image: { id: 'ami-1', rootDevice: '/dev/xvda' }, subnet: subnets[0]!, group: 'sg-1', isOpen: false, gone: [] };
    const input = instanceInput(scope(), want, parts);
    expect(input).toMatchObject({
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { Encrypted: true, VolumeType: 'gp3' } }],
      NetworkInterfaces: [{ AssociatePublicIpAddress: false, SubnetId: 's1' }],
      InstanceMarketOptions: { MarketType: 'spot' },
    });
    expect(input.TagSpecifications?.map((item) => item.ResourceType)).toEqual(['instance', 'volume', 'network-interface', 'spot-instances-request']);
    expect(instanceInput(scope(), want, parts).ClientToken).toBe(input.ClientToken);
    expect(instanceInput(scope(), want, { ...parts, gone: ['i-1'] }).ClientToken).not.toBe(input.ClientToken);
    expect(input.ClientToken?.length).toBeLessThanOrEqual(64);
    expect(tokenOf('a', 'bc')).not.toBe(tokenOf('ab', 'c'));
  });
  test('that died by themselves have failed; what somebody ended is gone', () => {
    const ended = (Code: string) => stateOf({ State: { Name: 'terminated' }, StateReason: { Code, Message: 'm' } });
    expect(ended('Client.InternalError')).toBe('failed');
    expect(ended('Client.VolumeLimitExceeded')).toBe('failed');
    expect(ended('Client.UserInitiatedShutdown')).toBe('gone');
    expect(ended('Server.SpotInstanceTermination')).toBe('gone');
  });
  test('images are found by series, parameter or AMI', () => {
    expect(parameterOf(undefined, 'arm64')).toBe('/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id');
    expect(parameterOf('ubuntu-22.04', 'x86_64')).toContain('/22.04/stable/current/amd64/hvm/ebs-gp2/');
    expect(parameterOf('resolve:ssm:/x', 'x86_64')).toBe('/x');
    expect(parameterOf('debian', 'x86_64')).toBeUndefined();
  });
});

describe('node groups', () => {
  const want: ManagedPoolWant = { name: 'p', pool: 'p', size: 'm5.large', count: 2, zones: [], spot: false, labels: { a: '1' }, taints: [{ key: 'k', effect: 'NoSchedule' }], update: { maxSurge: 1, maxUnavailable: 0 } }; // prettier-ignore
  const group: Nodegroup = {
    instanceTypes: ['m5.large'],
    capacityType: 'ON_DEMAND',
    version: '1.33',
    labels: { a: '1' },
    taints: [{ key: 'k', value: '', effect: 'NO_SCHEDULE' }],
    scalingConfig: { minSize: 2, maxSize: 2, desiredSize: 2 },
    updateConfig: { maxUnavailable: 1 },
  };
  test('the same is no change', () => expect(configChange(group, want)).toBeUndefined());
  test('within its bounds the size is the autoscaler’s', () => {
    const bounds = { ...want, min: 1, max: 5 };
    expect(scalingOf(bounds, 4)).toEqual({ minSize: 1, maxSize: 5, desiredSize: 4 });
    expect(scalingOf(bounds, 9)).toEqual({ minSize: 1, maxSize: 5, desiredSize: 5 });
    expect(scalingOf({ ...want, count: 0 }, 3)).toEqual({ minSize: 0, maxSize: 1, desiredSize: 0 });
    expect(configChange({ ...group, scalingConfig: { minSize: 1, maxSize: 5, desiredSize: 4 } }, bounds)).toBeUndefined();
  });
  test('labels and taints are set and taken away', () => {
    expect(configChange({ ...group, labels: { a: '2', old: 'x' }, taints: [{ key: 'old', value: '', effect: 'NO_EXECUTE' }] }, want)).toEqual({
      labels: { addOrUpdateLabels: { a: '1' }, removeLabels: ['old'] },
      taints: { addOrUpdateTaints: [{ key: 'k', value: '', effect: 'NO_SCHEDULE' }], removeTaints: [{ key: 'old', value: '', effect: 'NO_EXECUTE' }] },
    });
  });
  test('what cannot be changed is named', () => {
    expect(differsOf(group, want, undefined)).toEqual([]);
    const other = { ...want, size: 'c5.large', spot: true, diskGiB: 50, zones: ['a'] };
    expect(differsOf({ ...group, diskSize: 20, subnets: ['s1', 's2'] }, other, ['s1'])).toEqual(['size', 'diskGiB', 'spot', 'zones']);
  });
  test('versions follow the control plane, never ahead and never back', () => {
    expect(versionChange(group, undefined, '1.34')).toBe('1.34');
    expect(versionChange(group, '1.35', '1.34')).toBeUndefined();
    expect(versionChange({ ...group, version: '1.34' }, '1.33', '1.34')).toBeUndefined();
    expect(versionChange(group, '1.33', '1.34')).toBeUndefined();
  });
});

test('a token is a presigned call that names the cluster, good for fourteen minutes', async () => {
  const atMs = Date.UTC(2030, 0, 2, 3, 4, 5);
  const keys = async () => ({ accessKeyId: 'AKIA0', secretAccessKey: 's', sessionToken: 't/+=' });
  const made = await clusterToken(keys, 'eu-central-1', 'shop', atMs);
  expect(made.expiresAtMs - atMs).toBe(14 * 60_000);
  expect(made.token).toMatch(/^k8s-aws-v1\.[A-Za-z0-9_-]+$/);
  const url = new URL(Buffer.from(made.token.slice('k8s-aws-v1.'.length), 'base64url').toString());
  expect(url.host).toBe('sts.eu-central-1.amazonaws.com');
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    Action: 'GetCallerIdentity',
    Version: '2011-06-15',
    'X-Amz-Date': '20300102T030405Z',
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host;x-k8s-aws-id',
    'X-Amz-Security-Token': 't/+=',
    'X-Amz-Credential': 'AKIA0/20300102/eu-central-1/sts/aws4_request',
  });
  expect((await clusterToken(keys, 'eu-central-1', 'other', atMs)).token).not.toBe(made.token);
});

test('policies by their short names, and sessions by their role', () => {
  expect(policyArn('cn-north-1', 'AmazonEKSViewPolicy')).toBe('arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSViewPolicy');
  expect(policySource('arn:aws:sts::123456789012:assumed-role/hub/session')).toBe('arn:aws:iam::123456789012:role/hub');
  expect(policySource('arn:aws:iam::123456789012:user/hub')).toBe('arn:aws:iam::123456789012:user/hub');
});

test.each([
  ['aws', [...machineActions, ...onceActions]],
  ['eks', [...managedActions, ...onceActions]],
])('the policy of %s names exactly what its provider needs', async (name, actions) => {
  const file = join(import.meta.dirname, '../../../hub/src/providers', name, 'iam-policy.json');
  const policy = JSON.parse(await readFile(file, 'utf8')) as { Statement: { Action: string[] }[] };
  expect([...new Set(policy.Statement.flatMap((statement) => statement.Action))].toSorted()).toEqual(actions.toSorted());
  // A customer-managed policy has 6,144 letters without blanks.
  expect(JSON.stringify(policy).length).toBeLessThan(6_144);
});
