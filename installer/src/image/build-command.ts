import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { agentArchs, agentPackageName, type AgentArch } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { osImageLabel, osImageNameSchema, osImageVersionSchema } from '@groundplane/protocol/os-image';
import { publicKeySchema } from '@groundplane/protocol/trust';
import { buildAgentPackages } from '../package.ts';
import { outputOf } from './command.ts';
import { defaultSizes, type DiskSizes } from './disk-layout.ts';
import { buildDisk, buildImage, describeFile, publicKeyOf, type BuiltFile, type BuiltImage, type ImageWish } from './image.ts';
import { ensureBase, kernels, missingForArch, type Kernel } from './root.ts';
import { triesDefault } from './transfers.ts';
import { ensureTools, imageCache, missingForImages, type Tools } from './tools.ts';

export const buildUsage = `npm run installer -- build      an operating system image: root image, boot entry, signed manifest, and a disk image to flash
  --out DIR                   where to put them (needed)
  --version VERSION           of the image (needed)
  --sign KEY.pem              Ed25519 key; hosts with this image take others by the same key (needed)
  --trust ed25519:KEY         more keys whose images those hosts take; may be given several times
  --name NAME                 default: groundplane. Images of one name replace each other
  --arch x64|arm64            default: the architecture of this machine
  --kernel generic|cloud      drivers of real machines (default), or of virtual ones only
  --packages a,b              more packages of Debian
  --overlay DIR               files that are laid over the root
  --command-line TEXT         more for the kernel
  --epoch TEXT                another text fetches packages anew; default: the month
  --slot MIB, --esp MIB       sizes of a slot (default 768) and of the boot partition (default 256); a disk keeps them for life
  --tries N                   how often hosts with this image start a new one before they go back; default 3
  --no-disk                   no disk image; for updates`;

export interface BuildOptions {
  out: string;
  version: string;
  name: string;
  arch: AgentArch;
  kernel: Kernel;
  keyPem: string;
  keys: readonly string[];
  packages: readonly string[];
  overlay: string | undefined;
  commandLine: string;
  epoch: string;
  agentVersion: string;
  makesDisk: boolean;
  sizes: DiskSizes;
  tries: number;
}

export interface ImageFiles {
  root: BuiltFile;
  uki: BuiltFile;
  manifest: BuiltFile;
  disk: BuiltFile | undefined;
}

const oneOf = <T extends string>(all: readonly T[], text: string, option: string): Result<T> => {
  const found = all.find((each) => each === text);
  return found === undefined ? fail('fatal', 'option-invalid', `--${option} ${text}`, `there are: ${all.join(', ')}`) : ok(found);
};

const readNumbers = (given: { slot: string; esp: string; tries: string }): Result<Pick<BuildOptions, 'sizes' | 'tries'>> => {
  const [slot, esp] = [Number(given.slot), Number(given.esp)];
  if (!Number.isInteger(slot) || !Number.isInteger(esp) || slot < 64 || esp < 64 || slot > 65_536 || esp > 4_096)
    return fail(
      'fatal',
      'option-invalid',
      `--slot ${given.slot} --esp ${given.esp}`,
      'are whole numbers of MiB: a slot of 64 to 65536, a boot partition of 64 to 4096',
    );
  const tries = Number(given.tries);
  if (!Number.isInteger(tries) || tries < 1 || tries > 100) return fail('fatal', 'option-invalid', `--tries ${given.tries}`, 'is a whole number from 1 to 100');
  return ok({ sizes: { ...defaultSizes, slot, esp }, tries });
};

const readOptions = (args: readonly string[], agentVersion: string, month: string): Result<BuildOptions> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      out: { type: 'string' },
      version: { type: 'string' },
      sign: { type: 'string' },
      trust: { type: 'string', multiple: true, default: [] },
      name: { type: 'string', default: 'groundplane' },
      arch: { type: 'string', default: process.arch },
      kernel: { type: 'string', default: 'generic' },
      packages: { type: 'string', default: '' },
      overlay: { type: 'string' },
      'command-line': { type: 'string', default: '' },
      epoch: { type: 'string', default: month },
      slot: { type: 'string', default: String(defaultSizes.slot) },
      esp: { type: 'string', default: String(defaultSizes.esp) },
      tries: { type: 'string', default: String(triesDefault) },
      'no-disk': { type: 'boolean', default: false },
    },
  });
  const lacks = (['out', 'version', 'sign'] as const).filter((name) => values[name] === undefined).map((name) => `--${name}`);
  if (values.out === undefined || values.version === undefined || values.sign === undefined)
    return fail('fatal', 'option-missing', lacks.join(', '), `${lacks.length === 1 ? 'is' : 'are'} needed: build --out DIR --version 1.0.0 --sign KEY.pem`);
  const name = osImageNameSchema.safeParse(values.name);
  const version = osImageVersionSchema.safeParse(values.version);
  if (!name.success) return fail('fatal', 'option-invalid', `--name ${values.name}`, name.error.issues[0]?.message ?? '');
  if (!version.success) return fail('fatal', 'option-invalid', `--version ${values.version}`, version.error.issues[0]?.message ?? '');
  if (osImageLabel({ name: name.data, version: version.data }).length > 36)
    return fail('fatal', 'option-invalid', `--name ${name.data} --version ${version.data}`, 'have at most 35 characters together: they name a partition');
  const arch = oneOf(agentArchs, values.arch, 'arch');
  if (!arch.ok) return arch;
  const kernel = oneOf(kernels, values.kernel, 'kernel');
  if (!kernel.ok) return kernel;
  const wrong = values.trust.find((key) => !publicKeySchema.safeParse(key).success);
  if (wrong !== undefined)
    return fail('fatal', 'option-invalid', `--trust ${wrong}`, 'is no key; keys are like ed25519:… and stand in the manifests that they sign');
  const numbers = readNumbers(values);
  if (!numbers.ok) return numbers;
  let keyPem = '';
  try {
    keyPem = readFileSync(values.sign, 'utf8');
  } catch {
    return fail('fatal', 'option-invalid', `--sign ${values.sign}`, 'the file cannot be read');
  }
  const own = publicKeyOf(keyPem);
  if (!own.ok) return own;
  if (values.overlay !== undefined && statSync(values.overlay, { throwIfNoEntry: false })?.isDirectory() !== true)
    return fail('fatal', 'option-invalid', `--overlay ${values.overlay}`, 'there is no such folder');
  return ok({
    out: resolve(values.out),
    version: version.data,
    name: name.data,
    arch: arch.value,
    kernel: kernel.value,
    keyPem,
    keys: [...new Set([own.value, ...values.trust])],
    packages: values.packages.split(/[\s,]+/).filter((each) => each !== ''),
    overlay: values.overlay === undefined ? undefined : resolve(values.overlay),
    commandLine: values['command-line'],
    epoch: values.epoch,
    agentVersion,
    makesDisk: !values['no-disk'],
    ...numbers.value,
  });
};

