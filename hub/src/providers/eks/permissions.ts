import { machineActions } from '../aws/permissions.ts';

const eksActions = [
  'eks:AssociateAccessPolicy',
  'eks:CreateAccessEntry',
  'eks:CreateAddon',
  'eks:CreateCluster',
  'eks:CreateNodegroup',
  'eks:DeleteAccessEntry',
  'eks:DeleteAddon',
  'eks:DeleteCluster',
  'eks:DeleteNodegroup',
  'eks:DescribeAccessEntry',
  'eks:DescribeAddon',
  'eks:DescribeCluster',
  'eks:DescribeClusterVersions',
  'eks:DescribeNodegroup',
  'eks:DisassociateAccessPolicy',
  'eks:ListAccessEntries',
  'eks:ListAddons',
  'eks:ListAssociatedAccessPolicies',
  'eks:ListClusters',
  'eks:ListNodegroups',
  'eks:TagResource',
  'eks:UpdateAccessEntry',
  'eks:UpdateAddon',
  'eks:UpdateClusterConfig',
  'eks:UpdateClusterVersion',
  'eks:UpdateNodegroupConfig',
  'eks:UpdateNodegroupVersion',
];

/** EKS makes machines and load balancers itself. */
const notNeeded =
  /^(ssm:|elasticloadbalancing:(?!Describe(LoadBalancers|TargetGroups|Tags)$)|iam:\w*InstanceProfile$|ec2:(RunInstances|TerminateInstances|DeleteTags|DescribeImages|CreateSecurityGroup|AuthorizeSecurityGroupIngress)$)/;

/** What an EKS cluster needs; `iam-policy.json` beside it says the same with its resources, and a test holds them together. */
export const managedActions: readonly string[] = [...machineActions.filter((action) => !notNeeded.test(action)), ...eksActions].toSorted();
