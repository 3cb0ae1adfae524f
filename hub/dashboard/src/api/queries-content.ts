import { queryOptions } from '@tanstack/react-query';
import type { ArtifactView, RegistryView } from '@groundplane/protocol/api/registries';
import type { Output } from '@groundplane/protocol/api/client';
import { ask } from './client.ts';
import { readPages } from './listing.ts';
import { keys } from './queries.ts';

/** Queries of the screens that come when they are opened: registries, packs, macros, values. */

export type MacroView = Output<'listMacros'>['items'][number];

const nothing = (): void => undefined;

export const registriesQuery = (project: string) =>
  queryOptions({
    queryKey: keys.registries(project),
    queryFn: () => readPages<RegistryView>((query) => ask('listRegistries', { params: { project }, query }), nothing),
  });

export const artifactsQuery = (project: string) =>
  queryOptions({
    queryKey: ['artifacts', project],
    queryFn: () => readPages<ArtifactView>((query) => ask('listArtifacts', { params: { project }, query }), nothing),
  });

/** What a registry has of one artifact; without one, which artifacts. Registries are slow and count requests, so the answer is kept for a minute. */
export const versionsQuery = (project: string, registry: string, artifact: string | undefined) =>
  queryOptions({
    queryKey: ['registry-versions', project, registry, artifact ?? ''],
    queryFn: () => ask('listVersions', { params: { project, name: registry }, query: artifact === undefined ? {} : { artifact } }),
    staleTime: 60_000,
    retry: false,
  });

export const unitsQuery = (project: string) => queryOptions({ queryKey: keys.units(project), queryFn: () => ask('listPacks', { params: { project } }) });

/** A digest never means something else, so it is read once. */
export const packQuery = (project: string, digest: string) =>
  queryOptions({
    queryKey: ['pack', project, digest],
    queryFn: () => ask('getPack', { params: { project, digest: digest as `sha256:${string}` } }),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

export const macrosQuery = (project: string) =>
  queryOptions({
    queryKey: keys.macros(project),
    queryFn: () => readPages<MacroView>((query) => ask('listMacros', { params: { project }, query }), nothing),
  });

export const tenantMacrosQuery = () =>
  queryOptions({
    queryKey: keys.tenantMacros,
    queryFn: () => readPages<MacroView>((query) => ask('listTenantMacros', { query }), nothing),
    retry: false,
  });

export const clusterValuesQuery = (project: string, name: string) =>
  queryOptions({ queryKey: [...keys.cluster(project, name), 'values'], queryFn: () => ask('clusterValues', { params: { project, name } }), retry: false });

export const clusterImagesQuery = (project: string, name: string) =>
  queryOptions({ queryKey: [...keys.cluster(project, name), 'images'], queryFn: () => ask('clusterImages', { params: { project, name } }), retry: false });
