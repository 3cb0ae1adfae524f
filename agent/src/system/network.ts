import { createConnection } from 'node:net';
import { networkInterfaces } from 'node:os';
import { readFile } from 'node:fs/promises';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { lastWords, runCommand } from './command.ts';

/** Names and addresses of the machine's interfaces, without what containers made. */
export const listInterfaces = (): { name: string; addresses: string[] }[] =>
  Object.entries(networkInterfaces())
    .filter(([name]) => name !== 'lo' && !/^(docker|br-|veth|cni|flannel|cali|kube|cilium|lxc)/.test(name))
    .map(([name, list]) => ({ name, addresses: (list ?? []).map((item) => item.cidr ?? item.address) }));

/** Lets systemd-networkd take up its files for one interface. */
export const reloadNetwork = async (name: string): Promise<Result<void>> => {
  for (const args of [['reload'], ['reconfigure', name]]) {
    const done = await runCommand('networkctl', args, { timeoutMs: 30_000 });
    if (done.code !== 0)
      return fail('blocked', 'network-failed', `interface ${name}`, `networkctl ${args.join(' ')} failed: ${lastWords(done)}. Does systemd-networkd run here?`);
  }
  return ok(undefined);
};

/** The gateway of IPv4 in `/proc/net/route`, where addresses are hexadecimal with the lowest byte first. */
export const parseGateway = (text: string): string | undefined => {
  for (const line of text.split('\n').slice(1)) {
    const [, destination, gateway, flags] = line.split('\t');
    if (destination !== '00000000' || gateway === undefined || (Number.parseInt(flags ?? '0', 16) & 2) === 0) continue;
    return [6, 4, 2, 0].map((at) => Number.parseInt(gateway.slice(at, at + 2), 16)).join('.');
  }
  return undefined;
};

/** Whether the next hop answers: by ping where that is installed. */
export const isGatewayReachable = async (): Promise<boolean> => {
  const gateway = parseGateway(await readFile('/proc/net/route', 'utf8').catch(() => ''));
  return gateway !== undefined && (await runCommand('ping', ['-c', '1', '-W', '2', gateway], { timeoutMs: 5_000 })).code === 0;
};

/** Whether something takes connections at an address. */
export const isPortOpen = (url: string): Promise<boolean> => {
  const parsed = URL.parse(url);
  if (parsed === null) return Promise.resolve(false);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const port = parsed.port === '' ? (parsed.protocol === 'https:' ? 443 : 80) : Number(parsed.port);
  const socket = createConnection({ host: parsed.hostname.replace(/^\[|\]$/g, ''), port, timeout: 3_000 });
  const end = (answer: boolean): void => {
    socket.destroy();
    resolve(answer);
  };
  socket.once('connect', () => end(true));
  socket.once('timeout', () => end(false));
  socket.once('error', () => end(false));
  return promise;
};
