import { z } from 'zod';
import { digestSchema } from '../digest.ts';
import { labelsSchema, nameSchema, semverSchema } from '../ids.ts';
import { profileSpecSchema } from '../profile.ts';
import * as packs from './packs.ts';
import * as profileView from './profile-views.ts';
import { can, page, project, route, type Route } from './route.ts';
import * as view from './views.ts';

const dryRun = { dryRun: z.enum(['true', 'false']).optional() };
const profileRef = z.strictObject({ name: nameSchema, version: semverSchema });
const variablesBody = z.record(z.string().max(64), z.string().max(65_536)).default({});

/** Profiles and what their layers can be made of. */
export const profileRoutes = {
  listProfiles: route('GET', '/projects/{project}/profiles', can('profile.get'), 'Profile versions of a project', {
    params: z.object(project),
    query: z.object({ ...page, name: nameSchema.optional() }),
    response: view.pageOf(view.profileSummaryView),
  }),
  applyProfile: route('PUT', '/projects/{project}/profiles/{name}/versions/{version}', can('profile.create'), 'Create a profile version or edit a draft', {
    params: z.object({ ...project, name: nameSchema, version: semverSchema }),
    query: z.object(dryRun),
    body: z.strictObject({ labels: labelsSchema.optional(), spec: profileSpecSchema, draft: z.boolean().optional() }),
    response: view.profileView,
  }),
  getProfile: route('GET', '/projects/{project}/profiles/{name}/versions/{version}', can('profile.get'), 'One profile version', {
    params: z.object({ ...project, name: nameSchema, version: semverSchema }),
    response: view.profileView,
  }),
  releaseProfile: route(
    'POST',
    '/projects/{project}/profiles/{name}/versions/{version}/release',
    can('profile.release'),
    'Release a draft: immutable from then on',
    {
      params: z.object({ ...project, name: nameSchema, version: semverSchema }),
      response: view.profileView,
    },
  ),
  deleteProfile: route(
    'DELETE',
    '/projects/{project}/profiles/{name}/versions/{version}',
    can('profile.delete'),
    'Delete a profile version that no cluster uses',
    {
      params: z.object({ ...project, name: nameSchema, version: semverSchema }),
    },
  ),
  diffProfile: route('GET', '/projects/{project}/profiles/{name}/diff', can('profile.get'), 'Compare two versions layer by layer', {
    params: z.object({ ...project, name: nameSchema }),
    query: z.object({ from: semverSchema, to: semverSchema }),
    response: view.profileDiffView,
  }),

  compareProfiles: route('POST', '/projects/{project}/profile-comparison', can('profile.get'), 'Compare any two profile versions: layers, objects, images', {
    params: z.object(project),
    body: z.strictObject({ from: profileRef, to: profileRef, variables: variablesBody, rendered: z.boolean().default(false) }),
    response: profileView.profileComparisonView,
  }),
  previewProfile: route('POST', '/projects/{project}/profile-preview', can('profile.create'), 'What a profile would make; nothing is saved', {
    params: z.object(project),
    body: z.strictObject({ name: nameSchema.default('preview'), spec: profileSpecSchema, variables: variablesBody }),
    response: profileView.profilePreviewView,
  }),
  cloneProfile: route(
    'POST',
    '/projects/{project}/profiles/{name}/versions/{version}/clone',
    can('profile.create'),
    'Copy a profile version under another name, version or project',
    {
      params: z.object({ ...project, name: nameSchema, version: semverSchema }),
      body: z.strictObject({ project: nameSchema.optional(), name: nameSchema.optional(), version: semverSchema.optional(), draft: z.boolean().default(true) }),
      response: view.profileView,
      status: 201,
    },
  ),

  listPacks: route('GET', '/projects/{project}/packs', can('profile.get'), 'Packs, charts and Zarf packages that layers of this project can name', {
    params: z.object(project),
    response: packs.unitListView,
  }),
  getPack: route('GET', '/projects/{project}/packs/{digest}', can('profile.get'), 'What a pack or chart in the content store says of itself', {
    params: z.object({ ...project, digest: digestSchema }),
    response: packs.packView,
  }),
} as const satisfies Record<string, Route>;
