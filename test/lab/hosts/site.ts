import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputOf } from './command.ts';
import { isEnclosed } from './enclosure.ts';
import { createHost, type TestHost } from './host.ts';
import type { Medium } from './host-stage.ts';

/** The network of a site: the test (with the hub) is the gateway, hosts are from .11 on. It exists in the enclosure only. */
const network = '10.99.0';
export const gatewayAddress = `${network}.1`;
const bridge = 'site';
const addressOf = (index: number): string => `${network}.${10 + index}`;

const ip = async (...args: string[]): Promise<string> => await outputOf(['ip', ...args], { timeoutMs: 10_000 });

/** A cable from the bridge to the host's `eth0`. After a power cut the kernel takes the old one away, but not at once. */
const plugCable = async (index: number, pid: number): Promise<void> => {
  const cable = `host${index}`;
  await ip('link', 'delete', cable).catch(() => '');
  await ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
  await ip('link', 'set', cable, 'master', bridge, 'up');
  const inside = async (...args: string[]): Promise<string> => await outputOf(['nsenter', '--target', String(pid), '--net', 'ip', ...args]);
  await inside('link', 'set', 'lo', 'up');
  await inside('address', 'add', `${addressOf(index)}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('route', 'add', 'default', 'via', gatewayAddress);
};

export interface SiteOptions {
  /** Root file system of the hosts. */
  base: string;
  /** Folder for the hosts' disks; a temporary one by default. It must not lie on an overlay. */
  folder?: string;
}

/** A network with hosts. Everything goes with `stop`. */
export const createHostSite = async ({ base, folder: given }: SiteOptions) => {
  if (!isEnclosed()) throw new Error('test hosts run in an enclosure only: start them by npm run e2e -- hosts');
  const folder = given ?? mkdtempSync(join(tmpdir(), 'gp-hosts-'));
  mkdirSync(folder, { recursive: true });
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', bridge, 'type', 'bridge');
  await ip('address', 'add', `${gatewayAddress}/24`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  const hosts: TestHost[] = [];
  return {
    folder,
    hosts: hosts as readonly TestHost[],
    /** A new host, still off. */
    addHost: (name: string, media: readonly Medium[] = []): TestHost => {
      const index = hosts.length + 1;
      const host = createHost({
        name,
        index,
        folder: join(folder, name),
        base,
        address: addressOf(index),
        nameServer: gatewayAddress,
        media,
        plug: async (pid) => await plugCable(index, pid),
      });
      hosts.push(host);
      return host;
    },
    /** The site's router knows that a network of pods is at this host. */
    route: async (network: string, host: TestHost): Promise<void> => {
      await outputOf(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']);
      await ip('route', 'replace', network, 'via', host.address);
    },
    /** Pulls or plugs the cable of a host. */
    setCable: async (host: TestHost, isPlugged: boolean): Promise<void> => {
      await ip('link', 'set', `host${hosts.indexOf(host) + 1}`, isPlugged ? 'up' : 'down');
    },
    stop: async (): Promise<void> => {
      for (const host of hosts) await host.stop({ keepDisk: true });
      await ip('link', 'delete', bridge);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
export type HostSite = Awaited<ReturnType<typeof createHostSite>>;
