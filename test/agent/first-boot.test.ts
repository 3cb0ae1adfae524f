import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bootNames } from '@groundplane/agent/first-boot/boot-names';
import { chooseDisk, doneFile, installedFile, installToDisk, parseDisks, type Disk } from '@groundplane/agent/first-boot/install';
import { settingsOf } from '@groundplane/agent/first-boot/settings';
import { userDataSchema } from '@groundplane/protocol/user-data/schema';
import { bad, good } from '../conformance/cluster-objects.ts';

/** What bundles bring is asked for on the host itself first. */
const ownMirror = '[host."http://127.0.0.1:5081"]\n  capabilities = ["pull", "resolve"]\n';
const settings = (input: object, ticket?: string) => settingsOf(userDataSchema.parse(input), ticket);
const contentOf = (input: object, path: string, ticket?: string): string | undefined =>
  settings(input, ticket).files.find((file) => file.path === path)?.content;

describe('files of the boot partition', () => {
  test.each([
    [['USER-DATA', 'Ticket'], 'USER-DATA', 'Ticket', []],
    [['user-data.txt', 'ticket.txt', 'installed.json', 'is-installed', '._ticket'], 'user-data.txt', 'ticket.txt', []],
    [['user-data.yaml', 'user-data'], 'user-data', undefined, ['user-data.yaml']],
    [['userdata.yaml', 'shop.ticket'], undefined, undefined, ['userdata.yaml', 'shop.ticket']],
    [[], undefined, undefined, []],
  ])('%j', (files, userData, ticket, unread) => {
    expect(bootNames(files)).toEqual({ userData, ticket, unread });
  });
});

describe('what user data means on a machine', () => {
  test('nothing means nothing', () => {
    expect(settings({})).toEqual({ files: [], accounts: [], commands: [] });
  });

  test('the ticket of the user data wins over the file beside it, and nobody else may read it', () => {
    expect(contentOf({ ticket: 'gpt1.abc' }, '/var/lib/groundplane/ticket', 'gpt1.file\n')).toBe('gpt1.abc\n');
    expect(contentOf({}, '/var/lib/groundplane/ticket', 'gpt1.file\n')).toBe('gpt1.file\n');
    expect(settings({ ticket: 'gpt1.abc' }).files[0]?.mode).toBe('0600');
  });

  test('name and carrier become options of the agent', () => {
    expect(contentOf({ name: 'shop', carrier: 'mqtt' }, '/etc/groundplane/agent.env')).toBe('GROUNDPLANE_AGENT_OPTIONS=--name shop --carrier mqtt\n');
  });

  test('an interface becomes a file of systemd-networkd that comes before the default', () => {
    const text = contentOf(
      { network: { interfaces: { eth0: { addresses: ['10.0.0.2/24', 'fd00::2/64'], gateway: '10.0.0.1', dns: ['10.0.0.53'], mtu: 9000 } }, dns: ['1.1.1.1'] } },
      '/etc/systemd/network/10-eth0.network',
    );
    expect(text).toBe(
      '[Match]\nName=eth0\n[Link]\nMTUBytes=9000\n[Network]\nDHCP=no\nAddress=10.0.0.2/24\nAddress=fd00::2/64\nGateway=10.0.0.1\nDNS=10.0.0.53\n',
    );
  });

  test('a proxy is for every service, with percent signs kept from systemd', () => {
    const text = contentOf(
      { network: { proxy: { https: 'http://u:p%40@proxy:3128', except: ['10.0.0.0/8', '.local'] } } },
      '/etc/systemd/system.conf.d/user-data-proxy.conf',
    );
    expect(text).toBe(
      '[Manager]\nDefaultEnvironment="HTTPS_PROXY=http://u:p%%40@proxy:3128" "https_proxy=http://u:p%%40@proxy:3128" "NO_PROXY=10.0.0.0/8,.local" "no_proxy=10.0.0.0/8,.local"\n',
    );
  });

  test('mirrors become hosts.toml, the one for all under its own name', () => {
    expect(
      contentOf({ registryMirrors: [{ registry: '*', endpoints: ['http://mirror:5000'], skipVerify: true }] }, '/etc/containerd/certs.d/_default/hosts.toml'),
    ).toBe(`${ownMirror}[host."http://mirror:5000"]\n  capabilities = ["pull", "resolve"]\n  skip_verify = true\n`);
  });

  test('a mirror below /v2/ is taken as it stands; a chain of certificates becomes a file each', () => {
    const registryMirrors = [{ registry: 'docker.io', endpoints: ['https://harbor.example/v2/dockerhub', 'https://plain.example'] }];
    expect(contentOf({ registryMirrors }, '/etc/containerd/certs.d/docker.io/hosts.toml')).toBe(
      `${ownMirror}[host."https://harbor.example/v2/dockerhub"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n[host."https://plain.example"]\n  capabilities = ["pull", "resolve"]\n`,
    );
    const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const { files } = settings({ caCertificates: [`${pem('MIIA')}${pem('MIIB')}`, pem('MIIC')] });
    expect(files.map(({ content }) => content)).toEqual(['MIIA', 'MIIB', 'MIIC'].map(pem));
  });

  test('k3s and RKE2 find the mirrors in their own file', () => {
    const registryMirrors = [
      { registry: '*', endpoints: ['http://mirror:5000'], skipVerify: true },
      { registry: 'docker.io', endpoints: ['https://harbor.example/v2/hub'] },
    ];
    for (const name of ['k3s', 'rke2'])
      expect(JSON.parse(contentOf({ registryMirrors }, `/etc/rancher/${name}/registries.yaml`) ?? '')).toEqual({
        mirrors: {
          '*': { endpoint: ['http://127.0.0.1:5081', 'http://mirror:5000'] },
          'docker.io': { endpoint: ['http://127.0.0.1:5081', 'https://harbor.example/v2/hub'] },
        },
        configs: { 'mirror:5000': { tls: { insecure_skip_verify: true } } },
      });
  });

  test('an account of administrators without a password may use sudo without one; nobody else may', () => {
    const { files } = settings({
      users: [
        { name: 'ops', groups: ['sudo'], sshKeys: ['k'] },
        { name: 'boss', groups: ['sudo'], passwordHash: '$6$a$b' },
        { name: 'till', groups: ['users'], sshKeys: ['k'] },
      ],
    });
    expect(files).toEqual([{ path: '/etc/sudoers.d/user-data-ops', content: 'ops ALL=(ALL:ALL) NOPASSWD: ALL\n', mode: '0440', owner: 'root', group: 'root' }]);
  });

  test('accounts come with keys where their home is', () => {
    const { accounts } = settings({
      users: [{ name: 'root', sshKeys: ['k'] }, { name: 'ops', sshKeys: ['k', 'l'], passwordHash: '$6$a$b' }, { name: 'none' }],
    });
    expect(accounts.map((account) => account.keys?.path)).toEqual(['/root/.ssh/authorized_keys', '/home/ops/.ssh/authorized_keys', undefined]);
    expect(accounts[1]).toMatchObject({ passwordHash: '$6$a$b', keys: { content: 'k\nl\n', mode: '0600', owner: 'ops' } });
  });
});

