import { setTimeout as delay } from 'node:timers/promises';
import { inventoryOf, propertyText, ways, type Found } from '@groundplane/hub/providers/vsphere/inventory';
import { openVsphere } from '@groundplane/hub/providers/vsphere/provider';
import { createSession } from '@groundplane/hub/providers/vsphere/session';
import type { Ref, SoapFields } from '@groundplane/hub/providers/vsphere/soap';
import { createTasks, startTask } from '@groundplane/hub/providers/vsphere/tasks';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import type { Http, HttpResponse } from '@groundplane/hub/port/http';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { Result } from '@groundplane/protocol/failure';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { plainHttp } from '../plain-http.ts';
import { simulatorVersion, startSimulator, type Simulator } from './simulator.ts';

/** Names that govmomi's simulator gives its things. */
export const simulatorNames = { datacenter: 'DC0', cluster: 'DC0_C0', template: 'DC0_C0_RP0_VM0', network: 'DC0_DVPG0', datastore: 'LocalDS_0' } as const;

const must = <T>(result: Result<T>): T => {
  if (!result.ok) throw new Error(`${result.failure.element}: ${result.failure.message}`);
  return result.value;
};

export const settingsOf = (simulator: Simulator) => ({ url: simulator.url, insecure: false });
export const secretOf = (simulator: Simulator, password = simulator.password) => ({ type: 'password' as const, username: simulator.user, password });

/** Past the provider: the whole inventory, and tasks run to their end. */
export const operatorOf = (simulator: Simulator) => {
  const session = createSession({ settings: settingsOf(simulator), secret: secretOf(simulator), http: plainHttp });
  const inventory = inventoryOf(session);
  const tasks = createTasks(session);
  const all = async (): Promise<Found[]> => {
    const { content } = must(await session.open());
    return must(await inventory.collect(content.root, ways.everything, { Folder: ['name'], VirtualMachine: ['name', 'parent', 'runtime.powerState'] }));
  };
  const run = async (method: string, target: Ref, fields: SoapFields = {}): Promise<void> => {
    const task = must(await startTask(session, method, target, fields));
    for (let round = 0; round < 300; round += 1) {
      if (must(await tasks.look(task, method)) === 'done') return;
      await delay(20);
    }
    throw new Error(`${method} does not end`);
  };
  return { session, inventory, all, run };
};

/** Words of vCenter for a full datastore; the fault is one that CloneVM_Task may answer with. */
const quotaAnswer: HttpResponse = {
  status: 500,
  headers: { 'content-type': 'text/xml; charset=utf-8' },
  body: Buffer.from(
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>Insufficient disk space on datastore &apos;LocalDS_0&apos;.</faultstring><detail><NoDiskSpaceFault xmlns="urn:vim25" xsi:type="NoDiskSpace"><file>[LocalDS_0]</file><datastore>LocalDS_0</datastore></NoDiskSpaceFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>',
  ),
};

/** The conformance suite's view of govmomi's simulator. Throws with the reason where it cannot be had. */
export const vsphereRig = async (): Promise<MachineRig> => {
  const simulator = must(await startSimulator());
  const operator = operatorOf(simulator);
  const before = await operator.all();
  const template = before.find((item) => propertyText(item, 'name') === simulatorNames.template);
  if (template === undefined) throw new Error('the simulator has no machine to make a template of');
  await operator.run('PowerOffVM_Task', template.ref);
  await operator.session.call('MarkAsTemplate', template.ref, {});
  const known = new Set(before.map((item) => item.ref.id));
  const open = (http: Http, password?: string) =>
    openVsphere({ settings: settingsOf(simulator), secret: secretOf(simulator, password), http, clock: systemClock, random: systemRandom });
  const rig: MachineRig<'vsphere'> = {
    kind: 'machines',
    counterpart: `govmomi's simulator ${simulatorVersion}`,
    http: plainHttp,
    pollMs: 5,
    open: (http) => open(http),
    openWrong: (http) => open(http, 'wrong'),
    scope: (id, name) => {
      const { datacenter, cluster: resourcePool, template: named, network, datastore } = simulatorNames;
      return {
        id,
        name,
        zones: [],
        placement: placementSchemas.vsphere.parse({ datacenter, resourcePool, template: named, network, datastore, vip: '10.0.0.2' }),
      };
    },
    inventory: async () =>
      (await operator.all())
        .filter((item) => !known.has(item.ref.id))
        .map((item) => `${item.ref.type === 'Folder' ? 'folder' : 'machine'} ${item.ref.id} ${propertyText(item, 'name') ?? ''}`),
    want: (name, pool, generation) => ({
      name,
      pool,
      generation,
      role: pool === 'servers' ? 'control-plane' : 'worker',
      size: '2x4',
      spot: false,
      userData: '#cloud-config\n',
    }),
    deleteBehind: async (scope, name) => {
      const all = await operator.all();
      const folder = all.find((item) => item.ref.type === 'Folder' && propertyText(item, 'name')?.endsWith(scope.id) === true);
      const machine = all.find((item) => propertyText(item, 'name') === name && propertyText(item, 'parent') === folder?.ref.id);
      if (machine === undefined) throw new Error(`there is no machine ${name}`);
      await operator.run('PowerOffVM_Task', machine.ref);
      await operator.run('Destroy_Task', machine.ref);
    },
    answers: {
      throttled: () => ({ status: 429, headers: { 'retry-after': '2' }, body: Buffer.from('Too Many Requests') }),
      quota: (request) => (String(request.body).includes('<CloneVM_Task') ? quotaAnswer : undefined),
    },
    skipped: { 'eventual consistency': 'a vCenter reads what it wrote, and lets no two things of a folder have one name' },
    close: () => simulator.stop(),
  };
  return rig;
};
