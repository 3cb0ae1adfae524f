import type { AccountView, InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import { missing, no, pageOf, yes, type Answers, type Fixture } from './fixture-answers.ts';
import { madeByTheHub } from './fixture-infrastructure.ts';
import { hostile, newId, project } from './fixture-data.ts';

/** Made by the hub in a cloud; its page shows what it is made of. */
const cloudCluster = 'store-000';

const accountsOf = (fixture: Fixture): Map<string, AccountView> => {
  const atMs = fixture.nowMs();
  const accounts = new Map<string, AccountView>();
  // An empty project has none.
  if (fixture.world.clusters.size === 0) return accounts;
  const base = { createdAtMs: atMs, updatedAtMs: atMs, rowVersion: 1, project };
  const add = (view: Omit<AccountView, 'id' | 'createdAtMs' | 'updatedAtMs' | 'rowVersion' | 'project'>): void =>
    void accounts.set(view.name, { ...base, ...view, id: newId('acc', accounts.size + 1) });
  add({
    name: 'production',
    kind: 'aws',
    settings: { region: 'eu-central-1' },
    signsInWith: 'keys',
    checked: { atMs: atMs - 60_000, facts: { identity: 'arn:aws:iam::123456789012:user/groundplane', missing: ['ec2:RunInstances'], unchecked: [] } },
    usedBy: [cloudCluster],
  });
  add({
    name: 'basement',
    kind: 'vsphere',
    settings: { url: 'https://vcenter.example' },
    signsInWith: 'password',
    checked: { atMs, failure: { kind: 'blocked', code: 'credentials-refused', element: 'vcenter.example', message: 'does not know this user' } },
    usedBy: [],
  });
  if (fixture.world.isHostile)
    for (const text of Object.values(hostile))
      add({
        name: text,
        kind: 'maas',
        settings: { url: text },
        signsInWith: text,
        checked: { atMs, facts: { identity: text, missing: [text], unchecked: [text] } },
        usedBy: [text],
      });
  return accounts;
};

const infrastructureOf = (fixture: Fixture): InfrastructureView => {
  const text = fixture.world.isHostile ? (Object.values(hostile)[0] ?? '') : undefined;
  const atMs = fixture.nowMs();
  const machine = {
    pool: 'workers',
    phase: 'made' as const,
    sinceMs: atMs - 600_000,
    size: 'm6i.large',
    reason: 'the pool has 3 machines',
    addresses: ['10.0.1.7'],
    outdated: false,
  };
  return {
    environment: 'aws',
    account: 'production',
    notices: [text ?? 'Kubernetes 1.34 has standard support until 2026-12-02, 30 more days.'],
    steps: [
      { name: 'network', state: 'done', message: 'stands', sinceMs: atMs - 900_000 },
      { name: 'endpoint', state: 'done', message: 'api.elb.example:6443', sinceMs: atMs - 800_000 },
      {
        name: 'machines',
        state: 'failed',
        message: text ?? 'instance: You have requested more vCPU capacity than your current limit allows',
        sinceMs: atMs - 60_000,
      },
    ],
    endpoint: { kind: 'external', host: 'api.elb.example', port: 6443 },
    pools: [
      {
        name: 'servers',
        role: 'control-plane',
        size: 'm6i.large',
        wanted: 3,
        total: 3,
        ready: 3,
        outdated: 0,
        needsApproval: false,
        waits: [],
        image: { name: 'debian-13', exact: text ?? 'ami-0abc', newer: text ?? 'ami-0def' },
        cost: { perHour: 0.288, unknown: [] },
      },
      {
        name: 'workers',
        role: 'worker',
        size: text ?? 'm6i.large',
        wanted: 3,
        total: 2,
        ready: 1,
        outdated: 1,
        min: 1,
        max: 5,
        needsApproval: true,
        waits: ['pool workers: 1 machines would be replaced, and nobody has approved it'],
        parts: [
          { name: text ?? 'workers', count: 2, state: 'ready', differs: ['size', 'zones'], version: '1.34' },
          { name: 'workers-2', count: 1, state: 'making', differs: [], message: text ?? 'Scaling up' },
        ],
      },
    ],
    machines: [
      {
        ...machine,
        name: 'store-000-workers-abc123',
        zone: 'eu-central-1a',
        instance: 'i-0abc',
        health: 'healthy',
        host: [...fixture.world.hosts.keys()][0] ?? 'none',
      },
      { ...machine, name: 'store-000-workers-def456', health: 'unhealthy', message: text ?? 'not heard of', outdated: true },
    ],
    cost: { perHour: 0.58, unknown: ['m6i.huge'] },
    protected: true,
  };
};

/** Accounts and infrastructure, as the hub answers about them. */
export const cloudAnswers = (fixture: Fixture): Answers => {
  const accounts = accountsOf(fixture);
  const made = fixture.world.clusters.get(cloudCluster);
  if (made !== undefined) made.spec.infrastructure = madeByTheHub;
  let infrastructure = infrastructureOf(fixture);
  const changePool = (name: string, fields: Partial<InfrastructureView['pools'][number]>): InfrastructureView => {
    infrastructure = { ...infrastructure, pools: infrastructure.pools.map((pool) => (pool.name === name ? { ...pool, ...fields } : pool)) };
    return infrastructure;
  };
  return {
    listAccounts: ({ query }) => yes(pageOf([...accounts.values()], query)),
    setAccount: ({ params: { name }, body }) => {
      if (JSON.stringify(body.secret).includes('wrong')) return no(409, 'credentials-refused', `account ${name}`, 'AWS does not know this access key');
      const atMs = fixture.nowMs();
      const view: AccountView = {
        id: newId('acc', accounts.size + 1),
        createdAtMs: atMs,
        updatedAtMs: atMs,
        rowVersion: 1,
        name,
        project,
        kind: body.kind,
        settings: body.settings,
        signsInWith: 'keys',
        checked: { atMs, facts: { identity: 'somebody', missing: [], unchecked: [] } },
        usedBy: [],
      };
      accounts.set(name, view);
      return yes(view);
    },
    deleteAccount: ({ params: { name } }) => (accounts.delete(name) ? yes(undefined) : missing('account', name)),
    checkAccount: ({ params: { name } }) => {
      const view = accounts.get(name);
      return view === undefined ? missing('account', name) : yes(view);
    },
    accountOffers: () =>
      yes({
        regions: [{ name: 'eu-central-1', title: 'Frankfurt' }, { name: 'us-east-1' }],
        zones: ['eu-central-1a', 'eu-central-1b'],
        sizes: [{ name: 'm6i.large', cpus: 2, memoryMiB: 8_192, price: 0.096 }],
        images: [],
        networks: [{ name: 'vpc-0abc', title: 'main' }],
      }),
    getInfrastructure: ({ params: { name } }) =>
      fixture.world.clusters.get(name)?.spec.infrastructure === undefined ? missing('infrastructure', name) : yes(infrastructure),
    importCluster: ({ params: { name } }) => {
      if (fixture.world.clusters.get(name)?.spec.infrastructure?.placement['agent'] !== 'inside')
        return no(409, 'cluster-exists', `cluster ${name}`, 'is there already and has no agent inside. Choose another name, or delete it first');
      return yes({ manifest: 'kind: Namespace\n', url: `https://hub.example/v1/import/code-of-${name}`, expiresAtMs: fixture.nowMs() + 3_600_000 });
    },
    scalePool: ({ params: { pool }, body }) => yes(changePool(pool, { wanted: body.count })),
    repavePool: ({ params: { pool } }) => yes(changePool(pool, { needsApproval: false })),
  };
};
