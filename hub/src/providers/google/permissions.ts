import { z } from 'zod';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts } from '../../port/provider.ts';
import { googleLimits } from './limits.ts';
import type { Session } from './session.ts';

const made = (thing: string, ...more: string[]): string[] => ['create', 'delete', 'get', 'list', ...more].map((act) => `compute.${thing}.${act}`);

/** What the calls need; `permissions.txt` beside the READMEs hold the same, which a test compares. */
export const machinePermissions: readonly string[] = [
  ...made('instances', 'setLabels', 'setMetadata', 'setServiceAccount', 'setTags', 'use'),
  'compute.disks.create',
  'compute.disks.setLabels',
  'compute.images.useReadOnly',
  'compute.images.getFromFamily',
  ...made('networks', 'updatePolicy', 'use'),
  ...made('subnetworks', 'use'),
  ...made('firewalls', 'update'),
  ...made('routers'),
  ...made('addresses', 'use', 'createInternal', 'useInternal'),
  ...made('regionHealthChecks', 'useReadOnly'),
  ...made('regionBackendServices', 'update', 'use'),
  ...made('instanceGroups', 'update', 'use'),
  ...made('forwardingRules', 'setLabels'),
  'compute.machineTypes.list',
  'compute.regions.get',
  'compute.regions.list',
  'compute.globalOperations.get',
  'compute.regionOperations.get',
  'compute.zoneOperations.get',
];

export const managedPermissions: readonly string[] = [
  ...['create', 'delete', 'get', 'list', 'update', 'getCredentials'].map((act) => `container.clusters.${act}`),
  'container.operations.get',
  'compute.instanceGroupManagers.get',
  'compute.machineTypes.list',
  'compute.networks.list',
  'compute.regions.get',
  'compute.regions.list',
  'compute.subnetworks.list',
];

const grantedSchema = z.looseObject({ permissions: z.array(z.string()).default([]) });

/** Who we are, and which of the wanted permissions this account lacks in the project. */
export const checkAccount = async (session: Session, project: string | undefined, wanted: readonly string[]): Promise<Result<AccountFacts>> => {
  const token = await session.token();
  if (!token.ok) return token;
  const identity = session.identity();
  const at = project ?? session.settings.project;
  if (at === undefined) return ok({ identity, missing: [], unchecked: ['permissions: neither the account nor a placement names a project'] });
  const missing: string[] = [];
  for (let from = 0; from < wanted.length; from += googleLimits.permissionsAtOnce) {
    const permissions = wanted.slice(from, from + googleLimits.permissionsAtOnce);
    const path = `/projects/${encodeURIComponent(at)}:testIamPermissions`;
    const granted = await session.read({ service: 'projects', method: 'POST', path, body: { permissions } }, grantedSchema);
    if (!granted.ok && granted.failure.code === 'permission-missing')
      return ok({ identity, missing: [], unchecked: [`permissions: ${granted.failure.message}`] });
    if (!granted.ok) return granted;
    missing.push(...permissions.filter((item) => !granted.value.permissions.includes(item)));
  }
  return ok({
    identity,
    missing,
    unchecked: ['quotas', 'policies of the organisation', "whether this account may act as the machines' service account (iam.serviceAccounts.actAs)"],
  });
};
