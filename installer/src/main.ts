import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentArchs, type AgentArch } from '@groundplane/protocol/agent-package';
import { fail, ok, type Failure, type Result } from '@groundplane/protocol/failure';
import { optionWords } from '@groundplane/protocol/option-words';
import { buildAll } from './build.ts';
import { flash } from './flash/flash.ts';
import { buildCommand, buildUsage } from './image/build-command.ts';
import { customizeCommand, customizeUsage, userDataCommand } from './image/customize.ts';
import { buildAgentPackages } from './package.ts';
import { installBySsh } from './remote.ts';
import { prepareStick } from './stick.ts';

const usage = `npm run build                 bundles of agent, hub and gp
npm run installer -- agent     packages of the agent, with install script and digests
  --out DIR                   where to put them (needed)
  --arch x64,arm64            default: the architecture of this machine
  --sign KEY.pem              signs SHA256SUMS with this Ed25519 key
  --version VERSION           default: the version of this source
  --level 1…22                of zstd; default 12. 19 saves a tenth and takes ten times as long
  --json                      lines of JSON instead of text
npm run installer -- agent --ssh USER@HOST --packages DIR (--key PUBLIC.pem | --insecure)
                              copies package and script there by ssh, checks the machine, installs; reports in lines of JSON
  --ticket FILE               what gp ticket create printed
  --port N, --name NAME, --carrier ws|mqtt
npm run installer -- media --from MEDIUM --to DIR [--packages DIR]
                              prepares a stick: a medium of gp media export, and packages; reports in lines of JSON
npm run installer -- flash IMAGE DEVICE|FILE
                              writes a disk image (plain, .zst or .gz), reads it back, and reports in lines of JSON
  --yes                       what is on the device may be lost
  --yes-partition             DEVICE may be a partition
  --sha256 HEX                digest of the image file
${buildUsage}
${customizeUsage}`;

const isArch = (text: string): text is AgentArch => (agentArchs as readonly string[]).includes(text);

const archsOf = (text: string): Result<AgentArch[]> => {
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  const archs = names.filter(isArch);
  const wrong = names.find((name) => !isArch(name));
  return wrong === undefined
    ? ok(archs)
    : fail('fatal', 'arch-unknown', `--arch ${text}`, `there is no agent for "${wrong}"; there are: ${agentArchs.join(', ')}`);
};

const sourceVersion = (): string =>
  (JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'agent', 'package.json'), 'utf8')) as { version: string }).version;

const stopWith = (text: string, code: number): never => {
  process.stderr.write(`${text}\n`);
  process.exit(code);
};

const readKey = (file: string | undefined): string | undefined => {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return stopWith(`--sign ${file}: the file cannot be read`, 2);
  }
};

const jsonLine = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** 2 for what was asked in a wrong way, 1 for what went wrong. */
const exitCodeOf = (failure: Failure): number => (failure.code.startsWith('option-') ? 2 : 1);

/** What failed, for machines on standard output and for people on the other. */
const failWith = (failure: Failure): never => {
  jsonLine({ event: 'error', ...failure });
  return stopWith(`${failure.element}: ${failure.message}${exitCodeOf(failure) === 2 ? '\nAll options: npm run installer -- help' : ''}`, exitCodeOf(failure));
};

/** What Node says about wrong options, and about files that cannot be read or written. Anything else is a mistake of ours. */
const failureOf = (error: unknown): Failure | undefined => {
  const { code, message, path } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return undefined;
  const failed = code.startsWith('ERR_PARSE_ARGS')
    ? fail('fatal', 'option-invalid', 'options', optionWords(error))
    : /^E[A-Z]+$/.test(code)
      ? fail('blocked', 'file-failed', path ?? 'file', message)
      : undefined;
  return failed?.ok === false ? failed.failure : undefined;
};

const agentBySsh = async (target: string, values: Readonly<Record<string, string | boolean | undefined>>): Promise<Result<void>> => {
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const packages = text('packages');
  const port = text('port');
  if (packages === undefined) return fail('fatal', 'option-missing', '--packages', 'is needed: the folder that "agent --out" has filled');
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) < 65_536))
    return fail('fatal', 'option-invalid', `--port ${port}`, 'is a number from 1 to 65535');
  return await installBySsh({
    target,
    packages,
    port: port === undefined ? undefined : Number(port),
    key: text('key'),
    insecure: values['insecure'] === true,
    ticket: text('ticket'),
    name: text('name'),
    carrier: text('carrier'),
    onEvent: jsonLine,
  });
};

