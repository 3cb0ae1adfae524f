import { bundleBlobs, type BundleLayer } from '@groundplane/protocol/bundle';
import type { PlanView } from '@groundplane/protocol/api/views';
import { ok } from '@groundplane/protocol/failure';
import { refKey, refText } from '@groundplane/protocol/kubernetes';
import { compareLayers } from '@groundplane/protocol/layer';
import type { HostFacts, ObservedObject, OwnedOs } from '@groundplane/protocol/plan/facts';
import { planHost } from '@groundplane/protocol/plan/host';
import { wantedFiles } from '@groundplane/protocol/plan/os';
import { stepText } from '@groundplane/protocol/plan/steps';
import type { BuiltBundle } from '../render/bundle.ts';
import { checkSpec, membersOf } from './clusters.ts';
import type { Handler } from './handler.ts';
import { restoreSensitive } from './sensitive.ts';

type LayerChange = PlanView['layers'][number];

const objectChanges = (before: BundleLayer | undefined, after: BundleLayer | undefined): LayerChange['objects'] => {
  const old = new Map((before?.objects ?? []).map((object) => [refKey(object.ref), object]));
  const next = new Set((after?.objects ?? []).map((object) => refKey(object.ref)));
  const kept = (after?.objects ?? []).flatMap((object): LayerChange['objects'] => {
    const was = old.get(refKey(object.ref));
    if (was === undefined) return [{ object: refText(object.ref), change: 'add' }];
    return was.digest === object.digest ? [] : [{ object: refText(object.ref), change: 'change' }];
  });
  const gone = [...old.values()]
    .filter((object) => !next.has(refKey(object.ref)))
    .map((object) => ({ object: refText(object.ref), change: object.keep === true || object.crd !== undefined ? ('keep' as const) : ('prune' as const) }));
  const hooks =
    before === undefined || (after !== undefined && kept.length > 0)
      ? (after?.hooks ?? []).map((hook) => ({ object: `${hook.events.join(',')} ${refText(hook.ref)}`, change: 'hook' as const }))
      : [];
  return [...kept, ...gone, ...hooks];
};

const layerChanges = (before: BuiltBundle | undefined, after: BuiltBundle): LayerChange[] => {
  const old = new Map((before?.bundle.layers ?? []).map((layer, index) => [layer.name, { layer, digest: before?.layerDigests[index] }]));
  const next = new Map(after.bundle.layers.map((layer, index) => [layer.name, { layer, digest: after.layerDigests[index] }]));
  const all = [...after.bundle.layers, ...[...old.values()].map((item) => item.layer).filter((layer) => !next.has(layer.name))].toSorted(compareLayers);
  return all.map(({ name, kind }) => {
    const was = old.get(name);
    const will = next.get(name);
    const change = was === undefined ? 'add' : will === undefined ? 'remove' : was.digest === will.digest ? 'same' : 'change';
    const pack = (layer: BundleLayer) => ({ name: layer.pack.name, version: layer.pack.version });
    return {
      name,
      kind,
      change,
      ...(was === undefined ? {} : { from: pack(was.layer) }),
      ...(will === undefined ? {} : { to: pack(will.layer) }),
      objects: change === 'same' ? [] : objectChanges(was?.layer, will?.layer),
    };
  });
};

