import { openGoogle } from '@groundplane/hub/providers/google/provider';
import type { Http, HttpResponse } from '@groundplane/hub/port/http';
import type { ProviderDeps } from '@groundplane/hub/port/provider';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { accountKinds } from '@groundplane/protocol/environment/account';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { googleAccount, googleHttp, keyFile, refusal } from './http.ts';
import type { Store } from './store.ts';

export const googleDeps = (http: Http, json = keyFile()): ProviderDeps<'google'> => ({
  settings: accountKinds.google.settings.parse({ project: googleAccount.project }),
  secret: { type: 'key', json },
  http,
  clock: systemClock,
  random: systemRandom,
});
export const googleCounterpart = 'model of ours over the protos of @google-cloud/compute 6.15.0 and @google-cloud/container 6.10.0';

export const said = (status: number, reason: string, message: string, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: Buffer.from(JSON.stringify(refusal(status, reason, message))),
});
export const throttledAnswer = (): HttpResponse =>
  said(403, 'rateLimitExceeded', "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com'.", {
    'retry-after': '2',
  });

/** Everything that was not there before, and nothing that is on its way out by itself. */
export const inventoryOf = (store: Store, before: ReadonlySet<string>): string[] =>
  [...store.things.keys()].filter((path) => !before.has(path)).map((path) => `${path.split('/').at(-2)} ${path}`);

export const googleRig = async (access: 'public' | 'private' = 'public'): Promise<MachineRig> => {
  const { http, store } = googleHttp();
  const before = new Set(store.things.keys());
  const { project, region } = googleAccount;
  const rig: MachineRig<'google'> = {
    kind: 'machines',
    counterpart: googleCounterpart,
    http,
    pollMs: 0,
    open: (through) => openGoogle(googleDeps(through)),
    openWrong: (through) => openGoogle(googleDeps(through, keyFile('stranger@shop-1.iam.gserviceaccount.com'))),
    scope: (id, name) => ({ id, name, zones: [], placement: placementSchemas.google.parse({ project, region, access }) }),
    inventory: async () => inventoryOf(store, before),
    want: (name, pool, generation) => ({
      name,
      pool,
      generation,
      role: pool === 'servers' ? 'control-plane' : 'worker',
      size: 'n2-standard-2',
      spot: false,
      userData: '#cloud-config\n',
    }),
    deleteBehind: async (_scope, name) => {
      for (const [path, thing] of store.things)
        if ((thing['labels'] as Record<string, string> | undefined)?.['groundplane-name'] === name) store.things.delete(path);
    },
    answers: {
      throttled: throttledAnswer,
      quota: (request) =>
        request.method === 'POST' && /\/instances\?/.test(request.url)
          ? said(403, 'quotaExceeded', "Quota 'CPUS' exceeded.  Limit: 24.0 in region europe-west1.")
          : undefined,
      // Not those behind listInstances, a read by POST, which the suite takes for a write in every round.
      notYet: (request) =>
        request.method === 'GET' && /\/(networks|subnetworks|routers|firewalls|addresses|healthChecks|instances)\/[^/?]+$/.test(request.url)
          ? said(404, 'notFound', 'The resource was not found')
          : undefined,
    },
    close: async () => undefined,
  };
  return rig;
};