const media = async (args: readonly string[]): Promise<Result<void>> => {
  const { values } = parseArgs({ args: [...args], options: { from: { type: 'string' }, to: { type: 'string' }, packages: { type: 'string' } } });
  const { from, to, packages } = values;
  if (from === undefined || to === undefined)
    return fail('fatal', 'option-missing', from === undefined ? '--from' : '--to', 'is needed: media --from MEDIUM --to DIR');
  return await prepareStick({ from, to, packages, onEvent: jsonLine });
};

const agent = async (args: readonly string[]): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      arch: { type: 'string', default: process.arch },
      out: { type: 'string' },
      sign: { type: 'string' },
      version: { type: 'string', default: sourceVersion() },
      level: { type: 'string', default: '12' },
      json: { type: 'boolean', default: false },
      ssh: { type: 'string' },
      packages: { type: 'string' },
      port: { type: 'string' },
      key: { type: 'string' },
      insecure: { type: 'boolean', default: false },
      ticket: { type: 'string' },
      name: { type: 'string' },
      carrier: { type: 'string' },
    },
  });
  const { ssh } = values;
  if (ssh !== undefined) return await inLines(() => agentBySsh(ssh, values));
  if (values.out === undefined) return stopWith(`--out is missing\n${usage}`, 2);
  const level = Number(values.level);
  if (!Number.isInteger(level) || level < 1 || level > 22) return stopWith(`--level is 1 to 22, not ${values.level}`, 2);
  const archs = archsOf(values.arch);
  if (!archs.ok) return stopWith(`${archs.failure.element}: ${archs.failure.message}`, 2);
  const made = await buildAgentPackages({ archs: archs.value, out: values.out, version: values.version, level, keyPem: readKey(values.sign) });
  if (!made.ok) return values.json ? failWith(made.failure) : stopWith(`${made.failure.element}: ${made.failure.message}`, 1);
  for (const { name, bytes, sha256 } of made.value)
    if (values.json) jsonLine({ event: 'built', file: join(values.out, name), bytes, sha256 });
    else process.stdout.write(`${join(values.out, name)}  ${(bytes / 2 ** 20).toFixed(1)} MiB  sha256:${sha256}\n`);
  if (values.sign === undefined)
    process.stderr.write('SHA256SUMS is not signed; use --sign KEY.pem, or hand the digest of the package on by a way that you trust\n');
};

const flashCommand = async (args: readonly string[]): Promise<Result<void>> => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { yes: { type: 'boolean', default: false }, 'yes-partition': { type: 'boolean', default: false }, sha256: { type: 'string' } },
  });
  const [image, target] = positionals;
  if (image === undefined || target === undefined || positionals.length > 2)
    return fail('fatal', 'option-missing', 'flash', 'needs an image and where to write it: flash IMAGE DEVICE|FILE');
  // As `sha256sum` prints it, as our own lines have it, and as people copy it.
  const sha256 = values.sha256
    ?.trim()
    .toLowerCase()
    .replace(/^sha256:/, '');
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256))
    return fail('fatal', 'option-invalid', `--sha256 ${values.sha256 ?? ''}`, 'is no digest of 64 hexadecimal digits; make one: sha256sum IMAGE');
  const done = await flash({ image, target, sha256, isSure: values.yes, mayBePartition: values['yes-partition'], onEvent: jsonLine });
  return done.ok ? ok(undefined) : done;
};

const userData = (args: readonly string[]): void => {
  const checked = userDataCommand(args, (text) => void process.stdout.write(`${text}\n`));
  if (!checked.ok) stopWith(`${checked.failure.element}: ${checked.failure.message}`, exitCodeOf(checked.failure));
};

/** Runs a command that reports in lines of JSON; a failure is a line too, and the words of standard error. */
const inLines = async (run: () => Promise<Result<void>>): Promise<void> => {
  const done = await run().catch((error: unknown): Result<void> => {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    return { ok: false, failure };
  });
  if (!done.ok) failWith(done.failure);
};

const run = async (command: string | undefined, args: readonly string[]): Promise<void> => {
  if (command === undefined) return await buildAll();
  if (['help', '--help', '-h'].includes(command) || args.some((arg) => arg === '--help' || arg === '-h')) return void process.stdout.write(`${usage}\n`);
  if (command === 'agent') return await agent(args);
  if (command === 'media') return await inLines(() => media(args));
  if (command === 'flash') return await inLines(() => flashCommand(args));
  if (command === 'build') return await inLines(() => buildCommand(args, sourceVersion(), jsonLine));
  if (command === 'customize') return await inLines(() => customizeCommand(args, jsonLine));
  if (command === 'user-data') return userData(args);
  return stopWith(`unknown command ${command}\n${usage}`, 2);
};

const main = async (): Promise<void> => {
  const [command, ...args] = process.argv.slice(2);
  try {
    await run(command, args);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    stopWith(`${command ?? 'build'}: ${failure.message}`, exitCodeOf(failure));
  }
};

if (import.meta.main) await main();
