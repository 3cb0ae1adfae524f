import { expect, test } from 'vitest';
import { fakeCloud } from '../../fake/cloud.ts';
import { fakeMachineProvider } from '../../fake/machine-provider.ts';
import { killEverywhere } from './kill.ts';
import { machineSuite } from './machine-suite.ts';
import type { MachineRig } from './rig.ts';

const open = async (): Promise<MachineRig> => {
  const cloud = fakeCloud();
  const answer = (status: number, headers: Record<string, string> = {}) => ({ status, headers, body: Buffer.from('{}') });
  const rig: MachineRig<'vsphere'> = {
    kind: 'machines',
    counterpart: 'invented cloud',
    http: cloud.http,
    pollMs: 0,
    open: async (http) => fakeMachineProvider(http),
    openWrong: async (http) => fakeMachineProvider(http, 'wrong'),
    scope: (id, name) => ({ id, name, zones: [], placement: { datacenter: 'd', linkedClones: false, vip: '10.0.0.2', boot: 'cloud-init', sshKeys: [] } }),
    inventory: async () => cloud.inventory(),
    want: (name, pool, generation) => ({
      name,
      pool,
      generation,
      role: pool === 'servers' ? 'control-plane' : 'worker',
      size: 'small',
      spot: false,
      userData: '#cloud-config\n',
    }),
    deleteBehind: async (scope, name) => cloud.remove(scope.id, name),
    answers: {
      throttled: () => answer(429, { 'retry-after': '2' }),
      quota: (request) => (request.method === 'POST' && request.url.endsWith('/instances') ? answer(403) : undefined),
    },
    skipped: { 'eventual consistency': 'the invented cloud has neither unique names nor tokens, and stands for no product' },
    close: async () => undefined,
  };
  return rig;
};

machineSuite('fake', open, 1_000);

test('the suite finds a provider that makes things twice', async () => {
  const rig = await open();
  const forgetful: MachineRig = {
    ...rig,
    open: async (http) => {
      const provider = await rig.open(http);
      return {
        ...provider,
        ensureMachine: async (scope, want) => provider.ensureMachine(scope, { ...want, name: `${want.name}-${Math.floor(performance.now() * 1e6) % 1e9}` }),
      };
    },
  };
  const report = await killEverywhere(forgetful);
  expect(report.doubles.length + report.leaks.length + report.stuck.length).toBeGreaterThan(0);
});
