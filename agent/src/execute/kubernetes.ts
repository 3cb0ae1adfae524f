import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { versionTag } from '@groundplane/protocol/distribution/spec';
import { isForHost } from '@groundplane/protocol/plan/facts';
import { writeHostNames } from '../distribution/host-names.ts';
import { markConfigured, markNode } from '../distribution/nodes.ts';
import { invitationOf, memoryOf, sealKeyOf, setupOf, type KubernetesDeps, type KubernetesMemory, type ServicePathMemory } from '../observe/distribution.ts';
import type { Distribution, DistributionSetup, KeptFile } from '../port/distribution.ts';
import type { AgentWrite } from '../port/store.ts';
import { writes } from '../store/state.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { forgetCluster } from './layers.ts';

interface Ready {
  deps: KubernetesDeps;
  distribution: Distribution;
  setup: DistributionSetup;
  memory: KubernetesMemory | undefined;
}

/** What a step of Kubernetes works with: the desired set-up, or the one that was remembered when the cluster is gone from the desired state. */
export const readyFor = async (context: ExecuteContext, layerName: string): Promise<Result<Ready>> => {
  const deps = context.kubernetes;
  if (deps === undefined)
    return fail('blocked', 'distribution-unknown', `layer ${layerName}`, 'this agent was started without the means to bring up Kubernetes');
  const memory = memoryOf(context.state);
  const cluster = context.target.desired.cluster;
  const layer = context.target.bundle?.layers.find((item) => item.name === layerName);
  const address = cluster?.site?.address ?? (await deps.address()) ?? memory?.setup.identity.address ?? '';
  const setup = (layer === undefined || cluster === undefined ? undefined : setupOf(layer, cluster, context.target.desired.host, address)) ?? memory?.setup;
  const distribution = setup === undefined ? undefined : deps.distribution(setup.spec.distribution);
  return setup === undefined || distribution === undefined
    ? fail('blocked', 'distribution-unknown', `layer ${layerName}`, 'says nothing about the cluster that this host belongs to')
    : ok({ deps, distribution, setup, memory });
};

const kept = async (distribution: Distribution, role: DistributionSetup['role']): Promise<Result<AgentWrite[]>> => {
  const files = await distribution.keep(role);
  return files.ok ? ok([writes.kv('kubernetes.kept', files.value)]) : files;
};

export const placeProgram: Executor<'placeProgram'> = async (args, context) => {
  const deps = context.kubernetes;
  if (deps === undefined) return ok([]);
  const known = context.state.kv<string[]>('programs') ?? [];
  const isOurs = known.includes(args.path);
  const adopts = context.target.bundle?.layers.find((item) => item.name === args.layer)?.adopt === true;
  if (!isOurs && !adopts && (await deps.programs.digestOf(args.path)) !== 'absent')
    return fail('blocked', 'program-foreign', args.path, 'is there already and is not ours. Remove it, or let the layer take it over with "adopt: true"');
  if (!isOurs) {
    const noted = context.state.commit([writes.kv('programs', [...known, args.path])]);
    if (!noted.ok) return noted;
  }
  const placed = await context.blobs.place(args.digest, args.path, { mode: Number.parseInt(args.mode, 8) });
  if (!placed.ok) return placed;
  await deps.programs.placed(args.path, args.digest);
  if (args.reason === 'drifted' || args.reason === 'missing') drifted(context, args.layer, args.path);
  return ok([]);
};

const drifted = (context: ExecuteContext, layer: string, what: string): void =>
  context.event({ type: 'warning', reason: 'DriftHealed', layer, message: `${what} was changed by somebody else and is as it should be again` });

export const removePrograms: Executor<'removePrograms'> = async (_, context) => {
  for (const path of context.state.kv<string[]>('programs') ?? []) await context.kubernetes?.tools.remove(path);
  return ok([{ table: 'kv', key: 'programs', value: null }]);
};

export const setHostNames: Executor<'setHostNames'> = async (args, context) => {
  if (context.kubernetes === undefined) return ok([]);
  const written = await writeHostNames(context.kubernetes.tools, args.names);
  return written.ok ? ok([]) : written;
};

