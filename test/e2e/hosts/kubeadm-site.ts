import { setTimeout as delay } from 'node:timers/promises';
import { readContent, type KubernetesContent } from '../../lab/hosts/content.ts';
import type { CommandResult } from '../../lab/hosts/command.ts';
import type { TestHost } from '../../lab/hosts/host.ts';
import type { HostSite } from '../../lab/hosts/site.ts';
import { until } from '../site.ts';
import { mediumPath, webManifest, webPort } from './by-hand.ts';
import { agentLog, agentMediumPath, installAgent, startPlatform, waitOnline, type Platform } from './platform.ts';
import { check, type Prepared } from './scenario.ts';

export const siteName = 'site';
/** What a change may take on a machine that is busy with other tests too. */
export const readyMsMax = 600_000;

const indent = (text: string, by: string): string =>
  text
    .trim()
    .split('\n')
    .map((line) => `${by}${line}`)
    .join('\n');

/** What the kernel of the test hosts asks for beyond the defaults: cgroup v1, settings that are the machine's. */
const labKubelet = `failCgroupV1: false
oomScoreAdj: 0
featureGates: {KubeletInUserNamespace: true}
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100`;
const labProxy = 'conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}';

export interface SiteProfile {
  version: string;
  kubernetes: string;
  /** Of the content list, as `gp kubernetes upload` says it. */
  digest: string;
  /** More of the kubelet's configuration. */
  kubelet?: string;
  /** More of the cluster's configuration. */
  cluster?: string;
  replicas?: number;
}

export const profileText = ({ version, kubernetes, digest, kubelet, cluster, replicas }: SiteProfile): string => `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: edge, version: ${version}}
spec:
  type: full
  layers:
    - name: kubernetes
      kind: kubernetes
      kubernetes:
        distribution: kubeadm
        version: ${kubernetes.replace(/^v/, '')}
        content: {${process.arch === 'arm64' ? 'arm64' : 'x64'}: "${digest}"}
        cni: bridge
        dns: false
        proxy: nftables
        config:
          ignoreErrors: [all]
${cluster === undefined ? '' : `          cluster: |\n${indent(cluster, '            ')}\n`}          kubelet: |
${indent(kubelet === undefined ? labKubelet : `${labKubelet}\n${kubelet}`, '            ')}
          proxy: |
${indent(labProxy, '            ')}
    - name: web
      kind: addon
      namespace: default
      manifests:
        - name: web
          content: |
${indent(webManifest(1, replicas), '            ')}
`;

/** Uploads a content folder and releases a profile version of it. */
export const release = async (platform: Platform, folder: string, profile: Omit<SiteProfile, 'digest' | 'kubernetes'>): Promise<KubernetesContent> => {
  const content = readContent(folder);
  const { digest } = await platform.json<{ digest: string }>('kubernetes', 'upload', folder);
  await platform.apply(`profile-${profile.version}`, profileText({ ...profile, kubernetes: content.version, digest }));
  return content;
};

/** A new host with the agent, approved and online, that belongs to no cluster yet. */
export const addEdge = async (site: HostSite, prepared: Prepared, platform: Platform, name: string): Promise<TestHost> => {
  const host = site.addHost(name, [
    { path: agentMediumPath, folder: prepared.agent },
    { path: mediumPath, folder: prepared.content },
  ]);
  await host.boot();
  const install = await installAgent(host, await platform.ticket(name));
  check(install.code === 0, 'install.sh ends with 0', install.output);
  await waitOnline(platform, name);
  return host;
};

