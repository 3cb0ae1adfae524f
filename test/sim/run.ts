import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { createInvariants } from './invariants.ts';
import { versionCount, versionName } from './profiles.ts';
import type { FakeHubDisk } from '../fake/hub-store.ts';
import { createWorld, project, tenant, type Site, type World } from './world.ts';

export interface RunOptions {
  seed: number;
  steps: number;
  sites?: number;
  /** Called with each thing that happens, for reading a failed seed. */
  trace?: (text: string) => void;
}

/** Ids have a fixed form; the last digits are the number of the site. */
const clusterId = (site: Site): string => `clu_${site.name.replace(/\D/g, '').padStart(20, '0')}`;

/** People at the hub: they create clusters, move them between versions, set macros, delete and create again. */
const people = (world: World) => {
  const put = async (site: Site, version: number, deleting = false): Promise<void> => {
    await world.hub()?.store.commit([
      {
        op: 'put',
        kind: 'cluster',
        tenant,
        id: clusterId(site),
        project,
        name: site.name,
        value: { labels: {}, spec: { profiles: [{ name: 'site', version: versionName(version) }], variables: {}, hosts: [site.name] }, deleting },
      },
    ]);
  };
  return {
    setVersion: async (site: Site): Promise<string> => {
      const version = 1 + world.random.integer(versionCount);
      await put(site, version);
      return `${site.name} shall run ${version}`;
    },
    setMacro: async (): Promise<string> => {
      const value = `color-${world.random.integer(5)}`;
      await world.hub()?.store.commit([{ op: 'put', kind: 'macro', tenant, id: 'mac_color', project, name: 'color', value: { value } }]);
      return `macro color = ${value}`;
    },
    remove: async (site: Site): Promise<string> => {
      await put(site, 1, true);
      return `${site.name} is deleted`;
    },
  };
};

/** Somebody at the site changes by hand what we own. */
const meddle = async (world: World, site: Site): Promise<string> => {
  const mine = site.cluster.objects().filter((object) => object.metadata.labels?.['groundplane.dev/managed'] === 'true' && object.kind !== 'Namespace');
  if (mine.length === 0) return 'nothing to meddle with';
  const object = world.random.pick(mine);
  const identity: KubeObject = {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: { name: object.metadata.name ?? '', namespace: object.metadata.namespace ?? '' },
  };
  if (world.random.fraction() < 0.5) {
    await site.cluster.delete(
      { apiVersion: object.apiVersion, kind: object.kind, name: object.metadata.name ?? '', namespace: object.metadata.namespace ?? '' },
      { propagation: 'Background' },
    );
    return `${site.name}: somebody deletes ${object.kind} ${object.metadata.name}`;
  }
  const change =
    object.kind === 'ConfigMap' ? { data: { value: 'meddled' } } : { metadata: { ...identity.metadata, labels: { 'groundplane.dev/layer': 'other' } } };
  await site.cluster.apply({ ...identity, ...change }, { fieldManager: 'meddler', force: true });
  return `${site.name}: somebody changes ${object.kind} ${object.metadata.name}`;
};

const wallJumps = [-56 * 365 * 86_400_000, -86_400_000, 2 * 365 * 86_400_000, 0] as const;

/** One seed: random faults and changes for some steps, then everything heals and must converge. Throws at the first broken invariant. */
export const runSeed = async (options: RunOptions): Promise<{ events: number }> => {
  const world = await createWorld({ seed: options.seed, sites: options.sites ?? 2 });
  const invariants = createInvariants(world);
  const act = people(world);
  const say = (text: string): void => options.trace?.(`${Math.round(world.clock.monotonicMs())} ms  ${text}`);
  let backup: FakeHubDisk | undefined;
  const { random } = world;

  const hubDown = (): string => {
    if (world.hub() === undefined) return 'hub is down already';
    world.crashHub();
    if (backup !== undefined && random.fraction() < 0.15) {
      world.restore(backup);
      return 'hub dies and comes back from a backup';
    }
    return 'hub dies';
  };

  const step = async (): Promise<string> => {
    const site = random.pick(world.sites);
    const dice = random.fraction();
    if (dice < 0.2) return act.setVersion(site);
    if (dice < 0.24) return act.setMacro();
    if (dice < 0.26) return act.remove(site);
    if (dice < 0.36) {
      site.life?.dieAt(1 + random.integer(40), random.fraction() < 0.5);
      return `${site.name} will die at one of its next contacts`;
    }
    if (dice < 0.4) {
      world.crash(site);
      return `${site.name} dies`;
    }
    if (dice < 0.5) {
      world.setConnected(site, !site.isConnected);
      return `${site.name} is ${site.isConnected ? 'connected' : 'cut off'}`;
    }
    if (dice < 0.62) return meddle(world, site);
    if (dice < 0.65) {
      site.wallOffsetMs = random.pick(wallJumps);
      return `${site.name}: clock jumps by ${site.wallOffsetMs} ms`;
    }
    if (dice < 0.69) return hubDown();
    if (dice < 0.7) {
      backup = world.backup();
      return 'hub is backed up';
    }
    if (dice < 0.74) {
      site.disk.failNext({ kind: 'blocked', code: 'disk-full', element: 'disk', message: 'full' });
      return `${site.name}: disk is full for a moment`;
    }
    if (dice < 0.78) {
      site.cluster.pause();
      world.clock.after(random.fraction() * 20_000, () => site.cluster.resume());
      return `${site.name}: API server is away`;
    }
    return '';
  };

  for (let index = 0; index < options.steps; index += 1) {
    const text = await step();
    if (text !== '') say(text);
    await world.clock.advance(random.fraction() * 1_000);
    for (const site of world.sites) {
      if (site.life?.isDead() !== false && random.fraction() < 0.3) {
        say(`${site.name} boots`);
        world.boot(site);
      }
    }
    if (world.hub() === undefined && random.fraction() < 0.3) {
      say('hub starts');
      await world.startHub();
    }
    invariants.check();
  }
  say('healing');
  if (world.hub() === undefined) await world.startHub();
  for (const site of world.sites) {
    world.setConnected(site, true);
    site.cluster.resume();
    site.life?.dieAt(Infinity, false);
    if (site.life?.isDead() !== false) world.boot(site);
  }
  for (let minute = 0; minute < 30; minute += 1) {
    await world.clock.advance(60_000);
    invariants.check();
  }
  invariants.checkConverged();
  for (const site of world.sites) world.crash(site);
  world.crashHub();
  return { events: world.clock.waiting() };
};
