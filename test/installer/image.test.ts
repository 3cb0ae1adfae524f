import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { customizeCommand, readTicket, userDataCommand } from '@groundplane/installer/image/customize';
import { defaultSizes, diskBytes, diskDefinitions, installBytes } from '@groundplane/installer/image/disk-layout';
import { espType, readGpt } from '@groundplane/installer/image/gpt';
import { publicKeyOf, removeHostKeys, signManifest } from '@groundplane/installer/image/image';
import { missingForArch } from '@groundplane/installer/image/root';
import { kernelCommandLine, rootEntries, type ImageIdentity } from '@groundplane/installer/image/root-files';
import { missingForImages } from '@groundplane/installer/image/tools';
import { verifySignature } from '@groundplane/agent/identity/key';
import { descriptionSchema } from '@groundplane/agent/system/os-images/description';
import { isSignedBy } from '@groundplane/protocol/trust';
import { digestBytes } from '@groundplane/protocol/digest';
import { generateKeyPairSync } from 'node:crypto';
import { bad, good } from '../conformance/cluster-objects.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gp-image-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const put = (name: string, content: string | Buffer): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const image: ImageIdentity = { name: 'site', version: '1.0.0', arch: 'x64', keys: [`ed25519:${'A'.repeat(43)}`], sizes: defaultSizes, tries: 3 };

/** A disk with one partition, as UEFI writes it. */
const gptOf = (type: string, label: string, fields: { first?: bigint; last?: bigint; entrySize?: number; count?: number; table?: bigint } = {}): Buffer => {
  const disk = Buffer.alloc(64 * 512);
  disk.write('EFI PART', 512, 'latin1');
  disk.writeBigUInt64LE(fields.table ?? 2n, 512 + 72);
  disk.writeUInt32LE(fields.count ?? 4, 512 + 80);
  disk.writeUInt32LE(fields.entrySize ?? 128, 512 + 84);
  const [a = '', b = '', c = '', d = '', e = ''] = type.split('-');
  const swap = (hex: string): Buffer => Buffer.from(hex, 'hex').reverse();
  Buffer.concat([swap(a), swap(b), swap(c), Buffer.from(d, 'hex'), Buffer.from(e, 'hex')]).copy(disk, 1024);
  disk.writeBigUInt64LE(fields.first ?? 2048n, 1024 + 32);
  disk.writeBigUInt64LE(fields.last ?? 4095n, 1024 + 40);
  disk.write(label, 1024 + 56, 'utf16le');
  return disk;
};

describe('partitions of a disk image', () => {
  test('are read with label, type and place', async () => {
    expect(good(await readGpt(put('disk', gptOf(espType, 'ESP'))))).toEqual([{ type: espType, label: 'ESP', offset: 1_048_576, size: 1_048_576 }]);
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.alloc(4096)],
    ['a table that is cut off', gptOf(espType, 'ESP').subarray(0, 1100)],
    ['entries of no size', gptOf(espType, 'ESP', { entrySize: 0 })],
    ['entries without end', gptOf(espType, 'ESP', { count: 0xffffffff })],
    ['a table far away', gptOf(espType, 'ESP', { table: 1n << 40n })],
  ])('%s is told', async (_, bytes) => {
    bad(await readGpt(put('disk', bytes)), 'image-no-gpt', 'fatal');
  });

  test('a partition that ends before it begins is none', async () => {
    expect(good(await readGpt(put('disk', gptOf(espType, 'ESP', { first: 10n, last: 5n }))))).toEqual([]);
    bad(await readGpt(join(folder, 'none')), 'image-no-gpt', 'fatal');
  });
});