/** Facts of a host that holds exactly `before`, undisturbed: what the agent will see unless somebody interferes. */
const factsHolding = (before: BuiltBundle | undefined, after: BuiltBundle, generation: number): HostFacts => {
  const layers = before?.bundle.layers ?? [];
  const objects = new Map<string, ObservedObject>();
  for (const layer of layers) for (const object of layer.objects) objects.set(refKey(object.ref), { state: 'same', ready: { state: 'ready' } });
  const os = layers.flatMap((layer) => (layer.os === undefined ? [] : [{ name: layer.name, os: layer.os }]));
  const files = os.flatMap((layer) => wantedFiles(layer.os).map((file) => ({ layer: layer.name, file })));
  const owned = (layer: string, kind: OwnedOs['kind'], key: string): OwnedOs => ({ layer, kind, key });
  return {
    target: {
      version: { epoch: '', generation, digest: after.digest },
      parent: undefined,
      layers: after.bundle.layers.map((layer, index) => ({ layer, digest: after.layerDigests[index] ?? after.digest })),
      applier: true,
      rollback: false,
    },
    committed: undefined,
    records: layers.map((layer, index) => ({
      name: layer.name,
      digest: before?.layerDigests[index] ?? after.digest,
      layer,
      state: 'installed',
      event: 'install',
      revision: 1,
    })),
    ownedObjects: layers.flatMap((layer) =>
      layer.objects.map((object) => ({
        ref: object.ref,
        layer: layer.name,
        digest: object.digest,
        adopted: false,
        keep: object.keep === true || object.crd !== undefined,
      })),
    ),
    ownedOs: [
      ...files.map(({ layer, file }) => owned(layer, 'file', file.path)),
      ...os.flatMap((layer) => [
        ...Object.keys(layer.os.sysctls).map((key) => owned(layer.name, 'sysctl', key)),
        ...layer.os.units.map((unit) => owned(layer.name, 'unit', unit.name)),
        ...(layer.os.packages ?? []).map((item) => owned(layer.name, 'package', item.name)),
        ...(layer.os.modules ?? []).map((module) => owned(layer.name, 'module', module)),
        ...(layer.os.users ?? []).map((user) => owned(layer.name, 'user', user.name)),
      ]),
    ],
    os: {
      files: new Map(files.map(({ file }) => [file.path, { digest: file.digest, mode: file.mode, owner: file.owner, group: file.group }])),
      sysctls: new Map(os.flatMap((layer) => Object.entries(layer.os.sysctls))),
      units: new Map(os.flatMap((layer) => layer.os.units.map((unit) => [unit.name, { enabled: unit.enabled, active: unit.active }] as const))),
      packages: new Map(os.flatMap((layer) => (layer.os.packages ?? []).map(({ name, version = 'installed' }) => [name, { version, held: true }] as const))),
      modules: new Map(os.flatMap((layer) => (layer.os.modules ?? []).map((module) => [module, 'loaded'] as const))),
      users: new Map(os.flatMap((layer) => (layer.os.users ?? []).map((user) => [user.name, user] as const))),
    },
    kubernetes: { state: 'reachable', version: lowestAllowed(after) },
    objects,
    hooksDone: new Set(),
  };
};

/** The preview does not know the server's version; it assumes one that the layer allows. */
const lowestAllowed = (built: BuiltBundle): string =>
  /\d+\.\d+(\.\d+)?/.exec(built.bundle.layers.find((layer) => layer.kubernetes !== undefined)?.kubernetes?.version ?? '')?.[0] ?? '1.34.0';

const warningsFor = (changes: readonly LayerChange[], before: BuiltBundle | undefined, after: BuiltBundle): string[] => {
  const pruned = changes.flatMap((layer) => layer.objects).filter((object) => object.change === 'prune');
  const stateful = pruned.filter((object) => /^(PersistentVolumeClaim|StatefulSet|Namespace) /.test(object.object));
  const bytes = [...bundleBlobs(after.bundle)].filter(([digest]) => before?.blobs.has(digest) !== true).reduce((sum, [, size]) => sum + size, 0);
  return [
    ...(stateful.length === 0 ? [] : [`data may be lost: ${stateful.map((object) => object.object).join(', ')} will be pruned`]),
    ...(bytes > 1024 * 1024 ? [`${Math.ceil(bytes / 1024 / 1024)} MiB of new content go to each host`] : []),
  ];
};

/** The preview runs the very planner that the agent runs. */
export const planCluster: Handler<'planCluster'> = async ({ principal, params, body, project }, deps) => {
  const row = await deps.store.byName('cluster', principal.tenant, project, params.name);
  const cluster = { tenant: principal.tenant, project, name: params.name, id: row?.id ?? '' };
  const spec = restoreSensitive(deps.sealers, principal.tenant, body.spec, row?.value);
  if (!spec.ok) return spec;
  const after = await checkSpec(deps, cluster, spec.value);
  if (!after.ok) return after;
  const held = row === undefined ? undefined : membersOf(deps, row, row.value.spec).find((host) => host.bundle !== undefined && host.cluster === row.id);
  const before = held?.bundle === undefined ? undefined : await deps.bundler.load(held.bundle);
  const layers = layerChanges(before, after.value);
  const steps = planHost(factsHolding(before, after.value, (held?.desired?.generation ?? 0) + 1)).steps;
  const changes = before?.digest !== after.value.digest;
  return ok({
    bundle: after.value.digest,
    changes,
    layers,
    steps: changes ? steps.map(stepText) : [],
    hosts: body.spec.hosts.length,
    warnings: warningsFor(layers, before, after.value),
  });
};
