import { createServer } from 'node:net';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterView, EventView, HostView } from '@groundplane/protocol/api/views';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import { customizeCommand } from '@groundplane/installer/image/customize';
import { missingForArch } from '@groundplane/installer/image/root';
import { flash } from '@groundplane/installer/flash/flash';
import { imageName, imageVersions } from '../../lab/image-builds.ts';
import { startMachine, type VirtualMachine } from '../../lab/virtual-machine.ts';
import { createSite, type TestSite } from '../site.ts';
import { check, secondsSince, type Scenario } from './scenario.ts';

/** What a machine in QEMU calls the host of its user network. */
const hubSeenFromMachine = '10.0.2.2';
const hostName = 'appliance';
/** A boot takes half a minute on an idle machine, and many times that on one that is busy. */
const bootMs = 1_500_000;

/** Each look is a whole `gp`, which on a machine that also emulates another one must be rare. */
const until = async <T>(what: string, look: () => Promise<T | undefined>, timeoutMs: number): Promise<T> => {
  let last = '';
  for (const end = performance.now() + timeoutMs; ;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s ${last}`);
    await delay(10_000);
  }
};

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
};

const people = (site: TestSite) => {
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await site.gpOk(...args, '-o', 'json')) as T;
  return {
    host: () => json<HostView>('get', 'host', hostName),
    cluster: () => json<ClusterView>('get', 'cluster', hostName),
    events: async (): Promise<EventView[]> => {
      const found = await json<EventView[] | { items: EventView[] }>('get', 'events');
      return Array.isArray(found) ? found : found.items;
    },
    json,
  };
};

/** A profile with nothing but an operating system. */
const profileFile = (folder: string, version: string, os: unknown): string => {
  const file = join(folder, `profile-${version}.json`);
  const spec = {
    type: 'infrastructure',
    layers: [{ name: 'os', kind: 'os', os: { ...(os as object), files: [{ path: '/etc/site', content: `version ${version}\n` }] } }],
  };
  writeFileSync(file, JSON.stringify({ apiVersion: 'groundplane.dev/v1', kind: 'Profile', metadata: { name: 'appliance', version }, spec }));
  return file;
};

const clusterFile = (folder: string, version: string): string => {
  const file = join(folder, `cluster-${version}.json`);
  const spec = { profiles: [{ name: 'appliance', version }], hosts: [hostName] };
  writeFileSync(file, JSON.stringify({ apiVersion: 'groundplane.dev/v1', kind: 'Cluster', metadata: { name: hostName }, spec }));
  return file;
};

/** The disk of a new machine: image, ticket and user data, flashed as somebody would. */
const makeDisk = async (images: string, arch: AgentArch, folder: string, ticket: string): Promise<string> => {
  const [image, disk] = [join(folder, 'customised.img'), join(folder, 'disk.img')];
  writeFileSync(join(folder, 'ticket'), ticket);
  writeFileSync(
    join(folder, 'user-data'),
    `#cloud-config\ngroundplane:\n  name: ${hostName}\n  hostname: ${hostName}\nstylus:\n  site:\n    ntpServers: [ntp.example.org]\n`,
  );
  const lines: object[] = [];
  const customised = await customizeCommand(
    [
      join(images, `${imageName}_${imageVersions.first}-${arch}.img`),
      '--out',
      image,
      '--ticket',
      `@${join(folder, 'ticket')}`,
      '--user-data',
      join(folder, 'user-data'),
    ],
    (line) => void lines.push(line),
  );
  check(customised.ok, 'the image is customised', customised);
  writeFileSync(disk, '');
  truncateSync(disk, 6 * 2 ** 30);
  const flashed = await flash({ image, target: disk, isSure: true, mayBePartition: false, onEvent: () => undefined });
  check(flashed.ok, 'the image is flashed', flashed);
  return disk;
};

