import type { KubeObject } from '@groundplane/protocol/kubernetes';
import { isBrokenImage } from '../lab/broken-image.ts';
import { refOf } from './object-store.ts';
import { nowText, record, type WorkloadWorld } from './workload-world.ts';
import { ownersOf } from './writes.ts';

interface Container {
  name: string;
  image: string;
}

const containersOf = (pod: KubeObject, field: 'containers' | 'initContainers'): Container[] => (record(pod['spec'])[field] as Container[] | undefined) ?? [];

export const isPodBroken = (pod: KubeObject): boolean =>
  [...containersOf(pod, 'containers'), ...containersOf(pod, 'initContainers')].some(({ image }) => isBrokenImage(image));

const conditions = (isReady: boolean, at: string): object[] =>
  ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => {
    const status = isReady || type === 'PodScheduled' || type === 'Initialized' ? 'True' : 'False';
    return { type, status, lastTransitionTime: at, ...(status === 'True' ? {} : { reason: 'ContainersNotReady' }) };
  });

const containerStatus = ({ name, image }: Container, isReady: boolean, state: object): object => ({
  name,
  image,
  ready: isReady,
  started: isReady,
  restartCount: 0,
  state,
});

const waiting = ({ image }: Container): object =>
  isBrokenImage(image) ? { waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image ${image}` } } : { waiting: { reason: 'ContainerCreating' } };

const terminated = (exitCode: number, at: string): object => ({
  terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', startedAt: at, finishedAt: at },
});

const writePod = (world: WorkloadWorld, pod: KubeObject, phase: string, isReady: boolean, state: (container: Container) => object): void => {
  const at = nowText(world.clock);
  const containerStatuses = containersOf(pod, 'containers').map((container) => containerStatus(container, isReady, state(container)));
  const startTime = record(pod['status'])['startTime'] ?? at;
  world.writes.writeStatus(refOf(pod), {
    phase,
    conditions: conditions(isReady, at),
    containerStatuses,
    startTime,
    ...(isReady ? { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] } : {}),
  });
};

/** Does the work later, when this very pod is still there in the same phase. */
const laterInPhase = (world: WorkloadWorld, pod: KubeObject, phase: string, work: (pod: KubeObject) => void): void =>
  world.later(world.readyMs, () => {
    const now = world.store.read(refOf(pod));
    if (now !== undefined && now.metadata.uid === pod.metadata.uid && record(now['status'])['phase'] === phase) work(now);
  });

const begin = (world: WorkloadWorld, pod: KubeObject): void => {
  const isJob = ownersOf(pod).some((owner) => owner.kind === 'Job');
  writePod(world, pod, 'Pending', false, waiting);
  if (isPodBroken(pod)) {
    if (isJob) laterInPhase(world, pod, 'Pending', (now) => writePod(world, now, 'Failed', false, () => terminated(1, nowText(world.clock))));
    return;
  }
  laterInPhase(world, pod, 'Pending', (now) => {
    writePod(world, now, 'Running', true, () => ({ running: { startedAt: nowText(world.clock) } }));
    if (isJob) laterInPhase(world, now, 'Running', (running) => writePod(world, running, 'Succeeded', false, () => terminated(0, nowText(world.clock))));
  });
};

/** A kubelet's part: a pod without a status begins, everything after that runs on the clock. After a restart of the controllers, pods begin anew. */
export const startPod = (world: WorkloadWorld, pod: KubeObject): void => {
  const phase = record(pod['status'])['phase'];
  const key = `pod/${pod.metadata.uid ?? ''}`;
  if ((phase !== undefined && phase !== 'Pending') || world.startedMs.has(key)) return;
  world.startedMs.set(key, { generation: 0, atMs: world.clock.monotonicMs() });
  begin(world, pod);
};
