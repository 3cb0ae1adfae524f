import { labelKey, labelValue } from '@groundplane/protocol/label-rules';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from './duration.ts';
import { outputFormats, type Context, type Globals, type Io, type OutputFormat } from './io.ts';
import type { Outcome } from './trouble.ts';
import { registerContent } from './program-content.ts';
import { registerProfile } from './program-profile.ts';
import { registerRender } from './program-render.ts';
import { clouds } from './program-cloud.ts';
import { registries } from './program-registries.ts';
import { version } from './version.ts';

/** Runs a command; what it ends with is kept for `run`, since commander's actions answer nothing. */
type Act = (context: Context) => Promise<Outcome>;

const duration = (text: string): number => {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Write a duration like 90s, 5m or 1h30m.');
  return ms;
};
const whole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`);
    return value;
  };
const labels = (text: string, before: Readonly<Record<string, string>>): Record<string, string> => {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('Write a label like site=zurich.');
  if (!labelKey.test(key) || !labelValue.test(value))
    throw new InvalidArgumentError('Keys and values of labels have letters, digits, "-", "_" and ".", at most 63, and begin and end with a letter or digit.');
  return { ...before, [key]: value };
};

interface GlobalOptions {
  project?: string;
  output?: OutputFormat;
  hub?: string;
  token?: string;
  timeout?: number;
  color: boolean;
  quiet?: boolean;
  insecure?: boolean;
}

const globalsOf = (options: GlobalOptions): Globals => ({
  ...(options.project === undefined ? {} : { project: options.project }),
  ...(options.output === undefined ? {} : { output: options.output }),
  ...(options.hub === undefined ? {} : { hub: options.hub }),
  ...(options.token === undefined ? {} : { token: options.token }),
  ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
  color: options.color,
  quiet: options.quiet === true,
  insecure: options.insecure === true,
});

const addGlobals = (program: Command): Command =>
  program
    .option('--project <name>', 'project; else GP_PROJECT, the stored one, or "default"')
    .addOption(new Option('-o, --output <format>', 'table on a terminal, json otherwise').choices([...outputFormats]))
    .option('--hub <url>', 'address of the hub; else GP_HUB or the stored one')
    .option('--token <key>', 'API key; better in GP_TOKEN, since others see command lines')
    .option('--timeout <duration>', 'of a request, or of the whole wait: 90s, 5m', duration)
    .option('--no-color', 'no colours; so does NO_COLOR')
    .option('-q, --quiet', 'no progress and no notices')
    .option('--insecure', 'allow plain http to another machine')
    .version(version, '-V, --version', 'version of gp');

type Register = (program: Command, act: (run: Act) => Promise<void>) => void;

const files = (command: Command): Command => command.option('-f, --file <path...>', 'file, folder, or - for standard input; may be repeated', []);

const documents: Register = (program, act) => {
  files(program.command('apply').description('create or change what YAML files say'))
    .option('--dry-run', "check, and show the server's plan; nothing is changed")
    .option('--draft', 'save profiles as drafts, which stay editable')
    .option('--wait', 'stay until the clusters are ready')
    .action((options: { file: string[]; dryRun?: boolean; draft?: boolean; wait?: boolean }) =>
      act(async (context) =>
        (await import('./commands/apply.ts')).apply(context, {
          files: options.file,
          dryRun: options.dryRun === true,
          draft: options.draft === true,
          wait: options.wait === true,
        }),
      ),
    );
  for (const name of ['diff', 'plan']) {
    files(program.command(name).description(name === 'diff' ? 'what would change; exit code 3 when anything would' : 'the same as diff'))
      .argument('[what...]', 'profile NAME FROM TO, to compare two versions')
      .action((what: string[], options: { file: string[] }) =>
        act(async (context) => (await import('./commands/diff-arguments.ts')).diff(context, what, options.file)),
      );
  }
};

const reading: Register = (program, act) => {
  program
    .command('get')
    .description('list things, or show one')
    .argument(
      '<kind>',
      'profiles, clusters, hosts, projects, tickets, events, macros, api-keys; or cluster NAME, host NAME, profile NAME@VERSION, values CLUSTER, sites, site NAME, journal HOST',
    )
    .argument('[name]')
    .addOption(new Option('--state <state>', 'of hosts').choices(['lobby', 'approved', 'revoked']))
    .option('--cluster <name>', 'events of this cluster')
    .option('--host <name>', 'events of this host')
    .option('--last <count>', 'newest events to show', whole(1, 500))
    .option('--export', 'a document that gp apply takes')
    .action((kind: string, name: string | undefined, options: object) =>
      act(async (context) => {
        if (kind === 'values') return (await import('./commands/values.ts')).showValues(context, name);
        if (kind === 'journal') return (await import('./commands/places.ts')).showJournal(context, name);
        if (kind === 'site' || kind === 'sites') return (await import('./commands/places.ts')).showSites(context, name);
        return (await import('./commands/get.ts')).get(context, kind, name, options);
      }),
    );
  program
    .command('describe')
    .description('everything about one thing')
    .argument('<kind>', 'cluster, host or profile')
    .argument('<name>')
    .action((kind: string, name: string) => act(async (context) => (await import('./commands/describe.ts')).describe(context, kind, name)));
  program
    .command('logs')
    .description('events, oldest first')
    .argument('[kind]', 'cluster or host')
    .argument('[name]')
    .option('-f, --follow', 'stay and show new ones')
    .option('--tail <count>', 'how many old ones', whole(1, 500), 100)
    .action((kind: string | undefined, name: string | undefined, options: { follow?: boolean; tail: number }) =>
      act(async (context) => (await import('./commands/logs.ts')).logs(context, kind, name, { follow: options.follow === true, tail: options.tail })),
    );
  program
    .command('status')
    .description('counters of the fleet')
    .action(() => act(async (context) => (await import('./commands/status.ts')).status(context)));
};

const acting: Register = (program, act) => {
  program
    .command('approve')
    .description('let hosts in from the lobby')
    .argument('[host]')
    .option('--words <words>', 'the four words on the console of the device')
    .option('--rename <name>', 'give it another name')
    .option('--replace', 'it takes the place of the host with its serial number: name, labels, cluster')
    .option('--all', 'everybody who waits')
    .option('-y, --yes', 'do not ask')
    .action((host: string | undefined, options: { words?: string; rename?: string; replace?: boolean; all?: boolean; yes?: boolean }) =>
      act(async (context) =>
        (await import('./commands/approve.ts')).approve(context, host, { ...options, all: options.all === true, yes: options.yes === true }),
      ),
    );
  program
    .command('delete')
    .description('delete one thing')
    .argument('<kind>', 'cluster, profile, host, project, ticket, macro or api-key')
    .argument('<name>')
    .option('--wait', 'stay until a cluster is gone')
    .option('--force', 'forget a cluster whose hosts are lost')
    .option('-y, --yes', 'do not ask')
    .action((kind: string, name: string, options: { wait?: boolean; force?: boolean; yes?: boolean }) =>
      act((context) => removeOne(context, kind, name, options)),
    );
  program
    .command('retry')
    .description('try the failed version of a cluster again')
    .addCommand(
      new Command('cluster').argument('<name>').action((name: string) => act(async (context) => (await import('./commands/change.ts')).retry(context, name))),
    );
  program
    .command('release')
    .description('release a draft: it cannot change any more')
    .argument('<kind>', 'profile')
    .argument('<name>', 'NAME@VERSION')
    .action((kind: string, name: string) => act(async (context) => (await import('./commands/change.ts')).release(context, kind, name)));
  program
    .command('wait')
    .description('stay until a cluster is where it should be')
    .addCommand(
      new Command('cluster')
        .argument('<name>')
        .addOption(new Option('--for <goal>', 'what to wait for').choices(['ready', 'failed', 'deleted']).default('ready'))
        .action((name: string, options: { for: 'ready' | 'failed' | 'deleted' }) =>
          act(async (context) => (await import('./commands/wait.ts')).wait(context, name, options.for)),
        ),
    );
};

const removeOne = async (context: Context, kind: string, name: string, options: { wait?: boolean; force?: boolean; yes?: boolean }): Promise<Outcome> => {
  const { remove } = await import('./commands/remove.ts');
  return remove(context, kind, name, { wait: options.wait === true, force: options.force === true, yes: options.yes === true });
};

const making: Register = (program, act) => {
  const create = program.command('create').description('make a project, an API key or a tenant');
  create
    .command('project')
    .argument('<name>')
    .action((name: string) => act(async (context) => (await import('./commands/change.ts')).createProject(context, name)));
  create
    .command('api-key')
    .argument('<name>')
    .option('--role <role>', 'what it may do', 'Viewer')
    .option('--ttl <duration>', 'how long it lasts; without end when left out', duration)
    .action((name: string, options: { role: string; ttl?: number }) =>
      act(async (context) =>
        (await import('./commands/change.ts')).createApiKey(context, name, {
          role: options.role,
          ...(options.ttl === undefined ? {} : { ttlMs: options.ttl }),
        }),
      ),
    );
  create
    .command('tenant')
    .argument('<name>')
    .action((name: string) => act(async (context) => (await import('./commands/change.ts')).createTenant(context, name)));
  const ticket = program.command('ticket').description('enrolment tickets');
  ticket
    .command('create')
    .argument('<name>')
    .option('--uses <count>', 'how many hosts may use it; one, or as many as a list names', whole(1, 100_000))
    .option('--serials <file>', 'only these devices: a serial number a line, maybe with a name, like SN-4711,till-1')
    .addOption(new Option('--ttl <duration>', 'how long it lasts').argParser(duration).default(86_400_000, '1d'))
    .option('--label <key=value>', 'label for its hosts; may be repeated', labels, {})
    .option('--auto-approve', 'hosts do not wait in the lobby')
    .option('--out <file>', 'write the ticket there, for its owner only, instead of printing it')
    .action((name: string, options: { uses?: number; serials?: string; ttl: number; label: Record<string, string>; autoApprove?: boolean; out?: string }) =>
      act(async (context) =>
        (await import('./commands/ticket.ts')).createTicket(context, name, {
          uses: options.uses,
          serials: options.serials,
          out: options.out,
          ttlMs: options.ttl,
          labels: options.label,
          autoApprove: options.autoApprove === true,
        }),
      ),
    );
  ticket.command('list').action(() => act(async (context) => (await import('./commands/get.ts')).get(context, 'tickets', undefined, {})));
  ticket
    .command('delete')
    .argument('<name>')
    .option('-y, --yes', 'do not ask')
    .action((name: string, options: { yes?: boolean }) => act((context) => removeOne(context, 'ticket', name, options)));
  const macro = program.command('macro').description('macros of a project or of the tenant');
  macro
    .command('set')
    .argument('<name>')
    .argument('[value]')
    .option('--tenant', 'for all projects that have no own one of this name')
    .option('--sensitive', 'sealed, and never shown again')
    .option('--value-stdin', 'read the value from standard input, since others see command lines')
    .action((name: string, value: string | undefined, options: { tenant?: boolean; sensitive?: boolean; valueStdin?: boolean }) =>
      act(async (context) =>
        (await import('./commands/macro.ts')).setMacro(context, name, value, {
          tenant: options.tenant === true,
          sensitive: options.sensitive,
          stdin: options.valueStdin === true,
        }),
      ),
    );
  macro
    .command('delete')
    .description('delete one of the tenant; those of a project: gp delete macro NAME')
    .argument('<name>')
    .action((name: string) => act(async (context) => (await import('./commands/macro.ts')).deleteTenantMacro(context, name)));
};

const packs: Register = (program, act) => {
  const pack = program.command('pack').description('look at, edit and build packs; needs no hub');
  pack
    .command('lint')
    .description('what is wrong with a pack, by file and line; exit code 1 when there are errors')
    .argument('<pack>', 'folder or archive')
    .action((name: string) => act(async (context) => (await import('./commands/pack/lint.ts')).packLint(context, name)));
  pack
    .command('presets')
    .description('list the presets of a pack, apply some, or recognise those that are enabled')
    .argument('<pack>', 'folder or archive')
    .option('--apply <Group:name...>', 'print the values with these applied; may be repeated', [])
    .option('--detect', 'which ones the values have enabled')
    .option('-f, --file <file>', "values to work on instead of the pack's own; - for standard input")
    .action((name: string, options: { apply: string[]; detect?: boolean; file?: string }) =>
      act(async (context) => (await import('./commands/pack/presets.ts')).packPresets(context, name, { ...options, detect: options.detect === true })),
    );
  pack
    .command('values')
    .description("print values, with edits, checked against the pack's schema")
    .argument('<pack>', 'folder or archive')
    .option('-f, --file <file>', "values to work on instead of the pack's own; - for standard input")
    .option('--set <path=value...>', 'like charts.web.replicas=3; may be repeated', [])
    .action((name: string, options: { file?: string; set: string[] }) =>
      act(async (context) => (await import('./commands/pack/values.ts')).packValues(context, name, options)),
    );
  pack
    .command('build')
    .description('pack a folder into an archive; equal folders give equal bytes')
    .argument('<pack>', 'folder or archive')
    .requiredOption('--out <file>', 'archive to write')
    .action((name: string, options: { out: string }) =>
      act(async (context) => (await import('./commands/pack/build.ts')).packBuild(context, name, options.out)),
    );
};

const own: Register = (program, act) => {
  program
    .command('login')
    .description('log in to a hub and remember it')
    .argument('[url]', 'http://127.0.0.1:7600; also a set-up link')
    .option('--setup <link>', 'make the first administrator with the one-time link')
    .option('--name <name>', 'user name')
    .option('--password-stdin', 'read the password from standard input (or set GP_PASSWORD)')
    .option('--context <name>', 'name to remember it by')
    .action((url: string | undefined, options: { setup?: string; name?: string; passwordStdin?: boolean; context?: string }) => {
      const { context: contextName, passwordStdin, ...rest } = options;
      return act(async (context) =>
        (await import('./commands/login.ts')).login(context, url, {
          ...rest,
          passwordStdin: passwordStdin === true,
          ...(contextName === undefined ? {} : { contextName }),
        }),
      );
    });
  program
    .command('logout')
    .description('forget the current hub')
    .action(() => act(async (context) => (await import('./commands/login.ts')).logout(context)));
  program
    .command('whoami')
    .description('who I am and what I may do')
    .action(() => act(async (context) => (await import('./commands/whoami.ts')).whoami(context)));
  const contexts = program
    .command('context')
    .description('which hub, project and user commands use')
    .action(() => act(async (context) => (await import('./commands/context.ts')).showContext(context)));
  contexts
    .command('use')
    .description('use another stored one; with --project also another project')
    .argument('<name>')
    .action((name: string) => act(async (context) => (await import('./commands/context.ts')).useContext(context, name)));
  program
    .command('completion')
    .description('script for a shell: source <(gp completion bash)')
    .addArgument(program.createArgument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action((shell: string) => act(async (context) => (await import('./commands/completion.ts')).completion(context, program, shell)));
  program
    .command('version')
    .description('version of gp')
    .action(() => act(async (context) => (await import('./commands/version.ts')).showVersion(context)));
  program
    .command('openapi')
    .description('the API as OpenAPI 3.1')
    .action(() => act(async (context) => (await import('./commands/openapi.ts')).openapi(context)));
};

const settle = (command: Command, io: Io, text: { out: string; error: string }): void => {
  command.exitOverride();
  command.showHelpAfterError('(gp --help lists everything)');
  command.configureOutput({
    writeOut: (part) => void (text.out += part),
    writeErr: (part) => void (text.error += part),
    getOutHelpWidth: () => io.stdout.columns,
    getErrHelpWidth: () => io.stderr.columns,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const child of command.commands) settle(child, io, text);
};

export interface Program {
  command: Command;
  /** What commander itself said: help, version, mistakes. */
  text: { out: string; error: string };
  outcome: () => Outcome;
}

/** The tree of commands. Each loads its own code when it runs, so that starting stays quick. */
export const createProgram = (io: Io): Program => {
  const text = { out: '', error: '' };
  let outcome: Outcome = 0;
  const program = addGlobals(new Command('gp'))
    .description('Groundplane: profiles, clusters and hosts from the command line')
    .helpCommand('help [command]', 'help for a command');
  const act = async (run: Act): Promise<void> => {
    outcome = await run({ io, globals: globalsOf(program.opts<GlobalOptions>()) });
  };
  for (const register of [documents, registerRender, registerProfile, reading, acting, making, packs, registerContent, registries, clouds, own])
    register(program, act);
  settle(program, io, text);
  return { command: program, text, outcome: () => outcome };
};
