import { CreateAddonCommand, DeleteAddonCommand, DescribeAddonCommand, ListAddonsCommand, UpdateAddonCommand, type Addon } from '@aws-sdk/client-eks';
import { ok, type Result } from '@groundplane/protocol/failure';
import { tagKeys } from '../../port/provider.ts';
import { baseName } from '../aws/names.ts';
import { pages } from '../aws/network-read.ts';
import { isAbsent } from '../aws/role.ts';
import { tagRecord, type EksCloud, type EksScope } from './read.ts';

type Want = EksScope['placement']['addons'][number];

/** Undefined: as wanted. Without a version, EKS' choice stays. */
export const addonChange = (addon: Addon, want: Want): { addonVersion?: string; configurationValues?: string } | undefined => {
  const isOtherVersion = want.version !== undefined && addon.addonVersion !== want.version;
  const isOtherConfiguration = want.configuration !== undefined && (addon.configurationValues ?? '') !== want.configuration;
  if (!isOtherVersion && !isOtherConfiguration) return undefined;
  return {
    ...(want.version === undefined ? {} : { addonVersion: want.version }),
    ...(want.configuration === undefined ? {} : { configurationValues: want.configuration }),
  };
};

const read = async (cloud: EksCloud, clusterName: string, addonName: string): Promise<Result<Addon | undefined>> => {
  const found = await cloud.call(`add-on ${addonName}`, 'eks:DescribeAddon', () => cloud.eks.send(new DescribeAddonCommand({ clusterName, addonName })));
  if (found.ok) return ok(found.value.addon);
  return isAbsent(found.failure) ? ok(undefined) : found;
};

const isBusy = (addon: Addon): boolean => ['CREATING', 'UPDATING', 'DELETING'].includes(addon.status ?? '');

/** Conflicts with fields that somebody changed in the cluster: the add-on was asked for here, so what is written here counts. */
const ensure = async (cloud: EksCloud, scope: EksScope, want: Want, addon: Addon | undefined): Promise<Result<string | undefined>> => {
  const at = { clusterName: baseName(scope), addonName: want.name };
  const element = `add-on ${want.name}`;
  if (addon === undefined) {
    const { version, configuration } = want;
    const input = {
      ...at,
      resolveConflicts: 'OVERWRITE' as const,
      tags: tagRecord(scope, want.name),
      ...(version === undefined ? {} : { addonVersion: version }),
      ...(configuration === undefined ? {} : { configurationValues: configuration }),
    };
    const made = await cloud.call(element, 'eks:CreateAddon', () => cloud.eks.send(new CreateAddonCommand(input)));
    return made.ok || made.failure.message.includes('ResourceInUse') ? ok(`${element} is being made`) : made;
  }
  if (isBusy(addon)) return ok(`${element} is ${addon.status?.toLowerCase()}`);
  const change = addonChange(addon, want);
  if (change !== undefined) {
    const set = await cloud.call(element, 'eks:UpdateAddon', () => cloud.eks.send(new UpdateAddonCommand({ ...at, ...change, resolveConflicts: 'OVERWRITE' })));
    return set.ok ? ok(`${element} is being changed`) : set;
  }
  const issues = (addon.health?.issues ?? []).map((issue) => issue.message ?? issue.code).join('; ');
  return ok(addon.status === 'ACTIVE' ? undefined : `${element} is ${addon.status ?? 'unknown'}${issues === '' ? '' : `: ${issues}`}`);
};

/**
 * Brings the add-ons to what the placement says, and says what is not well. Never waited for: most of them need nodes, which come later. Those with our tag that
 * are not wanted any more go; those of others stay.
 */
export const syncAddons = async (cloud: EksCloud, scope: EksScope): Promise<Result<string[]>> => {
  const clusterName = baseName(scope);
  const names = await pages(
    cloud,
    'add-ons',
    'eks:ListAddons',
    async (nextToken) => {
      const page = await cloud.eks.send(new ListAddonsCommand({ clusterName, nextToken }));
      return { names: page.addons, NextToken: page.nextToken };
    },
    (page) => page.names,
  );
  if (!names.ok) return names;
  const notes: string[] = [];
  for (const want of scope.placement.addons) {
    const addon = names.value.includes(want.name) ? await read(cloud, clusterName, want.name) : ok(undefined);
    if (!addon.ok) return addon;
    const note = await ensure(cloud, scope, want, addon.value);
    if (!note.ok) return note;
    if (note.value !== undefined) notes.push(note.value);
  }
  for (const name of names.value.filter((item) => !scope.placement.addons.some((want) => want.name === item))) {
    const addon = await read(cloud, clusterName, name);
    if (!addon.ok) return addon;
    if (addon.value?.tags?.[tagKeys.cluster] !== scope.id || addon.value.status === 'DELETING') continue;
    const gone = await cloud.call(`add-on ${name}`, 'eks:DeleteAddon', () => cloud.eks.send(new DeleteAddonCommand({ clusterName, addonName: name })));
    if (!gone.ok && !isAbsent(gone.failure)) return gone;
  }
  return ok(notes);
};