/** One life of an appliance, with a real hub: flashed, enrolled, updated to a bad image, returned, updated to a good one. */
export const runImage = async (options: {
  arch: AgentArch;
  tools: string;
  images: string;
  folder: string;
  say: (line: string) => void;
}): Promise<Record<string, number | string>> => {
  const { arch, tools, images, folder, say } = options;
  mkdirSync(folder, { recursive: true });
  const site = createSite();
  const { host, cluster, events, json } = people(site);
  const figures: Record<string, number | string> = {};
  let machine: VirtualMachine | undefined;
  try {
    const port = await freePort();
    await site.startHub({ port, args: ['--public-url', `http://${hubSeenFromMachine}:${port}`] });
    const link = site.setupLink().replace(hubSeenFromMachine, '127.0.0.1');
    const login = await site.gpWith('correct horse battery staple\n', ['login', '--setup', link, '--name', 'admin', '--password-stdin']);
    check(login.code === 0, 'the first administrator is made', login);
    const { ticket } = await json<{ ticket: string }>('ticket', 'create', 'appliances', '--auto-approve');
    const disk = await makeDisk(images, arch, folder, ticket);
    for (const version of Object.values(imageVersions)) {
      const os = await json<object>('image', 'upload', join(images, `${imageName}_${version}-${arch}.json`));
      await site.gpOk('apply', '-f', profileFile(folder, version, os));
    }
    say('image flashed, three versions in the hub');
    machine = await startMachine({ arch, tools, folder, disks: [disk], memoryMiB: 1_024, processors: 2 });
    const started = performance.now();
    await until('enrolled', async () => ((await host()).online ? true : undefined), bootMs);
    figures['bootToEnrolledSeconds'] = secondsSince(started);
    figures['bootToEnrolledCpuSeconds'] = machine.cpuSeconds();
    say(`enrolled after ${figures['bootToEnrolledSeconds']} s, ${figures['bootToEnrolledCpuSeconds']} CPU s`);

    const goes = async (version: string, state: (view: ClusterView) => boolean, what: string): Promise<ClusterView> => {
      await site.gpOk('apply', '-f', clusterFile(folder, version));
      return await until(
        what,
        async () => {
          const view = await cluster();
          return state(view) ? view : undefined;
        },
        3 * bootMs,
      ).catch(async (error: unknown) => {
        throw new Error(`${String(error)}\n${JSON.stringify(await cluster())}\n${machine?.console().slice(-4_000) ?? ''}`);
      });
    };
    const isReady = (version: string) => (view: ClusterView) =>
      view.state === 'ready' &&
      view.layers.every((layer) => layer.observed?.state === 'ready' && layer.isCurrent && view.spec.profiles[0]?.version === version);

    await goes(imageVersions.first, isReady(imageVersions.first), 'converged on the image that it was flashed with');
    const step = async (name: string, run: () => Promise<unknown>): Promise<void> => {
      const [began, cpu] = [performance.now(), machine?.cpuSeconds() ?? 0];
      await run();
      figures[`${name}Seconds`] = secondsSince(began);
      figures[`${name}CpuSeconds`] = Math.round(((machine?.cpuSeconds() ?? 0) - cpu) * 10) / 10;
      say(`${name}: ${figures[`${name}Seconds`]} s, ${figures[`${name}CpuSeconds`]} CPU s`);
    };
    await step('badImage', () => goes(imageVersions.bad, (view) => view.hosts.some((item) => item.phase === 'rolled-back'), 'returned from the bad image'));
    const back = (await events()).find((event) => event.reason === 'RolledBack');
    check(back?.message.includes('this image is bad on purpose') === true, 'the return is told with the words of the check', back);
    check(back?.message.includes(`returned to image ${imageVersions.first}`) === true, 'and says what runs now', back?.message);
    await step('goodImage', () => goes(imageVersions.next, isReady(imageVersions.next), 'updated to the good image'));
    check((await host()).info?.os.includes(imageVersions.next) === true, 'the host says which image it runs', (await host()).info);
    figures['boots'] = machine.console().split('Linux version').length - 1;
    return figures;
  } finally {
    await machine?.kill();
    await site.close();
  }
};

export const image: Scenario = {
  name: 'image',
  about: 'an appliance from flashing to its second image, with a bad one between, in QEMU with UEFI and a real hub',
  needs: ['base', 'imageTools', 'images'],
  run: async ({ prepared, site, say }) => ({
    figures: await runImage({ arch: 'x64', tools: prepared.imageTools, images: prepared.images, folder: join(site.folder, 'image'), say }),
  }),
};

/** The same life on the other processor: firmware, loader, kernel, root and agent are built from other parts. */
export const imageArm64: Scenario = {
  name: 'image-arm64',
  about: 'the same for arm64, built and run by emulation',
  needs: ['base', 'imageTools', 'imagesArm64'],
  missing: () => missingForArch('arm64'),
  run: async ({ prepared, site, say }) => ({
    figures: await runImage({ arch: 'arm64', tools: prepared.imageTools, images: prepared.imagesArm64, folder: join(site.folder, 'image-arm64'), say }),
  }),
};

/** On its own, without the other test hosts: `node test/e2e/hosts/image.ts ARCH TOOLS IMAGES FOLDER`. */
if (import.meta.main) {
  const [, , arch, tools = '', images = '', folder = ''] = process.argv;
  const figures = await runImage({ arch: arch === 'arm64' ? 'arm64' : 'x64', tools, images, folder, say: (line) => void process.stderr.write(`${line}\n`) });
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  process.exit(0);
}
