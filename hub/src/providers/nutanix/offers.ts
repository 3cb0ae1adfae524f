import { ok, type Result } from '@groundplane/protocol/failure';
import type { AccountFacts, Offers, ProviderDeps } from '../../port/provider.ts';
import { usualSizes } from '../size.ts';
import { namedSchema, subnetSchema } from './choices.ts';
import { apis, type Api, type Session } from './session.ts';

const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name);

export const readOffers = async (session: Session): Promise<Result<Offers>> => {
  const clusters = await session.list('clusters', namedSchema);
  if (!clusters.ok) return clusters;
  const images = await session.list('images', namedSchema);
  if (!images.ok) return images;
  const subnets = await session.list('subnets', subnetSchema);
  if (!subnets.ok) return subnets;
  const clusterNames = new Map(clusters.value.map((item) => [item.extId, item.name]));
  const names = clusters.value.map((item) => ({ name: item.name })).toSorted(byName);
  return ok({
    regions: [],
    zones: names.map((item) => item.name),
    sizes: usualSizes,
    images: images.value.map((item) => ({ name: item.name, title: item.extId })).toSorted(byName),
    networks: subnets.value
      .map((item) => {
        const cluster = clusterNames.get(item.clusterReference ?? item.clusterReferenceList?.[0] ?? '');
        return cluster === undefined ? { name: item.name } : { name: item.name, title: `${item.name} (${cluster})` };
      })
      .toSorted(byName),
    other: { clusters: names },
  });
};

/** Reads one of each list. What may be written is in the account's role, which needs rights of its own to be read. */
export const checkAccount = async (session: Session, secret: ProviderDeps<'nutanix'>['secret']): Promise<Result<AccountFacts>> => {
  const missing: string[] = [];
  const probes: Api[] = ['clusters', 'subnets', 'images', 'vms', 'categories'];
  for (const api of probes) {
    const answer = await session.call({ method: 'GET', api, query: { $limit: '1' } });
    if (!answer.ok && answer.failure.code !== 'permission-missing') return answer;
    if (!answer.ok) missing.push(`view of ${apis[api]}`);
  }
  return ok({ identity: secret.type === 'api-key' ? 'API key' : `user ${secret.username}`, missing, unchecked: ['what may be created and deleted'] });
};
