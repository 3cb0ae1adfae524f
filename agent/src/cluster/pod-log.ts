import { ok, type Result } from '@groundplane/protocol/failure';
import type { KubeObject, ObjectRef } from '@groundplane/protocol/kubernetes';
import type { Transport } from './http.ts';
import { objectPath, queryText } from './path.ts';

const logBytesMax = 256 * 1024;
const tailLinesMax = 10_000;

interface ContainerStatus {
  name: string;
  state?: { waiting?: object; terminated?: { exitCode?: number } };
  lastState?: { terminated?: object };
}

interface PodStatus {
  initContainerStatuses?: ContainerStatus[];
  containerStatuses?: ContainerStatus[];
}

/**
 * The container worth reading: the first that failed, init containers before the others since they stop the rest; then the one the pod names
 * as its main one (annotation `kubectl.kubernetes.io/default-container`), then the first. A container that is waiting after a crash has its words in
 * the previous run.
 */
export const chooseContainer = (pod: KubeObject): { container: string | undefined; isPrevious: boolean } => {
  const status = (pod['status'] ?? {}) as PodStatus;
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const crashed = all.find(
    ({ state, lastState }) => (state?.terminated?.exitCode ?? 0) !== 0 || (state?.waiting !== undefined && lastState?.terminated !== undefined),
  );
  if (crashed !== undefined) return { container: crashed.name, isPrevious: crashed.state?.terminated === undefined };
  const named = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  const containers = ((pod['spec'] ?? {}) as { containers?: { name: string }[] }).containers ?? [];
  return { container: named ?? containers[0]?.name, isPrevious: false };
};

/** Last lines of the container that explains most. */
export const podLog = async (
  deps: { get: (ref: ObjectRef) => Promise<Result<KubeObject>>; transport: Transport },
  namespace: string,
  pod: string,
  tailLines: number,
): Promise<Result<string>> => {
  const element = `Log of pod ${namespace}/${pod}`;
  const found = await deps.get({ apiVersion: 'v1', kind: 'Pod', namespace, name: pod });
  if (!found.ok) return found;
  const pods = { apiVersion: 'v1', kind: 'Pod', resource: 'pods', namespaced: true, verbs: [] };
  const path = objectPath(pods, namespace, pod, element);
  if (!path.ok) return path;
  const { container, isPrevious } = chooseContainer(found.value);
  const query = {
    container,
    previous: isPrevious ? 'true' : undefined,
    tailLines: Math.min(Math.max(1, Math.trunc(tailLines)), tailLinesMax),
    limitBytes: logBytesMax,
  };
  const log = await deps.transport.send({ method: 'GET', path: `${path.value}/log${queryText(query)}`, element, resource: 'pods' });
  return log.ok ? ok(log.value) : log;
};
