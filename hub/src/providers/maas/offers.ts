import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts, Offers } from '../../port/provider.ts';
import { usualSizes } from '../size.ts';
import { machineSchema, type Scope } from './machine.ts';
import { whoAmI } from './machines.ts';
import type { Session } from './session.ts';

type Placement = Scope['placement'];
const named = z.array(z.object({ name: z.string() }));
const imageSchema = z.array(z.object({ name: z.string(), type: z.string().nullish(), title: z.string().nullish() }));
const subnetSchema = z.array(z.object({ name: z.string(), cidr: z.string(), vlan: z.object({ fabric: z.string().nullish() }).nullish() }));

const names = async (session: Session, path: string): Promise<Result<{ name: string }[]>> => {
  const found = await session.read({ method: 'GET', path }, named);
  return found.ok ? ok(found.value.map(({ name }) => ({ name })).toSorted((a, b) => a.name.localeCompare(b.name))) : found;
};

/** Sizes are what stands there free, the smallest first. */
const freeSizes = async (session: Session, pool: string | undefined): Promise<Result<Offers['sizes']>> => {
  const query: [string, string][] = [['status', 'ready'], ...(pool === undefined ? [] : [['pool', pool] satisfies [string, string]])];
  const found = await session.read({ method: 'GET', path: 'machines/', query }, z.array(machineSchema));
  if (!found.ok) return found;
  const counts = new Map<string, { cpus: number; memoryMiB: number; count: number }>();
  for (const machine of found.value) {
    const size = { cpus: machine.cpu_count, memoryMiB: Math.floor(machine.memory / 1_024) * 1_024 };
    if (size.cpus < 1 || size.memoryMiB < 1_024) continue;
    const name = `${size.cpus}x${size.memoryMiB / 1_024}`;
    counts.set(name, { ...size, count: (counts.get(name)?.count ?? 0) + 1 });
  }
  const sizes = [...counts].map(([name, { cpus, memoryMiB, count }]) => ({ name, cpus, memoryMiB, note: `${count} free` }));
  return ok(sizes.length === 0 ? usualSizes : sizes.toSorted((a, b) => a.cpus - b.cpus || a.memoryMiB - b.memoryMiB));
};

export const readOffers = async (session: Session, placement: Partial<Placement>): Promise<Result<Offers>> => {
  const zones = await names(session, 'zones/');
  if (!zones.ok) return zones;
  const pools = await names(session, 'resourcepools/');
  if (!pools.ok) return pools;
  const domains = await names(session, 'domains/');
  if (!domains.ok) return domains;
  const tags = await names(session, 'tags/');
  if (!tags.ok) return tags;
  const sizes = await freeSizes(session, placement.resourcePool);
  if (!sizes.ok) return sizes;
  const images = await session.read({ method: 'GET', path: 'boot-resources/' }, imageSchema);
  if (!images.ok && images.failure.code !== 'permission-missing') return images;
  const subnets = await session.read({ method: 'GET', path: 'subnets/' }, subnetSchema);
  if (!subnets.ok) return subnets;
  const titles = new Map((images.ok ? images.value : []).map((item) => [item.name.includes('/') ? item.name : `custom/${item.name}`, item.title]));
  return ok({
    regions: [],
    zones: zones.value.map((zone) => zone.name),
    sizes: sizes.value,
    images: [...titles].map(([name, title]) => (title === null || title === undefined || title === '' ? { name } : { name, title })),
    networks: subnets.value.map((subnet) => ({ name: subnet.name, title: subnet.cidr })),
    other: { resourcePools: pools.value, domains: domains.value, machineTags: tags.value },
  });
};

/** Pool and domain that a placement names are there. There is no network to make. */
export const checkPlacement = async (session: Session, placement: Placement): Promise<Result<void>> => {
  for (const [what, wanted, path] of [
    ['resource pool', placement.resourcePool, 'resourcepools/'],
    ['domain', placement.domain, 'domains/'],
  ] as const) {
    if (wanted === undefined) continue;
    const there = await names(session, path);
    if (!there.ok) return there;
    if (!there.value.some((item) => item.name === wanted))
      return fail('blocked', 'choice-missing', `MAAS ${what} ${wanted}`, `there is none that this key sees; there are: ${there.value.map((item) => item.name).join(', ')}`); // prettier-ignore
  }
  return ok(undefined);
};

export const checkAccount = async (session: Session, placement: Placement | undefined): Promise<Result<AccountFacts>> => {
  const user = await whoAmI(session);
  if (!user.ok) return user;
  const version = await session.read({ method: 'GET', path: 'version/' }, z.object({ version: z.string() }));
  if (!version.ok) return version;
  const checked = placement === undefined ? ok(undefined) : await checkPlacement(session, placement);
  if (!checked.ok) return checked;
  return ok({ identity: `user ${user.value} at MAAS ${version.value.version}`, missing: [], unchecked: ['whether the user may deploy in the resource pool'] });
};
