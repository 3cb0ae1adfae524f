import type { Catalogue } from '@groundplane/protocol/environment/catalogue';
import type { Pool } from '@groundplane/protocol/environment/pool';
import { ok, type Failure } from '@groundplane/protocol/failure';
import { imageFor, regionOf } from '../plan/catalogue.ts';
import type { ImageChoice, MachineProvider } from '../port/provider.ts';
import { catalogueOf } from './catalogue.ts';
import type { PoolImage } from './state.ts';
import { event, type Turn } from './turn.ts';

/** How long an image is taken for the newest; makers bring one out every week or two. */
const lookMs = 6 * 3_600_000;
/** After a look that failed. */
const againMs = 15 * 60_000;

type ImagesTurn = Turn & { provider: Pick<MachineProvider, 'resolveImage'> };

/** A person took the newer one: from now on it is the pool's, and the others are of an older generation. */
const taken = async (turn: ImagesTurn, pool: Pool, image: PoolImage): Promise<PoolImage> => {
  const { newer, ...rest } = image;
  if (newer === undefined || turn.infra.approvedImages?.[pool.name] !== newer) return image;
  await turn.deps.store.commit([event(turn, 'normal', 'ImageTaken', `pool ${pool.name}: ${image.name} is ${newer} from now on; it was ${image.exact}`)]);
  return { ...rest, exact: newer, isChosen: true };
};

const look = async (turn: ImagesTurn, pool: Pool, choice: ImageChoice, before: PoolImage | undefined): Promise<PoolImage | Failure> => {
  const { provider, scope, nowMs } = turn;
  const { name } = choice;
  const found =
    provider.resolveImage === undefined
      ? ok({ exact: choice.amd64 ?? choice.arm64 ?? name, title: undefined })
      : await provider.resolveImage(scope, pool.size, choice);
  if (!found.ok) return before === undefined ? found.failure : { ...before, lookedMs: nowMs - lookMs + againMs };
  const { exact, title } = found.value;
  const fresh: PoolImage = { name, size: pool.size, exact, ...(title === undefined ? {} : { title }), lookedMs: nowMs };
  if (before === undefined) return fresh;
  const { newer: _newer, ...rest } = before;
  if (exact === before.exact) return { ...rest, lookedMs: nowMs };
  if (exact !== before.newer)
    await turn.deps.store.commit([
      event(
        turn,
        'normal',
        'ImageAvailable',
        `pool ${pool.name}: there is a newer ${name}, ${exact}; its machines run ${before.exact}. Take it: gp pool repave ${turn.row.name} ${pool.name}`,
      ),
    ]);
  return { ...rest, newer: exact, lookedMs: nowMs };
};

/**
 * What the images of the pools mean, exactly: found once, kept, so that all machines of a pool are made from the same one however late they come. A newer one is
 * only told; it replaces machines when somebody takes it, or comes with the next change of image or size. A catalogue that has the name no more changes nothing
 * of that. Answers why a pool's machines cannot be made now.
 */
export const pinImages = async (turn: ImagesTurn): Promise<Map<string, Failure>> => {
  const { infra, spec, nowMs } = turn;
  const failures = new Map<string, Failure>();
  const named = spec.pools.filter((pool) => pool.image !== undefined);
  const images: Record<string, PoolImage> = {};
  let catalogue: Catalogue | undefined;
  for (const pool of named) {
    const kept = infra.images?.[pool.name];
    const before = kept !== undefined && kept.name === pool.image && kept.size === pool.size ? await taken(turn, pool, kept) : undefined;
    if (before !== undefined && nowMs - before.lookedMs < lookMs) {
      images[pool.name] = before;
      continue;
    }
    catalogue ??= await catalogueOf(turn.deps.store, turn.row.tenant);
    const choice = imageFor(catalogue, spec.environment, regionOf(spec), pool.image ?? '');
    const now = choice === undefined ? before : await look(turn, pool, choice, before);
    if (now === undefined) continue;
    if ('code' in now) failures.set(pool.name, now);
    else images[pool.name] = now;
  }
  if (Object.keys(images).length > 0 || infra.images !== undefined) infra.images = images;
  return failures;
};
