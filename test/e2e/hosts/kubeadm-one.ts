import type { TestHost } from '../../lab/hosts/host.ts';
import { until } from '../site.ts';
import { addEdge, answers, checkCluster, clusterWords, kubectl, openPlatform, release, siteName, waitAlive, waitReady, withWords } from './kubeadm-site.ts';
import { agentLog, type Platform } from './platform.ts';
import { randomOf, tryPowerPoints, type PowerReport } from './power-points.ts';
import { check, secondsSince, type Scenario, type ScenarioContext } from './scenario.ts';

const read = async (host: TestHost, path: string): Promise<string> => (await host.exec(['cat', path])).stdout;

/** Breaks one thing, waits until it is as before, and until the cluster works; in seconds. */
const heals = async (host: TestHost, script: string, isHealed: () => Promise<boolean>): Promise<number> => {
  const began = performance.now();
  await host.run(['sh', '-c', script]);
  await until(`healed after: ${script}`, async () => (await isHealed()) || undefined, 240_000);
  await waitAlive(host, [host.name]);
  await until('the workload answers', async () => (await answers(host)) || undefined, 60_000);
  return secondsSince(began);
};

const hasServices = async (host: TestHost): Promise<boolean> =>
  (await host.exec(['nft', 'list', 'map', 'ip', 'kube-proxy', 'service-ips'])).stdout.includes('goto');

const healAll = async (host: TestHost, say: (line: string) => void): Promise<Record<string, number>> => {
  const scheduler = '/etc/kubernetes/manifests/kube-scheduler.yaml';
  const kubelet = '/var/lib/kubelet/config.yaml';
  const [schedulerText, kubeletText] = [await read(host, scheduler), await read(host, kubelet)];
  check(schedulerText.includes('kube-scheduler') && kubeletText.includes('KubeletConfiguration'), 'the files are where kubeadm puts them');
  const isActive = async (unit: string): Promise<boolean> => (await host.exec(['systemctl', 'is-active', '--quiet', unit])).code === 0;
  const digest = async (path: string): Promise<string> => (await host.exec(['sha256sum', path])).stdout;
  const kubectlDigest = await digest('/usr/bin/kubectl');
  const cases: [name: string, script: string, isHealed: () => Promise<boolean>][] = [
    ['killedKubelet', 'kill -9 "$(systemctl show -P MainPID kubelet)"', async () => await isActive('kubelet')],
    ['killedContainerd', 'kill -9 "$(systemctl show -P MainPID containerd)"', async () => await isActive('containerd')],
    ['killedApiServer', 'pkill -9 -x kube-apiserver; sleep 1', async () => (await kubectl(host, 'get', '--raw', '/readyz')).stdout === 'ok'],
    ['stoppedKubelet', 'systemctl disable --now kubelet 2>/dev/null', async () => await isActive('kubelet')],
    ['deletedManifest', `rm ${scheduler}`, async () => (await read(host, scheduler)) === schedulerText],
    [
      'corruptedConfig',
      `echo 'maxPods: [' >>${kubelet}; systemctl restart kubelet`,
      async () => (await read(host, kubelet)) === kubeletText && (await isActive('kubelet')),
    ],
    // kube-proxy believes that they are there, and looks again after an hour.
    ['emptiedServices', 'for map in service-ips service-nodeports; do nft flush map ip kube-proxy $map; done', async () => await hasServices(host)],
    ['corruptedProgram', 'echo x >>/usr/bin/kubectl', async () => (await digest('/usr/bin/kubectl')) === kubectlDigest],
  ];
  const figures: Record<string, number> = {};
  for (const [name, script, isHealed] of cases) {
    figures[`${name}Seconds`] = await heals(host, script, isHealed);
    say(`${name}: healed after ${figures[`${name}Seconds`]} s`);
  }
  return figures;
};

/** Each point has a host and a cluster of its own, cut while it comes up. */
const cutInstalls = async (
  { site, prepared, points, seed, say }: ScenarioContext,
  platform: Platform,
  spanMs: number,
  kubernetes: string,
): Promise<PowerReport> => {
  const report: PowerReport = { points: 0, stuck: 0, slowestSeconds: 0, meanSeconds: 0, failures: [] };
  const random = randomOf(seed);
  const sums: number[] = [];
  for (let index = 0; index < points && report.stuck < 3; index += 1) {
    const name = `cut-${index}`;
    const host = await addEdge(site, prepared, platform, name);
    const one = await tryPowerPoints({
      host,
      points: 1,
      random,
      spanMs,
      begin: async () => await platform.wish(name, { name: 'edge', version: '1.0.0' }, [name]),
      settle: async () => {
        await waitReady(platform, '1.0.0', name);
        await checkCluster([host], kubernetes);
      },
      words: async () => `${await agentLog(host, 40)}\n${await clusterWords(platform, host, name)}`,
      say: (line) => say(`install ${index + 1} of ${points}: ${line.replace('point 1 of 1: ', '')}`),
    });
    report.points += one.points;
    report.stuck += one.stuck;
    report.failures.push(...one.failures.map((text) => `${name}: ${text}`));
    report.slowestSeconds = Math.max(report.slowestSeconds, one.slowestSeconds);
    if (one.stuck === 0) sums.push(one.meanSeconds);
    await host.stop();
  }
  report.meanSeconds = Math.round((sums.reduce((total, each) => total + each, 0) / Math.max(1, sums.length)) * 10) / 10;
  return report;
};

/** A cluster of one host, by the hub and the agent. */
export const kubeadmOne: Scenario = {
  name: 'kubeadm-one',
  about: 'a cluster of one host made by hub and agent; what is broken in it heals; the power is cut while it is made',
  needs: ['base', 'content', 'agent'],
  run: async (context) => {
    const { site, prepared, say } = context;
    const platform = await openPlatform(site.folder);
    return await withWords(
      platform,
      () => site.hosts.filter((host) => host.power() === 'on'),
      async () => {
        const { version } = await release(platform, prepared.content, { version: '1.0.0' });
        const host = await addEdge(site, prepared, platform, 'edge-1');
        // From power-on, as the cluster by hand is measured: the host waits switched off while the cluster is asked for.
        await host.shutdown();
        await platform.wish(siteName, { name: 'edge', version: '1.0.0' }, [host.name]);
        const began = performance.now();
        const cpuAtStart = host.cpuSeconds();
        await host.boot();
        await waitReady(platform, '1.0.0');
        const [seconds, cpuSeconds] = [secondsSince(began), Math.round((host.cpuSeconds() - cpuAtStart) * 10) / 10];
        say(`ready ${seconds} s and ${cpuSeconds} CPU s after power-on`);
        await checkCluster([host], version);
        const healed = await healAll(host, say);
        await host.stop();
        const power = await cutInstalls(context, platform, seconds * 1_000, version);
        const { failures, ...figures } = power;
        if (failures.length > 0) say(failures.join('\n'));
        return { points: power.points, stuck: power.stuck, figures: { seconds, cpuSeconds, ...healed, ...figures } };
      },
    );
  },
};
