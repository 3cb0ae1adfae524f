import { createState } from '@groundplane/agent/store/state';
import { isSameVersion } from '@groundplane/protocol/version';
import { holderOf, idOf, sharedId } from './apart.ts';
import { brokenVersion, versionCount, versionName } from './profiles.ts';
import type { FakeHubDisk } from '../fake/hub-store.ts';
import type { RunOptions } from './run.ts';
import { createWorld, project, tenant, type Site, type World } from './world.ts';

const problem = (text: string): Error => new Error(`shared: ${text}`);

/** People who move the cluster between versions and its hosts in and out. A broken version is for the other simulation: here the point is who applies. */
const people = (world: World) => {
  let [version, members, isDeleting] = [1, world.sites.slice(0, 1), false];
  const put = async (): Promise<void> =>
    void (await world.hub()?.store.commit([
      {
        op: 'put',
        kind: 'cluster',
        tenant,
        id: sharedId,
        project,
        name: 'shared',
        value: {
          labels: {},
          spec: { profiles: [{ name: 'site', version: versionName(version) }], variables: {}, hosts: members.map((site) => site.name) },
          deleting: isDeleting,
        },
      },
    ]));
  return {
    members: (): readonly Site[] => members,
    put,
    setVersion: async (): Promise<string> => {
      const next = 1 + world.random.integer(versionCount);
      version = next === brokenVersion ? 1 : next;
      await put();
      return `the cluster shall run ${version}`;
    },
    setMembers: async (): Promise<string> => {
      // Whoever applied alone is not taken out before it has handed over: what it knew would go with it.
      const isHandedOver = holderOf(world.sites[0]!.cluster) !== undefined;
      const some = world.sites.filter((site) => world.random.fraction() < 0.7 || (!isHandedOver && members.includes(site)));
      members = some.length === 0 ? [world.random.pick(world.sites)] : some;
      if (world.random.fraction() < 0.3) members.reverse();
      await put();
      return `its hosts are ${members.map((site) => site.name).join(', ')}`;
    },
    /** The holder is taken out and does not hear of it, while it has something to do. */
    oust: async (): Promise<string> => {
      const holder = world.sites.find((site) => idOf(site) === holderOf(site.cluster));
      if (holder === undefined || members.length < 2) return '';
      world.setConnected(holder, false);
      members = members.filter((site) => site !== holder);
      await put();
      return `${holder.name} is taken out and does not hear of it`;
    },
    remove: async (): Promise<void> => {
      isDeleting = true;
      await put();
    },
  };
};

const ours = (world: World) =>
  world.sites[0]?.cluster.objects().filter((object) => object.metadata.labels?.['groundplane.dev/managed'] === 'true' && object.kind !== 'Namespace') ?? [];

const checkAlways = (world: World): void => {
  if (world.faults.length > 0) throw problem(world.faults[0] ?? '');
  const precious = world.sites[0]?.cluster.objects().find((object) => object.metadata.name === 'precious');
  if (JSON.stringify(precious?.['data']) !== '{"keep":"me"}') throw problem("somebody else's object was touched");
};

/** All is as desired, one of those that may holds the Lease, and what is in the cluster is what its generation says. */
const checkConverged = (world: World, members: readonly Site[]): void => {
  for (const site of members) {
    const state = createState(site.disk);
    const desired = [...world.disk().rows.values()].find((row) => row.kind === 'desired' && row.id === idOf(site));
    const status = site.agent?.engine.status();
    const want = desired?.kind === 'desired' ? desired.value.version : undefined;
    if (status?.phase !== 'converged' || !isSameVersion(state.slot('good')?.version, want))
      throw problem(
        `${site.name} is ${String(status?.phase)} at ${JSON.stringify(status?.version)}, wanted ${JSON.stringify(want)}: ${JSON.stringify(status?.kubernetes)} ${JSON.stringify(status?.failure)}`,
      );
  }
  const holders = members.filter((site) => site.agent?.engine.status().kubernetes.applier === 'holds');
  const isShared = members.some((site) => createState(site.disk).slot('current')?.desired.cluster?.lease !== undefined);
  const [first] = members;
  const holder = isShared ? holders[0] : members.find((site) => createState(site.disk).slot('current')?.desired.cluster?.applier === true);
  if (isShared && (holders.length !== 1 || idOf(holders[0] ?? first!) !== holderOf(members[0]!.cluster)))
    throw problem(
      `${holders.map((site) => site.name).join(', ') || 'nobody'} says that it applies, and ${String(holderOf(members[0]!.cluster))} holds the Lease`,
    );
  if (holder === undefined) throw problem('nobody applies');
  const state = createState(holder.disk);
  const wanted = new Map<string, string>(
    (state.slot('good')?.bundle?.layers ?? []).flatMap((layer) =>
      layer.objects.map((object) => [`${object.ref.kind}/${object.ref.namespace ?? ''}/${object.ref.name}`, object.digest] as const),
    ),
  );
  for (const object of ours(world)) {
    const key = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
    if (JSON.stringify(object).includes('meddled')) throw problem(`${key} is still as the meddler left it`);
    if (!wanted.delete(key)) throw problem(`${key} is left over`);
  }
  const [missing] = wanted.keys();
  if (missing !== undefined) throw problem(`${missing} is missing`);
  const healed = state.objects().find((record) => record.uid === '');
  if (healed !== undefined) throw problem(`${healed.ref.name} is there, and its record does not say which it is`);
};

