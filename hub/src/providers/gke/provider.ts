import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { FoundThing, ManagedClusterProvider, Offers, OpenManaged } from '../../port/provider.ts';
import { clusterLabel } from '../google/names.ts';
import { readOffers } from '../google/offers.ts';
import { checkAccount, managedPermissions } from '../google/permissions.ts';
import { createSession, type Session } from '../google/session.ts';
import { credentials, ensureCluster, ensureNothingLeft, observe, upgrade } from './cluster.ts';
import { deletePool, ensurePool, listPools } from './pools.ts';

const serverSchema = z.looseObject({ validMasterVersions: z.array(z.string()).default([]), defaultClusterVersion: z.string().optional() });

const versionsOf = async (session: Session, project: string, location: string): Promise<Result<NonNullable<Offers['versions']>>> => {
  const path = `/projects/${encodeURIComponent(project)}/locations/${location}/serverConfig`;
  const config = await session.read({ service: 'container', method: 'GET', path }, serverSchema);
  if (!config.ok) return config;
  return ok(config.value.validMasterVersions.map((name) => ({ name, ...(name === config.value.defaultClusterVersion ? { isDefault: true } : {}) })));
};

const images: Offers['images'] = [
  { name: 'COS_CONTAINERD', title: "Container-Optimized OS, GKE's default" },
  { name: 'UBUNTU_CONTAINERD', title: 'Ubuntu' },
];

const readManagedOffers = async (session: Session, project: string | undefined, location: string | undefined): Promise<Result<Offers>> => {
  const offers = await readOffers(session, project, location);
  const name = project ?? session.settings.project;
  if (!offers.ok || location === undefined || name === undefined) return offers;
  const versions = await versionsOf(session, name, location);
  return versions.ok ? ok({ ...offers.value, images, versions: versions.value }) : versions;
};

const listSchema = z.looseObject({ clusters: z.array(z.looseObject({ name: z.string(), location: z.string().optional(), resourceLabels: z.record(z.string(), z.string()).default({}) })).default([]) }); // prettier-ignore

/** Every cluster of the project with a label of ours, wherever it is. */
const findTagged = async (session: Session, project: string | undefined): Promise<Result<FoundThing[]>> => {
  if (project === undefined) return fail('blocked', 'choice-missing', 'Google project', 'neither the placement nor the account names one');
  const found = await session.read({ service: 'container', method: 'GET', path: `/projects/${encodeURIComponent(project)}/locations/-/clusters` }, listSchema);
  if (!found.ok) return found;
  return ok(
    found.value.clusters.flatMap(({ name, location, resourceLabels }) => {
      const cluster = resourceLabels[clusterLabel];
      return cluster === undefined ? [] : [{ thing: `cluster ${location ?? ''}/${name}`, cluster, name }];
    }),
  );
};

/** Google Kubernetes Engine: plain calls, with Google's own library for the login (ADR 0018). */
export const openGke: OpenManaged<'gke', 'google'> = async (deps) => {
  const session = createSession(deps);
  return {
    check: (placement) => checkAccount(session, placement?.project, managedPermissions),
    offers: (placement) => readManagedOffers(session, placement.project, placement.location),
    findTagged: ({ project = deps.settings.project }) => findTagged(session, project),
    observe: (scope) => observe(session, scope),
    ensureCluster: (scope, version, first) => ensureCluster(session, scope, version, first),
    upgrade: (scope, version) => upgrade(session, scope, version),
    listPools: (scope, wants) => listPools(session, scope, wants),
    ensurePool: (scope, want) => ensurePool(session, scope, want),
    deletePool: (scope, name) => deletePool(session, scope, name),
    credentials: (scope, refused) => credentials(session, scope, refused),
    ensureNothingLeft: (scope) => ensureNothingLeft(session, scope),
  } satisfies ManagedClusterProvider<'gke'>;
};
