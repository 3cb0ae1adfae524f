import { z } from 'zod';
import { roleNames } from '../access.ts';
import { labelsSchema, nameSchema } from '../ids.ts';
import { limits } from '../limits.ts';
import { clusterSpecSchema } from '../profile.ts';
import { cloudRoutes } from './cloud-routes.ts';
import { profileRoutes } from './profile-routes.ts';
import * as profileView from './profile-views.ts';
import { registryRoutes } from './registry-routes.ts';
import { siteRoutes } from './site-routes.ts';
import { can, page, project, route, type Route } from './route.ts';
import * as view from './views.ts';

const macroName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be letters, digits and underscores');
const macroBody = z.strictObject({ value: z.string().max(65_536), sensitive: z.boolean().optional() });
const serialList = z
  .record(z.string().min(1).max(limits.serialChars), z.union([nameSchema, z.literal('')]))
  .refine((list) => Object.keys(list).length > 0 && Object.keys(list).length <= limits.ticketSerials, `a list has 1 to ${limits.ticketSerials} serial numbers`);
const credentials = z.strictObject({ name: z.string().min(1).max(128), password: z.string().min(1).max(1024) });

/** The whole REST API. Server, typed client and OpenAPI derive from this table; a route without permission does not compile. */
export const routes = {
  setup: route('POST', '/setup', { access: 'public' }, 'Make the first administrator with the one-time link', {
    body: z.strictObject({
      token: z.string().max(128),
      name: z.string().min(1).max(128),
      password: z.string().min(12, 'a password has at least 12 characters').max(1024),
    }),
    response: view.whoView,
  }),
  login: route('POST', '/login', { access: 'public' }, 'Start a browser session', { body: credentials, response: view.whoView }),
  logout: route('POST', '/logout', { access: 'self' }, 'End the session', {}),
  whoami: route('GET', '/whoami', { access: 'self' }, 'Who I am and what I may do', { response: view.whoView }),
  tenant: route('GET', '/tenant', can('tenant.get', 'tenant'), 'The tenant', { response: view.tenantView }),
  createTenant: route(
    'POST',
    '/tenants',
    can('tenant.create', 'tenant'),
    'Create a tenant (system tenant only); answers the one-time set-up token of its first administrator',
    {
      body: z.strictObject({ name: nameSchema }),
      response: view.newTenantView,
      status: 201,
    },
  ),
  fleet: route('GET', '/fleet', can('host.get', 'tenant'), 'Counters of the whole fleet', {
    query: z.object({ project: nameSchema.optional() }),
    response: view.fleetView,
  }),

  listProjects: route('GET', '/projects', { access: 'self' }, 'Projects that I can see', { query: z.object(page), response: view.pageOf(view.projectView) }),
  createProject: route('POST', '/projects', can('project.create', 'tenant'), 'Create a project', {
    body: z.strictObject({ name: nameSchema }),
    response: view.projectView,
    status: 201,
  }),
  deleteProject: route('DELETE', '/projects/{project}', can('project.delete', 'tenant'), 'Delete an empty project', { params: z.object(project) }),

  ...profileRoutes,
  ...cloudRoutes,

  listClusters: route('GET', '/projects/{project}/clusters', can('cluster.get'), 'Clusters of a project', {
    params: z.object(project),
    query: z.object(page),
    response: view.pageOf(view.clusterSummaryView),
  }),
  applyCluster: route('PUT', '/projects/{project}/clusters/{name}', can('cluster.apply'), 'Create or change a cluster', {
    params: z.object({ ...project, name: nameSchema }),
    query: z.object({ ifVersion: z.coerce.number().int().optional() }),
    body: z.strictObject({ labels: labelsSchema.optional(), spec: clusterSpecSchema }),
    response: view.clusterView,
  }),
  getCluster: route('GET', '/projects/{project}/clusters/{name}', can('cluster.get'), 'A cluster with its layer stack', {
    params: z.object({ ...project, name: nameSchema }),
    response: view.clusterView,
  }),
  clusterValues: route('GET', '/projects/{project}/clusters/{name}/values', can('cluster.get'), 'Values of its layers and where each came from', {
    params: z.object({ ...project, name: nameSchema }),
    response: profileView.clusterValuesView,
  }),
  planCluster: route('POST', '/projects/{project}/clusters/{name}/plan', can('cluster.get'), 'What applying this would do; nothing is changed', {
    params: z.object({ ...project, name: nameSchema }),
    body: z.strictObject({ labels: labelsSchema.optional(), spec: clusterSpecSchema }),
    response: view.planView,
  }),
  retryCluster: route('POST', '/projects/{project}/clusters/{name}/retry', can('cluster.apply'), 'Lift the poison of the failed version and try it again', {
    params: z.object({ ...project, name: nameSchema }),
  }),
  deleteCluster: route('DELETE', '/projects/{project}/clusters/{name}', can('cluster.delete'), 'Take all layers away and delete the cluster', {
    params: z.object({ ...project, name: nameSchema }),
    query: z.object({ force: z.enum(['true', 'false']).optional() }),
  }),

  listHosts: route('GET', '/projects/{project}/hosts', can('host.get'), 'Hosts of a project', {
    params: z.object(project),
    query: z.object({
      ...page,
      state: z.enum(['lobby', 'approved', 'revoked']).optional(),
      /** The one host with this public key, if it is of this project. */
      key: z.string().max(128).optional(),
    }),
    response: view.pageOf(view.hostSummaryView),
  }),
  getHost: route('GET', '/projects/{project}/hosts/{name}', can('host.get'), 'A host', {
    params: z.object({ ...project, name: nameSchema }),
    response: view.hostView,
  }),
  approveHost: route('POST', '/projects/{project}/hosts/{name}/approve', can('host.approve'), 'Let a host in from the lobby', {
    params: z.object({ ...project, name: nameSchema }),
    body: z.strictObject({
      words: z.string().max(128).optional(),
      rename: nameSchema.optional(),
      labels: labelsSchema.optional(),
      /** It takes the place of the host with its serial number: name, labels, cluster. The old key is worth nothing from then on. */
      replace: z.boolean().optional(),
    }),
    response: view.hostView,
  }),
  revokeHost: route('DELETE', '/projects/{project}/hosts/{name}', can('host.delete'), "Revoke a host's key and forget it", {
    params: z.object({ ...project, name: nameSchema }),
  }),

  listTickets: route('GET', '/projects/{project}/tickets', can('ticket.get'), 'Enrolment tickets', {
    params: z.object(project),
    query: z.object(page),
    response: view.pageOf(view.ticketView),
  }),
  createTicket: route('POST', '/projects/{project}/tickets', can('ticket.create'), 'Make an enrolment ticket; the secret is shown once', {
    params: z.object(project),
    body: z.strictObject({
      name: nameSchema,
      uses: z.int().min(1).max(100_000).default(1),
      ttlSeconds: z
        .int()
        .min(60)
        .max(365 * 24 * 3600)
        .default(24 * 3600),
      labels: labelsSchema.optional(),
      autoApprove: z.boolean().default(false),
      /** Only devices with these serial numbers; each with the name that it gets, or an empty text. */
      serials: serialList.optional(),
    }),
    response: view.newTicketView,
    status: 201,
  }),
  deleteTicket: route('DELETE', '/projects/{project}/tickets/{name}', can('ticket.delete'), 'Withdraw a ticket', {
    params: z.object({ ...project, name: nameSchema }),
  }),

  listMacros: route('GET', '/projects/{project}/macros', can('macro.get'), 'Macros of a project', {
    params: z.object(project),
    query: z.object(page),
    response: view.pageOf(view.macroView),
  }),
  setMacro: route('PUT', '/projects/{project}/macros/{name}', can('macro.set'), 'Set a macro; every cluster that uses it follows', {
    params: z.object({ ...project, name: macroName }),
    body: macroBody,
    response: view.macroView,
  }),
  listTenantMacros: route('GET', '/macros', can('macro.get', 'tenant'), 'Macros of the tenant; those of the system tenant are for all', {
    query: z.object(page),
    response: view.pageOf(view.macroView),
  }),
  setTenantMacro: route('PUT', '/macros/{name}', can('macro.set', 'tenant'), 'Set a macro of the tenant; a project may have its own of the same name', {
    params: z.object({ name: macroName }),
    body: macroBody,
    response: view.macroView,
  }),
  deleteTenantMacro: route('DELETE', '/macros/{name}', can('macro.set', 'tenant'), 'Delete a macro of the tenant', {
    params: z.object({ name: z.string().max(64) }),
  }),
  deleteMacro: route('DELETE', '/projects/{project}/macros/{name}', can('macro.set'), 'Delete a macro', {
    params: z.object({ ...project, name: z.string().max(64) }),
  }),

  listEvents: route('GET', '/projects/{project}/events', can('event.get'), 'Events, newest last', {
    params: z.object(project),
    query: z.object({
      ...page,
      cluster: nameSchema.optional(),
      host: nameSchema.optional(),
      last: z.coerce.number().int().min(1).max(limits.pageItems).optional(),
    }),
    response: view.pageOf(view.eventView),
  }),

  ...registryRoutes,
  ...siteRoutes,

  listApiKeys: route('GET', '/api-keys', can('access.get', 'tenant'), 'API keys', { query: z.object(page), response: view.pageOf(view.apiKeyView) }),
  createApiKey: route('POST', '/api-keys', can('access.set', 'tenant'), 'Make an API key; it is shown once', {
    body: z.strictObject({ name: nameSchema, role: z.enum(roleNames), project: nameSchema.optional(), ttlSeconds: z.int().min(60).optional() }),
    response: view.newApiKeyView,
    status: 201,
  }),
  deleteApiKey: route('DELETE', '/api-keys/{name}', can('access.set', 'tenant'), 'Delete an API key; its sessions end at once', {
    params: z.object({ name: nameSchema }),
  }),
} as const satisfies Record<string, Route>;

export type Routes = typeof routes;
export type RouteName = keyof Routes;

/** Below this path, outside of the table because their bodies are not JSON: content up- and download, the event stream, OpenAPI. */
export const apiBase = '/api/v1';
export const rawRoutes = {
  content: `${apiBase}/content/{digest}`,
  chunks: `${apiBase}/content/{digest}/chunks`,
  upload: `${apiBase}/content/{digest}/upload`,
  mediaExport: `${apiBase}/projects/{project}/clusters/{name}/media.tar`,
  stream: `${apiBase}/stream`,
  openapi: `${apiBase}/openapi.json`,
} as const;
