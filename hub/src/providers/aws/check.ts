import {
  AllocateAddressCommand,
  CreateInternetGatewayCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  DescribeVpcsCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { ListRolesCommand, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts } from '../../port/provider.ts';
import { rolePath } from './names.ts';
import type { Cloud } from './session.ts';

/** Actions that one simulation may ask for. */
const actionsAtOnce = 50;

/** Whose policies decide: of a session the role. Its path is not in the session's ARN, so a role with one is not found, and the simulation says so. */
export const policySource = (arn: string): string => {
  const session = /^(arn:[a-z-]+):sts::(\d+):assumed-role\/([^/]+)\//.exec(arn);
  return session === null ? arn : `${session[1]}:iam::${session[2]}:role/${session[3]}`;
};

/** Undefined: this account may not simulate, or there is nothing to simulate (the root user). */
const simulate = async (cloud: Cloud, arn: string, actions: readonly string[]): Promise<string[] | undefined> => {
  const missing: string[] = [];
  for (let start = 0; start < actions.length; start += actionsAtOnce) {
    const ActionNames = actions.slice(start, start + actionsAtOnce);
    const answer = await cloud.call('account', 'iam:SimulatePrincipalPolicy', () =>
      cloud.iam.send(new SimulatePrincipalPolicyCommand({ PolicySourceArn: policySource(arn), ActionNames, ResourceArns: ['*'] })),
    );
    if (!answer.ok) return undefined;
    const results = answer.value.EvaluationResults ?? [];
    missing.push(...results.filter((item) => item.EvalDecision === 'explicitDeny').map((item) => item.EvalActionName ?? ''));
    // A policy that allows an action for some resources only denies it for all of them at once: that says nothing.
    missing.push(...results.filter((item) => item.EvalDecision === 'implicitDeny' && (item.MatchedStatements ?? []).length === 0 && !isScoped(item.EvalActionName ?? '')).map((item) => item.EvalActionName ?? '')); // prettier-ignore
  }
  return missing;
};

/** Our own policy allows these for roles under our path alone. */
const isScoped = (action: string): boolean => action.startsWith('iam:') && action !== 'iam:ListRoles';

const permissionOf = (message: string): boolean => /UnauthorizedOperation|AccessDenied/.test(message);

/** Calls that do nothing: EC2's dry runs, and lists of one. */
const probes = (cloud: Cloud): Record<string, () => Promise<unknown>> => {
  const { ec2, elb, iam } = cloud;
  return {
    'ec2:CreateVpc': () => ec2.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16', DryRun: true })),
    'ec2:CreateInternetGateway': () => ec2.send(new CreateInternetGatewayCommand({ DryRun: true })),
    'ec2:AllocateAddress': () => ec2.send(new AllocateAddressCommand({ Domain: 'vpc', DryRun: true })),
    'ec2:TerminateInstances': () => ec2.send(new TerminateInstancesCommand({ InstanceIds: ['i-00000000000000000'], DryRun: true })),
    'ec2:DescribeInstances': () => ec2.send(new DescribeInstancesCommand({ DryRun: true })),
    'ec2:DescribeVpcs': () => ec2.send(new DescribeVpcsCommand({ DryRun: true })),
    'elasticloadbalancing:DescribeLoadBalancers': () => elb.send(new DescribeLoadBalancersCommand({ PageSize: 1 })),
    'iam:ListRoles': () => iam.send(new ListRolesCommand({ PathPrefix: rolePath, MaxItems: 1 })),
  };
};

/** Who we are, and what we lack: by IAM's simulation where it may be asked, and else by calls that do nothing. */
export const checkAccount = async (cloud: Cloud, actions: readonly string[]): Promise<Result<AccountFacts>> => {
  const caller = await cloud.call('account', 'sts:GetCallerIdentity', () => cloud.sts.send(new GetCallerIdentityCommand({})));
  if (!caller.ok) return caller;
  const identity = caller.value.Arn ?? caller.value.UserId ?? '';
  const simulated = await simulate(cloud, identity, actions);
  const missing = new Set(simulated);
  const tried = Object.entries(probes(cloud));
  for (const [action, act] of tried) {
    const answer = await cloud.call('account', action, act);
    if (answer.ok) continue;
    if (permissionOf(answer.failure.message)) missing.add(action);
    // A dry run that would have done it says so by an error, and one of an unknown instance was allowed to look.
    else if (answer.failure.kind !== 'fatal' && !/DryRunOperation|NotFound/.test(answer.failure.message)) return answer;
  }
  const unchecked =
    simulated === undefined
      ? [
          `${actions.length - tried.length} of ${actions.length} actions: the account may not call iam:SimulatePrincipalPolicy, so only ${tried.length} were tried`,
        ]
      : ['limits to single resources, and what service control policies of the organisation deny'];
  const { Account } = caller.value;
  return ok({ identity, ...(Account === undefined ? {} : { owner: `AWS account ${Account}` }), missing: [...missing].toSorted(), unchecked });
};
