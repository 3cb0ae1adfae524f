/** An operation of MAAS' API as its own description tells it: what Canonical's client builds its calls from. */
interface Action {
  name: string;
  method: 'GET' | 'POST' | 'PUT';
  op: string | null;
}
const action = (name: string, method: Action['method'], op: string | null = null) => ({ name, method, op, restful: op === null, doc: name });

const resources: readonly { name: string; path: string; params: string[]; actions: ReturnType<typeof action>[] }[] = [
  { name: 'MachinesHandler', path: 'machines/', params: [], actions: [action('read', 'GET'), action('allocate', 'POST', 'allocate')] },
  {
    name: 'MachineHandler',
    path: 'machines/{system_id}/',
    params: ['system_id'],
    actions: [
      action('read', 'GET'),
      action('update', 'PUT'),
      action('deploy', 'POST', 'deploy'),
      action('release', 'POST', 'release'),
      action('set_owner_data', 'POST', 'set_owner_data'),
    ],
  },
  { name: 'UsersHandler', path: 'users/', params: [], actions: [action('whoami', 'GET', 'whoami')] },
  { name: 'VersionHandler', path: 'version/', params: [], actions: [action('read', 'GET')] },
  { name: 'ZonesHandler', path: 'zones/', params: [], actions: [action('read', 'GET')] },
  { name: 'ResourcePoolsHandler', path: 'resourcepools/', params: [], actions: [action('read', 'GET')] },
];

export const describeApi = (origin: string) => ({
  doc: 'MAAS API',
  hash: 'counterpart',
  resources: resources.map(({ name, path, params, actions }) => {
    const uri = `${origin}/MAAS/api/2.0/${path}`;
    return { name, anon: null, auth: { name, doc: name, path: `/MAAS/api/2.0/${path}`, uri, params, actions } };
  }),
});
