import { readContent } from '../../lab/hosts/content.ts';
import type { TestHost } from '../../lab/hosts/host.ts';
import type { HostSite } from '../../lab/hosts/site.ts';
import { until } from '../site.ts';
import { byHandSteps, mediumPath } from './by-hand.ts';
import { answers } from './kubeadm-site.ts';
import { check, secondsSince, type Prepared, type Scenario } from './scenario.ts';

interface ByHand {
  host: TestHost;
  seconds: number;
  cpuSeconds: number;
  /** Of steps that took a second or more. */
  steps: Record<string, number>;
}

/** A new host, from power-on to a workload that answers, without Groundplane. */
export const runByHand = async (site: HostSite, prepared: Prepared, say: (line: string) => void): Promise<ByHand> => {
  const { version } = readContent(prepared.content);
  const host = site.addHost('hand', [{ path: mediumPath, folder: prepared.content }]);
  const began = performance.now();
  const cpuAtStart = host.cpuSeconds();
  await host.boot();
  const steps: Record<string, number> = {};
  for (const step of byHandSteps(version, host.name, host.address)) {
    const started = performance.now();
    await host.run(step.argv, { timeoutMs: step.timeoutMs ?? 60_000, ...(step.input === undefined ? {} : { input: step.input }) });
    const seconds = secondsSince(started);
    if (seconds < 1) continue;
    say(`${step.name}: ${seconds} s`);
    steps[`${step.name.replaceAll(' ', '-')}Seconds`] = seconds;
  }
  // The pods are ready a moment before kube-proxy has their port.
  await until('the workload answers from outside', async () => (await answers(host)) || undefined, 60_000);
  return { host, seconds: secondsSince(began), cpuSeconds: Math.round((host.cpuSeconds() - cpuAtStart) * 10) / 10, steps };
};

/** The figure that Groundplane is measured against: the same cluster by hand, from power-on to a ready workload. */
export const baseline: Scenario = {
  name: 'baseline',
  about: 'a cluster of one host made by hand with kubeadm, from power-on to a ready workload, in seconds and CPU seconds',
  needs: ['base', 'content'],
  run: async ({ site, prepared, say }) => {
    const { host, seconds, cpuSeconds, steps } = await runByHand(site, prepared, say);
    const nodes = await host.run(['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', 'get', 'nodes', '--no-headers']);
    check(/^hand\s+Ready\s/.test(nodes), 'the node is Ready', nodes);
    return { figures: { kubernetes: readContent(prepared.content).version, ...steps, seconds, cpuSeconds } };
  },
};
