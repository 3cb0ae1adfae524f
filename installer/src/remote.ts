import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { agentArchs, type AgentArch } from '@groundplane/protocol/agent-package';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

/** One line of progress of `installer agent --ssh`. */
export type RemoteEvent =
  | { event: 'phase'; phase: 'check' | 'copy' | 'install' | 'clean'; target: string }
  | { event: 'machine'; target: string; system: string; arch: string; user: string; isRoot: boolean }
  | { event: 'copied'; file: string }
  | { event: 'log'; text: string }
  | { event: 'done'; target: string; package: string };

export interface RemoteOptions {
  /** `user@host`, or what the user's own ssh configuration knows. */
  target: string;
  port?: number | undefined;
  /** Folder that `installer agent --out` has filled. */
  packages: string;
  /** Checks the signature on the other machine; absent: `insecure` has to be said. */
  key?: string | undefined;
  insecure: boolean;
  ticket?: string | undefined;
  name?: string | undefined;
  carrier?: string | undefined;
  onEvent: (event: RemoteEvent) => void;
  /** Programs; tests bring their own. */
  ssh?: string;
  scp?: string;
}

const outputMax = 4 * 1024 * 1024;

/** One word of a remote shell, whatever is in it. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** ssh would take a name that begins with a dash as an option, and options can run programs. */
export const isTarget = (text: string): boolean =>
  /^([A-Za-z0-9._][A-Za-z0-9._-]*@)?(\[[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9_][A-Za-z0-9._-]*)$/.test(text) && text.length <= 255;

/** scp wants an address of IPv6 in brackets, ssh without. */
const sshTarget = (target: string): string => target.replaceAll(/[[\]]/g, '');

/** A line that is gone is noticed after a minute; without it ssh would wait for ever. */
const keepAlive = ['-o', 'ServerAliveInterval=15', '-o', 'ServerAliveCountMax=4'];

/** The same for every connection: no questions, since nobody may be there to answer. Unknown hosts are refused, as the user's ssh does. */
const sshOptions = ['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=15', ...keepAlive];

interface Ran {
  code: number;
  out: string;
  error: string;
}

const run = (program: string, args: readonly string[], stdin: string | undefined, onLine?: (line: string) => void): Promise<Ran> => {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const child = spawn(program, [...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, error, rest] = ['', '', ''];
  child.stdout.on('data', (bytes: Buffer) => {
    const text = bytes.toString('utf8');
    if (out.length < outputMax) out += text;
    rest += text;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine?.(line);
  });
  child.stderr.on('data', (bytes: Buffer) => {
    if (error.length < outputMax) error += bytes.toString('utf8');
  });
  child.on('error', (failed) => resolve({ code: 127, out, error: failed.message }));
  child.on('close', (code) => {
    if (rest !== '') onLine?.(rest);
    resolve({ code: code ?? 1, out, error });
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin ?? '');
  return promise;
};

const lastWords = (ran: Ran): string => (ran.error.trim() || ran.out.trim()).split('\n').slice(-5).join(' / ').slice(0, 2_000);

/** Looks and changes nothing. Each line is a fact; what is not asked for is passed over. */
const lookScript = `set -u
echo "gp-system $(uname -s)"
echo "gp-arch $(uname -m)"
echo "gp-user $(id -un)"
echo "gp-uid $(id -u)"
if [ "$(id -u)" = 0 ]; then echo 'gp-sudo root'; elif sudo -n true 2>/dev/null; then echo 'gp-sudo yes'; else echo 'gp-sudo no'; fi
for tool in tar zstd sha256sum mktemp; do command -v "$tool" >/dev/null 2>&1 || echo "gp-lacks $tool"; done
[ -d /run/systemd/system ] || echo 'gp-lacks systemd'
`;

const archs: Readonly<Record<string, AgentArch>> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64', arm64: 'arm64' };

const check = async (options: RemoteOptions, ssh: string): Promise<Result<{ arch: AgentArch; isRoot: boolean }>> => {
  const { target, onEvent } = options;
  const port = options.port === undefined ? [] : ['-p', String(options.port)];
  const ran = await run(ssh, [...sshOptions, ...port, '--', sshTarget(target), 'sh -s'], lookScript);
  if (ran.code !== 0) return fail('retry', 'ssh-failed', target, `ssh cannot reach it: ${lastWords(ran)}. Try: ssh ${target} true`);
  const facts = ran.out.split('\n').map((line) => /^gp-(\w+) (.*)$/.exec(line));
  const fact = (name: string): string => facts.find((match) => match?.[1] === name)?.[2] ?? '';
  onEvent({ event: 'machine', target, system: fact('system'), arch: fact('arch'), user: fact('user'), isRoot: fact('uid') === '0' });
  const lacks = facts.filter((match) => match?.[1] === 'lacks').map((match) => match?.[2] ?? '');
  if (fact('system') !== 'Linux') return fail('blocked', 'host-unfit', target, `it is ${fact('system') || 'no Unix'}; the agent runs on Linux`);
  if (lacks.length > 0) return fail('blocked', 'host-unfit', target, `it lacks ${lacks.join(', ')}`);
  if (fact('sudo') === 'no') return fail('blocked', 'host-denied', target, `${fact('user')} is not root and may not use sudo without a password`);
  const arch = archs[fact('arch')];
  return arch === undefined
    ? fail('blocked', 'host-unfit', target, `its processor is ${fact('arch')}; there are agents for ${agentArchs.join(' and ')}`)
    : ok({ arch, isRoot: fact('sudo') === 'root' });
};

/** Package, script and digests for a machine; all must be there before anything is copied. */
const filesFor = (options: RemoteOptions, arch: AgentArch): Result<{ package: string; files: string[] }> => {
  const names = existsSync(options.packages) ? readdirSync(options.packages) : [];
  const packages = names.filter((name) => name.startsWith('groundplane-agent-') && name.endsWith(`-linux-${arch}.tar.zst`));
  const [name] = packages;
  if (name === undefined)
    return fail(
      'fatal',
      'package-missing',
      options.packages,
      `has no package for ${arch}. Build one: npm run installer -- agent --arch ${arch} --out ${options.packages}`,
    );
  if (packages.length > 1) return fail('fatal', 'package-ambiguous', options.packages, `has ${packages.length} packages for ${arch}; leave one there`);
  const needed = ['install.sh', 'SHA256SUMS', ...(options.key === undefined ? [] : ['SHA256SUMS.sig'])];
  const lost = needed.find((file) => !names.includes(file));
  if (lost !== undefined)
    return fail('fatal', 'package-missing', join(options.packages, lost), 'is not there. Build the packages anew, with --sign when you want to give --key');
  return ok({ package: name, files: [...[name, ...needed].map((file) => join(options.packages, file)), ...(options.key === undefined ? [] : [options.key])] });
};

/** Installs the agent on another machine by the system's own ssh and scp: their keys, their known hosts, their configuration. */
export const installBySsh = async (options: RemoteOptions): Promise<Result<void>> => {
  const { target, onEvent } = options;
  const [ssh, scp] = [options.ssh ?? 'ssh', options.scp ?? 'scp'];
  if (!isTarget(target)) return fail('fatal', 'target-invalid', target, 'is no host to connect to; write user@host');
  if (options.key === undefined && !options.insecure)
    return fail('fatal', 'key-missing', target, 'nobody vouches for the package: give --key PUBLIC.pem, or --insecure if you accept that');
  for (const file of [options.key, options.ticket])
    if (file !== undefined && !existsSync(file)) return fail('fatal', 'file-missing', file, 'there is no such file');
  const port = options.port === undefined ? [] : ['-p', String(options.port)];
  onEvent({ event: 'phase', phase: 'check', target });
  const machine = await check(options, ssh);
  if (!machine.ok) return machine;
  const files = filesFor(options, machine.value.arch);
  if (!files.ok) return files;
  const ticket = options.ticket === undefined ? undefined : readFileSync(options.ticket, 'utf8');
  const made = await run(ssh, [...sshOptions, ...port, '--', sshTarget(target), 'umask 077 && mktemp -d /tmp/groundplane-install-XXXXXXXX'], undefined);
  const folder = made.out.trim().split('\n').at(-1) ?? '';
  if (made.code !== 0 || !/^\/tmp\/groundplane-install-[A-Za-z0-9]{8}$/.test(folder))
    return fail('blocked', 'ssh-failed', target, `no folder can be made there: ${lastWords(made)}`);
  try {
    onEvent({ event: 'phase', phase: 'copy', target });
    const copied = await run(
      scp,
      [...sshOptions, ...(options.port === undefined ? [] : ['-P', String(options.port)]), '-q', '--', ...files.value.files, `${target}:${folder}/`],
      undefined,
    );
    if (copied.code !== 0) return fail('retry', 'ssh-failed', target, `scp failed: ${lastWords(copied)}`);
    for (const file of files.value.files) onEvent({ event: 'copied', file: basename(file) });
    onEvent({ event: 'phase', phase: 'install', target });
    const trust = options.key === undefined ? ['--insecure'] : ['--key', `${folder}/${basename(options.key)}`];
    const words = [
      ...(machine.value.isRoot ? [] : ['sudo', '-n']),
      'sh',
      `${folder}/install.sh`,
      '--package',
      `${folder}/${files.value.package}`,
      ...trust,
      ...(ticket === undefined ? [] : ['--ticket', '-']),
      ...(options.name === undefined ? [] : ['--name', options.name]),
      ...(options.carrier === undefined ? [] : ['--carrier', options.carrier]),
    ];
    const installed = await run(ssh, [...sshOptions, ...port, '--', sshTarget(target), words.map(shellWord).join(' ')], ticket, (text) =>
      onEvent({ event: 'log', text }),
    );
    if (installed.code !== 0) return fail('blocked', 'install-failed', target, `install.sh ended with ${installed.code}: ${lastWords(installed)}`);
    onEvent({ event: 'done', target, package: files.value.package });
    return ok(undefined);
  } finally {
    onEvent({ event: 'phase', phase: 'clean', target });
    await run(ssh, [...sshOptions, ...port, '--', sshTarget(target), `rm -rf ${shellWord(folder)}`], undefined);
  }
};
