import { placementOf, type Infrastructure } from '@groundplane/protocol/environment/infrastructure';
import type { Fleet } from '../fleet/index.ts';
import type { HubAddresses } from '../gateway/ticket-line.ts';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import type { ClusterScope } from '../port/provider.ts';
import type { Row, Store } from '../port/store.ts';
import type { ClusterInputs } from '../reconcile/cluster-inputs.ts';
import type { EgressPolicy } from '../registry/egress.ts';
import type { HubKeys } from '../trust/keys.ts';
import type { Accounts } from './accounts.ts';
import type { InfrastructureValue } from './state.ts';

export interface CloudDeps {
  store: Store;
  fleet: Fleet;
  accounts: Accounts;
  inputs: ClusterInputs;
  clock: Clock;
  random: Random;
  keys: HubKeys;
  /** Tickets of machines are made from it anew whenever they are needed, and lie nowhere. */
  secret: string;
  addresses: () => HubAddresses;
  /** Which addresses the hub may call. */
  egress: EgressPolicy;
  log: (text: string) => void;
}

/** One look at the infrastructure of one cluster. */
export interface Turn {
  deps: CloudDeps;
  row: Row<'cluster'>;
  spec: Infrastructure;
  /** Changed freely; written once at the end of the turn, and whenever something must not be forgotten. */
  infra: InfrastructureValue;
  scope: ClusterScope;
  nowMs: number;
}

export const scopeOf = (row: Pick<Row<'cluster'>, 'id' | 'name'>, spec: Infrastructure): ClusterScope => ({
  id: row.id,
  name: row.name,
  placement: placementOf(spec),
  zones: [...new Set(spec.pools.flatMap((pool) => pool.zones))].toSorted(),
});

export const freshInfrastructure = (spec: Infrastructure): InfrastructureValue => ({
  environment: spec.environment,
  steps: [],
  servers: [],
  pools: {},
  approved: {},
  scale: {},
});

/** Keeps what the turn found out, when it found out anything. */
export const saveInfrastructure = async ({ deps, row, infra }: Pick<Turn, 'deps' | 'row' | 'infra'>): Promise<boolean> => {
  const before = await deps.store.get('infrastructure', row.tenant, row.id);
  // What people ask for in the meantime is theirs to write.
  const value: InfrastructureValue =
    before === undefined ? infra : { ...infra, approved: before.value.approved, approvedImages: before.value.approvedImages, scale: before.value.scale };
  if (before !== undefined && JSON.stringify(before.value) === JSON.stringify(value)) return true;
  const done = await deps.store.commit([
    {
      op: 'put',
      kind: 'infrastructure',
      tenant: row.tenant,
      id: row.id,
      project: row.project,
      name: row.name,
      value,
      expect: before?.version ?? 'absent',
    },
  ]);
  return done.ok;
};

export const event = (turn: Pick<Turn, 'deps' | 'row'>, type: 'normal' | 'warning', reason: string, message: string) => ({
  op: 'event' as const,
  event: { tenant: turn.row.tenant, project: turn.row.project, cluster: turn.row.name, atMs: turn.deps.clock.wallMs(), type, reason, message },
});
