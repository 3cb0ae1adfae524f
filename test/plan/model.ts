import type { Bundle, BundleLayer, BundleObject, Version } from '@groundplane/protocol/bundle';
import { digestBytes, digestOf, type Digest } from '@groundplane/protocol/digest';
import type { Failure } from '@groundplane/protocol/failure';
import { refKey, type ObjectRef } from '@groundplane/protocol/kubernetes';
import {
  targetLayers,
  type HostFacts,
  type LayerRecord,
  type ObservedKubernetes,
  type ObservedObject,
  type OwnedObject,
  type OwnedOs,
  type Plan,
} from '@groundplane/protocol/plan/facts';
import { wantedFiles } from '@groundplane/protocol/plan/os';
import type { Step, StepArgs, StepKind } from '@groundplane/protocol/plan/steps';

type FileState = { digest: Digest; mode: string; owner: string; group: string };
type UnitState = { enabled: boolean; active: boolean };
type PackageState = { version: string; held: boolean };
type UserState = { groups: readonly string[]; shell: string };
type BeforeImage =
  | { file: FileState | 'absent' }
  | { sysctl: string }
  | { unit: UnitState | 'absent' }
  | { package: PackageState | 'absent' }
  | { module: boolean }
  | { user: UserState | 'absent' };

/**
 * A host, its Kubernetes and the agent's memory, as small as they can be: maps and nothing else. It says what each step does to the world, a second time and in
 * other words than the executors, so that the planner can be tried without them.
 */
export interface ModelWorld {
  files: Map<string, FileState>;
  sysctls: Map<string, string>;
  units: Map<string, UnitState>;
  packages: Map<string, PackageState>;
  modules: Set<string>;
  users: Map<string, UserState>;
  /** Live objects: what content they hold, and whether our label is on them. */
  live: Map<string, { ref: ObjectRef; digest: Digest; ours: boolean; ready: boolean }>;
  records: Map<string, LayerRecord>;
  owned: Map<string, OwnedObject>;
  ownedOs: Map<string, OwnedOs & { before: BeforeImage }>;
  hooksDone: Set<string>;
  committed: Version | undefined;
  kubernetes: ObservedKubernetes;
  /** Everything that was deleted, in order. */
  deleted: string[];
}

export const unreachable: Failure = { kind: 'retry', code: 'api-unreachable', element: 'Kubernetes', message: 'the API server does not answer' };

export const emptyWorld = (): ModelWorld => ({
  files: new Map(),
  sysctls: new Map([
    ['vm.swappiness', '60'],
    ['net.ipv4.ip_forward', '0'],
  ]),
  units: new Map([['ssh.service', { enabled: true, active: true }]]),
  packages: new Map([['curl', { version: '8.5-1', held: false }]]),
  modules: new Set(['overlay']),
  users: new Map([['root', { groups: ['root'], shell: '/bin/bash' }]]),
  live: new Map(),
  records: new Map(),
  owned: new Map(),
  ownedOs: new Map(),
  hooksDone: new Set(),
  committed: undefined,
  kubernetes: { state: 'reachable', version: 'v1.34.2' },
  deleted: [],
});

const namespaceRef = (name: string): ObjectRef => ({ apiVersion: 'v1', kind: 'Namespace', name });

const observe = (world: ModelWorld, ref: ObjectRef): ObservedObject => {
  const live = world.live.get(refKey(ref));
  if (live === undefined) return { state: 'missing', ready: { state: 'progressing', message: 'does not exist' } };
  const owned = world.owned.get(refKey(ref));
  const ready = live.ready ? ({ state: 'ready' } as const) : ({ state: 'progressing', message: 'not yet' } as const);
  if (owned === undefined) return { state: live.ours ? 'drifted' : 'foreign', ready };
  return { state: live.digest === owned.digest ? 'same' : 'drifted', ready };
};

export interface TargetOptions {
  generation: number;
  applier?: boolean;
  rollback?: boolean;
}

export const versionOf = (bundle: Bundle | undefined, generation: number): Version => ({
  epoch: 'e',
  generation,
  digest: digestOf([generation, bundle ?? null]),
});

