import { clusterName, poolName } from '@groundplane/hub/providers/gke/names';
import { openGke } from '@groundplane/hub/providers/gke/provider';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { ManagedRig } from '../../conformance/providers/rig.ts';
import { googleAccount, googleHttp, keyFile } from './http.ts';
import { googleCounterpart, googleDeps, inventoryOf, said, throttledAnswer } from './rig.ts';

export const gkeRig = async (location: string = googleAccount.zone): Promise<ManagedRig> => {
  const { http, store } = googleHttp();
  const before = new Set(store.things.keys());
  const { project } = googleAccount;
  const rig: ManagedRig<'gke'> = {
    kind: 'managed',
    counterpart: googleCounterpart,
    http,
    pollMs: 0,
    callsPerLook: 4,
    versions: ['1.33', '1.34'],
    open: (through) => openGke(googleDeps(through)),
    openWrong: (through) => openGke(googleDeps(through, keyFile('stranger@shop-1.iam.gserviceaccount.com'))),
    scope: (id, name) => ({ id, name, zones: [], placement: placementSchemas.gke.parse({ project, location }) }),
    inventory: async () => inventoryOf(store, before),
    strangerIn: (_scope, name) => {
      const [path, first] = [...store.things].find(([at]) => at.includes('/nodePools/')) ?? [];
      if (path === undefined || first === undefined) return;
      const { resourceLabels: _labels, ...config } = first['config'] as Record<string, unknown>;
      store.things.set(path.replace(/[^/]+$/, name), { ...first, name, config });
    },
    untag: async (scope, pool) => {
      const end = pool === undefined ? `/clusters/${clusterName(scope)}` : `/clusters/${clusterName(scope)}/nodePools/${poolName(pool)}`;
      const thing = [...store.things].find(([path]) => path.endsWith(end))?.[1];
      if (thing === undefined) throw new Error(`there is no ${end}`);
      const holder = pool === undefined ? thing : (thing['config'] as Record<string, unknown>);
      const before = holder['resourceLabels'];
      holder['resourceLabels'] = {};
      return () => void (holder['resourceLabels'] = before);
    },
    otherSize: 'n2-standard-4',
    pool: (name, count) => ({
      name,
      pool: name,
      size: 'n2-standard-2',
      count,
      zones: [],
      spot: false,
      labels: { tier: name },
      taints: name === 'second' ? [{ key: 'only', value: 'this', effect: 'NoSchedule' }] : [],
      update: { maxSurge: 1, maxUnavailable: 0 },
    }),
    deleteBehind: async (_scope, pool) => {
      for (const path of store.things.keys()) if (path.endsWith(`/nodePools/${pool}`) || path.includes(`-${pool}-grp`)) store.things.delete(path);
    },
    answers: {
      throttled: throttledAnswer,
      quota: (request) =>
        request.method === 'POST' && request.url.endsWith('/clusters')
          ? said(403, 'PERMISSION_DENIED', "Insufficient regional quota to satisfy request: resource \"CPUS\": request requires '6.0' and is short '2.0'. project has a quota of '24.0' with '4.0' available.") // prettier-ignore
          : undefined,
    },
    close: async () => undefined,
  };
  return rig;
};
