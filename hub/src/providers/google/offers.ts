import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Offers } from '../../port/provider.ts';
import { thingSchema } from './ensure.ts';
import { lastOf } from './names.ts';
import type { Session } from './session.ts';

/** Image families with cloud-init, by their publishers' own names. */
const images: Offers['images'] = [
  { name: 'projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64', title: 'Ubuntu 24.04 LTS' },
  { name: 'projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-arm64', title: 'Ubuntu 24.04 LTS, arm64' },
  { name: 'projects/ubuntu-os-cloud/global/images/family/ubuntu-2204-lts', title: 'Ubuntu 22.04 LTS' },
];

const listOf = <T>(item: z.ZodType<T>) => z.looseObject({ items: z.array(item).optional() });
const regionSchema = thingSchema.extend({ zones: z.array(z.string()).default([]) });
const sizeSchema = thingSchema.extend({ guestCpus: z.number().default(0), memoryMb: z.number().default(0) });
const subnetSchema = thingSchema.extend({ network: z.string().optional(), ipCidrRange: z.string().optional() });

const all = async <T>(session: Session, path: string, item: z.ZodType<T>): Promise<Result<T[]>> => {
  const pages = await session.listPages(path, {}, listOf(item));
  return pages.ok ? ok(pages.value.flatMap((page) => page.items ?? [])) : pages;
};

const networksOf = async (session: Session, project: string, region: string): Promise<Result<Offers['networks']>> => {
  const networks = await all(session, `${project}/global/networks`, thingSchema);
  if (!networks.ok) return networks;
  const subnets = await all(session, `${project}/regions/${region}/subnetworks`, subnetSchema);
  if (!subnets.ok) return subnets;
  return ok(
    networks.value.map(({ name }) => ({
      name,
      subnets: subnets.value.filter((subnet) => lastOf(subnet.network) === name).map((subnet) => ({ name: subnet.name, title: subnet.ipCidrRange ?? '' })),
    })),
  );
};

/** Regions of all; zones, sizes and networks of one. `place`: a region or a zone. */
export const readOffers = async (session: Session, projectId: string | undefined, place: string | undefined): Promise<Result<Offers>> => {
  const name = projectId ?? session.settings.project;
  if (name === undefined) return fail('blocked', 'choice-missing', 'Google project', 'neither the placement nor the account names one');
  const project = `/projects/${encodeURIComponent(name)}`;
  const regions = await all(session, `${project}/regions`, regionSchema);
  if (!regions.ok) return regions;
  const offers: Offers = { regions: regions.value.map((item) => ({ name: item.name })), zones: [], sizes: [], images, networks: [] };
  const region = regions.value.find((item) => item.name === place || item.zones.some((zone) => lastOf(zone) === place));
  const zones = (region?.zones ?? []).flatMap((zone) => lastOf(zone) ?? []).toSorted();
  const [zone] = zones;
  if (region === undefined || zone === undefined) return ok(offers);
  const sizes = await all(session, `${project}/zones/${zone}/machineTypes`, sizeSchema);
  if (!sizes.ok) return sizes;
  const networks = await networksOf(session, project, region.name);
  if (!networks.ok) return networks;
  const sorted = sizes.value.toSorted((a, b) => a.guestCpus - b.guestCpus || a.memoryMb - b.memoryMb);
  return ok({ ...offers, zones, sizes: sorted.map((item) => ({ name: item.name, cpus: item.guestCpus, memoryMiB: item.memoryMb })), networks: networks.value });
};
