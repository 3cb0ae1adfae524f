import { openMaas } from '@groundplane/hub/providers/maas/provider';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import type { Http } from '@groundplane/hub/port/http';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { plainHttp } from '../plain-http.ts';
import { maasKey, startMaas, type FakeMaas } from './fake.ts';

export const openOn = (maas: FakeMaas, http: Http = plainHttp, key = maasKey) =>
  openMaas({ settings: { url: maas.url, insecure: false }, secret: { type: 'key', key }, http, clock: systemClock, random: systemRandom });

export const scopeOn = (id: string, name: string) => ({
  id,
  name,
  zones: [],
  placement: placementSchemas.maas.parse({ resourcePool: 'kubernetes', machineTags: ['ssd'], vip: '10.9.0.250' }),
});

export const wantOn = (name: string, pool: 'servers' | 'workers', generation: string) => ({
  name,
  pool,
  generation,
  role: pool === 'servers' ? ('control-plane' as const) : ('worker' as const),
  size: '2x8',
  spot: false,
  userData: '#cloud-config\n',
});

/** MAAS' words when nothing free fits. */
const noneFree = {
  status: 409,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: Buffer.from('No machine with the given constraints is available.'),
};

/** The conformance suite's view of our fake, which python-libmaas works against as well. */
export const maasRig = async (): Promise<MachineRig> => {
  const maas = await startMaas({ machines: 24 });
  const rig: MachineRig<'maas'> = {
    kind: 'machines',
    counterpart: "own fake of MAAS' API 2.0, cross-checked by python-libmaas 0.6.8",
    http: plainHttp,
    pollMs: 5,
    open: (http) => openOn(maas, http),
    openWrong: (http) => openOn(maas, http, 'consumer1:token1:wrong'),
    scope: scopeOn,
    // What is being released comes back by itself.
    inventory: async () =>
      maas
        .machines()
        .filter((machine) => machine.status_name !== 'Ready' && machine.status_name !== 'Releasing')
        .map((machine) => `machine ${machine.system_id} ${machine.owner_data['groundplane-name'] ?? 'without a name'}`),
    want: wantOn,
    deleteBehind: async (scope, name) => {
      const machine = maas.machines().find((item) => item.agent_name === scope.id && item.owner_data['groundplane-name'] === name);
      if (machine === undefined) throw new Error(`there is no machine ${name}`);
      await maas.release(machine.system_id);
    },
    answers: {
      throttled: () => ({ status: 429, headers: { 'retry-after': '2' }, body: Buffer.from('Too Many Requests') }),
      quota: (request) => (request.url.includes('op=allocate') ? noneFree : undefined),
    },
    skipped: { 'eventual consistency': 'MAAS reads what it wrote: all of its API stands on one database' },
    close: () => maas.close(),
  };
  return rig;
};