/** Waits until the hub calls the cluster ready with this profile in every layer. */
export const waitReady = async (platform: Platform, version: string, cluster = siteName, timeoutMs = readyMsMax): Promise<void> => {
  let last = '';
  await until(
    `profile ${version} on ${cluster}`,
    async () => {
      await delay(400);
      const view = await platform.cluster(cluster);
      last = `${view.state}: ${view.message}; ${view.layers.map((layer) => `${layer.name} ${layer.observed?.state ?? '-'} ${layer.isCurrent}`).join(', ')}`;
      return view.state === 'ready' && view.spec.profiles[0]?.version === version && view.layers.every((layer) => layer.isCurrent) ? true : undefined;
    },
    timeoutMs,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`);
  });
};

export const kubectl = async (host: TestHost, ...args: string[]): Promise<CommandResult> =>
  await host.exec(['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', '--request-timeout', '10s', ...args], { timeoutMs: 30_000 });

const said = async (host: TestHost, ...args: string[]): Promise<string | undefined> => {
  const result = await kubectl(host, ...args);
  return result.code === 0 ? result.stdout.trim() : undefined;
};

/** A node is alive when its lease is renewed after now: conditions are stale for a while after a cut. */
export const waitAlive = async (host: TestHost, nodes: readonly string[], timeoutMs = 180_000): Promise<void> => {
  for (const node of nodes) {
    const renewal = async (): Promise<string | undefined> =>
      await said(host, 'get', 'lease', node, '--namespace', 'kube-node-lease', '--output', 'jsonpath={.spec.renewTime}');
    const first = await until(`the API server answers ${host.name}`, renewal, timeoutMs);
    await until(`node ${node} renews its lease`, async () => ((await renewal()) ?? first) > first || undefined, timeoutMs);
    await until(
      `node ${node} is Ready`,
      async () => (await said(host, 'get', 'node', node, '--output', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')) === 'True' || undefined,
      timeoutMs,
    );
  }
};

export const answers = async (host: TestHost, timeoutMs = 2_000): Promise<boolean> => {
  try {
    const response = await fetch(`http://${host.address}:${webPort}/`, { signal: AbortSignal.timeout(timeoutMs) });
    return (await response.text()).startsWith('web 1 from web-');
  } catch {
    return false;
  }
};

/** The cluster is whole: nodes renew their leases, run the version, and the workload answers at each. */
export const checkCluster = async (hosts: readonly TestHost[], kubernetes: string): Promise<void> => {
  const [first] = hosts;
  if (first === undefined) throw new Error('no hosts');
  await waitAlive(
    first,
    hosts.map((host) => host.name),
  );
  for (const host of hosts) await until(`the workload answers at ${host.name}`, async () => (await answers(host)) || undefined, 120_000);
  const versions = await said(first, 'get', 'nodes', '--output', 'jsonpath={range .items[*]}{.metadata.name}={.status.nodeInfo.kubeletVersion} {end}');
  for (const host of hosts) check(versions?.split(' ').includes(`${host.name}=${kubernetes}`) === true, `${host.name} runs ${kubernetes}`, versions);
  const server = await said(first, 'version', '--output', 'json');
  check(server?.includes(`"gitVersion": "${kubernetes}"`) === true, `the API server runs ${kubernetes}`, server);
};

const proxyScript = `kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 10s logs -n kube-system daemonset/kube-proxy --tail 40
grep -h . /var/log/pods/kube-system_kube-proxy-*/kube-proxy/*.log | tail -80
nft list table ip kube-proxy | head -120
ctr --namespace k8s.io task ls; ps -eo pid,lstart,args | grep -E 'kube-(proxy|apiserver)' | cut -c1-200`;

/** What a host and the hub have to say about a cluster that is not as it should be. */
export const clusterWords = async (platform: Platform, host: TestHost, cluster = siteName): Promise<string> => {
  const pods = (await kubectl(host, 'get', 'pods,services,endpointslices', '--all-namespaces', '--output', 'wide').catch(() => undefined))?.stdout ?? '';
  const proxy = (await host.exec(['sh', '-c', proxyScript]).catch(() => undefined))?.stdout ?? '';
  const events = (await platform.events().catch(() => [])).slice(-15).map(({ host: of, reason, message }) => `${of ?? ''} ${reason}: ${message}`);
  const view = JSON.stringify(await platform.cluster(cluster).catch(String)).slice(0, 3_000);
  return `${pods}\nkube-proxy:\n${proxy}\nevents:\n${events.join('\n')}\ncluster: ${view}\nhub: ${platform.log.join('').slice(-2000)}`;
};

/** Says what was going on when a scenario failed. */
export const withWords = async <T>(
  platform: Platform,
  hosts: () => readonly TestHost[],
  work: () => Promise<T>,
  wordsOf: (platform: Platform, host: TestHost) => Promise<string> = clusterWords,
): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    const logs = await Promise.all(hosts().map(async (host) => `${host.name}: ${await agentLog(host, 25).catch(String)}`));
    const [first] = hosts();
    const words = first === undefined ? '' : await wordsOf(platform, first);
    throw new Error(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${logs.join('\n')}\n${words}`, { cause: error });
  } finally {
    await platform.stop();
  }
};

export const openPlatform = startPlatform;
