import {
  AllocateAddressCommand,
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateInternetGatewayCommand,
  CreateNatGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteInternetGatewayCommand,
  DeleteNatGatewayCommand,
  DeleteVpcCommand,
  ModifyVpcAttributeCommand,
  ReplaceRouteCommand,
  RevokeSecurityGroupIngressCommand,
  type ResourceType,
} from '@aws-sdk/client-ec2';
import { ok, type Result } from '@groundplane/protocol/failure';
import { baseName, tagsOf, tokenOf, type AwsScope } from './names.ts';
import { subnetName, type NetworkStep, type NetworkStepArgs } from './network-plan.ts';
import { faceKey, permissionsOf } from './network-read.ts';
import type { Cloud } from './session.ts';

/** Kubernetes finds its cluster's things by this key (cloud-provider-aws). */
export const kubernetesKey = (scope: AwsScope): string => `kubernetes.io/cluster/${baseName(scope)}`;

const specification = (scope: AwsScope, type: ResourceType, name: string, more: Record<string, string> = {}) => [
  { ResourceType: type, Tags: tagsOf(scope, name, more) },
];

type Executors = { [K in keyof NetworkStepArgs]: (cloud: Cloud, scope: AwsScope, args: NetworkStepArgs[K]) => Promise<Result<unknown>> };

/**
 * What EC2 makes without a token or a unique name (VPC, gateway, address) would be there twice if it was asked again while lists are behind: this life remembers
 * that it asked, and waits for the list. A cut loses that memory, and what is double is then cleared by the plan.
 */
const once = async <T>(cloud: Cloud, scope: AwsScope, key: string, act: () => Promise<Result<T>>): Promise<Result<unknown>> => {
  const name = `${scope.id} ${key}`;
  if (cloud.session.isFresh(name)) return ok(undefined);
  const made = await act();
  if (made.ok) cloud.session.noteFresh(name);
  return made;
};

