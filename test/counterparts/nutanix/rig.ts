import { openNutanix } from '@groundplane/hub/providers/nutanix/provider';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { plainHttp } from '../plain-http.ts';
import { errorBody, prismAccount, prismNames, startPrism, type FakePrism } from './fake.ts';

export const openOn = (prism: FakePrism, http: Http = plainHttp, password: string = prismAccount.password) =>
  openNutanix({
    settings: { url: prism.url, insecure: false },
    secret: { type: 'password', username: prismAccount.username, password },
    http,
    clock: systemClock,
    random: systemRandom,
  });

export const scopeOn = (id: string, name: string) => ({
  id,
  name,
  zones: [],
  placement: placementSchemas.nutanix.parse({ cluster: prismNames.cluster, subnet: prismNames.subnet, image: prismNames.image, vip: '10.7.0.250' }),
});

export const wantOn = (name: string, pool: 'servers' | 'workers', generation: string) => ({
  name,
  pool,
  generation,
  role: pool === 'servers' ? ('control-plane' as const) : ('worker' as const),
  size: '2x4',
  spot: false,
  userData: '#cloud-config\n',
});

const answer = (status: number, body: unknown, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers,
  body: Buffer.from(JSON.stringify(body)),
});

/** A Prism Central that does not know yet what was made a moment ago: lists without it, and machines that are not there by their id. Whether one is ever so is not known here. */
const notYet = ({ method, url }: HttpRequest): HttpResponse | undefined => {
  if (method !== 'GET') return undefined;
  const [, kind = '', id = ''] = /\/(vms|categories)(\/[^/?]+)?(?:\?|$)/.exec(url) ?? [];
  if (kind === '') return undefined;
  return id === '' ? answer(200, { metadata: { totalAvailableResults: 0 } }) : answer(404, errorBody('VMM-30101', 'There is no such entity'));
};

/** The conformance suite's view of our fake, which Nutanix's own Python clients work against as well. */
export const nutanixRig = async (): Promise<MachineRig> => {
  const prism = await startPrism();
  const rig: MachineRig<'nutanix'> = {
    kind: 'machines',
    counterpart: "own fake of Prism Central's API v4, cross-checked by ntnx-vmm-py-client 4.3.2 and ntnx-prism-py-client 4.4.2",
    http: plainHttp,
    pollMs: 5,
    open: (http) => openOn(prism, http),
    openWrong: (http) => openOn(prism, http, 'wrong'),
    scope: scopeOn,
    inventory: async () => {
      await prism.underWay();
      return [...prism.vms().map((vm) => `machine ${vm.extId} ${vm.name}`), ...prism.categories().map((item) => `category ${String(item['value'])}`)];
    },
    want: wantOn,
    deleteBehind: async (scope, name) => {
      const vm = prism.vms().find((item) => item.name.endsWith(name) && String(item['description']).includes(scope.id));
      if (vm === undefined || !prism.remove(vm.extId)) throw new Error(`there is no machine ${name}`);
    },
    answers: {
      throttled: () => answer(429, errorBody('VMM-429', 'Too many requests'), { 'retry-after': '2' }),
      quota: (request) =>
        request.method === 'POST' && request.url.endsWith('/vms')
          ? answer(403, errorBody('VMM-30303', 'The quota of project default for vCPUs is exceeded'))
          : undefined,
      notYet,
    },
    close: () => prism.close(),
  };
  return rig;
};