/** Notes that something is begun before it is, and counts what failed. */
const begin = (context: ExecuteContext, layer: string, setup: DistributionSetup, memory: KubernetesMemory | undefined): Result<KubernetesMemory> => {
  const next: KubernetesMemory = { state: 'begun', layer, setup, failedAttempts: memory?.failedAttempts ?? 0 };
  const noted = context.state.commit([writes.kv('kubernetes', next)]);
  return noted.ok ? ok(next) : noted;
};

const failed = (context: ExecuteContext, memory: KubernetesMemory, failure: Failure): { ok: false; failure: Failure } => {
  context.state.commit([writes.kv('kubernetes', { ...memory, failedAttempts: memory.failedAttempts + 1 })]);
  return { ok: false, failure };
};

const arrived = async (ready: Ready, memory: KubernetesMemory, digest: KubernetesMemory['arrived']): Promise<Result<AgentWrite[]>> => {
  const files = await kept(ready.distribution, ready.setup.role);
  return files.ok
    ? ok([...files.value, writes.kv('kubernetes', { ...memory, state: 'joined', ...(digest === undefined ? {} : { arrived: digest }), failedAttempts: 0 })])
    : files;
};

export const initKubernetes: Executor<'initKubernetes'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const { distribution, setup } = ready.value;
  const begun = begin(context, args.layer, setup, ready.value.memory);
  if (!begun.ok) return begun;
  if (args.afresh) {
    const wiped = await distribution.wipe(setup, true);
    if (!wiped.ok) return failed(context, begun.value, wiped.failure);
  }
  const done = await distribution.init(setup);
  if (!done.ok) return failed(context, begun.value, done.failure);
  context.event({
    type: 'normal',
    reason: 'ClusterMade',
    layer: args.layer,
    message: `cluster ${setup.cluster} runs Kubernetes ${versionTag(setup.spec.version)}`,
  });
  return arrived(ready.value, begun.value, args.digest);
};

export const joinKubernetes: Executor<'joinKubernetes'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const { distribution, setup } = ready.value;
  const cluster = context.target.desired.cluster?.id ?? '';
  const secrets = invitationOf(context.state, sealKeyOf(context.state), cluster, context.target.desired.host);
  if (secrets === undefined) return fail('retry', 'join-waiting', `layer ${args.layer}`, 'the invitation is gone; another one is asked for');
  const begun = begin(context, args.layer, setup, ready.value.memory);
  if (!begun.ok) return begun;
  if (args.afresh) {
    const wiped = await distribution.wipe(setup, false);
    if (!wiped.ok) return failed(context, begun.value, wiped.failure);
  }
  const done = await distribution.join(setup, secrets);
  if (!done.ok) {
    // Sealed for another key from now on, so the keeper sees that a new one is wanted.
    if (done.failure.code === 'join-refused') context.state.commit([{ table: 'kv', key: 'sealKey', value: null }]);
    return failed(context, begun.value, done.failure);
  }
  context.event({ type: 'normal', reason: 'HostJoined', layer: args.layer, message: `this host is a ${setup.role} of cluster ${setup.cluster}` });
  return arrived(ready.value, begun.value, args.digest);
};

export const startKubernetes: Executor<'startKubernetes'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const done = await ready.value.distribution.start(args.restart);
  return done.ok ? ok([]) : done;
};

export const repairKubernetes: Executor<'repairKubernetes'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const done = await ready.value.distribution.repair(context.state.kv<Record<string, KeptFile>>('kubernetes.kept') ?? {}, args.parts);
  if (!done.ok) return done;
  drifted(context, args.layer, args.parts.join(', ').slice(0, 500));
  return ok([]);
};

export const healServicePath: Executor<'healServicePath'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  // Noted first: what was cut here is not done over and over.
  const known = context.state.kv<ServicePathMemory>('kubernetes.servicePath');
  const healedMs = context.clock.wallMs();
  const noted = context.state.commit([writes.kv('kubernetes.servicePath', { sinceMs: known?.sinceMs ?? healedMs, healedMs })]);
  if (!noted.ok) return noted;
  const done = await ready.value.distribution.healServicePath(ready.value.setup);
  if (!done.ok) return done;
  context.event({
    type: 'warning',
    reason: 'ServicePathHealed',
    layer: args.layer,
    message: `Services did not answer on this host for ${args.closedSeconds} s, while the API server did: kube-proxy was started anew`,
  });
  return ok([]);
};

