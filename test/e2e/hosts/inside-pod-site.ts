import type { InfrastructureView } from '@groundplane/protocol/api/cloud-views';
import { insideNames } from '@groundplane/protocol/inside/names';
import { webImage } from '../../lab/hosts/content.ts';
import type { TestHost } from '../../lab/hosts/host.ts';
import { gatewayAddress } from '../../lab/hosts/site.ts';
import { until } from '../site.ts';
import { kubectl } from './kubeadm-site.ts';
import type { Platform } from './platform.ts';
import { check } from './scenario.ts';

/** A cluster of somebody else, and the agent's pod in it as its kubelet and its API server tell. */
export const imagePort = 5000;
/** Of `byHandSteps`. */
export const podNetwork = '10.244.1.0/24';
const { namespace, agent } = insideNames;

/** Where containerd asks for images: what people of sites without a way to the world write. */
const mirrorScript = `set -eu
cat >>/etc/containerd/config.toml <<'END'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "/etc/containerd/certs.d"
END
for name in docker.io registry.groundplane.test; do
  mkdir -p /etc/containerd/certs.d/$name
  printf 'server = "https://%s"\\n[host."http://${gatewayAddress}:${imagePort}"]\\n  capabilities = ["pull", "resolve"]\\n' $name >/etc/containerd/certs.d/$name/hosts.toml
done
systemctl restart containerd`;

export const useMirror = async (host: TestHost): Promise<void> => void (await host.run(['sh', '-c', mirrorScript]));

/** What it is asked for is applied as it stands, or the scenario ends. */
export const applyText = async (host: TestHost, text: string): Promise<void> => {
  await host.run(['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', 'apply', '-f', '-'], { input: text });
};

export const read = async (host: TestHost, ...args: string[]): Promise<string> => {
  const result = await kubectl(host, ...args);
  if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
};

interface ContainerStatus {
  ready: boolean;
  started?: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  containerID?: string;
  state: { running?: { startedAt: string }; waiting?: { reason?: string; message?: string }; terminated?: unknown };
}
interface PodObject {
  metadata: { name: string; uid: string; creationTimestamp: string; deletionTimestamp?: string };
  status: { phase: string; containerStatuses?: ContainerStatus[] };
}
export interface PodSeen {
  name: string;
  uid: string;
  isLeaving: boolean;
  /** Of its only container; undefined before the kubelet has told of it. */
  container: ContainerStatus | undefined;
}

export const pods = async (host: TestHost): Promise<PodSeen[]> => {
  const list = JSON.parse(await read(host, 'get', 'pods', '--namespace', namespace, '--output', 'json')) as { items: PodObject[] };
  return list.items.map(({ metadata, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    isLeaving: metadata.deletionTimestamp !== undefined,
    container: status.containerStatuses?.[0],
  }));
};

/** The one pod that stays, when there is exactly one. */
export const thePod = async (host: TestHost): Promise<PodSeen | undefined> => {
  const staying = (await pods(host)).filter(({ isLeaving }) => !isLeaving);
  return staying.length === 1 ? staying[0] : undefined;
};

export const log = async (host: TestHost, isPrevious = false): Promise<string> =>
  (await kubectl(host, 'logs', '--namespace', namespace, `deployment/${agent}`, '--tail', '40', ...(isPrevious ? ['--previous'] : []))).stdout;

/** The process of the container, as the node sees it. */
export const processOf = async (host: TestHost): Promise<number> =>
  await until('the process of the pod', async () => {
    const found = (await host.exec(['pgrep', '-f', 'agent/inside.mjs'])).stdout.trim().split('\n').filter(Boolean);
    return found.length === 1 ? Number(found[0]) : undefined;
  });

export const holder = async (host: TestHost): Promise<string> =>
  await read(host, 'get', 'lease', agent, '--namespace', namespace, '--output', 'jsonpath={.spec.holderIdentity}');

/** Waits until a pod that meets `is` is ready, holds the Lease, and the hub hears it. */
export const waitActing = async (
  host: TestHost,
  platform: Platform,
  what: string,
  is: (pod: PodSeen & { container: ContainerStatus }) => boolean = () => true,
  timeoutMs = 180_000,
): Promise<PodSeen & { container: ContainerStatus }> => {
  let last: unknown;
  return await until(
    `${what}: the agent acts`,
    async () => {
      const pod = await thePod(host);
      last = pod;
      const { container } = pod ?? {};
      if (pod === undefined || container?.ready !== true || !is({ ...pod, container })) return undefined;
      if ((await holder(host)) !== pod.name || !(await platform.host(agentHost)).online) return undefined;
      return { ...pod, container };
    },
    timeoutMs,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}`);
  });
};

export const theirs = 'theirs';
export const agentHost = `${theirs}-agent`;

const indent = (text: string): string => text.replaceAll(/^/gm, '            ');

/** A layer with a ConfigMap, and a Deployment whose pod becomes ready. */
export const extrasText = (version: string, color: string): string => `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: extras, version: ${version}}
spec:
  type: full
  layers:
    - {name: kubernetes, kind: kubernetes, kubernetes: {distribution: existing}}
    - name: paint
      kind: addon
      namespace: paint
      manifests:
        - name: paint
          content: |
