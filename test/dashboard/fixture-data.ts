import { digestOf, type Digest } from '@groundplane/protocol/digest';
import type { ClusterView, EventView, HostView, ProfileView, TicketView } from '@groundplane/protocol/api/views';
import { profileSpecSchema } from '@groundplane/protocol/profile';
import type { HostPhase, LayerState, LayerStatus } from '@groundplane/protocol/observed';
import type { LayerKind } from '@groundplane/protocol/layer';
import type { Output } from '@groundplane/protocol/api/client';
import type { ArtifactView, RegistryView } from '@groundplane/protocol/api/registries';
import { macrosOf, makeArtifacts, makeRegistries, shopSpec } from './fixture-content.ts';

export const project = 'retail';
const minute = 60_000;
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** Texts that would run, point elsewhere or turn the line around in a page that is careless. */
export const hostile = {
  markup: '<img src=x onerror="window.__pwned=1"><script>window.__pwned=1</script>',
  link: 'javascript:window.__pwned=1',
  rtl: 'مستودع \u202Egnp.exe',
  long: 'n'.repeat(200),
  template: '{{constructor.constructor("window.__pwned=1")()}}',
};

const idOf = (prefix: string, number: number): string => {
  let text = '';
  for (let rest = number + 1; text.length < 20; rest = (rest * 33 + 7) % 1_000_003) text += alphabet.charAt(rest % 32);
  return `${prefix}_${text}`;
};
const stamp = (prefix: string, number: number, atMs: number) => ({
  id: idOf(prefix, number),
  createdAtMs: atMs - 40 * 24 * 60 * minute,
  updatedAtMs: atMs - number * 7 * minute,
  rowVersion: 1,
});

const layerTable: readonly (readonly [string, LayerKind, string, string])[] = [
  ['base-os', 'os', 'debian-settings', '12.4.0'],
  ['kubernetes', 'kubernetes', 'existing', '1.34.2'],
  ['cilium', 'network', 'cilium', '1.18.3'],
  ['longhorn', 'storage', 'longhorn', '1.9.1'],
  ['ingress', 'addon', 'ingress-nginx', '4.13.2'],
  ['till', 'addon', 'till', '2.7.0'],
];

const layerStatus = (index: number, state: LayerState, atMs: number, message?: string): LayerStatus => {
  const [name, kind, pack, version] = layerTable[index] ?? ['x', 'addon', 'x', '1.0.0'];
  const isDrifted = index === 2;
  return {
    name,
    kind,
    pack: { name: pack, version },
    digest: digestOf([name, state === 'failed' ? 'old' : version]),
    state,
    ...(message === undefined ? {} : { message }),
    objects: { total: kind === 'os' ? 0 : 12 + index, ready: state === 'ready' ? 12 + index : 9 },
    drift: isDrifted ? { healed: 3, lastAtMs: atMs - 47 * minute, last: 'ConfigMap kube-system/cilium-config: data.debug was "true"' } : { healed: 0 },
  };
};

const phases: readonly HostPhase[] = [
  'converged',
  'converged',
  'converged',
  'converged',
  'applying',
  'converged',
  'degraded',
  'converged',
  'rolled-back',
  'blocked',
  'staging',
  'converged',
];

export const makeHost = (number: number, atMs: number, over: Partial<HostView> = {}): HostView => {
  const online = number % 11 !== 5;
  const phase = phases[number % phases.length] ?? 'converged';
  const generation = 7;
  const version = { epoch: 'e1', generation, digest: digestOf(['desired', number]) };
  return {
    id: idOf('hos', number),
    name: `till-${String(number).padStart(4, '0')}`,
    project,
    state: 'approved',
    online,
    lastSeenMs: online ? atMs - 4000 : atMs - (3 + (number % 40)) * 60 * minute,
    simulated: number % 3 === 0,
    cluster: `store-${String(Math.floor(number / 12)).padStart(3, '0')}`,
    phase,
    generation,
    reportedGeneration: phase === 'applying' ? generation - 1 : generation,
    drifted: number % 9 === 0 ? 2 : 0,
    labels: { site: ['north', 'south', 'west'][number % 3] ?? 'north', ring: number % 10 === 0 ? 'canary' : 'main' },
    createdAtMs: atMs - 30 * 24 * 60 * minute,
    key: `ed25519:${idOf('key', number).slice(4)}AAAAAAAAAAAAAAAAAAAAAAA`,
    words: 'crane orbit velvet lemon',
    serial: `SN-${1000 + number}`,
    info: {
      hostname: `till-${number}.example`,
      os: 'Debian GNU/Linux 12 (bookworm)',
      kernel: '6.1.0-18-amd64',
      arch: 'x64',
      cpus: 4,
      memoryBytes: 8 * 1024 ** 3,
      agentVersion: '0.1.0',
      privileged: true,
      simulated: number % 3 === 0,
    },
    status: {
      version,
      committed: version,
      phase,
      layers: [0, 1, 2, 3, 4, 5].map((index) => layerStatus(index, 'ready', atMs)),
      kubernetes: { state: 'reachable', version: 'v1.34.2' },
      ...(phase === 'rolled-back'
        ? {
            poisoned: {
              version,
              failure: {
                kind: 'fatal' as const,
                code: 'image-pull',
                element: 'layer till, Deployment shop/till',
                message: 'image registry.example/till:2.8.0 does not exist. Correct the tag in the profile.',
              },
            },
          }
        : {}),
    },
    desired: version,
    reportedAtMs: atMs - 5000,
    ...over,
  };
};

