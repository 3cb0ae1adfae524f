import type { TestHost } from '../../lab/hosts/host.ts';
import type { HostSite } from '../../lab/hosts/site.ts';
import { until } from '../site.ts';
import { addEdge, answers, checkCluster, kubectl, openPlatform, readyMsMax, release, siteName, waitReady, withWords } from './kubeadm-site.ts';
import type { Platform } from './platform.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';

/** etcd's own word on who belongs to it and is well, asked at one host. */
const etcdMembers = async (host: TestHost): Promise<string[]> => {
  const pki = '/etc/kubernetes/pki/etcd';
  const keys = ['--cacert', `${pki}/ca.crt`, '--cert', `${pki}/server.crt`, '--key', `${pki}/server.key`, '--endpoints', 'https://127.0.0.1:2379'];
  const result = await host.exec(['etcdctl', ...keys, 'endpoint', 'health', '--cluster', '--write-out', 'json'], { timeoutMs: 30_000 });
  const names = await host.exec(['etcdctl', ...keys, 'member', 'list', '--write-out', 'json'], { timeoutMs: 30_000 });
  if (names.code !== 0) return [];
  const { members } = JSON.parse(names.stdout) as { members: { name?: string; isLearner?: boolean }[] };
  const start = result.stdout.indexOf('[');
  const health = start < 0 ? [] : (JSON.parse(result.stdout.slice(start).split('\n')[0] ?? '[]') as { health: boolean }[]);
  return health.filter((item) => item.health).length === members.length && members.every((member) => member.isLearner !== true)
    ? members.map((member) => member.name ?? '').toSorted()
    : [];
};

const waitMembers = async (at: TestHost, hosts: readonly TestHost[], timeoutMs = 300_000): Promise<void> => {
  const wanted = hosts.map((host) => host.name).toSorted();
  await until(`etcd has the members ${wanted.join(', ')}, all well`, async () => (await etcdMembers(at)).join() === wanted.join() || undefined, timeoutMs);
};

/** The site's router sends the pods of each node to it, as it has to with the CNI `bridge`. */
const routePods = async (site: HostSite, at: TestHost, hosts: readonly TestHost[]): Promise<void> => {
  for (const host of hosts) {
    const cidr = await until(`the network of pods of ${host.name}`, async () => {
      const said = await kubectl(at, 'get', 'node', host.name, '--output', 'jsonpath={.spec.podCIDR}');
      return said.code === 0 && said.stdout !== '' ? said.stdout : undefined;
    });
    await site.route(cidr, host);
  }
};

/** Everything about the cluster that does not depend on what was done to it. */
const checkSite = async (site: HostSite, hosts: readonly TestHost[], kubernetes: string): Promise<void> => {
  const [first] = hosts;
  if (first === undefined) throw new Error('no hosts');
  await routePods(site, first, hosts);
  await waitMembers(first, hosts);
  await checkCluster(hosts, kubernetes);
};

const serves = async (host: TestHost): Promise<boolean> => (await kubectl(host, 'get', 'nodes')).code === 0;

/** One of three is cut off the power: the other two go on, and it is back in its place when it comes up. */
const loseAndFind = async (
  lost: TestHost,
  others: readonly TestHost[],
  hosts: readonly TestHost[],
): Promise<{ apiAwaySeconds: number; backSeconds: number }> => {
  await lost.powerCut();
  const cut = performance.now();
  for (const host of others) await until(`the API server of ${host.name} answers without ${lost.name}`, async () => (await serves(host)) || undefined, 120_000);
  const apiAwaySeconds = secondsSince(cut);
  for (const host of others) await until(`the workload answers at ${host.name}`, async () => (await answers(host)) || undefined, 120_000);
  const on = performance.now();
  await lost.boot();
  await waitMembers(lost, hosts);
  return { apiAwaySeconds, backSeconds: secondsSince(on) };
};