/** What the planner is told about this world. */
export const factsOf = (world: ModelWorld, bundle: Bundle | undefined, options: TargetOptions): HostFacts => {
  const layers = bundle === undefined ? [] : targetLayers(bundle);
  const refs = new Map([...world.owned.values()].map((object) => [refKey(object.ref), object.ref]));
  for (const { layer } of layers) {
    for (const object of layer.objects) refs.set(refKey(object.ref), object.ref);
    if (layer.namespace !== undefined) refs.set(refKey(namespaceRef(layer.namespace)), namespaceRef(layer.namespace));
  }
  const files = new Set([
    ...world.files.keys(),
    ...layers.flatMap(({ layer }) => (layer.os === undefined ? [] : wantedFiles(layer.os).map((file) => file.path))),
  ]);
  const units = new Set([...world.units.keys(), ...layers.flatMap(({ layer }) => (layer.os?.units ?? []).map((unit) => unit.name))]);
  const osOf = layers.flatMap(({ layer }) => (layer.os === undefined ? [] : [layer.os]));
  return {
    target: {
      version: versionOf(bundle, options.generation),
      parent: undefined,
      layers,
      applier: options.applier ?? true,
      rollback: options.rollback ?? false,
    },
    committed: world.committed,
    records: [...world.records.values()],
    ownedObjects: [...world.owned.values()],
    ownedOs: [...world.ownedOs.values()],
    os: {
      files: new Map([...files].map((path) => [path, world.files.get(path) ?? 'absent'])),
      sysctls: new Map(world.sysctls),
      units: new Map([...units].map((unit) => [unit, world.units.get(unit) ?? 'absent'])),
      packages: new Map(
        [...world.packages.keys(), ...osOf.flatMap((os) => (os.packages ?? []).map((item) => item.name))].map((name) => [
          name,
          world.packages.get(name) ?? 'absent',
        ]),
      ),
      modules: new Map(
        [...world.modules, ...osOf.flatMap((os) => os.modules ?? [])].map((module) => [module, world.modules.has(module) ? 'loaded' : 'absent']),
      ),
      users: new Map(
        [...world.users.keys(), ...osOf.flatMap((os) => (os.users ?? []).map((user) => user.name))].map((user) => [user, world.users.get(user) ?? 'absent']),
      ),
    },
    kubernetes: world.kubernetes,
    objects: world.kubernetes.state === 'reachable' ? new Map([...refs].map(([key, ref]) => [key, observe(world, ref)])) : new Map(),
    hooksDone: new Set(world.hooksDone),
  };
};

const osKey = (layer: string, kind: OwnedOs['kind'], key: string): string => `${layer} ${kind} ${key}`;

const takeOs = (world: ModelWorld, layer: string, kind: OwnedOs['kind'], key: string, before: BeforeImage): void => {
  if (world.ownedOs.has(osKey(layer, kind, key))) return;
  const other = [...world.ownedOs].find(([, item]) => item.kind === kind && item.key === key);
  if (other !== undefined) world.ownedOs.delete(other[0]);
  world.ownedOs.set(osKey(layer, kind, key), { layer, kind, key, before: other?.[1].before ?? before });
};

const giveBack = (world: ModelWorld, layer: string, kind: OwnedOs['kind'], key: string, restore: (before: BeforeImage) => void): void => {
  const item = world.ownedOs.get(osKey(layer, kind, key));
  if (item === undefined) return;
  restore(item.before);
  world.ownedOs.delete(osKey(layer, kind, key));
};

const objectsIn = (world: ModelWorld, namespace: string): { ref: ObjectRef; ours: boolean }[] =>
  [...world.live.values()].filter((object) => object.ref.namespace === namespace);

const prune = (world: ModelWorld, ref: ObjectRef): void => {
  const key = refKey(ref);
  if (ref.kind === 'Namespace' && objectsIn(world, ref.name).length > 0) return void world.owned.delete(key);
  if (world.live.delete(key)) world.deleted.push(`${ref.kind} ${ref.name}`);
  world.owned.delete(key);
};

const apply = (world: ModelWorld, bundle: Bundle | undefined, step: StepArgs['applyObject']): void => {
  const key = refKey(step.ref);
  const live = world.live.get(key);
  const owned = world.owned.get(key);
  if (step.createOnly && live !== undefined) {
    if (owned !== undefined) world.owned.set(key, { ...owned, layer: step.layer });
    return;
  }
  const isForeign = live !== undefined && owned === undefined && !live.ours;
  if (isForeign && !step.adopt) throw new Error(`field conflict on ${key}: a step may not force its way`);
  const adopted = owned?.adopted ?? isForeign;
  world.live.set(key, { ref: step.ref, digest: step.digest, ours: true, ready: true });
  world.owned.set(key, { ref: step.ref, layer: step.layer, digest: step.digest, adopted, keep: step.keep });
  void bundle;
};

type Effects = { [K in StepKind]: (world: ModelWorld, step: StepArgs[K], bundle: Bundle | undefined) => void };

/** This world's Kubernetes is there already; a distribution that agents bring up has a world of its own, in distribution.test.ts. */
const elsewhere = (): never => {
  throw new Error('this world has no distribution');
};