export const renewCertificates: Executor<'renewCertificates'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const done = await ready.value.distribution.renewCertificates(ready.value.setup);
  if (!done.ok) return done;
  context.event({ type: 'normal', reason: 'CertificatesRenewed', layer: args.layer, message: 'the certificates of Kubernetes on this host are new' });
  return kept(ready.value.distribution, ready.value.setup.role);
};

export const saveDatastore: Executor<'saveDatastore'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const done = await ready.value.distribution.saveDatastore(ready.value.setup, ready.value.setup.spec.snapshots.keep);
  if (done.ok || args.required) return done.ok ? ok([]) : done;
  // It is tried again at the next look; what else there is to do does not wait for it.
  const saidAtMs = context.state.kv<number>('kubernetes.snapshotFailed') ?? Number.NEGATIVE_INFINITY;
  const nowMs = context.clock.wallMs();
  if (Math.abs(nowMs - saidAtMs) < 3_600_000) return ok([]);
  context.event({
    type: 'warning',
    reason: 'SnapshotFailed',
    layer: args.layer,
    message: `no snapshot of the datastore was saved: ${done.failure.message}`.slice(0, 1_000),
  });
  return ok([writes.kv('kubernetes.snapshotFailed', nowMs)]);
};

export const upgradeKubernetes: Executor<'upgradeKubernetes'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const { distribution, setup, memory } = ready.value;
  // Manifests change under our eyes from here on: the old ones are no drift to be undone after a cut.
  const old = context.state.kv<Record<string, KeptFile>>('kubernetes.kept') ?? {};
  const loose = Object.fromEntries(Object.entries(old).map(([path, file]) => [path, { ...file, rule: 'valid' as const }]));
  const noted = context.state.commit([writes.kv('kubernetes.kept', loose)]);
  if (!noted.ok) return noted;
  const done = await distribution.upgrade(setup, args.first, memory?.setup);
  if (!done.ok) return done;
  if (args.first && distribution.hasSharedConfig && context.cluster !== undefined) {
    const marked = await markConfigured(context.cluster, args.digest);
    if (!marked.ok) return marked;
  }
  const files = await kept(distribution, setup.role);
  return files.ok ? ok([...files.value, ...(memory === undefined ? [] : [writes.kv('kubernetes', { ...memory, setup })])]) : files;
};

export const markApplied: Executor<'markApplied'> = async (args, context) => {
  const ready = await readyFor(context, args.layer);
  if (!ready.ok) return ready;
  const cluster = context.cluster ?? (await context.openCluster?.());
  if (cluster === undefined) return fail('retry', 'node-not-alive', `layer ${args.layer}`, 'the API server does not answer yet');
  const { setup, memory } = ready.value;
  // What was made, joined or changed last is what runs; the desired state may be ahead of it.
  const version = versionTag((memory?.setup ?? setup).spec.version);
  const marked = await markNode(
    cluster,
    { node: setup.identity.name, version, digest: args.digest, startedAtMs: await ready.value.distribution.startedAtMs() },
    context.clock,
    context.signal,
  );
  return marked.ok ? ok(memory === undefined ? [] : [writes.kv('kubernetes', { ...memory, applied: args.digest })]) : marked;
};

export const leaveKubernetes: Executor<'leaveKubernetes'> = async (args, context) => {
  const memory = memoryOf(context.state);
  if (memory !== undefined) {
    const ready = await readyFor(context, args.layer);
    if (!ready.ok) return ready;
    const wiped = await ready.value.distribution.wipe(memory.setup, args.last);
    if (!wiped.ok) return wiped;
    await writeHostNames(ready.value.deps.tools, {});
  }
  const gone = ['kubernetes', 'kubernetes.kept', 'kubernetes.servicePath', 'site', 'invitations'].map((key): AgentWrite => ({ table: 'kv', key, value: null }));
  // Whatever ran in it went with it; the layers of the machine are still to be taken away.
  const machine = new Set(context.state.layers().flatMap((row) => (isForHost(row.layer, false) ? [row.name] : [])));
  return ok([...gone, ...forgetCluster(context).filter((write) => !(write.table === 'layers' && machine.has(write.key)))]);
};
