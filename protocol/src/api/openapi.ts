import { z } from 'zod';
import { failureSchema } from '../failure.ts';
import { chunkListType } from '../chunk/list.ts';
import { apiBase, rawRoutes, routes } from './routes.ts';
import type { Route } from './route.ts';

const json = (schema: z.ZodType, io: 'input' | 'output'): unknown => ({
  'application/json': { schema: z.toJSONSchema(schema, { io, unrepresentable: 'any', target: 'draft-2020-12' }) },
});

const parameters = (where: 'path' | 'query', schema: z.ZodObject): unknown[] =>
  Object.entries(schema.shape).map(([name, type]) => ({
    name,
    in: where,
    required: where === 'path',
    schema: z.toJSONSchema(type as z.ZodType, { io: 'input', unrepresentable: 'any' }),
  }));

const operation = (name: string, route: Route): unknown => ({
  operationId: name,
  summary: route.summary,
  ...(route.auth.access === 'permission' ? { 'x-permission': route.auth.permission, 'x-scope': route.auth.scope } : { 'x-access': route.auth.access }),
  ...(route.auth.access === 'public' ? { security: [] } : {}),
  parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
  ...(route.body === undefined ? {} : { requestBody: { required: true, content: json(route.body, 'input') } }),
  responses: {
    [route.status]: { description: 'Done', ...(route.status === 204 ? {} : { content: json(route.response, 'output') }) },
    default: { description: 'What went wrong and what to do', content: json(z.object({ error: failureSchema }), 'output') },
  },
});

const mediaExport = {
  get: {
    operationId: 'exportMedia',
    summary: 'Download a medium for a cluster as an archive, without the images that only their registries have',
    'x-permission': 'content.get',
    parameters: ['project', 'name'].map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    responses: { 200: { description: 'An OCI image layout', content: { 'application/x-tar': { schema: { type: 'string', format: 'binary' } } } } },
  },
};

/** OpenAPI 3.1 of the route table. */
export const openapi = (version: string): unknown => {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    (paths[`${apiBase}${route.path}`] ??= {})[route.method.toLowerCase()] = operation(name, route);
  }
  const binary = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  const digest = [{ name: 'digest', in: 'path', required: true, schema: { type: 'string' } }];
  paths[rawRoutes.content] = {
    get: {
      operationId: 'getContent',
      summary: 'Download a blob; Range is understood',
      'x-permission': 'content.get',
      parameters: digest,
      responses: { 200: { description: 'The blob', content: binary }, 206: { description: 'A part of it', content: binary } },
    },
    put: {
      operationId: 'putContent',
      summary: 'Upload a blob; refused unless the bytes have this digest',
      'x-permission': 'content.upload',
      parameters: digest,
      requestBody: { content: binary },
      responses: { 204: { description: 'Stored' } },
    },
  };
  paths[rawRoutes.chunks] = {
    get: {
      operationId: 'getChunks',
      summary: 'List the chunks of a large blob',
      'x-permission': 'content.get',
      parameters: digest,
      responses: { 200: { description: 'The list', content: { [chunkListType]: { schema: { type: 'string', format: 'binary' } } } } },
    },
  };
  const upload = (operationId: string, summary: string, more: object, responses: object): object => ({
    operationId,
    summary,
    'x-permission': 'content.upload',
    parameters: digest,
    ...more,
    responses,
  });
  paths[rawRoutes.upload] = {
    get: upload('getUpload', 'How far an upload in parts is', {}, { 200: { description: '{"held", "ending"}' } }),
    patch: upload(
      'addPart',
      'Add the next part, named by Content-Range; the last one makes it a blob',
      { requestBody: { content: binary } },
      { 202: { description: 'More is to come' }, 204: { description: 'Stored' } },
    ),
    delete: upload('dropUpload', 'Give an upload up', {}, { 204: { description: 'Gone' } }),
  };
  paths[rawRoutes.mediaExport] = mediaExport;
  paths[rawRoutes.stream] = {
    get: {
      operationId: 'stream',
      summary: 'Server-sent events about what changed',
      'x-access': 'self',
      responses: { 200: { description: 'text/event-stream' } },
    },
  };
  return {
    openapi: '3.1.0',
    info: { title: 'Groundplane hub', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    security: [{ apiKey: [] }, { session: [] }],
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' }, session: { type: 'apiKey', in: 'cookie', name: '__Host-gp' } } },
    paths,
  };
};