const effects: Effects = {
  beginLayer: (world, step, bundle) => {
    const before = world.records.get(step.layer);
    const layer = step.event === 'delete' ? before?.layer : bundle?.layers.find((item) => item.name === step.layer);
    if (layer === undefined) throw new Error(`begins a layer that nobody knows: ${step.layer}`);
    world.records.set(step.layer, { name: step.layer, digest: step.digest, layer, state: 'installing', event: step.event, revision: step.revision });
  },
  writeFile: (world, step) => {
    takeOs(world, step.layer, 'file', step.path, { file: world.files.get(step.path) ?? 'absent' });
    world.files.set(step.path, { digest: step.digest, mode: step.mode, owner: step.owner, group: step.group });
  },
  restoreFile: (world, step) =>
    giveBack(world, step.layer, 'file', step.path, (before) => {
      if (!('file' in before) || before.file === 'absent') world.files.delete(step.path);
      else world.files.set(step.path, before.file);
    }),
  setSysctl: (world, step) => {
    takeOs(world, step.layer, 'sysctl', step.key, { sysctl: world.sysctls.get(step.key) ?? '' });
    world.sysctls.set(step.key, step.value);
  },
  restoreSysctl: (world, step) =>
    giveBack(world, step.layer, 'sysctl', step.key, (before) => void ('sysctl' in before && world.sysctls.set(step.key, before.sysctl))),
  updateAgent: () => undefined,
  awaitAgent: () => undefined,
  reloadUnits: () => undefined,
  setUnit: (world, step) => {
    takeOs(world, step.layer, 'unit', step.unit, { unit: world.units.get(step.unit) ?? 'absent' });
    world.units.set(step.unit, { enabled: step.enabled, active: step.active });
  },
  restoreUnit: (world, step) =>
    giveBack(world, step.layer, 'unit', step.unit, (before) => {
      if (!('unit' in before) || before.unit === 'absent') world.units.delete(step.unit);
      else world.units.set(step.unit, before.unit);
    }),
  setPackages: (world, step) => {
    for (const { name, version } of step.packages) {
      const before = world.packages.get(name);
      takeOs(world, step.layer, 'package', name, { package: before ?? 'absent' });
      world.packages.set(name, { version: version ?? before?.version ?? 'newest', held: version !== undefined });
    }
  },
  restorePackages: (world, step) => {
    for (const name of step.names)
      giveBack(world, step.layer, 'package', name, (before) => {
        if (!('package' in before) || before.package === 'absent') world.packages.delete(name);
        else world.packages.set(name, before.package);
      });
  },
  loadModule: (world, step) => {
    takeOs(world, step.layer, 'module', step.module, { module: world.modules.has(step.module) });
    world.modules.add(step.module);
  },
  restoreModule: (world, step) =>
    giveBack(world, step.layer, 'module', step.module, (before) => void ('module' in before && !before.module && world.modules.delete(step.module))),
  setUser: (world, step) => {
    const before = world.users.get(step.user);
    takeOs(world, step.layer, 'user', step.user, { user: before ?? 'absent' });
    world.users.set(step.user, { groups: [...new Set([...(before?.groups ?? []), ...step.groups])], shell: step.shell });
  },
  restoreUser: (world, step) =>
    giveBack(world, step.layer, 'user', step.user, (before) => {
      if (!('user' in before) || before.user === 'absent') world.users.delete(step.user);
      else world.users.set(step.user, { ...world.users.get(step.user), ...before.user });
    }),
  setExtensions: () => undefined,
  restoreExtensions: () => undefined,
  stageImage: () => undefined,
  activateImage: () => undefined,
  rebootHost: () => undefined,
  lookForReboot: () => undefined,
  ensureNamespace: (world, step) => {
    const ref = namespaceRef(step.namespace);
    if (world.live.has(refKey(ref)) && !world.owned.has(refKey(ref))) return;
    world.live.set(refKey(ref), { ref, digest: 'sha256:namespace', ours: true, ready: true });
    world.owned.set(refKey(ref), { ref, layer: step.layer, digest: 'sha256:namespace', adopted: false, keep: false });
  },
  applyObject: (world, step, bundle) => apply(world, bundle, step),
  pruneObject: (world, step) => prune(world, step.ref),
  releaseObject: (world, step) => {
    const live = world.live.get(refKey(step.ref));
    if (live !== undefined) world.live.set(refKey(step.ref), { ...live, ours: false });
    world.owned.delete(refKey(step.ref));
  },
  runHook: (world, step) => {
    if (world.hooksDone.has(step.key)) throw new Error(`runs a hook twice: ${step.key}`);
    world.hooksDone.add(step.key);
    if (step.deletePolicies.includes('hook-succeeded')) return void world.owned.delete(refKey(step.ref));
    world.live.set(refKey(step.ref), { ref: step.ref, digest: step.digest, ours: true, ready: true });
    world.owned.set(refKey(step.ref), { ref: step.ref, layer: step.layer, digest: step.digest, adopted: false, keep: false, hook: true });
  },
  awaitReady: () => undefined,
  finishLayer: (world, step) => {
    const record = world.records.get(step.layer);
    if (record === undefined || record.digest !== step.digest) return;
    world.records.set(step.layer, { ...record, state: 'installed' });
    for (const key of world.hooksDone)
      if (key.startsWith(`${step.layer}/`) && !key.startsWith(`${step.layer}/${record.revision}/`)) world.hooksDone.delete(key);
  },
  relabelLayer: (world, step, bundle) => {
    const record = world.records.get(step.layer);
    const layer = bundle?.layers.find((item) => item.name === step.layer);
    if (record !== undefined && layer !== undefined) world.records.set(step.layer, { ...record, layer });
  },
  forgetLayer: (world, step) => {
    world.records.delete(step.layer);
    for (const key of world.hooksDone) if (key.startsWith(`${step.layer}/`)) world.hooksDone.delete(key);
  },
  placeProgram: elsewhere,
  removePrograms: elsewhere,
  setHostNames: elsewhere,
  initKubernetes: elsewhere,
  joinKubernetes: elsewhere,
  startKubernetes: elsewhere,
  repairKubernetes: elsewhere,
  healServicePath: elsewhere,
  renewCertificates: elsewhere,
  saveDatastore: elsewhere,
  upgradeKubernetes: elsewhere,
  markApplied: elsewhere,
  leaveKubernetes: elsewhere,
  inviteHost: elsewhere,
  removeNode: elsewhere,
  giveTurn: elsewhere,
  endTurn: elsewhere,
  setNodeTraits: elsewhere,
  commit: (world, step) => void (world.committed = step.version),
};

