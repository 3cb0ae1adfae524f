import { InvalidArgumentError, Option, type Command } from 'commander';
import { registryKinds, type RegistryKind } from '@groundplane/protocol/registry-kinds';
import type { Context } from './io.ts';
import type { RegistryFlags } from './local-registry.ts';
import type { ExportSubject } from './commands/media-commands.ts';
import { usage, type Outcome } from './trouble.ts';

type Act = (run: (context: Context) => Promise<Outcome>) => Promise<void>;

const many = (text: string, before: string[]): string[] => [...before, text];
const count = (text: string): number => {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Write a number from 1 to 999999.');
  return Number(text);
};
const units: Readonly<Record<string, number>> = { k: 1_000, M: 1_000_000, G: 1_000_000_000 };
const rate = (text: string): number => {
  const [, digits = '', unit = ''] = /^(\d{1,9})([kMG]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * (units[unit] ?? 1);
  if (digits === '' || bytes < 1_000) throw new InvalidArgumentError('Write bytes a second like 500k, 2M or 1G, at least 1k.');
  return bytes;
};

const registryFlags = (command: Command): Command =>
  command
    .option('--username <name>', "user at the registry; else gp's login or Docker's config.json")
    .option('--password-stdin', 'read its password from standard input (or set GP_REGISTRY_PASSWORD)')
    .option('--ca <file>', 'certificate of the authority that the registry is signed by')
    .option('--token-host <host>', 'another host that may see the password', many, [])
    .option('--limit-rate <bytes>', 'bytes a second: 500k, 2M', rate);

/** Commands of this name may be there already, made by somebody else. */
const parentOf = (program: Command, name: string, description: string): Command =>
  program.commands.find((command) => command.name() === name) ?? program.command(name).description(description);

const packs = (program: Command, act: Act): void => {
  const pack = parentOf(program, 'pack', 'packs: push to and pull from registries');
  registryFlags(pack.command('push').description('push a pack folder or archive; its version becomes the tag').argument('<dir>').argument('<reference>'))
    .option('--force', 'overwrite a version that is there with other content')
    .action((dir: string, reference: string, options: RegistryFlags & { force?: boolean }) =>
      act(async (context) => (await import('./commands/pack-registry.ts')).packPush(context, dir, reference, options)),
    );
  registryFlags(pack.command('fetch').description('download the charts that upstream.yaml names into the pack; a wrong digest is refused').argument('<dir>'))
    .option('--pin', 'write the digests that were not known into upstream.yaml')
    .action((dir: string, flags: RegistryFlags & { pin?: boolean }) =>
      act(async (context) => (await import('./commands/pack/fetch.ts')).packFetch(context, dir, flags)),
    );
  registryFlags(pack.command('pull').description('pull a pack into a folder, or into a .tgz').argument('<dir>').argument('<reference>'))
    .option('--pack-version <version>', 'version or range, when the reference has no tag')
    .action((dir: string, reference: string, options: RegistryFlags & { packVersion?: string }) =>
      act(async (context) =>
        (await import('./commands/pack-registry.ts')).packPull(context, dir, reference, {
          ...options,
          ...(options.packVersion === undefined ? {} : { version: options.packVersion }),
        }),
      ),
    );
};

const profiles = (program: Command, act: Act): void => {
  const profile = parentOf(program, 'profile', 'profiles: push to and pull from registries');
  registryFlags(
    profile.command('push').description('push a released version with all that it names').argument('<name>', 'NAME@VERSION').argument('<reference>'),
  )
    .option('--force', 'overwrite a version that is there with other content')
    .action((name: string, reference: string, options: RegistryFlags & { force?: boolean }) =>
      act(async (context) => (await import('./commands/profile-registry.ts')).profilePush(context, name, reference, options)),
    );
  registryFlags(profile.command('pull').description('take a profile from a registry into the hub').argument('<reference>'))
    .option('--profile-version <version>', 'version or range, when the reference has no tag')
    .action((reference: string, options: RegistryFlags & { profileVersion?: string }) =>
      act(async (context) =>
        (await import('./commands/profile-registry.ts')).profilePull(context, reference, {
          ...options,
          ...(options.profileVersion === undefined ? {} : { version: options.profileVersion }),
        }),
      ),
    );
};

const images = (program: Command, act: Act): void => {
  parentOf(program, 'image', 'images of whole operating systems')
    .command('upload')
    .description('bring an image of `installer build` into the hub, and print what a profile says')
    .argument('<manifest...>', 'NAME_VERSION-ARCH.json, with its files beside it')
    .action((files: string[]) => act(async (context) => (await import('./commands/image-commands.ts')).uploadImage(context, files)));
};

const agents = (program: Command, act: Act): void => {
  parentOf(program, 'agent', 'packages of the agent')
    .command('upload')
    .description('bring packages of one version into the hub; prints what a profile says to roll it out')
    .argument('<file...>', 'groundplane-agent-VERSION-linux-ARCH.tar.zst')
    .option('--inside', 'pods of agents inside of imported clusters run it from now on')
    .action((files: string[], options: { inside?: boolean }) =>
      act(async (context) => (await import('./commands/agent-commands.ts')).uploadAgent(context, files, options)),
    );
};

const media = (program: Command, act: Act): void => {
  const parent = parentOf(program, 'media', 'everything that a cluster needs as files, for places without a network');
  registryFlags(
    parent
      .command('export')
      .description('write a medium, FILE.tar or a folder: for a cluster, or for a profile version without images')
      .usage('CLUSTER FILE | profile NAME@VERSION FILE')
      .argument('<subject...>', 'CLUSTER FILE, or profile NAME@VERSION FILE'),
  )
    .option('--no-images', 'leave the container images out')
    .option('--sign <key>', 'sign it with an Ed25519 key, KEY.pem')
    .option('--recipient <age1…>', 'encrypt it for this recipient of age; FILE.tar.age; may be repeated', many, [])
    .option('--since <path>', 'leave out what the receipts of a site say that it has: a medium that came back, or one receipt')
    .action((words: string[], options: RegistryFlags & { images: boolean; sign?: string; since?: string; recipient: string[] }) =>
      act(async (context) => {
        const subject = exportSubject(words);
        if (subject === undefined)
          return usage('gp media export', 'takes a cluster and a file, or a profile version and a file', 'gp media export profile web@1.0.0 web.tar');
        return (await import('./commands/media-commands.ts')).exportMedia(context, subject.of, subject.file, options);
      }),
    );
  parent
    .command('receipts')
    .description('take what hosts without a line say on a medium that came back')
    .argument('<path>', 'the medium, or one receipt')
    .action((path: string) => act(async (context) => (await import('./commands/media-receipts.ts')).receipts(context, path)));
  parent
    .command('inspect')
    .description('list what a medium holds, check every digest, say what is missing; needs no hub')
    .argument('<file>')
    .option('--key <file>', 'public key, PUB.pem, that it must be signed with')
    .option('--identity <file>', 'opens an encrypted one, FILE.tar.age')
    .action((file: string, options: { key?: string; identity?: string }) =>
      act(async (context) => {
        const { inspect } = await import('./commands/media-commands.ts');
        return (await import('./commands/media-sealed.ts')).withPlain(context, file, options.identity, (path) => inspect(context, path, options));
      }),
    );
  parent
    .command('import')
    .description('take a medium into the hub')
    .argument('<file>')
    .option('--dir <folder>', 'into a content folder instead')
    .option('--key <file>', 'public key, PUB.pem, that it must be signed with')
    .option('--identity <file>', 'opens an encrypted one, FILE.tar.age')
    .option('--receipt <file>', 'write down which digests are there now')
    .action((file: string, options: { dir?: string; key?: string; identity?: string; receipt?: string }) =>
      act(async (context) => {
        const { importMedia } = await import('./commands/media-import.ts');
        return (await import('./commands/media-sealed.ts')).withPlain(context, file, options.identity, (path) => importMedia(context, path, options));
      }),
    );
};

/** `CLUSTER FILE`, `cluster CLUSTER FILE` or `profile NAME@VERSION FILE`. */
const exportSubject = (words: readonly string[]): { of: ExportSubject; file: string } | undefined => {
  const [kind, name, file] = words.length === 2 ? ['cluster', ...words] : words;
  if (name === undefined || file === undefined || words.length > 3) return undefined;
  if (kind === 'cluster') return { of: { cluster: name }, file };
  const [, profile, version] = /^([^@]+)@(.+)$/.exec(name) ?? [];
  return kind === 'profile' && profile !== undefined && version !== undefined ? { of: { profile, version }, file } : undefined;
};

interface AddFlags {
  kind?: RegistryKind;
  username?: string;
  passwordStdin?: boolean;
  mirror: string[];
  ca?: string;
  tokenHost: string[];
  validate: boolean;
  tenant?: boolean;
  plainHttp?: boolean;
}

/** `gp registry`, `gp pack push|pull`, `gp profile push|pull`, `gp media`. */
export const registries = (program: Command, act: Act): void => {
  const registry = program.command('registry').description('registries that a project takes charts, packs and images from');
  registry
    .command('add')
    .description('add or change one')
    .argument('<name>')
    .argument('<url>', 'oci://host/path, or https://host/path of a Helm repository')
    .addOption(new Option('--kind <kind>', 'what it holds').choices([...registryKinds]))
    .option('--username <name>', 'user at the registry')
    .option('--password-stdin', 'read its password from standard input (or set GP_REGISTRY_PASSWORD)')
    .option('--mirror <url>', 'asked first when reading; may be repeated', many, [])
    .option('--ca <file>', 'certificate of the authority that it is signed by')
    .option('--token-host <host>', 'another host that may see the password; may be repeated', many, [])
    .option('--plain-http', 'not encrypted')
    .option('--no-validate', 'do not try it')
    .option('--tenant', 'for every project of the tenant')
    .action((name: string, url: string, options: AddFlags) =>
      act(async (context) =>
        (await import('./commands/registry-commands.ts')).addRegistry(context, name, url, { ...options, insecure: options.plainHttp === true }),
      ),
    );
  registry
    .command('list')
    .description('those of the project, then those of the tenant')
    .option('--tenant', 'those of the tenant only')
    .action((options: { tenant?: boolean }) => act(async (context) => (await import('./commands/registry-commands.ts')).listRegistries(context, options)));
  registry
    .command('delete')
    .description('forget one')
    .argument('<name>')
    .option('--tenant', 'one of the tenant')
    .action((name: string, options: { tenant?: boolean }) =>
      act(async (context) => (await import('./commands/registry-commands.ts')).deleteRegistry(context, name, options)),
    );
  registry
    .command('validate')
    .description('try whether it is there and lets us in')
    .argument('<name>')
    .option('--tenant', 'one of the tenant')
    .action((name: string, options: { tenant?: boolean }) =>
      act(async (context) => (await import('./commands/registry-commands.ts')).validateRegistry(context, name, options)),
    );
  registry
    .command('import')
    .description('take a chart, pack or Zarf package into the hub; prints the digest for profiles')
    .argument('<name>')
    .argument('<artifact>')
    .argument('[version]', 'or a range like ^1.2')
    .action((name: string, artifact: string, version: string | undefined) =>
      act(async (context) => (await import('./commands/registry-commands.ts')).importArtifact(context, name, artifact, version)),
    );
  registryFlags(registry.command('sync').description('copy tags from one registry to another').argument('<from>').argument('<to>'))
    .option('--tags <regex>', 'only tags that fit as a whole')
    .option('--newest <count>', 'only the last ones', count)
    .option('--overwrite', 'move tags that have other content at the target')
    .option('--dry-run', 'only say what would be copied')
    .action((from: string, to: string, options: RegistryFlags & { tags?: string; newest?: number; overwrite?: boolean; dryRun?: boolean }) =>
      act(async (context) => (await import('./commands/registry-commands.ts')).syncRegistries(context, from, to, options)),
    );
  packs(program, act);
  profiles(program, act);
  media(program, act);
  agents(program, act);
  images(program, act);
};