type Shape = { name: string; state: ClusterView['state']; message: string; failure?: ClusterView['failure']; broken?: number };
const clusterShapes: readonly Shape[] = [
  { name: 'store-000', state: 'ready', message: 'Every layer runs as desired.' },
  {
    name: 'store-001',
    state: 'failed',
    message: 'image registry.example/till:2.8.0 does not exist',
    broken: 5,
    failure: {
      kind: 'fatal',
      code: 'image-pull',
      element: 'layer till, Deployment shop/till',
      message: 'image registry.example/till:2.8.0 does not exist. Correct the tag in the profile and apply the new version; 2.7.0 runs meanwhile.',
    },
  },
  { name: 'store-002', state: 'applying', message: 'A change is on its way to its hosts.' },
  { name: 'store-003', state: 'degraded', message: 'Deployment shop/till: 2 of 3 replicas are ready', broken: 5 },
  { name: 'store-004', state: 'blocked', message: 'the kubeconfig /etc/rancher/k3s/k3s.yaml is missing', broken: 1 },
];

export const makeCluster = (shape: Shape, number: number, hosts: readonly HostView[], atMs: number): ClusterView => ({
  ...stamp('clu', number, atMs),
  name: shape.name,
  project,
  labels: { ring: number % 4 === 0 ? 'canary' : 'main' },
  state: shape.state,
  message: shape.message,
  profiles: [
    { name: 'edge-base', version: '1.2.0' },
    { name: 'till', version: '2.7.0' },
  ],
  layersReady: shape.broken === undefined ? 6 : 5,
  layersTotal: 6,
  drifted: 1,
  simulated: hosts.some((host) => host.simulated),
  spec: {
    profiles: [
      { name: 'edge-base', version: '1.2.0' },
      { name: 'till', version: '2.7.0' },
    ],
    variables: { replicas: '3', greeting: 'Welcome' },
    hosts: hosts.map((host) => host.name),
  },
  bundle: digestOf(['bundle', shape.name]),
  kubernetesVersion: 'v1.34.2',
  layers: layerTable.map(([name, kind, pack, version], index) => {
    const state = shape.broken === index ? (shape.state === 'failed' ? 'failed' : 'degraded') : shape.state === 'applying' && index > 3 ? 'pending' : 'ready';
    return {
      name,
      kind,
      profile: index < 4 ? { name: 'edge-base', version: '1.2.0' } : { name: 'till', version: '2.7.0' },
      desired: { pack: { name: pack, version }, digest: digestOf([name, version]) },
      observed: layerStatus(index, state, atMs, state === 'ready' ? undefined : state === 'pending' ? undefined : shape.message),
      isCurrent: state === 'ready',
    };
  }),
  conditions: [
    { type: 'Resolved', status: 'True', reason: 'BundleMade', message: 'Its profiles and values make one bundle' },
    {
      type: 'Ready',
      status: shape.state === 'ready' ? 'True' : 'False',
      reason: shape.state === 'ready' ? 'AllReady' : 'LayerNotReady',
      message: shape.message,
    },
  ],
  hosts: [...hosts],
  ...(shape.failure === undefined ? {} : { failure: shape.failure }),
  deleting: false,
});

