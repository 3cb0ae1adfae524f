import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '@groundplane/hub/system/clock';
import { systemRandom } from '@groundplane/hub/system/random';
import { openStack } from '@groundplane/hub/providers/openstack/provider';
import type { Http } from '@groundplane/hub/port/http';
import { placementSchemas } from '@groundplane/protocol/environment/placement';
import type { AccountSecret, AccountSettings } from '@groundplane/protocol/environment/account';
import type { MachineRig } from '../../conformance/providers/rig.ts';
import { openStackNames, startOpenStack, type OpenStack } from './start.ts';

/** Plain fetch, for loopback addresses only. */
const http: Http = async ({ method, url, headers, body }) => {
  const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: body as string }), redirect: 'manual' });
  return { ok: true, value: { status: answer.status, headers: Object.fromEntries(answer.headers), body: Buffer.from(await answer.arrayBuffer()) } };
};

const text = (status: number, body: unknown, headers: Record<string, string> = {}) => ({ status, headers, body: Buffer.from(JSON.stringify(body)) });

/** A full quota in the shape of nova's answers; the words are ours, not captured from a run. */
const quotaAnswer = text(403, { forbidden: { code: 403, message: 'Quota exceeded for instances: Requested 1, but already used 10 of 10 instances' } });

export const settingsOf = (cloud: OpenStack): AccountSettings<'openstack'> => ({
  authUrl: cloud.authUrl,
  interface: 'public',
  projectDomain: 'Default',
  userDomain: 'Default',
  insecure: false,
});
export const secretOf = (cloud: OpenStack): AccountSecret<'openstack'> => ({ type: 'application-credential', ...cloud.applicationCredential });

/** Past the provider: a token of the customer's, and every list that could hold something of a cluster. */
const inventoryOf = async (cloud: OpenStack): Promise<string[]> => {
  const identity = { methods: ['application_credential'], application_credential: cloud.applicationCredential };
  const login = await fetch(`${cloud.authUrl}/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity } }) }); // prettier-ignore
  const token = login.headers.get('x-subject-token') ?? '';
  const read = async (kind: string, url: string, key: string): Promise<string[]> => {
    const answer = await fetch(url, { headers: { 'x-auth-token': token } });
    const items = ((await answer.json()) as Record<string, { id: string; name?: string }[]>)[key];
    if (items === undefined) throw new Error(`${url} answered ${answer.status}`);
    return items
      .filter((item) => item.name !== 'public' && !(kind === 'security-group' && item.name === 'default'))
      .map((item) => `${kind} ${item.id} ${item.name ?? ''}`);
  };
  const { neutron, nova } = cloud.urls;
  const mine = `?project_id=${cloud.projectId}`;
  const lists = await Promise.all([
    read('server', `${nova}/v2.1/servers/detail`, 'servers'),
    read('server-group', `${nova}/v2.1/os-server-groups`, 'server_groups'),
    ...(['networks', 'subnets', 'routers', 'ports', 'floatingips', 'security-groups'] as const).map((path) =>
      read(path.replace(/s$/, ''), `${neutron}/v2.0/${path}${mine}`, path.replace('-', '_')),
    ),
  ]);
  return lists.flat();
};

/** The conformance suite's view of OpenStack's own services. Throws with the reason where they cannot be had. */
export const openStackRig = async (): Promise<MachineRig> => {
  const started = await startOpenStack();
  if (!started.ok) throw new Error(started.failure.message);
  const cloud = started.value;
  const open = (through: Http, secret: AccountSecret<'openstack'>) =>
    openStack({ settings: settingsOf(cloud), secret, http: through, clock: systemClock, random: systemRandom });
  const rig: MachineRig<'openstack'> = {
    kind: 'machines',
    counterpart: 'keystone 30.0.0, glance 33.0.0, placement 16.0.0, neutron 29.0.0, nova 34.0.0 with its fake hypervisor',
    http,
    pollMs: 100,
    open: (through) => open(through, secretOf(cloud)),
    openWrong: (through) => open(through, { type: 'application-credential', id: cloud.applicationCredential.id, secret: 'wrong' }),
    scope: (id, name) => ({ id, name, zones: [], placement: placementSchemas.openstack.parse({}) }),
    inventory: () => inventoryOf(cloud),
    want: (name, pool, generation) => ({
      name,
      pool,
      generation,
      role: pool === 'servers' ? 'control-plane' : 'worker',
      size: openStackNames.flavor,
      image: openStackNames.image,
      spot: false,
      userData: '#cloud-config\n',
    }),
    deleteBehind: async (scope, name) => {
      const provider = await open(http, secretOf(cloud));
      const machines = await provider.listMachines(scope);
      if (!machines.ok) throw new Error(machines.failure.message);
      const instance = machines.value.find((machine) => machine.name === name)?.instance;
      const login = await fetch(`${cloud.authUrl}/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity: { methods: ['application_credential'], application_credential: cloud.applicationCredential } } }) }); // prettier-ignore
      const headers = { 'x-auth-token': login.headers.get('x-subject-token') ?? '' };
      const url = `${cloud.urls.nova}/v2.1/servers/${instance}`;
      await fetch(url, { method: 'DELETE', headers });
      for (let round = 0; round < 300; round += 1) {
        if ((await fetch(url, { headers })).status === 404) return;
        await delay(100);
      }
      throw new Error(`server ${instance} does not go`);
    },
    answers: {
      throttled: () => text(429, { overLimit: { code: 429, message: 'This request was rate-limited.' } }, { 'retry-after': '2' }),
      quota: (request) => (request.method === 'POST' && request.url.endsWith('/servers') ? quotaAnswer : undefined),
    },
    skipped: { 'eventual consistency': 'neutron and nova read what they wrote' },
    close: () => cloud.stop(),
  };
  return rig;
};
