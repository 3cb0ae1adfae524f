import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentArch } from '@groundplane/protocol/agent-package';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { osImageLabel, osImageManifestSchema, type OsImageManifest, type SignedOsImage } from '@groundplane/protocol/os-image';
import { statementText } from '@groundplane/protocol/trust';
import { signText } from '../package.ts';
import { outputOf, runProgram } from './command.ts';
import { diskBytes, diskDefinitions } from './disk-layout.ts';
import { bootFiles, placeEntry } from './root.ts';
import { kernelCommandLine, rootEntries, type ImageIdentity } from './root-files.ts';
import type { Tools } from './tools.ts';

export interface BuiltFile {
  path: string;
  bytes: number;
  digest: Digest;
}

/** Digest of a file of any size. */
export const describeFile = async (path: string): Promise<BuiltFile> => {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return { path, bytes: statSync(path).size, digest: `sha256:${hash.digest('hex')}` };
};

/** The identity of a key as statements name it. */
export const publicKeyOf = (keyPem: string): Result<string> => {
  try {
    const { x } = createPublicKey(createPrivateKey(keyPem)).export({ format: 'jwk' });
    return ok(`ed25519:${String(x)}`);
  } catch {
    return fail('fatal', 'key-invalid', 'signing key', 'it cannot be read. Make one: openssl genpkey -algorithm ed25519 -out key.pem');
  }
};

export const signManifest = (manifest: OsImageManifest, keyPem: string): Result<SignedOsImage> => {
  const key = publicKeyOf(keyPem);
  if (!key.ok) return key;
  const signature = signText(statementText(manifest), keyPem);
  return signature.ok ? ok({ signed: manifest, signatures: [{ key: key.value, signature: signature.value.toString('base64url') }] }) : signature;
};

export interface ImageWish extends ImageIdentity {
  /** More of the kernel's command line. */
  commandLine: string;
  keyPem: string;
  /** Folder with files that are laid over the root, owned by root. */
  overlay: string | undefined;
  /** Makes the root carry the agent. */
  installAgent: (root: string) => Promise<Result<void>>;
}

/** Not part of a running system: what only package managers and builders look at. */
const leftOut = [
  'boot/.*',
  'var/.+',
  'proc/.+',
  'sys/.+',
  'dev/.+',
  'run/.+',
  'tmp/.+',
  'etc/initramfs-tools/.*',
  'usr/share/initramfs-tools/.*',
  'usr/lib/systemd/boot/efi/.*',
  '.*/__pycache__/.*',
];

/** Each device makes keys of its own (`groundplane-ssh-keys.service`): whoever has an image would have those of all devices that run it. */
export const removeHostKeys = (root: string): void => {
  const folder = join(root, 'etc', 'ssh');
  for (const name of existsSync(folder) ? readdirSync(folder) : []) if (name.startsWith('ssh_host_')) rmSync(join(folder, name));
};

/** File systems without a serial of their own differ only where their content does. */
const uuidOf = (text: string): string =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .slice(0, 32)
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5');

const makeRoot = async (tools: Tools, wish: ImageWish, base: string, work: string): Promise<Result<string>> => {
  const root = join(work, 'root');
  const copied = await outputOf(runProgram(['cp', '--archive', '--reflink=auto', base, root]), 'root-failed', root);
  if (!copied.ok) return copied;
  const agent = await wish.installAgent(root);
  if (!agent.ok) return agent;
  removeHostKeys(root);
  for (const entry of rootEntries(wish)) placeEntry(root, entry);
  if (wish.overlay !== undefined) {
    const laid = await outputOf(
      runProgram(['cp', '--recursive', '--no-dereference', '--preserve=mode,links', `${wish.overlay}/.`, root]),
      'overlay-failed',
      wish.overlay,
    );
    if (!laid.ok) return laid;
  }
  // Nobody comes in by password.
  const locked = await outputOf(tools.run(['chroot', '/mnt/root', 'passwd', '--lock', 'root'], [{ from: root, to: '/mnt/root' }]), 'root-failed', 'passwd');
  return locked.ok ? ok(root) : locked;
};