const meddle = async (world: World): Promise<string> => {
  const mine = ours(world).filter((object) => object.kind === 'ConfigMap');
  if (mine.length === 0) return 'nothing to meddle with';
  const { metadata } = world.random.pick(mine);
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: metadata.name ?? '', namespace: metadata.namespace ?? '' } };
  await world.sites[0]?.cluster.apply({ ...ref, data: { value: 'meddled' } }, { fieldManager: 'meddler', force: true });
  return `somebody changes ConfigMap ${metadata.name ?? ''}`;
};

/** One seed: hosts of one cluster lose power, hub and API server at random; nobody may ever write without the Lease, and in the end all is well. */
export const runShared = async (options: RunOptions): Promise<void> => {
  const world = await createWorld({ seed: options.seed, sites: options.sites ?? 3, isShared: true });
  const act = people(world);
  const { random } = world;
  const say = (text: string): void => options.trace?.(`${Math.round(world.clock.monotonicMs())} ms  ${text}`);

  let backup: FakeHubDisk | undefined;
  const step = async (): Promise<string> => {
    const site = random.pick(world.sites);
    const dice = random.fraction();
    if (dice < 0.12) return act.setVersion();
    if (dice < 0.18) return act.setMembers();
    if (dice < 0.32) {
      site.life?.dieAt(1 + random.integer(60), random.fraction() < 0.5);
      return `${site.name} will die at one of its next contacts`;
    }
    if (dice < 0.36) {
      world.crash(site);
      return `${site.name} dies`;
    }
    if (dice < 0.46) {
      world.setConnected(site, !site.isConnected);
      return `${site.name} is ${site.isConnected ? 'connected' : 'cut off'}`;
    }
    if (dice < 0.62) {
      site.isApart = !site.isApart;
      return `${site.name} ${site.isApart ? 'does not reach' : 'reaches'} the API server`;
    }
    if (dice < 0.7) return meddle(world);
    if (dice < 0.74) {
      if (world.hub() === undefined) return '';
      world.crashHub();
      if (backup === undefined || random.fraction() < 0.7) return 'the hub dies';
      world.restore(backup);
      return 'the hub dies and comes back from a backup';
    }
    if (dice < 0.78) {
      site.disk.failNext({ kind: 'blocked', code: 'disk-full', element: 'disk', message: 'full' });
      return `${site.name}: disk is full for a moment`;
    }
    if (dice < 0.82) {
      site.cluster.pause();
      world.clock.after(random.fraction() * 60_000, () => site.cluster.resume());
      return 'the API server is away';
    }
    if (dice < 0.88) {
      // Best in the middle of its work.
      const busy = world.sites.find((item) => idOf(item) === holderOf(item.cluster)) ?? site;
      const text = await act.setVersion();
      await world.clock.advance(random.fraction() * 1_500);
      const thaw = Promise.withResolvers<void>();
      busy.frozen = thaw.promise;
      world.clock.after(20_000 + random.fraction() * 60_000, () => {
        busy.frozen = undefined;
        thaw.resolve();
      });
      return `${text}, and ${busy.name} stands still for a while`;
    }
    if (dice < 0.93) {
      const text = await act.oust();
      for (let times = 0; text !== '' && times < 20; times += 1) {
        await meddle(world);
        await world.clock.advance(random.fraction() * 3_000);
      }
      return text;
    }
    if (dice < 0.94) {
      backup = world.backup();
      return 'the hub is backed up';
    }
    return '';
  };

  await act.put();
  for (let index = 0; index < options.steps; index += 1) {
    const text = await step();
    if (text !== '') say(text);
    await world.clock.advance(random.fraction() * (random.fraction() < 0.2 ? 60_000 : 3_000));
    for (const site of world.sites)
      if (site.life?.isDead() !== false && random.fraction() < 0.2) {
        say(`${site.name} boots`);
        world.boot(site);
      }
    if (world.hub() === undefined && random.fraction() < 0.3) await world.startHub();
    checkAlways(world);
  }
  say('healing');
  if (world.hub() === undefined) await world.startHub();
  await act.put();
  for (const site of world.sites) {
    world.setConnected(site, true);
    site.isApart = false;
    site.cluster.resume();
    site.life?.dieAt(Infinity, false);
    if (site.life?.isDead() !== false) world.boot(site);
  }
  const rest = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute += 1) {
      await world.clock.advance(60_000);
      checkAlways(world);
    }
  };
  await rest(30);
  checkConverged(world, act.members());
  say('deleting');
  await act.remove();
  await rest(20);
  const [left] = ours(world);
  if (left !== undefined) throw problem(`${left.kind} ${left.metadata.name ?? ''} is left over of a cluster that was deleted`);
  if (holderOf(world.sites[0]!.cluster) !== undefined) throw problem('the Lease is left over');
  for (const site of world.sites) world.crash(site);
  world.crashHub();
};