export const perform = (world: ModelWorld, step: Step, bundle: Bundle | undefined): void =>
  (effects[step.step] as (world: ModelWorld, step: Step, bundle: Bundle | undefined) => void)(world, step, bundle);
export const performAll = (world: ModelWorld, plan: Plan, bundle: Bundle | undefined): void => plan.steps.forEach((step) => perform(world, step, bundle));

const content = (text: string): { digest: Digest; size: number } => ({ digest: digestBytes(text), size: text.length });

/** `Deployment shop/web = v2`: an object whose content is the text after the sign. */
export const object = (text: string, fields: Partial<BundleObject> = {}): BundleObject => {
  const [name = '', body = 'v1'] = text.split(' = ');
  const [kind = '', place = ''] = name.split(' ');
  const [first = '', second] = place.split('/');
  const apiVersion = ['Deployment', 'StatefulSet'].includes(kind)
    ? 'apps/v1'
    : kind === 'CustomResourceDefinition'
      ? 'apiextensions.k8s.io/v1'
      : kind === 'Job'
        ? 'batch/v1'
        : 'v1';
  return { ref: { apiVersion, kind, name: second ?? first, ...(second === undefined ? {} : { namespace: first }) }, ...content(`${name} ${body}`), ...fields };
};

export const layer = (name: string, fields: Partial<BundleLayer> = {}): BundleLayer => ({
  name,
  kind: 'addon',
  priority: 0,
  profile: { name: 'p', version: '1.0.0' },
  pack: { name, version: '1.0.0', source: 'manifest', digest: digestBytes(name) },
  adopt: false,
  readinessTimeoutMs: 60_000,
  objects: [],
  hooks: [],
  ...fields,
});

export const hook = (
  text: string,
  events: BundleLayer['hooks'][number]['events'],
  fields: Partial<BundleLayer['hooks'][number]> = {},
): BundleLayer['hooks'][number] => {
  const { ref, digest, size } = object(text);
  return { ref, digest, size, events, weight: 0, deletePolicies: [], ...fields };
};

/** An OS layer of files (`/etc/motd = text`), settings and units. */
export const osLayer = (
  name: string,
  os: { files?: string[]; sysctls?: Record<string, string>; units?: NonNullable<BundleLayer['os']>['units'] } & Pick<
    NonNullable<BundleLayer['os']>,
    'packages' | 'modules' | 'users'
  >,
): BundleLayer =>
  layer(name, {
    kind: 'os',
    os: {
      files: (os.files ?? []).map((text) => ({ path: text.split(' = ')[0] ?? '', ...content(text), mode: '0644', owner: 'root', group: 'root' })),
      sysctls: os.sysctls ?? {},
      units: os.units ?? [],
      ...(os.packages === undefined ? {} : { packages: os.packages }),
      ...(os.modules === undefined ? {} : { modules: os.modules }),
      ...(os.users === undefined ? {} : { users: os.users }),
    },
  });

export const kubernetesLayer = (version?: string): BundleLayer =>
  layer('k8s', { kind: 'kubernetes', kubernetes: { distribution: 'existing', ...(version === undefined ? {} : { version }) } });

export const bundleOf = (...layers: BundleLayer[]): Bundle => ({ schema: 'groundplane.dev/bundle/1', engine: 'e', profiles: [], layers });
