import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { TestHost } from '../../lab/hosts/host.ts';
import { runByHand } from './baseline.ts';
import { addEdge, checkCluster, openPlatform, release, waitReady, withWords } from './kubeadm-site.ts';
import type { Platform } from './platform.ts';
import { secondsSince, type Scenario } from './scenario.ts';

const blobFolder = 'var/lib/groundplane/blobs';

/** When each step of the agent began, by its own journal: milliseconds since 1970, and its words. */
const stepsScript = `
const { DatabaseSync } = require('node:sqlite');
const rows = new DatabaseSync('/var/lib/groundplane/agent.db', { readOnly: true }).prepare("select value from journal order by key").all();
for (const { value } of rows) { const row = JSON.parse(value); console.log(row.atMs + ' ' + row.step + ' ' + row.text); }`;

/** Steps that took noticeable time, in their order. The time of the last one is not known. */
const slowSteps = async (host: TestHost, beganMs: number): Promise<string[]> => {
  const said = await host.exec(['/opt/groundplane/current/bin/node', '--eval', stepsScript]);
  const rows = said.stdout
    .trim()
    .split('\n')
    .map((line) => /^(\d+)\S* (.*)$/.exec(line))
    .map((found) => ({ atMs: Number(found?.[1]), text: found?.[2] ?? said.stderr.slice(-300) }));
  return rows.map(
    ({ atMs, text }, index) => `${((atMs - beganMs) / 1000).toFixed(1)} s  ${text} (${(((rows[index + 1]?.atMs ?? atMs) - atMs) / 1000).toFixed(1)} s)`,
  );
};

/** CPU seconds of each program that runs, with those of the children it waited for; what ended with nobody waiting is in none of them. */
const sayPrograms = async (host: TestHost, total: number, say: (line: string) => void): Promise<void> => {
  const ticksASecond = Number(await host.run(['getconf', 'CLK_TCK']));
  const stats = (await host.exec(['sh', '-c', 'cat /proc/[0-9]*/stat 2>/dev/null'])).stdout.trim().split('\n');
  const used = new Map<string, [own: number, children: number]>();
  for (const line of stats) {
    const name = /\((.*)\)/.exec(line)?.[1] ?? '?';
    const fields = line
      .slice(line.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (index: number): number => (fields[index] ?? 0) / ticksASecond;
    const [own, children] = used.get(name) ?? [0, 0];
    used.set(name, [own + at(11) + at(12), children + at(13) + at(14)]);
  }
  const known = [...used].filter(([, [own, children]]) => own + children >= 0.1).toSorted((a, b) => b[1][0] + b[1][1] - a[1][0] - a[1][1]);
  for (const [name, [own, children]] of known) say(`  ${name}: ${own.toFixed(1)} CPU s, its children ${children.toFixed(1)}`);
  const alive = known.reduce((sum, [, [own]]) => sum + own, 0);
  say(`  programs that ended: ${(total - alive).toFixed(1)} CPU s of ${total}`);
};

/** From power-on of a host that was let in before, whose cluster is asked for already. */
const measure = async (platform: Platform, host: TestHost, kubernetes: string, say: (line: string) => void): Promise<[seconds: number, cpuSeconds: number]> => {
  const began = performance.now();
  const beganMs = performance.timeOrigin + began;
  const cpuAtStart = host.cpuSeconds();
  await host.boot();
  await waitReady(platform, '1.0.0', host.name);
  const figures: [number, number] = [secondsSince(began), Math.round((host.cpuSeconds() - cpuAtStart) * 10) / 10];
  for (const line of await slowSteps(host, beganMs)) say(`  ${line}`);
  await sayPrograms(host, figures[1], say);
  await checkCluster([host], kubernetes);
  return figures;
};

/** The time from power-on to a ready workload, by hand, with content from the hub, and with content that lies on the host already. */
export const kubeadmInstall: Scenario = {
  name: 'kubeadm-install',
  about: 'how long a cluster of one host takes by hand, by us with content from the hub, and by us with content on its disk, in turn on the same machine',
  needs: ['base', 'content', 'agent'],
  run: async ({ site, prepared, say }) => {
    const platform = await openPlatform(site.folder);
    return await withWords(
      platform,
      () => site.hosts.filter((host) => host.power() === 'on'),
      async () => {
        const { version } = await release(platform, prepared.content, { version: '1.0.0' });
        const hand = await runByHand(site, prepared, say);
        say(`by hand: ${hand.seconds} s, ${hand.cpuSeconds} CPU s`);
        await sayPrograms(hand.host, hand.cpuSeconds, say);
        await hand.host.stop();
        const far = await addEdge(site, prepared, platform, 'far');
        const near = await addEdge(site, prepared, platform, 'near');
        for (const host of [far, near]) {
          await host.shutdown();
          await platform.wish(host.name, { name: 'edge', version: '1.0.0' }, [host.name]);
        }
        const [farSeconds, farCpuSeconds] = await measure(platform, far, version, say);
        say(`content from the hub: ${farSeconds} s, ${farCpuSeconds} CPU s`);
        cpSync(join(far.root, blobFolder), join(near.root, blobFolder), { recursive: true });
        await far.stop();
        const [nearSeconds, nearCpuSeconds] = await measure(platform, near, version, say);
        say(`content on the host: ${nearSeconds} s, ${nearCpuSeconds} CPU s`);
        const ratio = (ours: number, theirs: number): number => Math.round((ours / theirs) * 100) / 100;
        return {
          figures: {
            handSeconds: hand.seconds,
            handCpuSeconds: hand.cpuSeconds,
            farSeconds,
            farCpuSeconds,
            nearSeconds,
            nearCpuSeconds,
            nearTimes: ratio(nearSeconds, hand.seconds),
            nearCpuTimes: ratio(nearCpuSeconds, hand.cpuSeconds),
          },
        };
      },
    );
  },
};
