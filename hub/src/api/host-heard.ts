import type { HostVitalsView } from '@groundplane/protocol/api/site-routes';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { HostEntry } from '../fleet/index.ts';
import type { Heard } from '../gateway/ask.ts';
import { notFound } from './errors.ts';
import type { ApiDeps, Handler } from './handler.ts';

const approved = (deps: ApiDeps, tenant: string, project: string, name: string): Result<HostEntry> => {
  const host = deps.fleet.hostByName(tenant, project, name);
  return host === undefined || host.state === 'revoked' ? notFound(`host ${name}`, 'See: gp get hosts') : ok(host);
};

const told = (heard: Heard<unknown>): Omit<HostVitalsView, 'vitals'> => ({
  state: heard.state,
  ...(heard.state === 'none' ? {} : { asOfMs: heard.known.atMs }),
  ...(heard.state === 'live' ? {} : { why: { code: heard.why.code, message: heard.why.message } }),
});

/** A host that is away is no error: the answer says what was known, and since when. */
export const hostVitals: Handler<'hostVitals'> = async ({ principal, params, project }, deps) => {
  const host = approved(deps, principal.tenant, project, params.name);
  if (!host.ok) return host;
  const kept = async () => (await deps.store.get('presence', principal.tenant, host.value.id))?.value.vitals;
  const heard = await deps.gateway.asker.vitals(host.value, kept);
  return ok({ ...told(heard), ...(heard.state === 'none' ? {} : { vitals: heard.known.value }) });
};

export const hostJournal: Handler<'hostJournal'> = async ({ principal, params, project }, deps) => {
  const host = approved(deps, principal.tenant, project, params.name);
  if (!host.ok) return host;
  const heard = await deps.gateway.asker.journal(host.value);
  return ok({ ...told(heard), steps: heard.state === 'none' ? [] : [...heard.known.value] });
};
