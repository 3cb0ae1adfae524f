import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HttpRequest } from '@groundplane/hub/port/http';
import type { ClusterScope, MachineProvider } from '@groundplane/hub/port/provider';
import { openVsphere } from '@groundplane/hub/providers/vsphere/provider';
import { propertyText } from '@groundplane/hub/providers/vsphere/inventory';
import { refTo } from '@groundplane/hub/providers/vsphere/soap';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import { createDrive } from '../../conformance/providers/drive.ts';
import { plainHttp } from '../../counterparts/plain-http.ts';
import { operatorOf, secretOf, settingsOf, simulatorNames } from '../../counterparts/vsphere/rig.ts';
import { missingForSimulator, startSimulator, type Simulator } from '../../counterparts/vsphere/simulator.ts';
import { isRequired } from '../../lab/prerequisite.ts';

const missing = await missingForSimulator();
const isHere = missing.length === 0 || isRequired('go');

describe.skipIf(!isHere)(`vSphere against govmomi's simulator${isHere ? '' : `, skipped: ${missing.join(' ')}`}`, () => {
  let simulator: Simulator;
  let provider: MachineProvider<'vsphere'>;
  let operator: ReturnType<typeof operatorOf>;
  const seen: HttpRequest[] = [];
  let forget = false;
  let count = 0;
  const drive = createDrive(() => false, 5);
  const { datacenter, cluster: resourcePool, template, network } = simulatorNames;
  const placed = (more: Record<string, unknown> = {}): ClusterScope<'vsphere'> => ({
    id: `clu_${String((count += 1)).padStart(20, '0')}`,
    name: 'shop',
    zones: [],
    placement: placementSchemas.vsphere.parse({ datacenter, resourcePool, template, network, vip: '10.0.0.2', ...more }),
  });
  const want = { name: 'shop-a', pool: 'workers', role: 'worker', size: '4x16', spot: false, userData: '#cloud-config\n', generation: 'g1' } as const;
  const named = async (name: string) => (await operator.all()).find((item) => propertyText(item, 'name') === name);

  beforeAll(async () => {
    const started = await startSimulator();
    if (!started.ok) throw new Error(started.failure.message);
    simulator = started.value;
    operator = operatorOf(simulator);
    provider = await openVsphere({
      settings: settingsOf(simulator),
      secret: secretOf(simulator),
      http: async (request) => {
        seen.push(request);
        if (!forget || String(request.body).includes('<Login')) return plainHttp(request);
        forget = false;
        const { cookie: _cookie, ...headers } = request.headers;
        return plainHttp({ ...request, headers });
      },
      clock: systemClock,
      random: systemRandom,
    });
  }, 600_000);
  afterAll(async () => simulator?.stop());

  test('a session that the vCenter ended is opened anew', async () => {
    expect(await provider.check()).toMatchObject({ ok: true });
    seen.length = 0;
    forget = true;
    expect(await provider.listMachines(placed())).toEqual({ ok: true, value: [] });
    expect(seen.filter((request) => String(request.body).includes('<Login'))).toHaveLength(1);
  });

  test('a password with letters that XML knows is a password', async () => {
    expect(simulator.password).toContain('<&>');
    expect(await provider.check(placed().placement)).toMatchObject({ ok: true, value: { identity: expect.stringContaining(simulator.user), missing: [] } });
  });

  test('a clone that came without its size gets it before it starts, and its user data with it', async () => {
    const scope = placed();
    await drive.once('machine', () => provider.ensureMachine(scope, want));
    const vm = await named('shop-a');
    if (vm === undefined) throw new Error('there is no machine');
    const read = await operator.inventory.one(vm.ref, ['config.hardware.numCPU', 'config.hardware.memoryMB', 'config.extraConfig', 'runtime.powerState']);
    const values = read.ok ? read.value : undefined;
    expect(values && [propertyText(values, 'config.hardware.numCPU'), propertyText(values, 'config.hardware.memoryMB'), propertyText(values, 'runtime.powerState')]).toEqual(['4', '16384', 'poweredOn']); // prettier-ignore
    const options = values?.properties.get('config.extraConfig')?.children['OptionValue'] ?? [];
    const userData = options.find((item) => item.children['key']?.[0]?.text === 'guestinfo.userdata')?.children['value']?.[0]?.text ?? '';
    expect(Buffer.from(userData, 'base64').toString()).toBe('#cloud-config\n');
    await drive.until('end', () => provider.ensureNothingLeft(scope));
  });

  test('what has no mark of ours is neither taken over nor deleted, and its folder stays with it', async () => {
    const scope = placed();
    await drive.until('network', () => provider.ensureNetwork(scope));
    const folder = await named(`groundplane-${scope.id}`);
    const source = await named(template);
    if (folder === undefined || source === undefined) throw new Error('there is no folder');
    await operator.run('CloneVM_Task', source.ref, {
      folder: refTo(folder.ref.type, folder.ref.id),
      name: 'shop-a',
      spec: { location: {}, template: false, powerOn: false },
    });
    expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { kind: 'blocked', code: 'not-ours' } });
    expect(await provider.deleteMachine(scope, 'shop-a')).toMatchObject({ ok: false, failure: { code: 'not-ours' } });
    expect(await provider.ensureNothingLeft(scope)).toMatchObject({ ok: false, failure: { code: 'not-ours', message: expect.stringContaining('shop-a') } });
    const vm = await named('shop-a');
    if (vm === undefined) throw new Error('it was deleted');
    await operator.run('Destroy_Task', vm.ref);
    await drive.until('end', () => provider.ensureNothingLeft(scope));
  });

  test('what is seen half made, while its clone is under way, is waited for', async () => {
    const scope = placed();
    const first = await provider.ensureMachine(scope, want);
    expect(first).toMatchObject({ ok: false, failure: { kind: 'retry', code: 'machine-being-made' } });
    // A second hub, that remembers no task.
    const other = await openVsphere({
      settings: settingsOf(simulator),
      secret: secretOf(simulator),
      http: plainHttp,
      clock: systemClock,
      random: systemRandom,
    });
    const seenCodes = new Set<string>();
    for (let round = 0; round < 200; round += 1) {
      const made = await other.ensureMachine(scope, want);
      if (made.ok) break;
      seenCodes.add(`${made.failure.kind} ${made.failure.code}`);
    }
    expect([...seenCodes].filter((code) => !['retry machine-being-made', 'retry cloud-conflict'].includes(code))).toEqual([]);
    expect(await other.listMachines(scope)).toMatchObject({ ok: true, value: [{ name: 'shop-a', state: 'running' }] });
    await drive.until('end', () => other.ensureNothingLeft(scope));
  });

  test.each([
    [{ datacenter: 'nowhere' }, 'choice-missing', 'DC0'],
    [{ template: 'nothing' }, 'choice-missing', template],
    [{ resourcePool: undefined }, 'choice-missing', 'DC0_H0'],
    [{ network: 'none' }, 'choice-missing', 'VM Network'],
    [{ datastore: 'none' }, 'choice-missing', 'LocalDS_0'],
  ])('a choice that is not there is told with what there is: %o', async (more, code, words) => {
    const scope = placed(more);
    expect(await provider.ensureMachine(scope, want)).toMatchObject({ ok: false, failure: { kind: 'blocked', code, message: expect.stringContaining(words) } });
    if (!('datacenter' in more)) await drive.until('end', () => provider.ensureNothingLeft(scope));
  });

  test('things are found by their paths as well, in a folder of its own', async () => {
    const vmFolder = (await operator.inventory.at(`${datacenter}/vm`)) as { ok: true; value: { type: string; id: string } };
    await operator.session.call('CreateFolder', vmFolder.value, { name: 'teams' });
    const scope = placed({ folder: 'teams', template: `${datacenter}/vm/${template}`, resourcePool: `${resourcePool}/Resources`, network: 'VM Network' });
    await drive.once('machine', () => provider.ensureMachine(scope, want));
    expect(await operator.inventory.at(`${datacenter}/vm/teams/groundplane-${scope.id}/shop-a`)).toMatchObject({ ok: true, value: { type: 'VirtualMachine' } });
    await drive.until('end', () => provider.ensureNothingLeft(scope));
    expect(await operator.inventory.at(`${datacenter}/vm/teams/groundplane-${scope.id}`)).toEqual({ ok: true, value: undefined });
  });

  test('a template is found by the beginning of its name', async () => {
    const at = placed();
    const choice = { name: 'any', amd64: `${template.slice(0, -2)}*` };
    expect(await provider.resolveImage?.(at, '2x4', choice)).toMatchObject({ ok: false, failure: { code: 'choice-missing' } });
    const machine = (await operator.all()).find((item) => propertyText(item, 'name') === template);
    if (machine === undefined) throw new Error('the simulator has no machine of this name');
    await operator.run('PowerOffVM_Task', machine.ref);
    await operator.session.call('MarkAsTemplate', machine.ref, {});
    const found = await provider.resolveImage?.(at, '2x4', choice);
    expect(found).toMatchObject({ ok: true, value: { exact: template } });
    expect(await provider.resolveImage?.(at, '2x4', { name: 'any', amd64: 'nothing*' })).toMatchObject({ ok: false, failure: { code: 'choice-missing' } });
  });
});
