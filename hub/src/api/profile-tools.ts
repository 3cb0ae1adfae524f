import { isAllowed } from '@groundplane/protocol/access';
import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { refText } from '@groundplane/protocol/kubernetes';
import { resolveProfiles } from '@groundplane/protocol/resolve/profile';
import { kubeVersionFor } from '../reconcile/cluster-inputs.ts';
import type { BundleInput, BuiltBundle, ProfileInput } from '../render/bundle.ts';
import { withPackValues } from '../render/hydrate.ts';
import { compareBundles } from '../render/compare.ts';
import { compareSpecs } from './compare-specs.ts';
import { notFound } from './errors.ts';
import type { ApiDeps, Handler } from './handler.ts';
import { profileConstraints } from './profile-constraints.ts';
import { findProfile, missingContent, profileView, saveProfile } from './profiles.ts';

/** A cluster that does not exist: what profiles make without one. */
const inputFor = async (deps: ApiDeps, tenant: string, project: string, profile: ProfileInput, variables: Record<string, string>): Promise<BundleInput> => {
  const kubeVersion = kubeVersionFor([profile], undefined);
  const declared = new Set(profile.spec.variables.map((variable) => variable.name));
  return {
    cluster: 'preview',
    profiles: [profile],
    // Two versions are compared with one set of values; what only the other one declares is not for this one.
    variables: Object.fromEntries(Object.entries(variables).filter(([name]) => declared.has(name))),
    macros: await deps.inputs.macrosOf(tenant, project),
    system: {
      'cluster.name': 'preview',
      'cluster.uid': 'preview',
      'project.name': '',
      'project.uid': project,
      'tenant.uid': tenant,
      'cloud.type': 'edge',
      'kubernetes.version': kubeVersion.replace(/^v/, ''),
    },
    kubeVersion,
  };
};

export const compareProfiles: Handler<'compareProfiles'> = async ({ principal, body, project }, deps) => {
  const sides: { profile: ProfileInput; built: BuiltBundle | undefined }[] = [];
  for (const { name, version } of [body.from, body.to]) {
    const row = await findProfile(deps, principal.tenant, project, name, version);
    if (!row.ok) return row;
    const profile = { name, version, spec: row.value.value.spec, digest: row.value.value.digest };
    const built = body.rendered ? await deps.bundler.make(await inputFor(deps, principal.tenant, project, profile, body.variables)) : undefined;
    if (built !== undefined && !built.ok) return built;
    sides.push({ profile, built: built?.value });
  }
  const [from, to] = sides;
  if (from === undefined || to === undefined) return notFound('profile', '');
  const rendered = from.built === undefined || to.built === undefined ? undefined : await compareBundles(deps.content, from.built.bundle, to.built.bundle);
  return ok({
    from: body.from,
    to: body.to,
    layers: compareSpecs(from.profile.spec, to.profile.spec),
    ...(rendered === undefined ? {} : { rendered: { objects: rendered.objects, images: rendered.images, hidden: rendered.hidden } }),
  });
};

export const previewProfile: Handler<'previewProfile'> = async ({ principal, body, project }, deps) => {
  const present = await missingContent(deps, principal.tenant, body.spec);
  if (!present.ok) return present;
  const profile: ProfileInput = { name: body.name, version: '0.0.0', spec: body.spec, digest: digestOf(body.spec) };
  const full = await withPackValues(deps.content, body.spec);
  if (!full.ok) return full;
  const input = await inputFor(deps, principal.tenant, project, { ...profile, spec: full.value }, body.variables);
  const resolved = resolveProfiles(input);
  if (!resolved.ok) return resolved;
  const built = await deps.bundler.make(input);
  if (!built.ok) return built;
  return ok({
    layers: built.value.bundle.layers.map((layer) => ({
      name: layer.name,
      kind: layer.kind,
      pack: { name: layer.pack.name, version: layer.pack.version },
      ...(layer.namespace === undefined ? {} : { namespace: layer.namespace }),
      objects: layer.objects.map((object) => refText(object.ref)),
      hooks: layer.hooks.map((hook) => `${hook.events.join(',')} ${refText(hook.ref)}`),
      images: layer.images ?? [],
      uses: resolved.value.find((item) => item.layer.name === layer.name)?.uses ?? [],
    })),
    warnings: [...(await profileConstraints(deps.content, full.value, profile.version)), ...(built.value.warnings ?? [])],
  });
};

const targetProject = async (deps: ApiDeps, tenant: string, project: string, name: string | undefined): Promise<Result<string>> => {
  if (name === undefined) return ok(project);
  const row = await deps.store.byName('project', tenant, '', name);
  return row === undefined ? notFound(`project ${name}`, 'See: gp get projects') : ok(row.id);
};

/** A copy is a draft unless asked for otherwise; a copy of what is released in another project needs the right to make profiles there. */
export const cloneProfile: Handler<'cloneProfile'> = async (request, deps) => {
  const { principal, params, body, project } = request;
  const row = await findProfile(deps, principal.tenant, project, params.name, params.version);
  if (!row.ok) return row;
  const target = await targetProject(deps, principal.tenant, project, body.project);
  if (!target.ok) return target;
  const [name, version] = [body.name ?? params.name, body.version ?? params.version];
  const needed = body.draft ? (['profile.create'] as const) : (['profile.create', 'profile.release'] as const);
  if (!needed.every((permission) => isAllowed(principal.grants, permission, target.value)))
    return fail(
      'fatal',
      'denied',
      `profile ${name} ${version}`,
      `you may not ${body.draft ? 'make' : 'release'} profiles in project ${body.project ?? params.project}`,
    );
  if ((await deps.store.byName('profile', principal.tenant, target.value, `${name}@${version}`)) !== undefined)
    return fail('blocked', 'name-taken', `profile ${name} ${version}`, 'is there already; give the copy another name or version');
  const { spec, labels, digest } = row.value.value;
  const value = { profile: name, version, labels, spec, digest, state: 'draft' as const };
  const saved = await saveProfile({ principal, project: target.value }, deps, value, undefined, body.draft ? 'draft' : 'released');
  if (!saved.ok) return saved;
  const copy = await findProfile(deps, principal.tenant, target.value, name, version);
  return copy.ok ? ok(profileView(deps, copy.value, body.project ?? params.project)) : copy;
};