const makeErofs = (tools: Tools, wish: ImageWish, root: string, target: string): Promise<Result<string>> =>
  outputOf(
    tools.run(
      [
        'mkfs.erofs',
        '-zlz4hc,12',
        // Clusters of 64 KiB: a change moves what is near it and not the whole file.
        '-C65536',
        // Ends of files apart from the inodes: a new file moves the numbers in all inodes behind it, and what lies between them would have to come again. It halves an
        // update of one package and costs a twelfth of size.
        '-Enoinline_data',
        '-T0',
        `-U${uuidOf(osImageLabel(wish))}`,
        `--exclude-regex=^(${leftOut.join('|')})$`,
        `/mnt/out/${target}`,
        '/mnt/root',
      ],
      [
        { from: root, to: '/mnt/root' },
        { from: join(root, '..', 'out'), to: '/mnt/out' },
      ],
      { timeoutMs: 1_800_000 },
    ),
    'erofs-failed',
    target,
  );

const stubs: Record<AgentArch, { file: string; efiArch: string }> = {
  x64: { file: 'linuxx64.efi.stub', efiArch: 'x64' },
  arm64: { file: 'linuxaa64.efi.stub', efiArch: 'aa64' },
};

const makeUki = async (tools: Tools, wish: ImageWish, root: string, target: string): Promise<Result<string>> => {
  const boot = bootFiles(root);
  if (!boot.ok) return boot;
  const { file, efiArch } = stubs[wish.arch];
  return outputOf(
    tools.run(
      [
        'ukify',
        'build',
        `--linux=/mnt/root${boot.value.kernel}`,
        `--initrd=/mnt/root${boot.value.initrd}`,
        `--uname=${boot.value.version}`,
        `--cmdline=${kernelCommandLine(wish, wish.commandLine)}`,
        '--os-release=@/mnt/root/usr/lib/os-release',
        `--stub=/mnt/root/usr/lib/systemd/boot/efi/${file}`,
        `--efi-arch=${efiArch}`,
        `--output=/mnt/out/${target}`,
      ],
      [
        { from: root, to: '/mnt/root' },
        { from: join(root, '..', 'out'), to: '/mnt/out' },
      ],
    ),
    'uki-failed',
    target,
  );
};

export interface BuiltImage {
  root: BuiltFile;
  uki: BuiltFile;
  manifest: SignedOsImage;
  /** The root as a folder; removed with the work folder. */
  folder: string;
}

/** Root file system, boot entry and signed manifest of one version. Everything is written to `out` below the work folder. */
export const buildImage = async (tools: Tools, wish: ImageWish, base: string, work: string, progress: (line: string) => void): Promise<Result<BuiltImage>> => {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'out'), { recursive: true });
  progress('laying the agent and the services of an image over it');
  const root = await makeRoot(tools, wish, base, work);
  if (!root.ok) return root;
  const label = osImageLabel(wish);
  progress('making the root image');
  const erofs = await makeErofs(tools, wish, root.value, `${label}.root.erofs`);
  if (!erofs.ok) return erofs;
  progress('making the boot entry');
  const uki = await makeUki(tools, wish, root.value, `${label}.efi`);
  if (!uki.ok) return uki;
  const [rootFile, ukiFile] = [await describeFile(join(work, 'out', `${label}.root.erofs`)), await describeFile(join(work, 'out', `${label}.efi`))];
  if (rootFile.bytes > wish.sizes.slot * 2 ** 20)
    return fail(
      'fatal',
      'image-large',
      label,
      `the root image has ${Math.ceil(rootFile.bytes / 2 ** 20)} MiB, and a slot ${wish.sizes.slot}. Hosts that are flashed with this size take none larger; choose --slot`,
    );
  if (ukiFile.bytes * 3 > wish.sizes.esp * 2 ** 20)
    return fail(
      'fatal',
      'image-large',
      label,
      `the boot entry has ${Math.ceil(ukiFile.bytes / 2 ** 20)} MiB, and three have to fit into ${wish.sizes.esp}. Choose --esp`,
    );
  const manifest = osImageManifestSchema.safeParse({
    schema: 'groundplane.dev/os-image/1',
    name: wish.name,
    version: wish.version,
    architecture: wish.arch,
    content: { driver: 'sysupdate', root: { digest: rootFile.digest, size: rootFile.bytes }, uki: { digest: ukiFile.digest, size: ukiFile.bytes } },
  });
  if (!manifest.success) return fail('fatal', 'image-invalid', label, manifest.error.issues[0]?.message ?? 'it does not fit its schema');
  const signed = signManifest(manifest.data, wish.keyPem);
  return signed.ok ? ok({ root: rootFile, uki: ukiFile, manifest: signed.value, folder: root.value }) : signed;
};

