import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../site.ts';
import { addEdge, answers, checkCluster, clusterWords, kubectl, openPlatform, release, siteName, waitAlive, waitReady, withWords } from './kubeadm-site.ts';
import { agentLog } from './platform.ts';
import { randomOf, tryPowerPoints } from './power-points.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';
import type { TestHost } from '../../lab/hosts/host.ts';

/** Asks the workload ten times a second, and adds up how long it did not answer. */
const probe = (host: TestHost): { stop: () => Promise<number> } => {
  let isRunning = true;
  let missedMs = 0;
  const done = (async (): Promise<void> => {
    for (let last = performance.now(); isRunning;) {
      await delay(100);
      const isThere = await answers(host, 1_000);
      const now = performance.now();
      if (!isThere) missedMs += now - last;
      last = now;
    }
  })();
  return {
    stop: async () => {
      isRunning = false;
      await done;
      return Math.round(missedMs);
    },
  };
};

/** Containers of the workload, and how often they were started. */
const pods = async (host: TestHost): Promise<string> => {
  const format = '{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}';
  return (await kubectl(host, 'get', 'pods', '--selector', 'app=web', '--output', `jsonpath=${format}`)).stdout.trim().split('\n').toSorted().join('; ');
};

/** In place, one minor up, as a site with one machine has to do it. */
export const kubeadmUpgrade: Scenario = {
  name: 'kubeadm-upgrade',
  about: 'a cluster of one host goes one minor version up in place; then again and again with a power cut in the middle',
  needs: ['base', 'content', 'contentBefore', 'agent'],
  run: async ({ site, prepared, points, seed, say }) => {
    const platform = await openPlatform(site.folder);
    return await withWords(
      platform,
      () => site.hosts.filter((host) => host.power() === 'on'),
      async () => {
        const before = await release(platform, prepared.contentBefore, { version: '1.0.0' });
        const after = await release(platform, prepared.content, { version: '2.0.0' });
        const host = await addEdge(site, prepared, platform, 'edge-1');
        await platform.wish(siteName, { name: 'edge', version: '1.0.0' }, [host.name]);
        await waitReady(platform, '1.0.0');
        await checkCluster([host], before.version);
        say(`${before.version} is ready`);
        await host.shutdown();
        await host.saveDisk('before');
        await platform.saveHub();

        await host.boot();
        await waitAlive(host, [host.name]);
        await until('the workload answers', async () => (await answers(host)) || undefined, 120_000);
        await waitReady(platform, '1.0.0');
        const podsBefore = await pods(host);
        const watch = probe(host);
        const began = performance.now();
        const cpuAtStart = host.cpuSeconds();
        await platform.wish(siteName, { name: 'edge', version: '2.0.0' }, [host.name]);
        await waitReady(platform, '2.0.0');
        const upgradeSeconds = secondsSince(began);
        const workloadMissedMs = await watch.stop();
        const cpuSeconds = Math.round((host.cpuSeconds() - cpuAtStart) * 10) / 10;
        await checkCluster([host], after.version);
        check((await pods(host)) === podsBefore, 'the pods of the workload were not touched', `${podsBefore} then ${await pods(host)}`);
        say(`${after.version} after ${upgradeSeconds} s, ${cpuSeconds} CPU s; the workload was away for ${workloadMissedMs} ms`);

        const power = await tryPowerPoints({
          host,
          points,
          random: randomOf(seed),
          spanMs: upgradeSeconds * 1_000,
          begin: async () => {
            await host.powerCut();
            await host.restoreDisk('before');
            await platform.restoreHub();
            await host.boot();
            await waitAlive(host, [host.name]);
            await platform.wish(siteName, { name: 'edge', version: '2.0.0' }, [host.name]);
          },
          settle: async () => {
            await waitReady(platform, '2.0.0');
            await checkCluster([host], after.version);
          },
          words: async () => `${await agentLog(host, 40)}\n${await clusterWords(platform, host)}`,
          say: (line) => say(`upgrade, ${line}`),
        });
        const { failures, ...figures } = power;
        if (failures.length > 0) say(failures.join('\n'));
        return { points: power.points, stuck: power.stuck, figures: { upgradeSeconds, cpuSeconds, workloadMissedMs, ...figures } };
      },
    );
  },
};
