import { accountKindOf, accountKinds, type AccountKind } from '@groundplane/protocol/environment/account';
import type { Environment } from '@groundplane/protocol/environment/environments';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { wordsOf } from '@groundplane/protocol/environment/infrastructure';
import { makeId } from '@groundplane/protocol/ids';
import type { z } from 'zod';
import type { AccountView } from '@groundplane/protocol/api/cloud-views';
import { findAccount } from '../cloud/accounts.ts';
import type { AccountValue } from '../cloud/state.ts';
import type { MachineProvider, ManagedClusterProvider } from '../port/provider.ts';
import type { Row } from '../port/store.ts';
import { importedAccess, lookAt } from '../resident/imported.ts';
import type { Principal } from './auth.ts';
import { notFound } from './errors.ts';
import { limitOf, page, pageQuery, stamp, type ApiDeps, type Handler } from './handler.ts';

type AccountRow = Row<'account'>;
type AnyProvider = MachineProvider | ManagedClusterProvider;

interface Place {
  id: string;
  name: string;
}
const tenantWide: Place = { id: '', name: '' };

/** `project`: empty for those of all. */
const usersIn = (deps: ApiDeps, tenant: string, project: string, name: string): string[] =>
  [...deps.fleet.clusters()]
    .filter((cluster) => cluster.tenant === tenant && (project === '' || cluster.project === project) && cluster.spec.infrastructure?.account === name)
    .map((cluster) => cluster.name)
    .toSorted();
const usedBy = (deps: ApiDeps, row: AccountRow): string[] => usersIn(deps, row.tenant, row.project, row.name);

const view = (deps: ApiDeps, row: AccountRow, project: string): AccountView => {
  const secret = deps.sealers(row.tenant).open(row.value.sealed);
  const type = secret.ok ? (JSON.parse(secret.value) as { type?: string }).type : undefined;
  const { kind, settings, checked } = row.value;
  return { ...stamp(row), name: row.name, project, kind, settings, checked, signsInWith: type ?? 'a secret that cannot be opened', usedBy: usedBy(deps, row) };
};

export const listAccounts: Handler<'listAccounts'> = async ({ principal, params, query, project }, deps) => {
  const limit = limitOf(query);
  const own = await deps.store.list('account', principal.tenant, pageQuery(query, project));
  // Those of the tenant come with the last page; a tenant has tens of them.
  const shared = own.length < limit ? await deps.store.list('account', principal.tenant, { project: '', limit: 1_000 }) : [];
  const names = new Set(own.map((row) => row.name));
  const listed = page(own, limit, (row) => view(deps, row, params.project));
  return ok({ ...listed, items: [...listed.items, ...shared.filter((row) => !names.has(row.name)).map((row) => view(deps, row, ''))] });
};

export const listTenantAccounts: Handler<'listTenantAccounts'> = async ({ principal, query }, deps) => {
  const rows = await deps.store.list('account', principal.tenant, pageQuery(query, ''));
  return ok(page(rows, limitOf(query), (row) => view(deps, row, '')));
};

const find = async (deps: ApiDeps, tenant: string, project: string, name: string): Promise<Result<AccountRow>> => {
  const row = await findAccount(deps.store, { tenant, project }, name);
  return row === undefined ? notFound(`account ${name}`, 'See: gp cloud account list') : ok(row);
};

const problem = (kind: AccountKind, error: z.ZodError | undefined, where: string): Result<never> => {
  const issue = error?.issues[0];
  const path = [where, ...(issue?.path ?? [])].map(String).join('.');
  return fail('fatal', 'request-invalid', `account of kind ${kind}, ${path}`, issue === undefined ? 'is wrong' : wordsOf(issue));
};

/** The hub's own machine has an identity of its own: only those who run the hub may lend it. */
const mayLend = (deps: ApiDeps, tenant: string, secret: unknown): Result<void> =>
  (secret as { type?: string }).type === 'identity' && tenant !== deps.systemTenant
    ? fail(
        'blocked',
        'identity-refused',
        'secret.type',
        "identity is that of the hub's own machine, and only accounts of the system tenant use it. Give keys or a role of your own",
      )
    : ok(undefined);

const look = async (
  deps: ApiDeps,
  id: string,
  row: Pick<AccountRow, 'tenant' | 'name' | 'project'>,
  value: AccountValue,
  secret: unknown,
): Promise<AccountValue['checked']> => {
  const atMs = deps.clock.wallMs();
  if (value.kind === 'kubeconfig') {
    const draft = { ...row, id, value } as AccountRow;
    const access = importedAccess({ secretOf: () => ok(secret) }, draft, row.name, deps.egress ?? { private: [] });
    const seen = access.ok ? await lookAt(access.value, deps) : access;
    return seen.ok
      ? { atMs, facts: { identity: `Kubernetes ${seen.value.version}, ${seen.value.nodes} nodes`, missing: [], unchecked: [] } }
      : { atMs, failure: seen.failure };
  }
  const environment = accountKinds[value.kind].environments[0];
  const opened = await deps.accounts.tryOut({ ...row, id }, value.kind, environment, value.settings, secret);
  const checked = opened.ok ? await opened.value.check() : opened;
  return checked.ok ? { atMs, facts: checked.value } : { atMs, failure: checked.failure };
};