const disk = (path: string, fields: Partial<Disk> = {}): Disk => ({
  path,
  serial: path,
  sizeBytes: 64e9,
  isReadOnly: false,
  isRemovable: false,
  isUsed: false,
  ...fields,
});

describe('the disk to install to', () => {
  const own = disk('/dev/sda', { isRemovable: true });
  const choose = (device: string, disks: Disk[]) => chooseDisk(device, [own, ...disks], '/dev/sda', 4e9);

  test('auto takes the only fixed disk that is large enough', () => {
    expect(
      good(
        choose('auto', [
          disk('/dev/nvme0n1'),
          disk('/dev/sdb', { isRemovable: true }),
          disk('/dev/sdc', { sizeBytes: 1e9 }),
          disk('/dev/sdd', { isReadOnly: true }),
        ]),
      ).path,
    ).toBe('/dev/nvme0n1');
  });

  test('auto never chooses between two, and never takes what is in use', () => {
    expect(bad(choose('auto', [disk('/dev/sdb'), disk('/dev/sdc')]), 'install-many-disks', 'blocked').message).toContain('/dev/sdb (64 GB), /dev/sdc');
    bad(choose('auto', [disk('/dev/sdb', { isUsed: true })]), 'install-no-disk', 'blocked');
    bad(choose('auto', []), 'install-no-disk', 'blocked');
  });

  test('a named disk is refused for a reason', () => {
    bad(choose('/dev/sda', []), 'install-own-disk', 'blocked');
    bad(choose('/dev/sdx', []), 'install-no-disk', 'blocked');
    bad(choose('/dev/sdb', [disk('/dev/sdb', { isUsed: true })]), 'install-disk-used', 'blocked');
    bad(choose('/dev/sdb', [disk('/dev/sdb', { sizeBytes: 4e9 - 1 })]), 'install-disk-small', 'blocked');
    expect(good(choose('/dev/sdb', [disk('/dev/sdb', { sizeBytes: 4e9, isRemovable: true })])).path).toBe('/dev/sdb');
  });

  test('what lsblk says is read; anything else is no disk', () => {
    const text = JSON.stringify({
      blockdevices: [
        {
          path: '/dev/sda',
          type: 'disk',
          size: 100,
          ro: false,
          rm: true,
          serial: 'S',
          wwn: null,
          mountpoints: [null],
          children: [{ path: '/dev/sda1', mountpoints: ['/efi'] }],
        },
        { path: '/dev/loop0', type: 'loop', size: 5, ro: true, rm: false, serial: null, wwn: null, mountpoints: [null] },
        { path: '/dev/sr0', type: 'disk', size: 0, ro: false, rm: true, serial: null, wwn: null, mountpoints: [null] },
      ],
    });
    expect(parseDisks(text)).toEqual([{ path: '/dev/sda', serial: 'S', sizeBytes: 100, isReadOnly: false, isRemovable: true, isUsed: true }]);
    for (const odd of ['', 'null', '{}', '[]']) expect(parseDisks(odd)).toEqual([]);
  });

  test('a disk is in use when something that is built on its partitions is', () => {
    const volume = { path: '/dev/mapper/v', mountpoints: ['/data'] };
    const text = JSON.stringify({
      blockdevices: [{ path: '/dev/sdb', type: 'disk', size: 100, children: [{ path: '/dev/sdb1', mountpoints: [null], children: [volume] }] }],
    });
    expect(parseDisks(text)[0]?.isUsed).toBe(true);
  });
});

