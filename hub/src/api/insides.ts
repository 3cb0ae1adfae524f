import { Readable } from 'node:stream';
import { isDigest } from '@groundplane/protocol/digest';
import { clusterSpecSchema } from '@groundplane/protocol/profile';
import { isInside } from '@groundplane/protocol/environment/infrastructure';
import { fail, ok } from '@groundplane/protocol/failure';
import { apiBase } from '@groundplane/protocol/api/routes';
import type { Hono } from 'hono';
import { paced } from '../content/throttle.ts';
import { insideAgents, insideAgentWrite, neededAgents } from '../inside/agent-setting.ts';
import { applyCluster } from './clusters.ts';
import { invalid, notFound } from './errors.ts';
import type { ApiDeps, Handler } from './handler.ts';
import { failureResponse } from './router.ts';

const given = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** Makes the cluster where there is none, keeps everything else of one that is there, and asks for an agent in it. */
const importCluster: Handler<'importCluster'> = async (request, deps) => {
  const { principal, params, body, project } = request;
  const before = await deps.store.byName('cluster', principal.tenant, project, params.name);
  const known = before?.value.spec.infrastructure;
  if (before !== undefined && !isInside(known))
    return fail('blocked', 'cluster-exists', `cluster ${params.name}`, 'is there already and has no agent inside. Choose another name, or delete it first');
  const { ttlSeconds, mode = known?.placement['mode'] ?? 'read-only', profiles = before?.value.spec.profiles ?? [], ...pod } = body;
  const spec = clusterSpecSchema.safeParse({
    ...before?.value.spec,
    profiles,
    infrastructure: { ...known, environment: 'existing', placement: { ...known?.placement, ...given(pod), mode, agent: 'inside' } },
  });
  if (!spec.success) {
    const issue = spec.error.issues[0];
    return invalid(`cluster ${params.name}, ${issue?.path.map(String).join('.') ?? ''}`, issue?.message ?? 'is wrong');
  }
  // Before anything is made: a cluster that waits for an agent which the hub does not have helps nobody.
  const agents = await neededAgents(deps.store, principal.tenant, params.name);
  if (!agents.ok) return agents;
  const applied = await applyCluster({ principal, params, project, query: {}, body: { spec: spec.data } }, deps);
  if (!applied.ok) return applied;
  const row = await deps.store.byName('cluster', principal.tenant, project, params.name);
  return row === undefined ? notFound(`cluster ${params.name}`, 'See: gp get clusters') : deps.insides.invite(row, ttlSeconds, principal.subject);
};

const getInsideAgent: Handler<'getInsideAgent'> = async ({ principal }, deps) => ok((await insideAgents(deps.store, principal.tenant)) ?? {});

const setInsideAgent: Handler<'setInsideAgent'> = async ({ principal, body }, deps) => {
  const { tenant } = principal;
  for (const item of Object.values(body.packages))
    if (item !== undefined && (await deps.store.get('blob', tenant, item.digest)) === undefined)
      return fail('blocked', 'content-missing', `package ${item.digest}`, 'was not uploaded. Upload it: gp agent upload FILE… --inside');
  const done = await deps.store.commit([
    insideAgentWrite(tenant, body, await insideAgents(deps.store, tenant)),
    {
      op: 'event',
      event: {
        tenant,
        project: '',
        atMs: deps.clock.wallMs(),
        type: 'normal',
        reason: 'InsideAgentChanged',
        actor: principal.subject,
        message: `pods inside of clusters run agent ${body.version} from now on`,
      },
    },
  ]);
  return done.ok ? ok((await insideAgents(deps.store, tenant)) ?? {}) : done;
};

export const handlers = { importCluster, getInsideAgent, setInsideAgent };

/** For those who have no session: `kubectl apply -f URL` of whoever imports, and the pod's first program. Both addresses hold a code that nobody can guess. */
export const mountInside = (app: Hono, deps: ApiDeps): void => {
  app.get(`${apiBase}/import/:code`, async (context) => {
    const found = await deps.insides.manifestAt(context.req.param('code'));
    if (!found.ok) return failureResponse(context, notFound('import', found.failure.message).failure);
    return context.body(found.value, 200, { 'content-type': 'application/yaml', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  });
  app.get(`${apiBase}/inside/:code/:digest`, async (context) => {
    const digest = context.req.param('digest');
    const mayFetch = isDigest(digest) && (await deps.insides.mayFetch(context.req.param('code'), digest));
    const size = mayFetch ? await deps.content.size(digest) : undefined;
    if (size === undefined || !isDigest(digest)) return failureResponse(context, notFound('package', '').failure);
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size), 'cache-control': 'no-store' };
    const stream = paced(deps.content.stream(digest, 0, size - 1), deps.transfers.throttle);
    return context.body(Readable.toWeb(stream) as ReadableStream<Uint8Array<ArrayBuffer>>, 200, headers);
  });
};
