import type { Desired, DesiredLease } from '@groundplane/protocol/bundle';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { mayMakeLease, planDuty, type Duty } from '@groundplane/protocol/plan/duty';
import { sleep, type Clock } from '../port/clock.ts';
import type { Cluster } from '../port/cluster.ts';
import type { AgentWrite } from '../port/store.ts';
import { writes, type State } from '../store/state.ts';
import { forgetPacks, hasInventory, loadInventory, saveInventory, tryInventory, type InventoryPlace } from './inventory.ts';
import { createLease, leaseRef, marginMs, renewMs, type Lease } from './lease.ts';

/** What this host remembers of its part: of which cluster, by which rule, and whose memory it has. */
interface Memory {
  cluster: string;
  lease: DesiredLease;
  /** The holding that its records of layers are of; `laid-down`: they are of before there was a Lease, and lie in the cluster. */
  term: string;
}
/** That its hosts share the duty, by which list, and whether the Lease was there under it. */
interface Shared {
  cluster: string;
  sinceMs: number;
  wasThere: boolean;
}
const sharedKey = 'shared';
const laidDown = 'laid-down';
const memoryKey = 'duty';
const noMemory: AgentWrite[] = [memoryKey, 'inventory'].map((key) => ({ table: 'kv', key, value: null }));

interface Part {
  cluster: string;
  order: DesiredLease;
  lease: Lease;
  place: InventoryPlace;
  /** The Lease is gone, and what was laid down with it: whoever cleared the cluster does not find it full again. */
  isCleared: boolean;
}

/** Names in the cluster, since several clusters of the hub, or of several hubs, may use one Kubernetes. */
const nameOf = (cluster: string): string => cluster.replaceAll('_', '-');
export const dutyLease = (cluster: string) => ({ ...leaseRef, name: `groundplane-${nameOf(cluster)}` });

/** Failures that only say that somebody else was quicker. */
const races: readonly string[] = ['conflict', 'exists'];

/**
 * The duty to apply to a Kubernetes that was there before its hosts: whoever holds the cluster's Lease has it. As with the keeper, what is owned lies in the
 * cluster for the next holder; here nobody writes anything without the Lease, since a holder that was cut off may come back in the middle of a plan.
 */