${indent(`apiVersion: v1
kind: ConfigMap
metadata: {name: paint}
data: {color: ${color}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: painter}
spec:
  selector: {matchLabels: {app: painter}}
  template:
    metadata: {labels: {app: painter}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: ${webImage(1)}
          imagePullPolicy: IfNotPresent
          env: [{name: COLOR, value: ${color}}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
`)}
`;

/** What somebody meddled with is back: whoever brings it acts. */
export const healsPaint = async (host: TestHost): Promise<void> => {
  await read(host, 'delete', 'configmap', 'paint', '--namespace', 'paint');
  await until('the ConfigMap is back', async () => (await kubectl(host, 'get', 'configmap', 'paint', '--namespace', 'paint')).code === 0 || undefined, 90_000);
};

/** Everything in the cluster but what comes and goes by itself: `KIND NAMESPACE NAME`. */
export const inventory = async (host: TestHost): Promise<string[]> => {
  const kinds = (await read(host, 'api-resources', '--verbs', 'list', '--output', 'name'))
    .split('\n')
    .filter((name) => !/^(events|leases|endpoints)(\.|$)/.test(name));
  const columns = 'K:.kind,NS:.metadata.namespace,N:.metadata.name';
  const text = await read(host, 'get', kinds.join(','), '--all-namespaces', '--no-headers', '--output', `custom-columns=${columns}`);
  return [...new Set(text.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' ')))].toSorted();
};

export const infrastructure = async (platform: Platform, name: string): Promise<InfrastructureView> =>
  await platform.json<InfrastructureView>('cloud', 'show', name);

/** Why a pod is not what it should be. */
export const podWords = async (platform: Platform, host: TestHost): Promise<string> => {
  const script = `export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl get pods,leases,pv,pvc -A -o wide; kubectl describe pods -n ${namespace} | tail -25
kubectl logs -n ${namespace} deployment/${agent} --tail 40; kubectl logs -n ${namespace} deployment/${agent} --tail 20 --previous
kubectl get configmaps -n ${namespace} -o yaml | cut -c1-300 | tail -60`;
  const said = await host.exec(['sh', '-c', script]).catch(String);
  const events = (await platform.events().catch(() => [])).slice(-25).map(({ host: of, reason, message }) => `${of ?? ''} ${reason}: ${message}`);
  const [cluster, steps, agents] = await Promise.all([
    platform.cluster(theirs).catch(String),
    infrastructure(platform, theirs).catch(String),
    platform.host(agentHost).catch(String),
  ]);
  const views = JSON.stringify({ cluster, steps, agents }, undefined, 1);
  return `${typeof said === 'string' ? said : said.stdout + said.stderr}\nevents:\n${events.join('\n')}\n${views}\nhub: ${platform.log.join('').slice(-2_000)}`;
};

/** The container is what the manifest promised: no rights, a read-only root, and the Node of the package, which the start program became. */
export const checkContainer = async (host: TestHost, pid: number): Promise<void> => {
  const status = await host.run(['cat', `/proc/${pid}/status`]);
  const of = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  check(
    of('Uid')
      .split('\t')
      .every((id) => id === '10001') &&
      of('Gid')
        .split('\t')
        .every((id) => id === '10001'),
    'it runs as user 10001',
    status,
  );
  check(
    ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].every((name) => /^0+$/.test(of(name))),
    'it has no capabilities',
    status,
  );
  check(of('NoNewPrivs') === '1' && of('Seccomp') === '2', 'it can get no more rights, and calls are filtered', status);
  check(of('NSpid').split('\t').at(-1) === '1', 'the agent is PID 1 of its container: the start program became it', status);
  const exe = (await host.run(['readlink', `/proc/${pid}/exe`])).trim();
  check(/^\/var\/lib\/groundplane\/versions\/[0-9a-f]{64}\/bin\/node$/.test(exe), 'it is the Node of the package', exe);
  const mounts = await host.run(['cat', `/proc/${pid}/mounts`]);
  const root = mounts.split('\n').find((line) => line.split(' ')[1] === '/');
  check(root?.split(' ')[3]?.split(',')[0] === 'ro', 'its root is read-only', root);
};

/** The API server keeps to the pod security standard that the namespace asks for. */
export const checkRestricted = async (host: TestHost): Promise<void> => {
  const spec = { containers: [{ name: 'c', image: webImage(1), securityContext: { privileged: true } }] };
  const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'rights', namespace }, spec });
  const refused = await host.exec(['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', 'create', '-f', '-'], { input: pod });
  check(refused.code !== 0 && refused.stderr.includes('violates PodSecurity "restricted'), 'a pod with rights is refused', refused.stderr + refused.stdout);
};