type SetBody = { kind: AccountKind; settings: Record<string, unknown>; secret?: Record<string, unknown> | undefined };

/** What was given, with the secret that was kept where none is given anew. */
const readBody = (
  deps: ApiDeps,
  principal: Principal,
  body: SetBody,
  before: AccountRow | undefined,
): Result<{ settings: Record<string, unknown>; secret: unknown }> => {
  if (before !== undefined && before.value.kind !== body.kind)
    return fail('blocked', 'account-wrong', `account ${before.name}`, `is of kind ${before.value.kind}, and an account keeps its kind. Make another one`);
  const schemas = accountKinds[body.kind];
  const settings = schemas.settings.safeParse(body.settings);
  if (!settings.success) return problem(body.kind, settings.error, 'settings');
  const given = body.secret === undefined ? (before === undefined ? undefined : deps.accounts.secretOf(before)) : ok(body.secret);
  if (given === undefined) return fail('fatal', 'request-invalid', 'secret', 'a new account needs its secret');
  if (!given.ok) return given;
  const secret = schemas.secret.safeParse(given.value);
  if (!secret.success) return problem(body.kind, secret.error, 'secret');
  const lent = mayLend(deps, principal.tenant, secret.data);
  // Elsewhere, through somebody else's hands or to somebody who was not trusted before, the old secret would be shown to whoever is there.
  const moved = ['url', 'authUrl', 'endpoint', 'authority', 'cloud', 'gateway', 'ca', 'insecure'].find(
    (key) => before !== undefined && before.value.settings[key] !== (settings.data as Record<string, unknown>)[key],
  );
  if (moved !== undefined && body.secret === undefined)
    return fail('blocked', 'secret-needed', 'secret', `settings.${moved} changes; give the secret again, so that the old one is not sent elsewhere`);
  return lent.ok ? ok({ settings: settings.data, secret: secret.data }) : lent;
};

/** A project's own account comes before the tenant's of the same name: clusters that use that one would be in another account from one moment to the next. */
const hides = async (deps: ApiDeps, tenant: string, place: Place, name: string): Promise<Result<never> | undefined> => {
  const shared = place.id === '' ? undefined : await deps.store.byName('account', tenant, '', name);
  const users = shared === undefined ? [] : usersIn(deps, tenant, place.id, name);
  if (users.length === 0) return undefined;
  return fail(
    'blocked',
    'in-use',
    `account ${name}`,
    `is one of the tenant, and ${users.slice(0, 5).join(', ')} of this project ${users.length === 1 ? 'uses' : 'use'} it. Give yours another name, or change the tenant's (gp cloud account set --tenant)`,
  );
};

/** With credentials of somewhere else nothing of the clusters is found: all of it would be made a second time there, and the first would be left. */
const belongsElsewhere = (before: AccountRow, facts: AccountValue['checked']['facts'], users: readonly string[]): Result<never> | undefined => {
  const [was, is] = [before.value.checked.facts?.owner, facts?.owner];
  if (was === undefined || is === undefined || was === is || users.length === 0) return undefined;
  return fail(
    'blocked',
    'account-moved',
    `account ${before.name}`,
    `these credentials are of ${is}, and what ${users.slice(0, 5).join(', ')} ${users.length === 1 ? 'has' : 'have'} is in ${was}: it would be made a second time. Make another account for new clusters; to keep it all the same: --no-validate`,
  );
};