describe('installing', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gp-first-boot-'));
    mkdirSync(join(folder, 'esp/groundplane'), { recursive: true });
    writeFileSync(join(folder, 'esp/groundplane/user-data'), 'groundplane: {}\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const install = (code = 0, device = 'auto', machine?: string) => {
    const calls: string[] = [];
    const said: string[] = [];
    let staged: string[] = [];
    const done = installToDisk(
      { device, end: 'reboot' },
      {
        esp: join(folder, 'esp'),
        ownDisk: '/dev/sda',
        machine: machine ?? '',
        definitions: '/definitions',
        neededBytes: 4e9,
        staging: join(folder, 'staging'),
        say: (text) => void said.push(text),
        run: (file, args) => {
          calls.push([file, ...args].join(' '));
          if (file === 'systemd-repart')
            staged = [doneFile, installedFile, 'groundplane/user-data'].filter((name) => existsSync(join(folder, 'staging', name)));
          const disks = {
            blockdevices: ['/dev/sda', '/dev/sdb'].map((path) => ({
              path,
              type: 'disk',
              size: 64e9,
              serial: machine === undefined ? `serial ${path}` : null,
              mountpoints: [],
            })),
          };
          const stdout = { lsblk: JSON.stringify(disks), readlink: '/dev/sdb\n' }[file] ?? '';
          return Promise.resolve({ code: file === 'systemd-repart' ? code : 0, stdout, stderr: 'no' });
        },
      },
    );
    return { done, calls, said, staged: () => staged };
  };

  test('the disk is made anew, its boot partition knows that it is installed, and the medium remembers it', async () => {
    const first = install();
    expect(good(await first.done)).toBe('installed');
    expect(first.calls).toContain('systemd-repart --dry-run=no --empty=force --definitions=/definitions /dev/sdb');
    expect(first.staged()).toEqual([doneFile, 'groundplane/user-data']);
    expect(JSON.parse(readFileSync(join(folder, 'esp', installedFile), 'utf8'))).toEqual(['serial /dev/sdb']);
    expect(existsSync(join(folder, 'staging'))).toBe(false);
  });

  test('disks without a serial number are told apart by their machines', async () => {
    for (const [machine, expected] of [
      ['uuid-1', 'installed'],
      ['uuid-2', 'installed'],
      ['uuid-1', 'was-installed'],
    ] as const)
      expect(good(await install(0, 'auto', machine).done)).toBe(expected);
    expect(JSON.parse(readFileSync(join(folder, 'esp', installedFile), 'utf8'))).toEqual(['/dev/sdb uuid-1', '/dev/sdb uuid-2']);
  });

  test('a disk may be named by a link', async () => {
    const named = install(0, '/dev/disk/by-id/ata-X');
    expect(good(await named.done)).toBe('installed');
    expect(named.calls).toContain('readlink --canonicalize /dev/disk/by-id/ata-X');
    expect(named.calls).toContain('systemd-repart --dry-run=no --empty=force --definitions=/definitions /dev/sdb');
  });

  test('the disk that it runs from is no disk to install to, and no mistake either', async () => {
    const own = install(0, '/dev/sda');
    expect(good(await own.done)).toBe('runs-from-it');
    expect(own.said.join()).toContain('this system runs from /dev/sda already');
    expect(own.calls.some((call) => call.startsWith('systemd-repart'))).toBe(false);
  });

  test('a machine that starts from the medium again loses nothing', async () => {
    await install().done;
    const second = install();
    expect(good(await second.done)).toBe('was-installed');
    expect(second.calls.some((call) => call.startsWith('systemd-repart'))).toBe(false);
    expect(second.said.join()).toContain('Remove the medium');
  });

  test('a failure is told, and the medium does not remember it as done', async () => {
    bad(await install(1).done, 'install-failed', 'blocked');
    expect(existsSync(join(folder, 'esp', installedFile))).toBe(false);
  });
});
