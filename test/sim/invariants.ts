import { largeBlobs, type Version } from '@groundplane/protocol/bundle';
import { createState } from '@groundplane/agent/store/state';
import { brokenVersion, versionName } from './profiles.ts';
import { tenant, type Site, type World } from './world.ts';

/** What was seen of a site so far; invariants speak of change over time. */
interface Seen {
  generation: number;
  good: number;
}

const problem = (site: Site | undefined, text: string): Error => new Error(`${site === undefined ? 'hub' : site.name}: ${text}`);

const slots = (site: Site) => {
  const state = createState(site.disk);
  return {
    candidate: state.slot('candidate'),
    current: state.slot('current'),
    good: state.slot('good'),
    failed: state.kv<Version>('failed'),
    poison: state.poison(),
    state,
  };
};

/** Invariants that hold at every moment, whatever happens. */
export const createInvariants = (world: World) => {
  const seen = new Map<string, Seen>();
  /** Every version that the hub ever assigned, over all its lives and backups. */
  const published = new Set<string>();

  const notePublished = (): void => {
    for (const row of world.disk().rows.values()) if (row.kind === 'desired') published.add(JSON.stringify(row.value.version));
  };

  const checkSite = (site: Site): void => {
    const { candidate, current, good, failed, poison } = slots(site);
    const newest = Math.max(candidate?.version.generation ?? 0, current?.version.generation ?? 0, good?.version.generation ?? 0, failed?.generation ?? 0);
    const before = seen.get(site.name) ?? { generation: 0, good: 0 };
    if (newest < before.generation) throw problem(site, `its generation went back from ${before.generation} to ${newest}`);
    if ((good?.version.generation ?? 0) < before.good)
      throw problem(site, `its last good generation went back from ${before.good} to ${good?.version.generation ?? 0}`);
    seen.set(site.name, { generation: newest, good: good?.version.generation ?? 0 });
    for (const slot of [candidate, current, good]) {
      if (slot !== undefined && !published.has(JSON.stringify(slot.version)))
        throw problem(site, `it holds generation ${slot.version.generation}, which the hub never published`);
    }
    for (const [name, slot] of [
      ['current', current],
      ['good', good],
    ] as const)
      for (const digest of largeBlobs(slot?.bundle ?? { layers: [] }, 'x64').keys())
        if (!site.large.has(digest)) throw problem(site, `its ${name} generation ${slot?.version.generation ?? 0} names large content that is not here`);
    const isPoisoned = (version: Version | undefined): boolean =>
      version !== undefined && poison.some((item) => item.version.digest === version.digest && item.version.generation === version.generation);
    if (good !== undefined && isPoisoned(good.version)) throw problem(site, 'its last good state is a poisoned one');
    if (good !== undefined && current !== undefined && isPoisoned(current.version))
      throw problem(site, 'it steers to a poisoned version although there is a good one');
    const broken = good?.bundle?.profiles.some((profile) => profile.version === versionName(brokenVersion)) === true;
    if (broken) throw problem(site, 'the broken version was taken as good');
    const precious = site.cluster.objects().find((object) => object.metadata.name === 'precious');
    if (precious?.['data'] === undefined || JSON.stringify(precious['data']) !== '{"keep":"me"}') throw problem(site, "somebody else's object was touched");
  };

  const checkHub = (): void => {
    const hub = world.hub();
    if (hub === undefined) return;
    for (const row of world.disk().rows.values()) {
      if (row.kind !== 'observed' || row.tenant !== tenant) continue;
      const host = [...world.disk().rows.values()].find((item) => item.kind === 'host' && item.id === row.id);
      const site = world.sites.find((item) => item.name === host?.name);
      const held = site === undefined ? undefined : slots(site).good?.version;
      const told = row.value.status.committed;
      if (site !== undefined && told !== undefined && (held === undefined || held.generation < told.generation))
        throw problem(site, `the hub believes in generation ${told.generation}, and the host has ${held?.generation ?? 0}`);
    }
  };

  return {
    check: (): void => {
      notePublished();
      for (const site of world.sites) checkSite(site);
      checkHub();
      if (world.faults.length > 0) throw problem(undefined, `a process failed: ${world.faults[0] ?? ''}`);
    },
    /** When everything is healed and quiet: each site is as desired, or back at its last good state with the failure told; nothing of us is left over. */
    checkConverged: (): void => {
      for (const site of world.sites) {
        const { current, good, failed, state } = slots(site);
        const host = [...world.disk().rows.values()].find((item) => item.kind === 'host' && item.name === site.name);
        const desired = [...world.disk().rows.values()].find((item) => item.kind === 'desired' && item.id === host?.id);
        const observed = [...world.disk().rows.values()].find((item) => item.kind === 'observed' && item.id === host?.id);
        if (desired?.kind !== 'desired') continue;
        const want = desired.value.version;
        const isGood = good?.version.digest === want.digest && good.version.generation === want.generation;
        const isGivenUp = failed?.digest === want.digest && failed.generation === want.generation;
        const status = observed?.kind === 'observed' ? observed.value.status : undefined;
        if (!isGood && !isGivenUp)
          throw problem(
            site,
            `it did not converge: wanted generation ${want.generation}, current ${current?.version.generation ?? 0}, good ${good?.version.generation ?? 0}, phase ${site.agent?.engine.status().phase ?? 'dead'}, failure ${JSON.stringify(site.agent?.engine.status().failure)}, link ${JSON.stringify(site.agent?.session.state())}, events ${JSON.stringify(
              world
                .disk()
                .events.filter((event) => event.host === site.name)
                .slice(-4)
                .map((event) => event.message),
            )}`,
          );
        const wantsBroken = desired.value.desired.bundle !== undefined && current !== undefined && isGivenUp;
        if (isGivenUp && !wantsBroken && good !== undefined) throw problem(site, 'it gave up a version without taking up the last good one');
        if (status?.version?.generation !== want.generation)
          throw problem(site, `the hub was told of generation ${status?.version?.generation ?? 0} and not of ${want.generation}`);
        if (isGood && status.phase !== 'converged')
          throw problem(
            site,
            `it is told to be ${status.phase}: ${JSON.stringify(status.failure ?? status.layers.filter((layer) => layer.state !== 'ready'))}`,
          );
        const target = isGood ? current : good;
        if (target === undefined) continue;
        const wanted = new Map<string, string>(
          (target.bundle?.layers ?? []).flatMap((layer) =>
            layer.objects.map((object) => [`${object.ref.kind}/${object.ref.namespace ?? ''}/${object.ref.name}`, object.digest] as const),
          ),
        );
        const mine = site.cluster.objects().filter((object) => object.metadata.labels?.['groundplane.dev/managed'] === 'true' && object.kind !== 'Namespace');
        for (const object of mine) {
          if (JSON.stringify(object).includes('meddled') || (object.metadata.labels?.['groundplane.dev/layer'] ?? '') === 'other')
            throw problem(site, `${object.kind} ${object.metadata.name ?? ''} is still as the meddler left it`);
          const key = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
          if (!wanted.delete(key)) throw problem(site, `${key} is left over`);
        }
        const [missing] = wanted.keys();
        if (missing !== undefined) throw problem(site, `${missing} is missing`);
        const records = state
          .layers()
          .map((row) => row.name)
          .toSorted()
          .join();
        const names = (target.bundle?.layers ?? [])
          .map((layer) => layer.name)
          .toSorted()
          .join();
        if (records !== names) throw problem(site, `its journal has layers ${records} and the bundle ${names}`);
        const large = new Set<string>(
          largeBlobs({ layers: [current, good, slots(site).candidate].flatMap((slot) => slot?.bundle?.layers ?? []) }, 'x64').keys(),
        );
        for (const digest of site.large.keys()) if (!large.has(digest)) throw problem(site, 'it keeps large content that no generation names');
        const file = site.host.state.files['/etc/site']?.content;
        const version = /1\.(\d+)\.0/.exec(target.bundle?.profiles[0]?.version ?? '')?.[1];
        if (target.bundle !== undefined && file !== `version ${version}\n`)
          throw problem(site, `its file says ${JSON.stringify(file)} and should say version ${version}`);
        if (target.bundle === undefined && file !== undefined) throw problem(site, 'a file of ours is left over');
        const chrony = site.host.state.packages?.['chrony']?.version;
        const wantedChrony = target.bundle?.layers.find((layer) => layer.kind === 'os')?.os?.packages?.find((item) => item.name === 'chrony')?.version;
        if (chrony !== wantedChrony) throw problem(site, `has chrony ${String(chrony)} and should have ${String(wantedChrony)}`);
      }
    },
  };
};