/** The agent's own package and its own script, so that an image and an installed host are the same below /opt/groundplane. */
const installAgent = async (tools: Tools, options: BuildOptions, work: string, root: string): Promise<Result<void>> => {
  const out = join(work, 'agent');
  const built = await buildAgentPackages({ archs: [options.arch], out, version: options.agentVersion, level: 3, keyPem: undefined });
  if (!built.ok) return built;
  const name = agentPackageName(options.agentVersion, options.arch);
  const digest = built.value.find((file) => file.name === name)?.sha256 ?? '';
  const done = await outputOf(
    tools.run(
      ['sh', '/mnt/agent/install.sh', '--package', `/mnt/agent/${name}`, '--sha256', digest, '--root', '/mnt/root'],
      [
        { from: out, to: '/mnt/agent' },
        { from: root, to: '/mnt/root' },
      ],
    ),
    'agent-failed',
    'install.sh',
  );
  return done.ok ? ok(undefined) : done;
};

const moveTo = (file: BuiltFile, path: string): BuiltFile => {
  rmSync(path, { force: true });
  renameSync(file.path, path);
  return { ...file, path };
};

/** Everything of one version, in the folder `out`. The work folder lies beside it, so that finished files are renamed and not copied. */
export const buildOsImage = async (options: BuildOptions, onPhase: (text: string) => void): Promise<Result<ImageFiles>> => {
  const missing = [...missingForImages(), ...missingForArch(options.arch)];
  if (missing.length > 0) return fail('blocked', 'tools-missing', 'building images', missing.join(' '));
  const tools = await ensureTools(onPhase);
  if (!tools.ok) return tools;
  const base = await ensureBase(tools.value, { arch: options.arch, kernel: options.kernel, more: options.packages }, options.epoch, onPhase);
  if (!base.ok) return base;
  mkdirSync(options.out, { recursive: true });
  const work = mkdtempSync(join(options.out, '.work-'));
  try {
    const wish: ImageWish = { ...options, installAgent: (root) => installAgent(tools.value, options, work, root) };
    const image = await buildImage(tools.value, wish, base.value, join(work, 'image'), onPhase);
    if (!image.ok) return image;
    return await finish(tools.value, wish, options, image.value, work, onPhase);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

const finish = async (
  tools: Tools,
  wish: ImageWish,
  options: BuildOptions,
  image: BuiltImage,
  work: string,
  onPhase: (text: string) => void,
): Promise<Result<ImageFiles>> => {
  const base = `${osImageLabel(wish)}-${wish.arch}`;
  const diskPath = join(options.out, `${base}.img`);
  if (options.makesDisk) {
    onPhase('making the disk image');
    const disk = await buildDisk(tools, wish, image, join(work, 'image'), diskPath);
    if (!disk.ok) return disk;
  }
  const manifestPath = join(options.out, `${base}.json`);
  writeFileSync(manifestPath, `${JSON.stringify(image.manifest, undefined, 2)}\n`);
  return ok({
    root: moveTo(image.root, join(options.out, `${base}.root.erofs`)),
    uki: moveTo(image.uki, join(options.out, `${base}.efi`)),
    manifest: await describeFile(manifestPath),
    disk: options.makesDisk ? await describeFile(diskPath) : undefined,
  });
};

/** `installer build`: one line of JSON for each thing that happens. */
export const buildCommand = async (args: readonly string[], agentVersion: string, line: (value: object) => void): Promise<Result<void>> => {
  const month = new Date().toISOString().slice(0, 7);
  const options = readOptions(args, agentVersion, month);
  if (!options.ok) return options;
  const built = await buildOsImage(options.value, (text) => line({ event: 'phase', phase: 'build', text }));
  if (!built.ok) return built;
  line({ event: 'done', name: options.value.name, version: options.value.version, arch: options.value.arch, cache: imageCache(), ...built.value });
  return ok(undefined);
};
