import { accountKindOf, accountKinds, type AccountKind } from '@groundplane/protocol/environment/account';
import type { Environment, MachineEnvironment, ManagedEnvironment } from '@groundplane/protocol/environment/environments';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { Http } from '../port/http.ts';
import type { MachineProvider, ManagedClusterProvider, ProviderDeps } from '../port/provider.ts';
import type { Random } from '../port/random.ts';
import type { SealerFor } from '../port/sealer.ts';
import type { Row, Store } from '../port/store.ts';
import type { ProviderTable } from '../providers/table.ts';
import { createBudget, type Budget } from './budget.ts';
import { budgetOptions } from './pace.ts';

export interface AccountsDeps {
  store: Store;
  sealers: SealerFor;
  clock: Clock;
  random: Random;
  table: ProviderTable;
  /** The way out for an account, before its budget. */
  httpFor: (way: Way) => Http;
}

/** How an account's calls leave the hub. `gateway`: a host of the project, whose agent makes them. */
export interface Way {
  ca?: string | undefined;
  insecure?: boolean | undefined;
  gateway?: { tenant: string; project: string; name: string } | undefined;
}

type Place = Pick<Row<'account'>, 'id' | 'tenant' | 'project'>;

/** An account of the project, else of the tenant. */
export const findAccount = async (store: Store, at: { tenant: string; project: string }, name: string): Promise<Row<'account'> | undefined> =>
  (await store.byName('account', at.tenant, at.project, name)) ?? (await store.byName('account', at.tenant, '', name));

/** Opens accounts and keeps their providers, one for each environment, until the account changes. */
export const createAccounts = (deps: AccountsDeps) => {
  const { store, sealers, clock, random, table } = deps;
  const open = new Map<string, { version: number; provider: Promise<unknown> }>();
  const budgets = new Map<string, Budget>();

  const depsOf = ({ id, tenant, project }: Place, kind: AccountKind, settings: unknown, secret: unknown): Result<ProviderDeps<AccountKind>> => {
    const schemas = accountKinds[kind];
    const [read, given] = [schemas.settings.safeParse(settings), schemas.secret.safeParse(secret)];
    if (!read.success || !given.success) {
      const issue = (read.error ?? given.error)?.issues[0];
      const path = [read.success ? 'secret' : 'settings', ...(issue?.path ?? [])].map(String).join('.');
      return fail('fatal', 'account-invalid', `account of kind ${kind}, ${path}`, `${issue?.message ?? 'is wrong'} Give it again: gp cloud account set`);
    }
    const budget = budgets.get(id) ?? createBudget(clock, budgetOptions);
    budgets.set(id, budget);
    const { ca, insecure, gateway: name } = read.data as { ca?: string; insecure?: boolean; gateway?: string };
    const way = { ca, insecure, gateway: name === undefined ? undefined : { tenant, project, name } };
    return ok({ settings: read.data, secret: given.data, http: budget.wrap(deps.httpFor(way)), clock, random });
  };

  const make = async (environment: Environment, given: ProviderDeps<AccountKind>): Promise<unknown> => {
    const opener = table.machines[environment as MachineEnvironment] ?? table.managed[environment as ManagedEnvironment];
    return opener?.(given);
  };

  const secretOf = (row: Row<'account'>): Result<unknown> => {
    const text = sealers(row.tenant).open(row.value.sealed);
    return text.ok ? ok(JSON.parse(text.value)) : text;
  };

  const provider = async (row: Row<'account'>, environment: Environment): Promise<Result<unknown>> => {
    const key = `${row.id} ${environment}`;
    const known = open.get(key);
    if (known?.version === row.version) return ok(await known.provider);
    const secret = secretOf(row);
    if (!secret.ok) return secret;
    const given = depsOf(row, row.value.kind, row.value.settings, secret.value);
    if (!given.ok) return given;
    const made = make(environment, given.value);
    open.set(key, { version: row.version, provider: made });
    try {
      const value = await made;
      return value === undefined ? fail('blocked', 'environment-missing', `environment ${environment}`, 'this hub has no provider for it') : ok(value);
    } catch (error) {
      open.delete(key);
      return fail('blocked', 'account-invalid', `account ${row.name}`, error instanceof Error ? error.message : String(error));
    }
  };

  const forCluster = async (at: { tenant: string; project: string }, environment: Environment, name: string): Promise<Result<unknown>> => {
    const row = await findAccount(store, at, name);
    if (row === undefined) return fail('blocked', 'account-missing', `account ${name}`, 'there is no such account. Make it: gp cloud account set');
    if (row.value.kind !== accountKindOf(environment))
      return fail('blocked', 'account-wrong', `account ${name}`, `is for ${row.value.kind}, and ${environment} needs one for ${accountKindOf(environment)}`);
    return provider(row, environment);
  };

  return {
    secretOf,
    machines: async (at: { tenant: string; project: string }, environment: MachineEnvironment, name: string): Promise<Result<MachineProvider>> =>
      (await forCluster(at, environment, name)) as Result<MachineProvider>,
    managed: async (at: { tenant: string; project: string }, environment: ManagedEnvironment, name: string): Promise<Result<ManagedClusterProvider>> =>
      (await forCluster(at, environment, name)) as Result<ManagedClusterProvider>,
    /** Before it is kept: whether these credentials work at all. */
    tryOut: async (
      place: Place,
      kind: AccountKind,
      environment: Environment,
      settings: unknown,
      secret: unknown,
    ): Promise<Result<MachineProvider | ManagedClusterProvider>> => {
      const given = depsOf(place, kind, settings, secret);
      if (!given.ok) return given;
      try {
        const made = await make(environment, given.value);
        return made === undefined
          ? fail('blocked', 'environment-missing', `environment ${environment}`, 'this hub has no provider for it')
          : ok(made as MachineProvider | ManagedClusterProvider);
      } catch (error) {
        return fail('blocked', 'account-invalid', `account of kind ${kind}`, error instanceof Error ? error.message : String(error));
      }
    },
    /** An account that was removed. */
    forget: (id: string): void => {
      budgets.delete(id);
      for (const key of open.keys()) if (key.startsWith(`${id} `)) open.delete(key);
    },
  };
};
export type Accounts = ReturnType<typeof createAccounts>;