describe('customising', () => {
  const ticket = `gpt1.${Buffer.from(JSON.stringify({ hubs: ['wss://hub.example.org:8443/link'], content: 'https://hub.example.org:8443' })).toString('base64url')}`;

  test('a ticket comes as text or from a file, and only for the hub that is meant', () => {
    expect(good(readTicket(ticket, undefined))).toBe(ticket);
    expect(good(readTicket(`@${put('ticket', `${ticket}\n`)}`, 'https://hub.example.org:8443/'))).toBe(ticket);
    expect(bad(readTicket(ticket, 'https://other.example.org'), 'ticket-foreign', 'fatal').message).toContain('hub.example.org');
    for (const wrong of ['', 'gpt1.', 'gpt1.!!', 'nonsense', ticket.slice(0, 20)]) bad(readTicket(wrong, undefined), 'ticket-invalid', 'fatal');
    bad(readTicket('@/nowhere', undefined), 'option-invalid', 'fatal');
  });

  test('nothing is touched before everything is checked', async () => {
    const disk = gptOf('0fc63daf-8483-4772-8e79-3d69d8477de4', 'data');
    const path = put('disk', disk);
    const lines: object[] = [];
    const run = (...args: string[]) => customizeCommand(args, (line) => void lines.push(line));
    bad(await run(path), 'option-missing', 'fatal');
    bad(await run(path, '--ticket', 'nonsense'), 'ticket-invalid', 'fatal');
    bad(await run(path, '--user-data', put('bad', 'groundplane: {nmae: x}\n')), 'user-data-invalid', 'fatal');
    expect(lines).toMatchObject([{ event: 'finding', severity: 'error', line: 1 }]);
    bad(await run(put('text', 'no disk'), '--ticket', ticket), 'image-no-gpt', 'fatal');
    bad(await run(path, '--ticket', ticket), 'image-no-esp', 'fatal');
    const cut = put('cut', gptOf(espType, 'ESP'));
    expect(bad(await run(cut, '--ticket', ticket, '--out', join(folder, 'out')), 'image-cut', 'fatal').element).toBe(join(folder, 'out'));
    expect(existsSync(join(folder, 'out'))).toBe(false);
    expect(existsSync(join(folder, 'out.part'))).toBe(false);
  });

  test('a ticket in the user data is for the same hub, and no other than the one beside it', async () => {
    const path = put('disk', gptOf('0fc63daf-8483-4772-8e79-3d69d8477de4', 'data'));
    const own = put('own', `groundplane: {ticket: ${ticket}}\n`);
    const run = (...args: string[]) => customizeCommand([path, ...args], () => undefined);
    expect(bad(await run('--user-data', own, '--hub', 'https://other.example.org'), 'ticket-foreign', 'fatal').message).toContain('hub.example.org');
    bad(await run('--user-data', put('cut', `groundplane: {ticket: ${ticket.slice(0, 30)}}\n`)), 'ticket-invalid', 'fatal');
    const other = `gpt1.${Buffer.from(JSON.stringify({ hubs: ['ws://hub.example.org:8443/link'] })).toString('base64url')}`;
    bad(await run('--user-data', own, '--ticket', other), 'option-invalid', 'fatal');
    // As far as the disk, which has no boot partition.
    bad(await run('--user-data', own, '--ticket', ticket, '--hub', 'https://hub.example.org:8443'), 'image-no-esp', 'fatal');
  });

  test('user-data check says what a device takes, and repeats no secret', () => {
    const text = `groundplane:
  ticket: gpt1.abc
  name: shop-17
  users: [{name: ops, groups: [sudo], sshKeys: [k, l], passwordHash: $6$a$b}, {name: guest}]
  network: {interfaces: {eth0: {addresses: [10.0.0.2/24], gateway: 10.0.0.1}, eth1: {dhcp: true}}, proxy: {https: "http://u:hidden@proxy:3128"}}
  files: [{path: /etc/motd, content: hello}]
  sysctls: {vm.swappiness: 10}
  install: {device: auto}
`;
    const printed: string[] = [];
    good(userDataCommand(['check', put('whole', text)], (line) => void printed.push(line)));
    expect(printed.slice(0, -1)).toEqual([
      'takes ticket: in the user data',
      'takes name in the hub: shop-17',
      'takes accounts: ops in sudo (2 keys and a password), guest (nobody can log in: neither key nor password)',
      'takes interfaces: eth0 10.0.0.2/24 through 10.0.0.1, eth1 by DHCP',
      'takes proxy: http://…@proxy:3128',
      'takes files: /etc/motd',
      'takes kernel settings: vm.swappiness=10',
      'takes installs to: the only other disk, which loses everything; then reboot',
    ]);
    expect(printed.at(-1)).toMatch(/whole is good$/);
  });

  test.each([
    ['a folder', () => folder, 'option-invalid', 'is a folder'],
    ['an endless file', () => '/dev/zero', 'user-data-large', 'has more than'],
    ['UTF-16', () => put('utf16', Buffer.from('\uFEFF#cloud-config\n', 'utf16le')), 'user-data-invalid', 'is no text in UTF-8'],
  ])('user data from %s', (_, path, code, message) => {
    expect(
      bad(
        userDataCommand(['check', path()], () => undefined),
        code,
        'fatal',
      ).message,
    ).toContain(message);
  });

  test('user-data check prints what it finds, and fails on errors only', () => {
    const printed: string[] = [];
    good(userDataCommand(['check', put('warned', 'stylus: {debug: true}\n')], (text) => void printed.push(text)));
    expect(printed.join('\n')).toMatch(/warned:1:10: warning: stylus.debug is not used[\s\S]*has no errors, and there is nothing in it that a device takes/);
    bad(
      userDataCommand(['check', put('wrong', 'groundplane: 1\n')], () => undefined),
      'user-data-invalid',
      'fatal',
    );
    bad(
      userDataCommand(['check', join(folder, 'none')], () => undefined),
      'option-invalid',
      'fatal',
    );
    bad(
      userDataCommand([], () => undefined),
      'option-missing',
      'fatal',
    );
  });
});

