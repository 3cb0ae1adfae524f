import { readContent } from '../../lab/hosts/content.ts';
import { until } from '../site.ts';
import { mediumPath, webManifest, webPort } from './by-hand.ts';
import { agentLog, agentMediumPath, installAgent, startPlatform, waitOnline } from './platform.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';

const indent = (text: string, by: string): string =>
  text
    .trim()
    .split('\n')
    .map((line) => `${by}${line}`)
    .join('\n');

/** What the kernel of the test hosts asks for beyond the defaults: cgroup v1, settings that are the machine's. */
const labConfig = {
  kubelet: `failCgroupV1: false
oomScoreAdj: 0
featureGates: {KubeletInUserNamespace: true}
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100`,
  proxy: 'conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}',
};

export const profileOf = (name: string, version: string, kubernetes: string, digest: string, more = ''): string => `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: ${name}, version: ${version}}
spec:
  type: full
  layers:
    - name: kubernetes
      kind: kubernetes
      kubernetes:
        distribution: kubeadm
        version: ${kubernetes.replace(/^v/, '')}
        content: {x64: "${digest}"}
        cni: bridge
        dns: false
        proxy: nftables
        config:
          ignoreErrors: [all]
          kubelet: |
${indent(`${labConfig.kubelet}${more}`, '            ')}
          proxy: |
${indent(labConfig.proxy, '            ')}
    - name: web
      kind: addon
      namespace: default
      manifests:
        - name: web
          content: |
${indent(webManifest(1), '            ')}
`;

export const clusterOf = (profile: string, version: string, hosts: readonly string[]): string => `apiVersion: groundplane.dev/v1
kind: Cluster
metadata: {name: site}
spec:
  profiles: [{name: ${profile}, version: ${version}}]
  hosts: [${hosts.join(', ')}]
`;

/** A cluster of one host, by the hub and the agent. */
export const kubeadmOne: Scenario = {
  name: 'kubeadm-one',
  about: 'a cluster of one host made by hub and agent, from power-on to a ready workload',
  needs: ['base', 'content', 'agent'],
  run: async ({ site, prepared, say }) => {
    const { version } = readContent(prepared.content);
    const platform = await startPlatform(site.folder);
    const host = site.addHost('edge-1', [
      { path: agentMediumPath, folder: prepared.agent },
      { path: mediumPath, folder: prepared.content },
    ]);
    try {
      await host.boot();
      const install = await installAgent(host, await platform.ticket('edge'));
      check(install.code === 0, 'install.sh ends with 0', install.output);
      await waitOnline(platform, host.name);
      const { digest } = await platform.json<{ digest: string }>('kubernetes', 'upload', prepared.content);
      await platform.apply('profile', profileOf('edge', '1.0.0', version, digest));
      const began = performance.now();
      const cpuAtStart = host.cpuSeconds();
      await platform.apply('cluster', clusterOf('edge', '1.0.0', [host.name]));
      await until('the cluster is ready', async () => ((await platform.cluster('site')).state === 'ready' ? true : undefined), 600_000);
      const seconds = secondsSince(began);
      const answer = await (await fetch(`http://${host.address}:${webPort}/`)).text();
      check(answer.startsWith('web 1 from web-'), 'the workload answers from outside', answer);
      say(`ready after ${seconds} s`);
      return { figures: { seconds, cpuSeconds: Math.round((host.cpuSeconds() - cpuAtStart) * 10) / 10 } };
    } catch (error) {
      throw new Error(
        `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nagent: ${await agentLog(host).catch(String)}\ncluster: ${JSON.stringify(await platform.cluster('site').catch(String), null, 1).slice(0, 4000)}\nhub: ${platform.log.join('').slice(-2000)}`,
        { cause: error },
      );
    } finally {
      await platform.stop();
    }
  },
};
