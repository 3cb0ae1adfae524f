import { parseKubernetesContent } from '@groundplane/protocol/distribution/content';
import { osContent } from '@groundplane/protocol/os-spec';
import { bundleBlobs, bundleSchema, largeBlobs } from '@groundplane/protocol/bundle';
import { createCollector } from '../content/gc.ts';
import { managedPart } from '@groundplane/protocol/layer';
import type { Fleet } from '../fleet/index.ts';
import { insideDigestsOf } from '../inside/agent-setting.ts';
import type { Clock } from '../port/clock.ts';
import type { CollectableContent } from '../port/content.ts';
import type { Store, Write } from '../port/store.ts';
import { registryLimits } from '../registry/limits.ts';
import { childrenOf, parseManifest } from '../registry/oci-manifest.ts';

/** A blob that nobody names any more stays this long. */
const graceMs = 24 * 3_600_000;
/** What somebody uploaded or imported and has not used yet stays longer: profiles are written by people. */
const uploadGraceMs = 30 * 24 * 3_600_000;
const everyMs = 24 * 3_600_000;

export interface CollectDeps {
  store: Store;
  content: CollectableContent;
  fleet: Pick<Fleet, 'clusters'>;
  forget: () => void;
  clock: Clock;
  log: (text: string) => void;
}

/** Manifests bring their layers, also those of Zarf packages; what cannot be read has none. */
const manifestRefs = async (content: CollectableContent, digest: string, refs: Map<string, readonly string[]>, depth = 0): Promise<void> => {
  if (refs.has(digest) || depth > 4) return;
  const bytes = await content.read(digest);
  const parsed = bytes === undefined ? undefined : parseManifest(bytes, undefined, digest);
  if (parsed?.ok !== true) return;
  const children = childrenOf(parsed.value).map((child) => child.digest);
  refs.set(digest, children);
  if (parsed.value.kind === 'index') for (const child of children) await manifestRefs(content, child, refs, depth + 1);
};

/** Who names what: profiles their units, desired states and clusters their bundles, the registry its manifests, people their uploads. */
export const gatherRoots = async (deps: CollectDeps): Promise<{ roots: Set<string>; refs: Map<string, readonly string[]> }> => {
  const { store, content, clock } = deps;
  const roots = new Set<string>();
  const refs = new Map<string, readonly string[]>();
  const bundles = new Set<string>();
  for await (const row of store.scan('profile'))
    for (const layer of row.value.spec.layers) {
      for (const digest of Object.values(managedPart(layer.kubernetes)?.content ?? {}).filter((item) => item !== undefined)) {
        roots.add(digest);
        const list = parseKubernetesContent((await content.read(digest))?.toString('utf8') ?? '', digest);
        if (list.ok)
          refs.set(
            digest,
            [...list.value.files, ...list.value.blobs].map((item) => item.digest),
          );
      }
      for (const digest of [layer.helm?.chart.digest, layer.pack?.digest, ...osContent(layer.os).map((item) => item.digest)])
        if (digest !== undefined) roots.add(digest);
      if (layer.zarf === undefined) continue;
      roots.add(layer.zarf.package.digest);
      await manifestRefs(content, layer.zarf.package.digest, refs);
    }
  for await (const row of store.scan('desired')) if (row.value.desired.bundle !== undefined) bundles.add(row.value.desired.bundle);
  for (const cluster of deps.fleet.clusters()) if (cluster.bundle !== undefined) bundles.add(cluster.bundle);
  for (const digest of bundles) {
    roots.add(digest);
    const bytes = await content.read(digest);
    // A bundle that is gone names nothing; one that cannot be understood ends the run, since what it needs is unknown.
    if (bytes === undefined) continue;
    const bundle = bundleSchema.parse(JSON.parse(bytes.toString('utf8')));
    refs.set(digest, [...bundleBlobs(bundle).keys(), ...largeBlobs(bundle).keys()]);
  }
  for await (const row of store.scan('setting')) for (const digest of insideDigestsOf(row)) roots.add(digest);
  for await (const row of store.scan('artifactBlob')) {
    if (row.value.mediaType !== undefined) {
      roots.add(row.value.digest);
      refs.set(row.value.digest, row.value.needs ?? []);
    } else if (clock.wallMs() - row.updatedAtMs < uploadGraceMs) roots.add(row.value.digest);
  }
  for await (const row of store.scan('blob')) {
    if (clock.wallMs() - row.updatedAtMs >= uploadGraceMs) continue;
    roots.add(row.id);
    // A Zarf package that no profile uses yet is a small manifest with large layers.
    if (row.value.size <= registryLimits.manifestBytes) await manifestRefs(content, row.id, refs);
  }
  return { roots, refs };
};

/** Rows of uploads whose bytes are gone: nobody may be told that they are there. */
const sweepUploads = async ({ store, content }: CollectDeps): Promise<void> => {
  const writes: Write[] = [];
  for await (const row of store.scan('blob'))
    if ((await content.size(row.id)) === undefined) writes.push({ op: 'delete', kind: 'blob', tenant: row.tenant, id: row.id, expect: row.version });
  for await (const row of store.scan('artifactBlob'))
    if ((await content.size(row.value.digest)) === undefined)
      writes.push({ op: 'delete', kind: 'artifactBlob', tenant: row.tenant, id: row.id, expect: row.version });
  // One at a time: a conflict means that somebody has just brought it again.
  for (const write of writes) await store.commit([write]);
};

/** Collects at start and once a day; answers how to stop. A run that fails takes nothing away and is tried again the next day. */
export const startCollecting = (deps: CollectDeps): { run: () => Promise<void>; stop: () => Promise<void> } => {
  const collector = createCollector({ content: deps.content, gather: () => gatherRoots(deps), forget: deps.forget, nowMs: () => deps.clock.wallMs(), graceMs });
  let cancel = (): void => undefined;
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  const run = async (): Promise<void> => {
    try {
      const done = await collector.collect();
      if (done.removed > 0) {
        await sweepUploads(deps);
        deps.log(`content: ${done.removed} blobs of ${done.bytes} bytes that nobody names any more are gone, ${done.kept} are in use`);
      }
    } catch (error) {
      deps.log(`content: nothing was collected: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const next = (): void => {
    if (isStopped) return;
    running = run().then(() => {
      if (!isStopped) cancel = deps.clock.after(everyMs, next);
    });
  };
  next();
  return {
    run,
    stop: () => {
      isStopped = true;
      cancel();
      return running;
    },
  };
};
