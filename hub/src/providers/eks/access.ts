import {
  AssociateAccessPolicyCommand,
  CreateAccessEntryCommand,
  DeleteAccessEntryCommand,
  DescribeAccessEntryCommand,
  DisassociateAccessPolicyCommand,
  ListAccessEntriesCommand,
  ListAssociatedAccessPoliciesCommand,
  UpdateAccessEntryCommand,
  type AccessEntry,
} from '@aws-sdk/client-eks';
import { ok, type Result } from '@groundplane/protocol/failure';
import { tagKeys } from '../../port/provider.ts';
import { baseName } from '../aws/names.ts';
import { pages } from '../aws/network-read.ts';
import { isAbsent, partitionOf } from '../aws/role.ts';
import { tagRecord, type EksCloud, type EksScope } from './read.ts';

type Want = EksScope['placement']['accessEntries'][number];

/** `AmazonEKSViewPolicy` is the short form of EKS' own policies. */
export const policyArn = (region: string, policy: string): string =>
  policy.startsWith('arn:') ? policy : `arn:${partitionOf(region)}:eks::aws:cluster-access-policy/${policy}`;

const sameSet = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((item) => b.includes(item));

const read = async (cloud: EksCloud, clusterName: string, principalArn: string): Promise<Result<AccessEntry | undefined>> => {
  const found = await cloud.call(`access of ${principalArn}`, 'eks:DescribeAccessEntry', () =>
    cloud.eks.send(new DescribeAccessEntryCommand({ clusterName, principalArn })),
  );
  if (found.ok) return ok(found.value.accessEntry);
  return isAbsent(found.failure) ? ok(undefined) : found;
};

const isOurs = (entry: AccessEntry, scope: EksScope): boolean => entry.tags?.[tagKeys.cluster] === scope.id;

const ensureEntry = async (cloud: EksCloud, scope: EksScope, want: Want, entry: AccessEntry | undefined): Promise<Result<boolean>> => {
  const at = { clusterName: baseName(scope), principalArn: want.principal };
  const element = `access of ${want.principal}`;
  if (entry === undefined) {
    const input = { ...at, kubernetesGroups: want.groups, tags: tagRecord(scope, want.principal.slice(-256)) };
    const made = await cloud.call(element, 'eks:CreateAccessEntry', () => cloud.eks.send(new CreateAccessEntryCommand(input)));
    return made.ok || made.failure.message.includes('ResourceInUse') ? ok(true) : made;
  }
  // One that somebody else made keeps its groups; policies are added to it.
  if (!isOurs(entry, scope)) return ok(false);
  if (sameSet(entry.kubernetesGroups ?? [], want.groups)) return ok(true);
  const set = await cloud.call(element, 'eks:UpdateAccessEntry', () => cloud.eks.send(new UpdateAccessEntryCommand({ ...at, kubernetesGroups: want.groups })));
  return set.ok ? ok(true) : set;
};

/** `isExact`: policies that are not wanted are taken away. */
const ensurePolicies = async (cloud: EksCloud, scope: EksScope, want: Want, isExact: boolean): Promise<Result<void>> => {
  const at = { clusterName: baseName(scope), principalArn: want.principal };
  const element = `access of ${want.principal}`;
  const found = await cloud.call(element, 'eks:ListAssociatedAccessPolicies', () => cloud.eks.send(new ListAssociatedAccessPoliciesCommand(at)));
  if (!found.ok) return found;
  const has = (found.value.associatedAccessPolicies ?? []).map((item) => item.policyArn ?? '');
  const wanted = want.policies.map((policy) => policyArn(cloud.region, policy));
  for (const policy of wanted.filter((item) => !has.includes(item))) {
    const put = await cloud.call(element, 'eks:AssociateAccessPolicy', () =>
      cloud.eks.send(new AssociateAccessPolicyCommand({ ...at, policyArn: policy, accessScope: { type: 'cluster' } })),
    );
    if (!put.ok) return put;
  }
  for (const policy of isExact ? has.filter((item) => !wanted.includes(item)) : []) {
    const out = await cloud.call(element, 'eks:DisassociateAccessPolicy', () =>
      cloud.eks.send(new DisassociateAccessPolicyCommand({ ...at, policyArn: policy })),
    );
    if (!out.ok) return out;
  }
  return ok(undefined);
};

/** Who may do what in the cluster, as the placement says. Entries of others (its maker's, the nodes') are left alone. */
export const syncAccess = async (cloud: EksCloud, scope: EksScope): Promise<Result<void>> => {
  const clusterName = baseName(scope);
  const principals = await pages(
    cloud,
    'access entries',
    'eks:ListAccessEntries',
    async (nextToken) => {
      const page = await cloud.eks.send(new ListAccessEntriesCommand({ clusterName, nextToken }));
      return { arns: page.accessEntries, NextToken: page.nextToken };
    },
    (page) => page.arns,
  );
  if (!principals.ok) return principals;
  for (const want of scope.placement.accessEntries) {
    const entry = principals.value.includes(want.principal) ? await read(cloud, clusterName, want.principal) : ok(undefined);
    if (!entry.ok) return entry;
    const own = await ensureEntry(cloud, scope, want, entry.value);
    if (!own.ok) return own;
    const policies = await ensurePolicies(cloud, scope, want, own.value);
    if (!policies.ok) return policies;
  }
  for (const principalArn of principals.value.filter((item) => !scope.placement.accessEntries.some((want) => want.principal === item))) {
    const entry = await read(cloud, clusterName, principalArn);
    if (!entry.ok) return entry;
    if (entry.value === undefined || !isOurs(entry.value, scope)) continue;
    const gone = await cloud.call(`access of ${principalArn}`, 'eks:DeleteAccessEntry', () =>
      cloud.eks.send(new DeleteAccessEntryCommand({ clusterName, principalArn })),
    );
    if (!gone.ok && !isAbsent(gone.failure)) return gone;
  }
  return ok(undefined);
};