/** Labels and taints of a host that has joined, one of them that its kubelet may not give itself; others' stay. */
const dressed = async (platform: Platform, hosts: readonly TestHost[], which: TestHost): Promise<void> => {
  const [at] = hosts;
  if (at === undefined) throw new Error('no hosts');
  const profile = { name: 'edge', version: '2.0.0' };
  const names = hosts.map((host) => host.name);
  const traits = async (): Promise<string> =>
    (await kubectl(at, 'get', 'node', which.name, '--output', 'jsonpath={.metadata.labels}{.spec.taints[*].key}')).stdout;
  await kubectl(at, 'label', 'node', which.name, 'somebody=else');
  await kubectl(at, 'taint', 'node', which.name, 'somebody.else=x:PreferNoSchedule');
  const labels = { line: '4', 'node-role.kubernetes.io/press': '' };
  await platform.wish(siteName, profile, names, {
    [which.name]: { role: 'control-plane', labels, taints: [{ key: 'only', value: 'press', effect: 'PreferNoSchedule' }] },
  });
  const isDressed = (text: string): boolean => text.includes('"line":"4"') && text.includes('node-role.kubernetes.io/press') && /\bonly\b/.test(text);
  await until(`${which.name} has its labels and taints`, async () => isDressed(await traits()) || undefined, 120_000);
  await platform.wish(siteName, profile, names);
  const isBare = (text: string): boolean => text !== '' && !text.includes('"line"') && !text.includes('press') && !/\bonly\b/.test(text);
  await until(`${which.name} has them no more`, async () => isBare(await traits()) || undefined, 120_000);
  const left = await traits();
  check(left.includes('"somebody":"else"') && left.includes('somebody.else'), "others' labels and taints stay", left);
};

const replaced = async (
  platform: Platform,
  site: HostSite,
  keep: readonly TestHost[],
  dead: TestHost,
  fresh: TestHost,
  kubernetes: string,
): Promise<number> => {
  await dead.stop();
  const began = performance.now();
  const hosts = [...keep, fresh];
  await platform.wish(
    siteName,
    { name: 'edge', version: '2.0.0' },
    hosts.map((host) => host.name),
  );
  await waitMembers(hosts[0] ?? fresh, hosts, readyMsMax);
  await waitReady(platform, '2.0.0');
  const seconds = secondsSince(began);
  await checkSite(site, hosts, kubernetes);
  const nodes = (await kubectl(fresh, 'get', 'nodes', '--output', 'name')).stdout;
  check(!nodes.includes(dead.name), 'the node of the dead host is gone', nodes);
  return seconds;
};

/** Three control planes. */
export const kubeadmThree: Scenario = {
  name: 'kubeadm-three',
  about: 'three hosts become one cluster; it outlives a killed etcd member and a lost host, changes host by host, and takes a new host for a dead one',
  needs: ['base', 'content', 'agent'],
  run: async ({ site, prepared, say }) => {
    const platform = await openPlatform(site.folder);
    return await withWords(
      platform,
      () => site.hosts.filter((host) => host.power() === 'on'),
      async () => {
        const { version } = await release(platform, prepared.content, { version: '1.0.0' });
        await release(platform, prepared.content, { version: '2.0.0', kubelet: 'maxPods: 60' });
        const hosts = await Promise.all(['edge-1', 'edge-2', 'edge-3'].map(async (name) => await addEdge(site, prepared, platform, name)));
        const [one, two, three] = hosts;
        if (one === undefined || two === undefined || three === undefined) throw new Error('three hosts');
        const began = performance.now();
        await platform.wish(
          siteName,
          { name: 'edge', version: '1.0.0' },
          hosts.map((host) => host.name),
        );
        await waitReady(platform, '1.0.0');
        const seconds = secondsSince(began);
        say(`three hosts are one cluster after ${seconds} s`);
        await checkSite(site, hosts, version);

        await two.run(['pkill', '-9', '-x', 'etcd']);
        const killed = performance.now();
        await waitMembers(one, hosts);
        const etcdHealedSeconds = secondsSince(killed);
        say(`a killed etcd member was back after ${etcdHealedSeconds} s`);

        const lost = await loseAndFind(three, [one, two], hosts);
        say(`without edge-3 the API answered after ${lost.apiAwaySeconds} s; it was back ${lost.backSeconds} s after power-on`);
        await checkSite(site, hosts, version);

        const change = performance.now();
        await platform.wish(
          siteName,
          { name: 'edge', version: '2.0.0' },
          hosts.map((host) => host.name),
        );
        await waitReady(platform, '2.0.0');
        const changeSeconds = secondsSince(change);
        for (const host of hosts)
          check((await host.run(['cat', '/var/lib/kubelet/config.yaml'])).includes('maxPods: 60'), `${host.name} has the new configuration`);
        await checkSite(site, hosts, version);
        say(`a new configuration was everywhere after ${changeSeconds} s`);

        await dressed(platform, hosts, two);
        say(`labels and taints of ${two.name} came and went, and what somebody else put there stayed`);

        const fresh = await addEdge(site, prepared, platform, 'edge-4');
        const replaceSeconds = await replaced(platform, site, [one, two], three, fresh, version);
        say(`edge-4 took the place of edge-3 after ${replaceSeconds} s`);
        return { figures: { seconds, etcdHealedSeconds, ...lost, changeSeconds, replaceSeconds } };
      },
    );
  },
};