export const createDuty = (deps: { state: State; clock: Clock; cluster: () => Cluster | undefined; onChange: (isHeld: boolean) => void }) => {
  const { state, clock } = deps;
  const tried = new WeakMap<Cluster, Result<unknown>>();
  let part: Part | undefined;

  const self = (): string => state.kv<{ host: string }>('host')?.host ?? '';
  const memory = (): Memory | undefined => state.kv<Memory>(memoryKey);
  const shared = (): Shared | undefined => state.kv<Shared>(sharedKey);
  const ownMemory = (): Memory | undefined => (memory()?.cluster === part?.cluster ? memory() : undefined);
  const remember = (cluster: string, lease: DesiredLease, term: string): Result<void> => state.commit([writes.kv(memoryKey, { cluster, lease, term })]);
  /** A host that was let in anew by a hub that had forgotten it is another one than it was told of. */
  const isMember = (): boolean => part?.order.hosts.includes(self()) === true;
  const able = (): Cluster | undefined => {
    const cluster = deps.cluster();
    return cluster !== undefined && isMember() && tried.get(cluster)?.ok === true ? cluster : undefined;
  };
  /** Held, and with the memory that belongs to it. */
  const isReady = (forMs: number): boolean => part !== undefined && part.lease.isHeld(forMs) && ownMemory()?.term === part.lease.term();

  /** There was a Lease, this host did not hold it, and nothing says that it may be made again. */
  const isLost = ({ cluster, order, isCleared }: Part): boolean =>
    isCleared && memory()?.cluster !== cluster && shared()?.sinceMs === order.sinceMs && shared()?.wasThere === true;

  const enter = (cluster: string, order: DesiredLease): Part => {
    if (part?.cluster === cluster) {
      part.order = order;
      return part;
    }
    const next: Part = {
      cluster,
      order,
      isCleared: false,
      place: { namespace: leaseRef.namespace, of: nameOf(cluster) },
      lease: createLease({
        self,
        clock,
        cluster: able,
        onChange: () => deps.onChange(next.lease.isHeld()),
        ref: dutyLease(cluster),
        mayMake: () => part === next && mayMakeLease(next.order, self(), memory()?.cluster === cluster) && !isLost(next),
        members: () => next.order,
      }),
    };
    return (part = next);
  };

  /** Whoever applied before there was a Lease lays down what it owns before it makes one: a Lease that is there means that others can go on. */
  const layDown = async (cluster: Cluster, { cluster: id, order, place }: Part): Promise<Result<void>> => {
    if (order.from !== self() || ownMemory() !== undefined) return ok(undefined);
    const there = await cluster.get(dutyLease(id));
    if (there.ok) return ok(undefined);
    if (there.failure.code !== 'not-found') return there;
    // What an earlier keeper's turn left noted is of other objects.
    state.commit([writes.kv('inventory', {})]);
    const saved = await saveInventory(cluster, state, place);
    return saved.ok ? remember(id, order, laidDown) : saved;
  };

  /** A Lease that somebody deleted is made again as long as there is something to go on with. */
  const seeLoss = async (cluster: Cluster, now: Part): Promise<Result<void>> => {
    // Not by the look in between: until it was asked, it may not.
    now.isCleared = true;
    if (!isLost(now)) return ok(undefined);
    const there = await cluster.get(dutyLease(now.cluster));
    const left = there.ok || there.failure.code !== 'not-found' ? ok(true) : await hasInventory(cluster, now.place);
    if (left.ok) now.isCleared = !left.value;
    return left.ok ? ok(undefined) : left;
  };

  /** The records of layers become those of the holder before, unless they are its very own. */
  const learn = async (cluster: Cluster, { cluster: id, order, place, lease }: Part): Promise<Result<boolean>> => {
    const term = lease.term() ?? '';
    const known = ownMemory()?.term;
    const isOwn = known === term || (known === laidDown && lease.transitions() === 0);
    const loaded = isOwn ? ok(undefined) : await loadInventory(cluster, state, place);
    if (!loaded.ok) return loaded;
    const kept = known === term ? ok(undefined) : remember(id, order, term);
    return kept.ok ? ok(!isOwn) : kept;
  };

  const noteThere = (): void => {
    const before = shared();
    if (before?.wasThere === false) state.commit([writes.kv(sharedKey, { ...before, wasThere: true })]);
  };

  /** Rights are asked for once a connection, before the Lease: a host that cannot pass on what it knows must not hold it. */
  const tryRights = async (cluster: Cluster, place: InventoryPlace): Promise<Result<unknown>> => {
    const known = tried.get(cluster);
    if (known?.ok === true) return known;
    const now = await tryInventory(cluster, place);
    tried.set(cluster, now);
    return now;
  };

  const turn = async (cluster: Cluster, now: Part): Promise<Result<{ isHeld: boolean; isNew: boolean }>> => {
    if (!isMember()) return ok({ isHeld: false, isNew: false });
    const rights = await tryRights(cluster, now.place);
    if (!rights.ok) return rights;
    const laid = await layDown(cluster, now);
    if (!laid.ok) return laid;
    const loss = await seeLoss(cluster, now);
    if (!loss.ok) return loss;
    const isHeld = await now.lease.check();
    if (now.lease.holder() !== undefined) noteThere();
    now.isCleared = true;
    const failure = now.lease.failure();
    if (!isHeld) return failure === undefined || races.includes(failure.code) ? ok({ isHeld, isNew: false }) : { ok: false, failure };
    const learnt = await learn(cluster, now);
    return learnt.ok ? ok({ isHeld, isNew: learnt.value }) : learnt;
  };

  /** Somebody else looks after the layers now: what this host knew of them is over. */
  const forget = (): void => {
    const gone = forgetPacks(state);
    if (memory() !== undefined || gone.length > 0) state.commit([...gone, ...noMemory]);
  };

  const end = async (cluster: string | undefined): Promise<void> => {
    await part?.lease.release();
    part = undefined;
    if (memory() !== undefined) state.commit(noMemory);
    const before = shared();
    // Not with the cluster: a hub that forgot may give it back as if nobody had ever shared it.
    if (before !== undefined && cluster !== undefined && before.cluster !== cluster) state.commit([{ table: 'kv', key: sharedKey, value: null }]);
  };

  /**
   * The rule to go by: what is wanted; for a cluster that is torn down whole, what was; and for one whose hub has forgotten (a back-up) that its hosts shared the
   * duty, the Lease still: whoever holds it may not have heard.
   */
  const orderOf = ({ cluster, detached }: Desired): { cluster: string; lease: DesiredLease } | undefined => {
    if (cluster === undefined) return detached === true ? undefined : memory();
    if (cluster.lease !== undefined) return { cluster: cluster.id, lease: cluster.lease };
    const before = shared();
    if (!cluster.applier || cluster.site !== undefined || before?.cluster !== cluster.id) return undefined;
    return { cluster: cluster.id, lease: { hosts: [self()], sinceMs: before.sinceMs + 1 } };
  };

  const noteShared = ({ cluster }: Desired): void => {
    const before = shared();
    if (cluster?.lease === undefined || (before?.cluster === cluster.id && before.sinceMs === cluster.lease.sinceMs)) return;
    state.commit([writes.kv(sharedKey, { cluster: cluster.id, sinceMs: cluster.lease.sinceMs, wasThere: false } satisfies Shared)]);
  };

  /** What this host is right now. Undefined: it shares the duty with nobody. `isNew`: its records are another holder's since this look. */
  const look = async (desired: Desired, connect: () => Promise<Result<unknown>>): Promise<{ duty: Duty; applier: boolean; isNew: boolean } | undefined> => {
    const order = orderOf(desired);
    if (order === undefined || (part !== undefined && part.cluster !== order.cluster)) await end(desired.cluster?.id);
    noteShared(desired);
    if (order === undefined) return undefined;
    const now = enter(order.cluster, order.lease);
    const connection = await connect();
    const cluster = deps.cluster();
    const failure: Failure = { kind: 'retry', code: 'api-unreachable', element: 'Kubernetes', message: 'there is no connection to the API server' };
    const done = !connection.ok ? connection : cluster === undefined ? { ok: false as const, failure } : await turn(cluster, now);
    const holder = now.lease.holder();
    const isOther = done.ok && holder !== undefined && holder !== self();
    if (isOther) forget();
    const decided = planDuty({
      self: self(),
      lease: order.lease,
      obstacle: done.ok ? undefined : done.failure,
      isHeld: done.ok && done.value.isHeld,
      holder,
      isCleared: done.ok && holder === undefined && isLost(now),
      wasHolder: ownMemory() !== undefined && ownMemory()?.term !== laidDown,
    });
    return { ...decided, isNew: done.ok && done.value.isNew };
  };

  /** What was done goes into the cluster for the next holder; when nothing is left of a cluster that is torn down, the Lease goes too. */
  const save = async (desired: Desired): Promise<Result<void>> => {
    const cluster = able();
    if (part === undefined || cluster === undefined || !isReady(marginMs)) return ok(undefined);
    const saved = await saveInventory(cluster, state, part.place);
    // Whoever may not write it any more lets the Lease run out.
    if (!saved.ok && saved.failure.kind !== 'retry') tried.set(cluster, saved);
    if (!saved.ok || desired.cluster !== undefined || state.objects().length > 0 || state.layers().length > 0) return saved;
    // From here on it is not renewed either, since that would make it again.
    const ending = part;
    part = undefined;
    const gone = await cluster.delete(dutyLease(ending.cluster), { propagation: 'Background' });
    if (gone.ok) return state.commit(noMemory);
    part = ending;
    return gone;
  };

  const lost = fail('retry', 'lease-lost', 'Kubernetes', 'another host may apply now');
  /** Whether anything may be begun: the Lease is held for long enough still, or nobody shares the duty. */
  const mayGoOn = (): Result<void> => (part === undefined || isReady(marginMs) ? ok(undefined) : lost);

  /** Lets nothing be written without the Lease. */
  const fence = (cluster: Cluster): Cluster => {
    const guarded =
      <A extends unknown[], T>(write: (...args: A) => Promise<Result<T>>) =>
      async (...args: A): Promise<Result<T>> =>
        mayGoOn().ok ? write(...args) : lost;
    return {
      ...cluster,
      apply: guarded(cluster.apply.bind(cluster)),
      create: guarded(cluster.create.bind(cluster)),
      replace: guarded(cluster.replace.bind(cluster)),
      delete: guarded(cluster.delete.bind(cluster)),
    };
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await sleep(clock, renewMs, signal);
      if (signal.aborted) return;
      // What could not be learnt when the Lease came is asked for again.
      if ((await part?.lease.check()) === true && !isReady(0)) deps.onChange(true);
    }
  };

  return { look, save, mayGoOn, fence, run };
};