const executors: Executors = {
  makeVpc: (cloud, scope, { cidr }) =>
    once(cloud, scope, 'vpc', () =>
      cloud.call(`VPC of cluster ${scope.name}`, 'ec2:CreateVpc', () =>
        cloud.ec2.send(new CreateVpcCommand({ CidrBlock: cidr, TagSpecifications: specification(scope, 'vpc', baseName(scope)) })),
      ),
    ),
  nameHosts: (cloud, scope, { vpc }) =>
    cloud.call(`VPC ${vpc} of cluster ${scope.name}`, 'ec2:ModifyVpcAttribute', () =>
      cloud.ec2.send(new ModifyVpcAttributeCommand({ VpcId: vpc, EnableDnsHostnames: { Value: true } })),
    ),
  makeGateway: (cloud, scope) =>
    once(cloud, scope, 'gateway', () =>
      cloud.call(`internet gateway of cluster ${scope.name}`, 'ec2:CreateInternetGateway', () =>
        cloud.ec2.send(new CreateInternetGatewayCommand({ TagSpecifications: specification(scope, 'internet-gateway', baseName(scope)) })),
      ),
    ),
  attachGateway: (cloud, _scope, { gateway, vpc }) =>
    cloud.call(`internet gateway ${gateway}`, 'ec2:AttachInternetGateway', () =>
      cloud.ec2.send(new AttachInternetGatewayCommand({ InternetGatewayId: gateway, VpcId: vpc })),
    ),
  dropGateway: (cloud, _scope, { gateway }) =>
    cloud.call(`internet gateway ${gateway}`, 'ec2:DeleteInternetGateway', () =>
      cloud.ec2.send(new DeleteInternetGatewayCommand({ InternetGatewayId: gateway })),
    ),
  dropVpc: (cloud, _scope, { vpc }) => cloud.call(`VPC ${vpc}`, 'ec2:DeleteVpc', () => cloud.ec2.send(new DeleteVpcCommand({ VpcId: vpc }))),
  makeSubnet: (cloud, scope, { vpc, zone, cidr, face }) => {
    const role = face === 'public' ? 'kubernetes.io/role/elb' : 'kubernetes.io/role/internal-elb';
    const more = { [faceKey]: face, [role]: '1', [kubernetesKey(scope)]: 'owned' };
    return once(cloud, scope, `subnet ${face} ${zone}`, () =>
      cloud.call(`${face} subnet of cluster ${scope.name} in ${zone}`, 'ec2:CreateSubnet', () =>
        cloud.ec2.send(
          new CreateSubnetCommand({
            VpcId: vpc,
            AvailabilityZone: zone,
            CidrBlock: cidr,
            TagSpecifications: specification(scope, 'subnet', subnetName(scope, face, zone), more),
          }),
        ),
      ),
    );
  },
  makeTable: (cloud, scope, { vpc, name }) =>
    once(cloud, scope, `table ${name}`, () =>
      cloud.call(`route table ${name}`, 'ec2:CreateRouteTable', () =>
        cloud.ec2.send(
          new CreateRouteTableCommand({ VpcId: vpc, ClientToken: tokenOf(scope.id, vpc, name), TagSpecifications: specification(scope, 'route-table', name) }),
        ),
      ),
    ),
  route: async (cloud, _scope, args) => {
    const input = {
      RouteTableId: args.table,
      DestinationCidrBlock: '0.0.0.0/0',
      ...('nat' in args ? { NatGatewayId: args.nat } : { GatewayId: args.gateway }),
    };
    const made = await cloud.call(`route table ${args.table}`, 'ec2:CreateRoute', () => cloud.ec2.send(new CreateRouteCommand(input)));
    if (made.ok || !made.failure.message.includes('RouteAlreadyExists')) return made;
    // Its gateway went away behind our back: the route leads into nothing.
    return cloud.call(`route table ${args.table}`, 'ec2:ReplaceRoute', () => cloud.ec2.send(new ReplaceRouteCommand(input)));
  },
  associate: (cloud, _scope, { table, subnet }) =>
    cloud.call(`route table ${table}`, 'ec2:AssociateRouteTable', () =>
      cloud.ec2.send(new AssociateRouteTableCommand({ RouteTableId: table, SubnetId: subnet })),
    ),
  makeAddress: (cloud, scope, { name }) =>
    once(cloud, scope, `address ${name}`, () =>
      cloud.call(`address ${name}`, 'ec2:AllocateAddress', () =>
        cloud.ec2.send(new AllocateAddressCommand({ Domain: 'vpc', TagSpecifications: specification(scope, 'elastic-ip', name) })),
      ),
    ),
  makeNat: (cloud, scope, { name, subnet, address, token }) =>
    once(cloud, scope, `nat ${name} ${token.join(' ')}`, () =>
      cloud.call(`NAT gateway ${name}`, 'ec2:CreateNatGateway', () =>
        cloud.ec2.send(
          new CreateNatGatewayCommand({
            SubnetId: subnet,
            AllocationId: address,
            ClientToken: tokenOf(scope.id, name, subnet, address, ...token),
            TagSpecifications: specification(scope, 'natgateway', name),
          }),
        ),
      ),
    ),
  dropNat: (cloud, _scope, { nat }) =>
    cloud.call(`NAT gateway ${nat}`, 'ec2:DeleteNatGateway', () => cloud.ec2.send(new DeleteNatGatewayCommand({ NatGatewayId: nat }))),
  makeGroup: (cloud, scope, { vpc, name, purpose }) => {
    const more: Record<string, string> = name.endsWith('-nodes') ? { [kubernetesKey(scope)]: 'owned' } : {};
    return once(cloud, scope, `group ${name}`, () =>
      cloud.call(`security group ${name}`, 'ec2:CreateSecurityGroup', () =>
        cloud.ec2.send(
          new CreateSecurityGroupCommand({
            VpcId: vpc,
            GroupName: name,
            Description: purpose,
            TagSpecifications: specification(scope, 'security-group', name, more),
          }),
        ),
      ),
    );
  },
  allow: async (cloud, _scope, { group, rules }) => {
    const made = await cloud.call(`security group ${group}`, 'ec2:AuthorizeSecurityGroupIngress', () =>
      cloud.ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: group, IpPermissions: permissionsOf(rules) })),
    );
    return made.ok || !made.failure.message.includes('InvalidPermission.Duplicate') ? made : ok(undefined);
  },
  forbid: (cloud, _scope, { group, rules }) =>
    cloud.call(`security group ${group}`, 'ec2:RevokeSecurityGroupIngress', () =>
      cloud.ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: group, IpPermissions: permissionsOf(rules) })),
    ),
};

/** One after the other; the first failure ends the round. */
export const executeNetwork = async (cloud: Cloud, scope: AwsScope, steps: readonly NetworkStep[]): Promise<Result<void>> => {
  for (const step of steps) {
    const done = await executors[step.kind](cloud, scope, step as never);
    if (!done.ok) return done;
  }
  return ok(undefined);
};