describe('what goes into an image', () => {
  const entries = rootEntries(image);
  const textOf = (path: string): string => {
    const entry = entries.find((item) => item.path === path);
    if (entry?.kind !== 'file') throw new Error(`${path} is no file of an image`);
    return entry.text;
  };

  test('it describes itself in a way that the agent reads', () => {
    expect(descriptionSchema.parse(JSON.parse(textOf('/usr/lib/groundplane/os-image.json')))).toMatchObject({
      name: 'site',
      version: '1.0.0',
      keys: image.keys,
    });
    expect(textOf('/usr/lib/os-release')).toContain('IMAGE_VERSION=1.0.0\n');
  });

  test('each machine makes its own identity, and nothing updates by itself', () => {
    expect(textOf('/etc/machine-id')).toBe('');
    expect(textOf('/usr/lib/systemd/system/groundplane-ssh-keys.service')).toMatch(/ConditionPathExists=!.*\nBefore=ssh.service[^]*ssh-keygen -A/);
    expect(entries.find((item) => item.path === '/etc/systemd/system/ssh.service.wants/groundplane-ssh-keys.service')).toMatchObject({ kind: 'link' });
    mkdirSync(join(folder, 'etc', 'ssh'), { recursive: true });
    for (const name of ['ssh_host_rsa_key', 'ssh_host_ed25519_key', 'ssh_host_ed25519_key.pub', 'sshd_config']) put(join('etc', 'ssh', name), 'x');
    removeHostKeys(folder);
    expect(readdirSync(join(folder, 'etc', 'ssh'))).toEqual(['sshd_config']);
    expect(() => removeHostKeys(join(folder, 'none'))).not.toThrow();
    for (const unit of ['apt-daily.timer', 'systemd-sysupdate.timer'])
      expect(entries.find((item) => item.path === `/etc/systemd/system/${unit}`)).toMatchObject({ target: '/dev/null' });
  });

  test('a boot on trial that fails reboots, in each of the ways it can', () => {
    expect(textOf('/usr/lib/systemd/system/groundplane-health.service')).toContain('FailureAction=reboot\n');
    expect(kernelCommandLine(image, 'quiet')).toMatch(/ panic=10 .* quiet$/);
    expect(textOf('/usr/lib/systemd/system/emergency.service.d/groundplane.conf')).toContain('on-emergency.sh');
  });

  test('root and boot entry are two transfers, and the running version is protected in both', () => {
    for (const part of ['root.d/10-root', 'uki.d/20-uki']) expect(textOf(`/usr/lib/groundplane/sysupdate/${part}.transfer`)).toContain('ProtectVersion=%A');
    expect(textOf('/usr/lib/groundplane/sysupdate/uki.d/20-uki.transfer')).toContain('TriesLeft=3\n');
  });

  test('no path stands in it twice', () => {
    expect(entries.map((entry) => entry.path).toSorted()).toEqual([...new Set(entries.map((entry) => entry.path))].toSorted());
  });

  test('data is the last partition, without an upper bound', () => {
    const definitions = diskDefinitions(image, defaultSizes, { root: 'auto', esp: '/esp' });
    expect(Object.keys(definitions).toSorted().at(-1)).toBe('30-data.conf');
    expect(definitions['30-data.conf']).not.toContain('SizeMaxBytes');
    expect(definitions['20-root-a.conf']).toContain('Label=site_1.0.0\nCopyBlocks=auto\n');
    expect(diskBytes(defaultSizes)).toBeLessThan(installBytes(defaultSizes));
  });

  test('its manifest is signed so that the agent believes it, and nobody else', () => {
    const pem = (): string => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    const [mine, other] = [pem(), pem()];
    const content = { driver: 'sysupdate' as const, root: { digest: digestBytes('r'), size: 1 }, uki: { digest: digestBytes('u'), size: 1 } };
    const signed = good(signManifest({ schema: 'groundplane.dev/os-image/1', name: 'site', version: '1', architecture: 'x64', content }, mine));
    const by = (key: string) => isSignedBy(signed, { keys: [good(publicKeyOf(key))], threshold: 1 }, verifySignature);
    expect(by(mine)).toBe(true);
    expect(by(other)).toBe(false);
    expect(isSignedBy({ ...signed, signed: { ...signed.signed, version: '2' } }, { keys: [good(publicKeyOf(mine))], threshold: 1 }, verifySignature)).toBe(
      false,
    );
    bad(publicKeyOf('no key'), 'key-invalid', 'fatal');
  });

  test('what a machine lacks is listed', () => {
    expect(missingForImages('darwin')).toEqual(['Images are built on Linux only; this is darwin.']);
    expect(missingForImages('linux', () => false).slice(0, 2)).toEqual([
      'The program mmdebstrap is not installed: apt install mmdebstrap.',
      'The program unshare is not installed: apt install util-linux.',
    ]);
    expect(missingForArch('arm64', 'x64', () => false)[0]).toContain('qemu-user-static');
    const lacksTest = missingForArch(
      'arm64',
      'x64',
      () => true,
      () => false,
    );
    expect(lacksTest[0]).toContain('need the program arch-test');
    expect(
      missingForArch(
        'arm64',
        'x64',
        () => true,
        () => true,
      ),
    ).toEqual([]);
    expect(missingForArch('x64', 'x64', () => false)).toEqual([]);
  });
});