const set = async (deps: ApiDeps, principal: Principal, place: Place, name: string, body: SetBody, isChecked: boolean): Promise<Result<AccountView>> => {
  const before = await deps.store.byName('account', principal.tenant, place.id, name);
  const read = readBody(deps, principal, body, before);
  if (!read.ok) return read;
  if (place.id === '' && read.value.settings['gateway'] !== undefined)
    return fail(
      'blocked',
      'gateway-missing',
      `account ${name}`,
      'is one of the tenant, and a gateway is a host of a project. Add the account to that project, without --tenant',
    );
  const hidden = before === undefined ? await hides(deps, principal.tenant, place, name) : undefined;
  if (hidden !== undefined) return hidden;
  const id = before?.id ?? makeId('account', (length) => deps.random.bytes(length));
  const value: AccountValue = {
    kind: body.kind,
    settings: read.value.settings,
    sealed: deps.sealers(principal.tenant).seal(JSON.stringify(read.value.secret)),
    checked: { atMs: 0 },
  };
  if (isChecked) {
    value.checked = await look(deps, id, { tenant: principal.tenant, name, project: place.id }, value, read.value.secret);
    const { failure } = value.checked;
    if (failure !== undefined)
      return fail(
        failure.kind,
        failure.code,
        failure.element,
        `${failure.message.replace(/[.\s]+$/, '')}. Nothing was kept; to keep it without a look: --no-validate`,
      );
  }
  const elsewhere = before === undefined ? undefined : belongsElsewhere(before, value.checked.facts, usedBy(deps, before));
  if (elsewhere !== undefined) return elsewhere;
  const done = await deps.store.commit([
    { op: 'put', kind: 'account', tenant: principal.tenant, id, project: place.id, name, value, expect: before?.version ?? 'absent' },
    {
      op: 'event',
      event: {
        tenant: principal.tenant,
        project: place.id,
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: before === undefined ? 'AccountAdded' : 'AccountChanged',
        actor: principal.subject,
        message: `cloud account ${name} (${body.kind}) was ${before === undefined ? 'added' : 'changed'}`,
      },
    },
  ]);
  if (!done.ok) return done;
  const row = await deps.store.get('account', principal.tenant, id);
  return row === undefined ? notFound(`account ${name}`, '') : ok(view(deps, row, place.name));
};

export const setAccount: Handler<'setAccount'> = async ({ principal, params, query, body, project }, deps) =>
  set(deps, principal, { id: project, name: params.project }, params.name, body, query.validate !== 'false');

export const setTenantAccount: Handler<'setTenantAccount'> = async ({ principal, params, query, body }, deps) =>
  set(deps, principal, tenantWide, params.name, body, query.validate !== 'false');

const remove = async (deps: ApiDeps, principal: Principal, place: Place, name: string): Promise<Result<undefined>> => {
  const row = await deps.store.byName('account', principal.tenant, place.id, name);
  if (row === undefined) return notFound(`account ${name}`, 'See: gp cloud account list');
  const users = usedBy(deps, row);
  if (users.length > 0)
    return fail('blocked', 'in-use', `account ${name}`, `is used by ${users.slice(0, 5).join(', ')}. What they made could not be deleted any more`);
  const done = await deps.store.commit([{ op: 'delete', kind: 'account', tenant: principal.tenant, id: row.id }]);
  if (done.ok) deps.accounts.forget(row.id);
  return done.ok ? ok(undefined) : done;
};

export const deleteAccount: Handler<'deleteAccount'> = async ({ principal, params, project }, deps) =>
  remove(deps, principal, { id: project, name: params.project }, params.name);
export const deleteTenantAccount: Handler<'deleteTenantAccount'> = async ({ principal, params }, deps) => remove(deps, principal, tenantWide, params.name);

export const checkAccount: Handler<'checkAccount'> = async ({ principal, params, project }, deps) => {
  const found = await find(deps, principal.tenant, project, params.name);
  if (!found.ok) return found;
  const row = found.value;
  const secret = deps.accounts.secretOf(row);
  if (!secret.ok) return secret;
  const checked = await look(deps, row.id, row, row.value, secret.value);
  const { tenant, id, name } = row;
  const done = await deps.store.commit([
    { op: 'put', kind: 'account', tenant, id, project: row.project, name, value: { ...row.value, checked }, expect: row.version },
  ]);
  const after = done.ok ? await deps.store.get('account', tenant, id) : undefined;
  return after === undefined
    ? ok(view(deps, { ...row, value: { ...row.value, checked } }, params.project))
    : ok(view(deps, after, row.project === '' ? '' : params.project));
};

const providerFor = async (deps: ApiDeps, tenant: string, project: string, name: string, environment: Environment): Promise<Result<AnyProvider>> => {
  const found = await find(deps, tenant, project, name);
  if (!found.ok) return found;
  if (found.value.value.kind !== accountKindOf(environment))
    return fail(
      'blocked',
      'account-wrong',
      `account ${name}`,
      `is for ${found.value.value.kind}, and ${environment} needs one for ${accountKindOf(environment)}`,
    );
  const secret = deps.accounts.secretOf(found.value);
  return secret.ok ? deps.accounts.tryOut(found.value, found.value.value.kind, environment, found.value.value.settings, secret.value) : secret;
};

export const accountOffers: Handler<'accountOffers'> = async ({ principal, params, body, project }, deps) => {
  const provider = await providerFor(deps, principal.tenant, project, params.name, body.environment);
  return provider.ok ? provider.value.offers(body.placement) : provider;
};

export const accountOrphans: Handler<'accountOrphans'> = async ({ principal, params, body, project }, deps) => {
  const provider = await providerFor(deps, principal.tenant, project, params.name, body.environment);
  const found = provider.ok ? await provider.value.findTagged(body.placement) : provider;
  if (!found.ok) return found;
  const items = found.value.filter((item) => deps.fleet.cluster(item.cluster) === undefined);
  return ok({ items: items.slice(0, 5_000), known: found.value.length - items.length });
};
