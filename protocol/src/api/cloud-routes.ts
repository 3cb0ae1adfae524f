import { z } from 'zod';
import { catalogueSchema } from '../environment/catalogue.ts';
import { nameSchema } from '../ids.ts';
import { insideAgentSchema } from '../inside/agent.ts';
import * as cloud from './cloud-views.ts';
import { can, page, project, route, type Route } from './route.ts';
import * as view from './views.ts';

const named = z.object({ ...project, name: nameSchema });
const ofPool = z.object({ ...project, name: nameSchema, pool: nameSchema });
const check = z.object({ validate: z.enum(['true', 'false']).optional() });

/** Cloud accounts, and the infrastructure of clusters. */
export const cloudRoutes = {
  listAccounts: route('GET', '/projects/{project}/accounts', can('account.get'), 'Cloud accounts that a project may use: its own, then those of the tenant', {
    params: z.object(project),
    query: z.object(page),
    response: view.pageOf(cloud.accountView),
  }),
  setAccount: route('PUT', '/projects/{project}/accounts/{name}', can('account.set'), 'Add or change a cloud account; its secret is never answered', {
    params: named,
    query: check,
    body: cloud.accountBody,
    response: cloud.accountView,
  }),
  deleteAccount: route('DELETE', '/projects/{project}/accounts/{name}', can('account.set'), 'Forget a cloud account that no cluster uses', { params: named }),
  listTenantAccounts: route('GET', '/accounts', can('account.get', 'tenant'), 'Cloud accounts of the tenant, which every project may use', {
    query: z.object(page),
    response: view.pageOf(cloud.accountView),
  }),
  setTenantAccount: route('PUT', '/accounts/{name}', can('account.set', 'tenant'), 'Add or change a cloud account of the tenant', {
    params: z.object({ name: nameSchema }),
    query: check,
    body: cloud.accountBody,
    response: cloud.accountView,
  }),
  deleteTenantAccount: route('DELETE', '/accounts/{name}', can('account.set', 'tenant'), 'Forget a cloud account of the tenant', {
    params: z.object({ name: nameSchema }),
  }),
  checkAccount: route('POST', '/projects/{project}/accounts/{name}/check', can('account.set'), 'Whether an account works, and which permissions it lacks', {
    params: named,
    response: cloud.accountView,
  }),
  accountOffers: route(
    'POST',
    '/projects/{project}/accounts/{name}/offers',
    can('account.get'),
    'What can be chosen: regions, sizes, images, networks, versions',
    {
      params: named,
      body: cloud.placementBody,
      response: cloud.offersView,
    },
  ),
  accountOrphans: route('POST', '/projects/{project}/accounts/{name}/orphans', can('account.get'), 'Things with our tag whose cluster this hub does not know', {
    params: named,
    body: cloud.placementBody,
    response: cloud.orphansView,
  }),
  getInfrastructure: route(
    'GET',
    '/projects/{project}/clusters/{name}/infrastructure',
    can('cluster.get'),
    'What a cluster is made of: steps, pools, machines, cost',
    {
      params: named,
      response: cloud.infrastructureView,
    },
  ),
  importCluster: route(
    'POST',
    '/projects/{project}/clusters/{name}/import',
    can('cluster.apply'),
    'Import a cluster by an agent inside of it: the manifest to apply there, good for one agent',
    { params: named, body: cloud.importBody, response: cloud.importView },
  ),
  getInsideAgent: route('GET', '/inside-agent', can('account.get', 'tenant'), 'The agent that pods inside of clusters run', {
    response: cloud.insideAgentsView,
  }),
  setInsideAgent: route('PUT', '/inside-agent', can('account.set', 'tenant'), 'Change the agent that pods inside of clusters run; they follow by themselves', {
    body: insideAgentSchema,
    response: cloud.insideAgentsView,
  }),
  scalePool: route(
    'POST',
    '/projects/{project}/clusters/{name}/pools/{pool}/scale',
    can('cluster.scale'),
    'Set the size of a pool within its bounds; for autoscalers',
    {
      params: ofPool,
      body: cloud.scaleBody,
      response: cloud.infrastructureView,
    },
  ),
  repavePool: route(
    'POST',
    '/projects/{project}/clusters/{name}/pools/{pool}/repave',
    can('cluster.apply'),
    'Approve that machines of an older generation are replaced',
    {
      params: ofPool,
      response: cloud.infrastructureView,
    },
  ),
  getPrices: route('GET', '/prices', can('account.get', 'tenant'), 'The price list that costs are estimated with', { response: cloud.pricesView }),
  setPrices: route('PUT', '/prices', can('account.set', 'tenant'), 'Replace the price list', { body: cloud.pricesBody, response: cloud.pricesView }),
  getCatalogue: route('GET', '/catalogue', can('account.get', 'tenant'), 'Operating system images by name, and ends of support of Kubernetes', {
    response: cloud.catalogueView,
  }),
  setCatalogue: route('PUT', '/catalogue', can('account.set', 'tenant'), 'Replace the catalogue', { body: catalogueSchema, response: cloud.catalogueView }),
} satisfies Record<string, Route>;