const profileSpec = (replicas: number, extra: boolean) =>
  profileSpecSchema.parse({
    type: 'full',
    description: 'Debian settings, the cluster that is there, network and storage for a store',
    variables: [
      { name: 'replicas', format: 'number', default: String(replicas) },
      { name: 'greeting', default: 'Welcome' },
    ],
    layers: [
      { name: 'base-os', kind: 'os', os: { sysctls: { 'vm.swappiness': '10' } } },
      { name: 'kubernetes', kind: 'kubernetes', kubernetes: { distribution: 'existing', version: '>=1.30 <1.39' } },
      { name: 'cilium', kind: 'network', manifests: [{ name: 'config', content: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cilium-config}\n' }] },
      ...(extra
        ? [{ name: 'longhorn', kind: 'storage', manifests: [{ name: 'ns', content: 'apiVersion: v1\nkind: Namespace\nmetadata: {name: longhorn-system}\n' }] }]
        : []),
    ],
  });

export const makeProfiles = (atMs: number): ProfileView[] => {
  const one = (number: number, name: string, version: string, state: 'draft' | 'released', usedBy: string[]): ProfileView => {
    const spec = profileSpec(number, number > 1);
    return { ...stamp('prv', number, atMs), name, project, version, labels: {}, state, digest: digestOf(spec), spec, usedBy };
  };
  return [
    one(1, 'edge-base', '1.1.0', 'released', []),
    one(2, 'edge-base', '1.2.0', 'released', ['store-000', 'store-001', 'store-002', 'store-003', 'store-004']),
    one(3, 'edge-base', '1.3.0-rc.1', 'draft', []),
    {
      ...one(4, 'till', '2.7.0', 'released', ['store-000', 'store-001']),
      spec: profileSpecSchema.parse({
        type: 'addon',
        layers: [{ name: 'till', kind: 'addon', namespace: 'shop', settable: ['*'], manifests: [{ name: 'till', content: 'kind: ConfigMap\n' }] }],
      }),
    },
    { ...one(5, 'shop', '0.9.0', 'draft', []), spec: shopSpec },
  ];
};

export const makeEvents = (atMs: number): EventView[] =>
  Array.from({ length: 40 }, (_, index): EventView => {
    const isBad = index % 7 === 3;
    return {
      seq: index + 1,
      atMs: atMs - (40 - index) * 11 * minute,
      type: isBad ? 'warning' : 'normal',
      reason: isBad ? 'DriftHealed' : 'LayerReady',
      message: isBad ? 'ConfigMap kube-system/cilium-config: data.debug was "true"; put back' : 'layer till is ready: 14 of 14 objects',
      project,
      cluster: `store-00${index % 5}`,
      host: `till-${String(index % 12).padStart(4, '0')}`,
      layer: isBad ? 'cilium' : 'till',
      generation: 7,
      ...(index % 9 === 0 ? { actor: 'admin' } : {}),
    };
  });

export const makeTicket = (atMs: number): TicketView => ({
  ...stamp('tic', 1, atMs),
  name: 'batch-november',
  project,
  expiresAtMs: atMs + 20 * 60 * minute,
  usesLeft: 37,
  labels: { ring: 'main' },
  autoApprove: false,
});

/** Waiting hosts that a person has to think about: one in the place of another, and one that two machines say to be. */
export const addDoubts = (world: World, atMs: number): void => {
  const wait = (number: number, changes: Partial<HostView>): void => {
    const host = makeHost(number, atMs, { state: 'lobby', generation: 0, online: true, ...changes });
    for (const key of ['cluster', 'phase', 'status', 'desired', 'reportedGeneration', 'reportedAtMs'] as const) delete host[key];
    world.hosts.set(host.name, host);
  };
  wait(7101, { name: 'fresh-board', words: 'violin harbor sudden moss', replaces: 'till-0001', serial: 'SN-1001' });
  wait(7102, {
    name: 'copied',
    words: 'ladder ginger orbit plain',
    suspected: { atMs, message: 'two machines say that they are copied. It waits in the lobby: remove /var/lib/groundplane on the copy' },
  });
};

const lobbyWords = ['tiger maple anchor quiet', 'river stone copper dawn', 'pencil cloud harbor nine'];

export interface World {
  hosts: Map<string, HostView>;
  clusters: Map<string, ClusterView>;
  profiles: Map<string, ProfileView>;
  tickets: Map<string, TicketView>;
  events: EventView[];
  registries: Map<string, RegistryView>;
  artifacts: ArtifactView[];
  macros: Map<string, Output<'setMacro'>>;
  tenantMacros: Map<string, Output<'setMacro'>>;
  isHostile: boolean;
}

export interface WorldOptions {
  hosts: number;
  isEmpty?: boolean;
  isHostile?: boolean;
}

const spoil = (world: World, atMs: number): void => {
  const texts = Object.values(hostile);
  texts.forEach((text, index) => {
    const waits = makeHost(8000 + index, atMs, { name: `${text}-lobby`, state: 'lobby', serial: text, labels: { [`l${index}`]: text } });
    delete waits.cluster;
    const host = makeHost(9000 + index, atMs, { name: text, cluster: text, serial: text, labels: { site: text } });
    if (host.info !== undefined) host.info = { ...host.info, hostname: text, os: text };
    world.hosts.set(text, host);
    world.hosts.set(waits.name, waits);
    const failure = { kind: 'fatal' as const, code: 'image-pull', element: text, message: text };
    const cluster = makeCluster({ name: text, state: 'failed', message: text, failure, broken: 2 }, 900 + index, [host], atMs);
    cluster.spec = { ...cluster.spec, variables: { v: text } };
    for (const layer of cluster.layers) if (layer.observed !== undefined) layer.observed.drift = { healed: 1, lastAtMs: atMs, last: text };
    world.clusters.set(text, cluster);
    world.events.push({
      seq: 100 + index,
      atMs,
      type: 'warning',
      reason: text.slice(0, 64),
      message: text,
      project,
      cluster: text,
      host: text,
      layer: text,
      actor: text,
    });
    const profile = makeProfiles(atMs)[0];
    if (profile !== undefined)
      world.profiles.set(`${text}@1.0.0`, {
        ...profile,
        id: idOf('prv', 900 + index),
        name: text,
        version: '1.0.0',
        spec: { ...profile.spec, description: text },
        usedBy: [text],
      });
    for (const registry of makeRegistries(atMs, project).slice(0, 1))
      world.registries.set(text, { ...registry, id: idOf('reg', 900 + index), name: text, url: text, username: text, mirrors: [text] });
    for (const macro of macrosOf(atMs, project).slice(0, 1)) world.macros.set(text, { ...macro, id: idOf('mac', 900 + index), name: text, value: text });
    for (const artifact of makeArtifacts(atMs)) world.artifacts.push({ ...artifact, repository: text, tag: text });
    world.tickets.set(text, { ...makeTicket(atMs), id: idOf('tic', 900 + index), name: text });
  });
};

/** A fleet as the hub would tell it. */
export const makeWorld = (options: WorldOptions, atMs: number): World => {
  const world: World = {
    hosts: new Map(),
    clusters: new Map(),
    profiles: new Map(),
    tickets: new Map(),
    events: [],
    registries: new Map(),
    artifacts: [],
    macros: new Map(),
    tenantMacros: new Map(),
    isHostile: options.isHostile === true,
  };
  if (options.isEmpty === true) return world;
  const hosts = Array.from({ length: options.hosts }, (_, number) => makeHost(number, atMs));
  for (const host of hosts) world.hosts.set(host.name, host);
  const free = makeHost(7000, atMs, { name: 'spare-0001', phase: 'idle' });
  delete free.cluster;
  world.hosts.set(free.name, free);
  lobbyWords.forEach((words, index) => {
    const host = makeHost(7001 + index, atMs, { name: `new-${index + 1}`, state: 'lobby', words, generation: 0, online: true, simulated: index === 1 });
    for (const key of ['cluster', 'phase', 'status', 'desired', 'reportedGeneration', 'reportedAtMs'] as const) delete host[key];
    world.hosts.set(host.name, host);
  });
  const names = [...new Set(hosts.map((host) => host.cluster ?? ''))];
  names.forEach((name, number) => {
    const shape = clusterShapes[number] ?? { name, state: 'ready' as const, message: 'Every layer runs as desired.' };
    world.clusters.set(
      name,
      makeCluster(
        { ...shape, name },
        number,
        hosts.filter((host) => host.cluster === name),
        atMs,
      ),
    );
  });
  for (const profile of makeProfiles(atMs)) world.profiles.set(`${profile.name}@${profile.version}`, profile);
  world.tickets.set('batch-november', makeTicket(atMs));
  world.tickets.set('listed', { ...makeTicket(atMs), id: idOf('tic', 2), name: 'listed', serials: 40, serialsToCome: 12 });
  world.events = makeEvents(atMs);
  for (const registry of makeRegistries(atMs, project)) world.registries.set(registry.name, registry);
  for (const macro of macrosOf(atMs, project)) world.macros.set(macro.name, macro);
  world.artifacts = makeArtifacts(atMs);
  if (options.isHostile === true) spoil(world, atMs);
  return world;
};

export const newId = idOf;
export type { Digest };
