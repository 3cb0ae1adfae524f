import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Http, HttpResponse } from '@groundplane/hub/port/http';
import { pending, ready, type ClusterScope, type FoundThing, type MachineFacts, type MachineProvider } from '@groundplane/hub/port/provider';

const read = <T>(result: Result<HttpResponse>, what: string): Result<{ status: number; body: T }> => {
  if (!result.ok) return result;
  const { status, headers, body } = result.value;
  if (status === 401) return fail('blocked', 'credentials-refused', what, 'the fake cloud does not know this account');
  if (status === 403) return fail('blocked', 'quota-reached', what, 'the account may not have more instances');
  if (status === 400) return fail('fatal', 'cloud-refused', what, (JSON.parse(body.toString()) as { message: string }).message);
  if (status === 429) return fail('retry', 'throttled', what, `asked to wait ${headers['retry-after'] ?? '1'} s`);
  return ok({ status, body: JSON.parse(body.toString()) as T });
};

interface Listed {
  id: string;
  cluster: string;
  name: string;
  pool: string;
  generation: string;
  zone: string;
  state: MachineFacts['state'];
}

const factsOf = (item: Listed): MachineFacts => ({
  name: item.name,
  pool: item.pool,
  generation: item.generation,
  instance: item.id,
  state: item.state,
  zone: item.zone,
  addresses: [`10.0.0.${item.id.slice(2)}`],
});

/** The provider of the invented cloud in `cloud.ts`: the shortest correct one, and the reconcilers' partner in tests. */
export const fakeMachineProvider = (http: Http, authorization = 'right'): MachineProvider<'vsphere'> => {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<Result<{ status: number; body: T }>> =>
    read<T>(
      await http({ method, url: `https://cloud.test/${path}`, headers: { authorization }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }),
      path,
    );
  const list = async (scope: Pick<ClusterScope, 'id'>): Promise<Result<MachineFacts[]>> => {
    const found = await call<Listed[]>('GET', `instances?cluster=${scope.id}`);
    return found.ok ? ok(found.value.body.map(factsOf)) : found;
  };
  const remove = async (path: string): Promise<Result<void>> => {
    const done = await call('DELETE', path);
    return done.ok ? ok(undefined) : done;
  };
  return {
    check: async () => {
      const found = await call('GET', 'instances');
      return found.ok ? ok({ identity: 'fake', missing: [], unchecked: [] }) : found;
    },
    offers: async () => ok({ regions: [], zones: ['a', 'b'], sizes: [{ name: 'small', cpus: 2, memoryMiB: 4_096, price: 0.1 }], images: [], networks: [] }),
    findTagged: async () => {
      const found = await call<FoundThing[]>('GET', 'tagged');
      return found.ok ? ok(found.value.body) : found;
    },
    ensureNetwork: async (scope) => {
      const found = await call<{ ready: boolean }>('GET', `networks/${scope.id}`);
      if (!found.ok) return found;
      if (found.value.status === 200) return found.value.body.ready ? ready(undefined) : pending('the network is being made');
      const made = await call('POST', `networks/${scope.id}`);
      return made.ok ? pending('the network is being made') : made;
    },
    ensureEndpoint: async (scope, servers) => {
      const put = await call('POST', `addresses/${scope.id}`, { servers: servers.map((machine) => machine.name) });
      return put.ok ? ready({ kind: 'external', host: `api.${scope.name}.test`, port: 6443 }) : put;
    },
    ensureMachine: async (scope, want) => {
      const before = await list(scope);
      if (!before.ok) return before;
      const there = before.value.find((machine) => machine.name === want.name);
      if (there !== undefined) return ok(there);
      const { name, pool, generation, userData, image, zone = 'a' } = want;
      const made = await call<{ id: string }>('POST', 'instances', { cluster: scope.id, name, pool, generation, userData, image, zone });
      return made.ok ? ok({ name, pool, generation, instance: made.value.body.id, state: 'starting', zone, addresses: [] }) : made;
    },
    resolveImage: async (_scope, _size, choice) => {
      const found = await call<{ exact: string }>('GET', `images/${choice.amd64 ?? ''}`);
      return found.ok ? ok(found.value.body) : found;
    },
    listMachines: list,
    deleteMachine: async (scope, name) => {
      const before = await list(scope);
      if (!before.ok) return before;
      for (const machine of before.value.filter((item) => item.name === name)) {
        const gone = await remove(`instances/${machine.instance}`);
        if (!gone.ok) return gone;
      }
      return ready(undefined);
    },
    ensureNothingLeft: async (scope) => {
      const before = await list(scope);
      if (!before.ok) return before;
      for (const path of [...before.value.map((machine) => `instances/${machine.instance}`), `addresses/${scope.id}`, `networks/${scope.id}`]) {
        const gone = await remove(path);
        if (!gone.ok) return gone;
      }
      return ready(undefined);
    },
  };
};
