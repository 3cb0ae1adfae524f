import { z } from 'zod';
import { digestSchema } from '../digest.ts';
import { nameSchema, semverSchema } from '../ids.ts';
import { signedReceiptSchema } from '../media.ts';
import * as registry from './registries.ts';
import { can, page, project, route, type Route } from './route.ts';
import * as view from './views.ts';

/** Registries, artifacts, images and media: everything that moves bytes. */
export const registryRoutes = {
  listRegistries: route(
    'GET',
    '/projects/{project}/registries',
    can('registry.get'),
    'Registries that a project takes from: its own, then those of the tenant',
    {
      params: z.object(project),
      query: z.object(page),
      response: view.pageOf(registry.registryView),
    },
  ),
  setRegistry: route('PUT', '/projects/{project}/registries/{name}', can('registry.set'), 'Add or change a registry; its password is never answered', {
    params: z.object({ ...project, name: nameSchema }),
    query: z.object({ validate: z.enum(['true', 'false']).optional() }),
    body: registry.registryBody,
    response: registry.registryView,
  }),
  deleteRegistry: route('DELETE', '/projects/{project}/registries/{name}', can('registry.set'), 'Forget a registry', {
    params: z.object({ ...project, name: nameSchema }),
  }),
  validateRegistry: route('POST', '/projects/{project}/registries/{name}/validate', can('registry.set'), 'Whether a registry is there and lets us in', {
    params: z.object({ ...project, name: nameSchema }),
    response: registry.registryCheckView,
  }),
  listTenantRegistries: route('GET', '/registries', can('registry.get', 'tenant'), 'Registries of the tenant, which every project may take from', {
    query: z.object(page),
    response: view.pageOf(registry.registryView),
  }),
  setTenantRegistry: route('PUT', '/registries/{name}', can('registry.set', 'tenant'), 'Add or change a registry of the tenant', {
    params: z.object({ name: nameSchema }),
    query: z.object({ validate: z.enum(['true', 'false']).optional() }),
    body: registry.registryBody,
    response: registry.registryView,
  }),
  deleteTenantRegistry: route('DELETE', '/registries/{name}', can('registry.set', 'tenant'), 'Forget a registry of the tenant', {
    params: z.object({ name: nameSchema }),
  }),
  validateTenantRegistry: route('POST', '/registries/{name}/validate', can('registry.set', 'tenant'), 'Whether a registry of the tenant lets us in', {
    params: z.object({ name: nameSchema }),
    response: registry.registryCheckView,
  }),
  listVersions: route('GET', '/projects/{project}/registries/{name}/versions', can('registry.get'), 'What a registry has of one artifact, or which artifacts', {
    params: z.object({ ...project, name: nameSchema }),
    query: z.object({ artifact: z.string().min(1).max(255).optional() }),
    response: registry.registryListView,
  }),
  importArtifact: route(
    'POST',
    '/projects/{project}/registries/{name}/import',
    can('content.upload'),
    'Take a chart, pack or Zarf package into the content store; answers the digest that profiles pin',
    {
      params: z.object({ ...project, name: nameSchema }),
      body: z.strictObject({ artifact: z.string().min(1).max(255), version: z.string().max(128).optional(), digest: digestSchema.optional() }),
      response: registry.importedView,
      status: 201,
    },
  ),
  listArtifacts: route('GET', '/projects/{project}/artifacts', can('content.get'), "Tags in the hub's own registry", {
    params: z.object(project),
    query: z.object(page),
    response: view.pageOf(registry.artifactView),
  }),

  clusterImages: route('GET', '/projects/{project}/clusters/{name}/images', can('cluster.get'), 'Images that a cluster runs, and the layers that name them', {
    params: z.object({ ...project, name: nameSchema }),
    response: registry.imagesView,
  }),
  clusterSbom: route('GET', '/projects/{project}/clusters/{name}/sbom', can('cluster.get'), "Bill of materials of a cluster's bundle (CycloneDX 1.6)", {
    params: z.object({ ...project, name: nameSchema }),
    response: registry.sbomView,
  }),
  clusterMedia: route('GET', '/projects/{project}/clusters/{name}/media', can('content.get'), 'What a medium for a cluster holds, by digest', {
    params: z.object({ ...project, name: nameSchema }),
    response: registry.mediaView,
  }),

  importReceipt: route('POST', '/projects/{project}/media/receipts', can('host.approve'), 'Take what a host without a line says on a medium that came back', {
    params: z.object(project),
    body: signedReceiptSchema,
    response: z.object({ host: z.string(), seq: z.int(), events: z.int(), state: z.enum(['taken', 'known']) }),
  }),

  profileMedia: route(
    'GET',
    '/projects/{project}/profiles/{name}/versions/{version}/media',
    can('content.get'),
    'What a medium for a profile version holds, by digest',
    { params: z.object({ ...project, name: nameSchema, version: semverSchema }), response: registry.mediaView },
  ),

  headContent: route('GET', '/content/{digest}/info', { access: 'self' }, 'Whether a blob is there, and its size', {
    params: z.object({ digest: digestSchema }),
    response: z.object({ digest: digestSchema, size: z.int() }),
  }),
} as const satisfies Record<string, Route>;
