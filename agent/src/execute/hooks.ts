import { digestOf } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import type { StepArgs } from '@groundplane/protocol/plan/steps';
import { readinessOf, type Readiness } from '@groundplane/protocol/readiness';
import type { Cluster } from '../port/cluster.ts';
import { sleep } from '../port/clock.ts';
import type { AgentWrite } from '../port/store.ts';
import { writes } from '../store/state.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { clusterOf, contentObject, labelled } from './packs.ts';
import { podExplanation } from './readiness.ts';

/** Names the run, so that a restarted agent knows its own half-finished hook again. */
const runAnnotation = 'groundplane.dev/hook-run';

const pollMs = 500;

/** Waits until the object is gone, for hooks that are made again under the same name. */
const removeOld = async (cluster: Cluster, ref: ObjectRef, context: ExecuteContext, timeoutMs: number): Promise<Result<void>> => {
  const deleted = await cluster.delete(ref, { propagation: 'Background' });
  if (!deleted.ok && deleted.failure.code !== 'kind-unknown') return deleted;
  const deadline = context.clock.monotonicMs() + timeoutMs;
  while (!context.signal.aborted) {
    const live = await cluster.get(ref);
    if (!live.ok && live.failure.kind === 'retry' && live.failure.code !== 'api-unreachable') return ok(undefined);
    if (context.clock.monotonicMs() > deadline)
      return fail('retry', 'hook-stuck', refText(ref), 'the hook of an earlier run is still being deleted. Look at its finalizers');
    await sleep(context.clock, pollMs, context.signal);
  }
  return superseded(ref);
};

const superseded = (ref: ObjectRef): Result<never> => fail('retry', 'superseded', refText(ref), 'a newer generation came');

const awaitHook = async (cluster: Cluster, args: StepArgs['runHook'], context: ExecuteContext): Promise<Result<Readiness>> => {
  const deadline = context.clock.monotonicMs() + args.timeoutMs;
  while (!context.signal.aborted) {
    const live = await cluster.get(args.ref);
    if (!live.ok && live.failure.code === 'not-found') return ok({ state: 'failed', message: 'somebody deleted it while it ran' });
    if (live.ok) {
      const ready = readinessOf({ ...live.value, apiVersion: args.ref.apiVersion, kind: args.ref.kind });
      const finished = ready.state !== 'progressing' && (args.ref.kind !== 'Pod' || ready.state === 'failed' || isFinishedPod(live.value));
      if (finished) return ok(ready);
    }
    if (context.clock.monotonicMs() > deadline) return ok({ state: 'failed', message: `did not finish within ${Math.round(args.timeoutMs / 1000)} s` });
    await sleep(context.clock, pollMs, context.signal);
  }
  return superseded(args.ref);
};

const isFinishedPod = (pod: KubeObject): boolean =>
  typeof pod['status'] === 'object' && pod['status'] !== null && 'phase' in pod['status'] && pod['status'].phase === 'Succeeded';

/** Makes the hook unless this very run of it is already there (we were killed in between). */
const startHook = async (cluster: Cluster, args: StepArgs['runHook'], context: ExecuteContext): Promise<Result<void>> => {
  const object = contentObject(context, args.digest, refText(args.ref));
  if (!object.ok) return object;
  const live = await cluster.get(args.ref);
  if (live.ok && live.value.metadata.annotations?.[runAnnotation] === args.key) return ok(undefined);
  if (!live.ok && live.failure.code === 'api-unreachable') return live;
  const deleteFirst = args.deletePolicies.length === 0 || args.deletePolicies.includes('before-hook-creation');
  if (live.ok && deleteFirst) {
    const removed = await removeOld(cluster, args.ref, context, args.timeoutMs);
    if (!removed.ok) return removed;
  }
  const run = labelled(object.value, args.layer);
  const created = await cluster.create({ ...run, metadata: { ...run.metadata, annotations: { ...run.metadata.annotations, [runAnnotation]: args.key } } });
  return created.ok ? ok(undefined) : created;
};

/** A hook object that its policy leaves behind is ours, and goes when the layer goes. */
const leftover = async (cluster: Cluster, args: StepArgs['runHook']): Promise<AgentWrite> => {
  const live = await cluster.get(args.ref);
  const uid = live.ok ? (live.value.metadata.uid ?? '') : '';
  return writes.object({
    ref: args.ref,
    layer: args.layer,
    digest: args.digest,
    adopted: false,
    keep: false,
    hook: true,
    uid,
    fields: {},
    projection: digestOf({}),
  });
};

/**
 * Runs one Helm hook: delete an earlier one, create, wait for completion, delete by policy. It runs at most once per revision and event: the object carries the
 * run's name, and the row of finished runs is written with the step's result.
 */
export const runHook: Executor<'runHook'> = async (args, context) => {
  const found = clusterOf(context, refText(args.ref));
  if (!found.ok) return found;
  const started = await startHook(found.value, args, context);
  if (!started.ok) return started;
  const outcome = await awaitHook(found.value, args, context);
  if (!outcome.ok) return outcome;
  const succeeded = outcome.value.state === 'ready';
  const why = outcome.value.state === 'failed' ? await podExplanation(found.value, args.ref) : undefined;
  const deleted = args.deletePolicies.includes(succeeded ? 'hook-succeeded' : 'hook-failed');
  if (deleted) await found.value.delete(args.ref, { propagation: 'Background' });
  if (succeeded) {
    context.event({ type: 'normal', reason: 'HookSucceeded', layer: args.layer, message: `${args.event} hook ${refText(args.ref)} succeeded` });
    return ok([writes.hookDone(args.key), ...(deleted ? [writes.noObject(args.ref)] : [await leftover(found.value, args)])]);
  }
  const message = outcome.value.state === 'ready' ? '' : outcome.value.message;
  return fail('fatal', 'hook-failed', `layer ${args.layer}, ${args.event} hook ${refText(args.ref)}`, `${message}${why === undefined ? '' : `: ${why}`}`);
};
