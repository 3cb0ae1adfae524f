import { readFile } from 'node:fs/promises';
import { arch, cpus, hostname, networkInterfaces, release, totalmem } from 'node:os';
import { limits } from '@groundplane/protocol/limits';
import type { HostInfo } from '@groundplane/protocol/observed';

const osName = async (): Promise<string> => {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)"?/m.exec(text)?.[1] ?? 'unknown';
};

/** What Node itself knows is enough here and costs nothing; `systeminformation` is for serial numbers and hardware. */
export const systemInfo = async (agentVersion: string): Promise<HostInfo> => ({
  hostname: hostname(),
  os: await osName(),
  kernel: release(),
  arch: arch(),
  cpus: cpus().length,
  memoryBytes: totalmem(),
  agentVersion,
  privileged: process.getuid?.() === 0,
  simulated: false,
});

/** The board's serial number, if firmware and permissions give one; asked once, since the library behind it is expensive. */
export const serialNumber = async (): Promise<string | undefined> => {
  const { system } = await import('./board.ts');
  const { serial } = await system();
  return serial === '' || serial === '-' || /not specified|default string|to be filled/i.test(serial) ? undefined : serial.slice(0, 128);
};

/** The address that other hosts reach this one at: of the interface of the default route, else the first that is not for pods. Undefined while there is none. */
export const hostAddress = async (): Promise<string | undefined> => {
  const table = await readFile('/proc/net/route', 'utf8').catch(() => '');
  const routes = table.split('\n').map((line) => line.trim().split(/\s+/));
  const outward = routes.find((fields) => fields[1] === '00000000' && fields[7] === '00000000')?.[0];
  const all = networkInterfaces();
  const usable = (name: string): string | undefined => all[name]?.find((item) => item.family === 'IPv4' && !item.internal)?.address;
  const names = [...(outward === undefined ? [] : [outward]), ...Object.keys(all).filter((name) => !innerInterface.test(name))];
  return names.map(usable).find((address) => address !== undefined);
};

/** Names this boot; two of them at once under one key mean that a disk was cloned. */
export const bootId = async (fallback: string): Promise<string> => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => fallback)).trim();

/** Interfaces that containers and clusters make; what lies behind them nobody else reaches. */
const innerInterface = /^(lo|docker|br-|veth|cni|flannel|cali|vxlan|tunl|kube|cilium|lxc|nodelocaldns|virbr|podman|dummy)/;

/** Addresses at which the site's other hosts may reach this one. */
export const siteAddresses = (): string[] =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !innerInterface.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter((item) => !item.internal && !/^(169\.254\.|fe[89ab])/i.test(item.address))
    .map((item) => item.address)
    .slice(0, limits.addressesPerHost);
