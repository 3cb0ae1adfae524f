import {
  AddRoleToInstanceProfileCommand,
  AttachRolePolicyCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  DeleteInstanceProfileCommand,
  DeleteRoleCommand,
  DetachRolePolicyCommand,
  GetInstanceProfileCommand,
  GetRoleCommand,
  ListAttachedRolePoliciesCommand,
  RemoveRoleFromInstanceProfileCommand,
} from '@aws-sdk/client-iam';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { isOurs, rolePath, tagsOf, type AwsScope, type Named } from './names.ts';
import type { Cloud } from './session.ts';

/** `aws`, `aws-cn`, `aws-us-gov`: the first part of every ARN there. */
export const partitionOf = (region: string): string => (region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws');

interface RoleWant {
  name: string;
  /** `ec2.amazonaws.com`: who may take it. */
  service: string;
  /** Names of AWS' own policies. */
  policies: readonly string[];
}

const trust = (service: string): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: service }, Action: ['sts:AssumeRole'] }] });

export const isAbsent = (failure: Failure): boolean => /NoSuchEntity|NotFound/.test(failure.message);

const notOurs = (element: string) =>
  fail('blocked', 'not-ours', element, 'is there without the tag of this cluster; somebody else made it. Delete it, or give the cluster another name');

/** Undefined: there is none of this name. */
const readRole = async (cloud: Cloud, scope: Pick<Named, 'id'>, name: string): Promise<Result<{ arn: string } | undefined>> => {
  const element = `role ${name}`;
  const found = await cloud.call(element, 'iam:GetRole', () => cloud.iam.send(new GetRoleCommand({ RoleName: name })));
  if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
  if (!isOurs(found.value.Role ?? {}, scope)) return notOurs(element);
  return ok({ arn: found.value.Role?.Arn ?? '' });
};

const attached = async (cloud: Cloud, name: string): Promise<Result<string[]>> => {
  const found = await cloud.call(`role ${name}`, 'iam:ListAttachedRolePolicies', () => cloud.iam.send(new ListAttachedRolePoliciesCommand({ RoleName: name })));
  if (!found.ok) return isAbsent(found.failure) ? ok([]) : found;
  return ok((found.value.AttachedPolicies ?? []).map((policy) => policy.PolicyArn ?? ''));
};

/** The role's ARN. */
export const ensureRole = async (cloud: Cloud, scope: AwsScope, want: RoleWant): Promise<Result<string>> => {
  const element = `role ${want.name}`;
  const there = await readRole(cloud, scope, want.name);
  if (!there.ok) return there;
  let arn = there.value?.arn;
  if (arn === undefined) {
    const made = await cloud.call(element, 'iam:CreateRole', () =>
      cloud.iam.send(
        new CreateRoleCommand({
          RoleName: want.name,
          Path: rolePath,
          Description: `Groundplane, cluster ${scope.name}`,
          AssumeRolePolicyDocument: trust(want.service),
          Tags: tagsOf(scope, want.name),
        }),
      ),
    );
    if (!made.ok) return made;
    arn = made.value.Role?.Arn ?? '';
  }
  const has = await attached(cloud, want.name);
  if (!has.ok) return has;
  for (const PolicyArn of want.policies
    .map((name) => `arn:${partitionOf(cloud.region)}:iam::aws:policy/${name}`)
    .filter((policy) => !has.value.includes(policy))) {
    const put = await cloud.call(element, 'iam:AttachRolePolicy', () => cloud.iam.send(new AttachRolePolicyCommand({ RoleName: want.name, PolicyArn })));
    if (!put.ok) return put;
  }
  return ok(arn);
};

/** Through which machines take the role; it has its name. */
export const ensureProfile = async (cloud: Cloud, scope: AwsScope, name: string): Promise<Result<void>> => {
  const element = `instance profile ${name}`;
  const found = await cloud.call(element, 'iam:GetInstanceProfile', () => cloud.iam.send(new GetInstanceProfileCommand({ InstanceProfileName: name })));
  if (!found.ok && !isAbsent(found.failure)) return found;
  let hasRole = false;
  if (found.ok) {
    if (!isOurs(found.value.InstanceProfile ?? {}, scope)) return notOurs(element);
    hasRole = (found.value.InstanceProfile?.Roles ?? []).some((role) => role.RoleName === name);
  } else {
    const made = await cloud.call(element, 'iam:CreateInstanceProfile', () =>
      cloud.iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: name, Path: rolePath, Tags: tagsOf(scope, name) })),
    );
    if (!made.ok) return made;
  }
  if (hasRole) return ok(undefined);
  const put = await cloud.call(element, 'iam:AddRoleToInstanceProfile', () =>
    cloud.iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name })),
  );
  return put.ok ? ok(undefined) : put;
};

/** True when there is none left. What carries our name and not our tag is left alone. */
export const dropProfile = async (cloud: Cloud, scope: Pick<Named, 'id'>, name: string): Promise<Result<void>> => {
  const element = `instance profile ${name}`;
  const found = await cloud.call(element, 'iam:GetInstanceProfile', () => cloud.iam.send(new GetInstanceProfileCommand({ InstanceProfileName: name })));
  if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
  if (!isOurs(found.value.InstanceProfile ?? {}, scope)) return ok(undefined);
  for (const role of found.value.InstanceProfile?.Roles ?? []) {
    const out = await cloud.call(element, 'iam:RemoveRoleFromInstanceProfile', () =>
      cloud.iam.send(new RemoveRoleFromInstanceProfileCommand({ InstanceProfileName: name, RoleName: role.RoleName })),
    );
    if (!out.ok && !isAbsent(out.failure)) return out;
  }
  const gone = await cloud.call(element, 'iam:DeleteInstanceProfile', () => cloud.iam.send(new DeleteInstanceProfileCommand({ InstanceProfileName: name })));
  return gone.ok || isAbsent(gone.failure) ? ok(undefined) : gone;
};

export const dropRole = async (cloud: Cloud, scope: Pick<Named, 'id'>, name: string): Promise<Result<void>> => {
  const there = await readRole(cloud, scope, name);
  if (!there.ok) return there.failure.code === 'not-ours' ? ok(undefined) : there;
  if (there.value === undefined) return ok(undefined);
  const has = await attached(cloud, name);
  if (!has.ok) return has;
  for (const PolicyArn of has.value) {
    const out = await cloud.call(`role ${name}`, 'iam:DetachRolePolicy', () => cloud.iam.send(new DetachRolePolicyCommand({ RoleName: name, PolicyArn })));
    if (!out.ok && !isAbsent(out.failure)) return out;
  }
  const gone = await cloud.call(`role ${name}`, 'iam:DeleteRole', () => cloud.iam.send(new DeleteRoleCommand({ RoleName: name })));
  return gone.ok || isAbsent(gone.failure) ? ok(undefined) : gone;
};