const loaders: Record<AgentArch, { from: string; to: string }> = {
  x64: { from: 'systemd-bootx64.efi', to: 'BOOTX64.EFI' },
  arm64: { from: 'systemd-bootaa64.efi', to: 'BOOTAA64.EFI' },
};

/** A whole disk that can be flashed: boot loader, this image in the first slot, a free slot, data. Sectors of 512 bytes, since firmware reads nothing else. */
export const buildDisk = async (tools: Tools, wish: ImageWish, image: BuiltImage, work: string, target: string): Promise<Result<void>> => {
  const label = osImageLabel(wish);
  const { sizes } = wish;
  const esp = join(work, 'esp');
  const loader = loaders[wish.arch];
  const loaderFile = join(image.folder, 'usr/lib/systemd/boot/efi', loader.from);
  if (!existsSync(loaderFile))
    return fail(
      'fatal',
      'root-failed',
      loader.from,
      `the root has no boot loader for ${wish.arch}: ${readdirSync(join(image.folder, 'usr/lib/systemd/boot/efi')).join(', ')}`,
    );
  for (const folder of ['EFI/BOOT', 'EFI/systemd', 'EFI/Linux', 'loader', 'groundplane']) mkdirSync(join(esp, folder), { recursive: true });
  writeFileSync(join(esp, 'loader/loader.conf'), 'timeout 0\neditor no\n');
  const copies: [string, string][] = [
    [loaderFile, join(esp, 'EFI/BOOT', loader.to)],
    [loaderFile, join(esp, 'EFI/systemd', loader.from)],
    [image.uki.path, join(esp, 'EFI/Linux', `${label}.efi`)],
  ];
  for (const [from, to] of copies) {
    const copied = await outputOf(runProgram(['cp', from, to]), 'disk-failed', to);
    if (!copied.ok) return copied;
  }
  const definitions = join(work, 'repart');
  mkdirSync(definitions, { recursive: true });
  for (const [name, text] of Object.entries(diskDefinitions(wish, sizes, { root: `/mnt/work/out/${label}.root.erofs`, esp: '/mnt/work/esp' })))
    writeFileSync(join(definitions, name), text);
  rmSync(target, { force: true });
  const made = await outputOf(
    tools.run(
      [
        'systemd-repart',
        '--empty=create',
        `--size=${diskBytes(sizes)}`,
        '--offline=yes',
        '--sector-size=512',
        '--dry-run=no',
        `--seed=${uuidOf(`disk ${label}`)}`,
        '--definitions=/mnt/work/repart',
        `/mnt/disk/${target.slice(target.lastIndexOf('/') + 1)}`,
      ],
      [
        { from: work, to: '/mnt/work' },
        { from: target.slice(0, target.lastIndexOf('/')), to: '/mnt/disk' },
      ],
    ),
    'disk-failed',
    target,
  );
  return made.ok ? ok(undefined) : made;
};
