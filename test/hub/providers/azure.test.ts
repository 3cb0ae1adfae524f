import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fail, FailureError } from '@groundplane/protocol/failure';
import { failureOf } from '@groundplane/hub/providers/azure/failures';
import { imageOf, keyOfNobody } from '@groundplane/hub/providers/azure/machine-body';
import { baseName, machineName } from '@groundplane/hub/providers/azure/names';
import { machineActions, managedActions, missingActions } from '@groundplane/hub/providers/azure/permissions';
import type { MachineProvider } from '@groundplane/hub/port/provider';
import { systemRandom } from '@groundplane/hub/system/random';
import { azureRig } from '../../counterparts/azure/rig.ts';

const refused = (statusCode: number, code: string, message: string) => Object.assign(new Error(message), { statusCode, details: { error: { code, message } } });

test.each([
  [409, 'OperationNotAllowed', 'Operation could not be completed as it results in exceeding approved Total Regional Cores quota.', 'blocked', 'quota-reached'],
  [409, 'OperationNotAllowed', "Operation is not allowed because there's an in progress update managed cluster.", 'retry', 'cloud-conflict'],
  [400, 'PublicIPCountLimitReached', 'Cannot create more than 20 public IP addresses.', 'blocked', 'quota-reached'],
  [400, 'ErrCode_InsufficientVCPUQuota', 'Insufficient regional vcpu quota left for location westeurope.', 'blocked', 'quota-reached'],
  [409, 'SkuNotAvailable', 'The requested VM size is currently not available in location.', 'retry', 'capacity-missing'],
  [200, 'AllocationFailed', 'Allocation failed.', 'retry', 'capacity-missing'],
  [429, 'TooManyRequests', 'throttled', 'retry', 'throttled'],
  [429, 'RetryableError', 'another operation is in progress', 'retry', 'cloud-conflict'],
  [400, 'NicInUse', 'Network Interface is used by existing resource.', 'retry', 'cloud-conflict'],
  [400, 'InUseSubnetCannotBeDeleted', 'Subnet is in use.', 'retry', 'cloud-conflict'],
  [403, 'AuthorizationFailed', 'no', 'blocked', 'permission-missing'],
  [403, 'RequestDisallowedByPolicy', 'Resource was disallowed by policy.', 'fatal', 'cloud-refused'],
  [401, 'ExpiredAuthenticationToken', 'expired', 'blocked', 'credentials-refused'],
  [400, 'InvalidParameter', 'The value of parameter vmSize is invalid.', 'fatal', 'cloud-refused'],
  [503, 'ServiceUnavailable', 'busy', 'retry', 'cloud-failed'],
] as const)('Azure says %i %s: "%s"', (status, code, message, kind, said) => {
  expect(failureOf('x', refused(status, code, message))).toMatchObject({ ok: false, failure: { kind, code: said } });
});

test('a missing permission is named, without the rest of the sentence', () => {
  const message =
    "The client 'a' with object id 'b' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/write' over scope '/subscriptions/s/resourceGroups/g' or the scope is invalid."; // prettier-ignore
  expect(failureOf('x', refused(403, 'AuthorizationFailed', message))).toMatchObject({
    failure: { message: 'the role of this account lacks "Microsoft.Compute/virtualMachines/write" on /subscriptions/s/resourceGroups/g' },
  });
});

test('what the door answered is told, however the client wrapped it', () => {
  const { failure } = fail('retry', 'cloud-unreachable', 'management.azure.com', 'no route');
  expect(failureOf('x', new Error('outer', { cause: new FailureError(failure) }))).toEqual({ ok: false, failure });
  expect(failureOf('x', new Error('endpoints_resolution_error'), { failure })).toEqual({ ok: false, failure });
});

