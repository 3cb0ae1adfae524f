import { fail, ok } from '@groundplane/protocol/failure';
import { refText, type KubeObject, type ObjectRef } from '@groundplane/protocol/kubernetes';
import { podWaiting } from '@groundplane/protocol/readiness';
import type { Cluster } from '../port/cluster.ts';
import { sleep } from '../port/clock.ts';
import type { Executor } from './context.ts';
import { clusterOf } from './packs.ts';

const pollMs = 500;

const matchLabels = (object: KubeObject): Record<string, string> | undefined => {
  const spec = object['spec'] as { selector?: { matchLabels?: Record<string, string> } } | undefined;
  return spec?.selector?.matchLabels;
};

/** What the pods of a workload say about why it does not run: a waiting container, or the last words of a failed one. */
export const podExplanation = async (cluster: Cluster, ref: ObjectRef): Promise<string | undefined> => {
  if (ref.namespace === undefined) return undefined;
  const live = await cluster.get(ref);
  const labels = live.ok ? matchLabels(live.value) : undefined;
  if (labels === undefined) return undefined;
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace, labelSelector });
  if (!pods.ok) return undefined;
  for (const pod of pods.value.items) {
    const waiting = podWaiting(pod);
    if (waiting !== undefined) return `pod ${pod.metadata.name ?? ''}, ${waiting}`;
  }
  const failed = pods.value.items.find((pod) => (pod['status'] as { phase?: string } | undefined)?.phase === 'Failed');
  if (failed?.metadata.name === undefined) return undefined;
  const log = await cluster.podLog(ref.namespace, failed.metadata.name, 5);
  return log.ok && log.value.trim() !== '' ? `pod ${failed.metadata.name} said: ${log.value.trim().slice(-500)}` : undefined;
};

/** Waits until every object of the layers is ready. One that failed for good, or the time-out, fails the generation with the pods' own reason. */
export const awaitReady: Executor<'awaitReady'> = async (args, context) => {
  const found = clusterOf(context, `layers ${args.layers.join(', ')}`);
  if (!found.ok) return found;
  const view = context.view;
  const layers = (context.target.bundle?.layers ?? []).filter((layer) => args.layers.includes(layer.name));
  const deadline = context.clock.monotonicMs() + args.timeoutMs;
  while (!context.signal.aborted && view !== undefined) {
    const observed = await view.observe(layers);
    if (!observed.ok && observed.failure.code !== 'api-unreachable') return observed;
    const open = layers
      .flatMap((layer) => layer.objects.map((object) => ({ layer, ref: object.ref, ready: view.readiness(object.ref) })))
      .filter((item) => item.ready.state !== 'ready');
    if (observed.ok && open.length === 0) return ok([]);
    const broken = observed.ok ? open.find((item) => item.ready.state === 'failed') : undefined;
    const late = context.clock.monotonicMs() > deadline ? open[0] : undefined;
    const culprit = broken ?? late;
    if (culprit !== undefined) {
      const said = culprit.ready.state === 'ready' ? '' : culprit.ready.message;
      const why = await podExplanation(found.value, culprit.ref);
      const when = broken === undefined ? ` after ${Math.round(args.timeoutMs / 1000)} s` : '';
      return fail(
        'fatal',
        'not-ready',
        `layer ${culprit.layer.name}, ${refText(culprit.ref)}`,
        `is not ready${when}: ${said}${why === undefined ? '' : `; ${why}`}`,
      );
    }
    await sleep(context.clock, pollMs, context.signal);
  }
  return fail('retry', 'superseded', `layers ${args.layers.join(', ')}`, 'a newer generation came');
};