test('images are URNs or ids', () => {
  expect(imageOf()).toMatchObject({ ok: true, value: { publisher: 'Canonical', version: 'latest' } });
  expect(imageOf('/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i')).toMatchObject({
    ok: true,
    value: { id: expect.stringMatching(/images\/i$/) },
  });
  expect(imageOf('/CommunityGalleries/g/Images/i/Versions/latest')).toMatchObject({ ok: true, value: { communityGalleryImageId: expect.any(String) } });
  for (const wrong of ['ubuntu', 'a:b:c', 'a:b:c:d:e', 'a::c:d']) expect(imageOf(wrong)).toMatchObject({ ok: false, failure: { code: 'cloud-refused' } });
});

test("the key of nobody is a key in OpenSSH's form, and another one each time", () => {
  const key = keyOfNobody(systemRandom);
  const bytes = Buffer.from(key.split(' ')[1] ?? '', 'base64');
  expect(bytes.subarray(4, 15).toString()).toBe('ssh-ed25519');
  expect(bytes.readUInt32BE(15)).toBe(32);
  expect(bytes).toHaveLength(51);
  expect(keyOfNobody(systemRandom)).not.toBe(key);
});

test('names stay within what Azure allows, and differ between clusters', () => {
  const long = 'a'.repeat(63);
  expect(`gp-${baseName({ id: 'clu_0123456789abcdef', name: long })}-api`.length).toBeLessThanOrEqual(63);
  expect(`${machineName({ id: 'clu_0123456789abcdef' }, long)}-os`.length).toBeLessThanOrEqual(64);
  expect(machineName({ id: 'clu_1' }, 'web-1')).not.toBe(machineName({ id: 'clu_2' }, 'web-1'));
  expect(machineName({ id: 'clu_1' }, `${long}1`.slice(1))).not.toBe(machineName({ id: 'clu_1' }, long));
});

test('roles are read with their wildcards and exceptions', () => {
  const lacks = (actions: string[], notActions: string[], wanted: string): boolean => missingActions([{ actions, notActions }], [wanted]).length > 0;
  expect(lacks(['*'], ['Microsoft.Authorization/*/Write'], 'Microsoft.Compute/disks/write')).toBe(false);
  expect(lacks(['Microsoft.Compute/*'], [], 'microsoft.compute/disks/WRITE')).toBe(false);
  expect(lacks(['*/read'], [], 'Microsoft.Compute/disks/write')).toBe(true);
  expect(lacks(['*/read'], [], 'Microsoft.Compute/disks/read')).toBe(false);
  expect(lacks(['Microsoft.Compute/*'], ['Microsoft.Compute/disks/*'], 'Microsoft.Compute/disks/write')).toBe(true);
  expect(missingActions([], ['a/read'])).toEqual(['a/read']);
});

test('the roles beside the READMEs grant what the code asks for', () => {
  const actionsOf = (provider: string): string[] =>
    (JSON.parse(readFileSync(new URL(`../../../hub/src/providers/${provider}/role.json`, import.meta.url), 'utf8')) as { Actions: string[] }).Actions;
  expect(actionsOf('azure')).toEqual(machineActions);
  expect(actionsOf('aks')).toEqual(managedActions);
});

test('the newest version of the marketplace is meant, by its numbers and for the processor that the size has', async () => {
  const rig = await azureRig();
  const provider = await rig.open(rig.http);
  const scope = rig.scope('clu_00000000000000000001', 'shop') as never;
  const choice = {
    name: 'debian-13',
    amd64: 'Debian:debian-13:13-gen2:latest',
    arm64: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/arm',
  };
  const exact = async (size: string) => (provider as unknown as MachineProvider<'azure'>).resolveImage?.(scope, size, choice);
  expect(await exact('Standard_D2s_v5')).toEqual({ ok: true, value: { exact: 'Debian:debian-13:13-gen2:0.20251117.2299' } });
  for (const size of ['Standard_D2ps_v5', 'Standard_D16plds_v6', 'Standard_E4-2pds_v6'])
    expect(await exact(size), size).toEqual({ ok: true, value: { exact: choice.arm64 } });
  expect(await exact('Standard_NP10s')).toMatchObject({ value: { exact: expect.stringContaining('gen2') } });
});
