import { spawn } from 'node:child_process';

export interface CommandResult {
  /** 128 and the signal's number when it was killed, as a shell says it. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  timeoutMs?: number;
  input?: string | Buffer;
  env?: Readonly<Record<string, string>>;
}

export const commandMsDefault = 120_000;
const outputCharsMax = 16 * 2 ** 20;

/** Runs a program to its end. Ending it for its time is an error that says what it had said. */
export const runCommand = async (argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> => {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
  const result: CommandResult = { code: 0, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (result.stdout = (result.stdout + text).slice(-outputCharsMax)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr = (result.stderr + text).slice(-outputCharsMax)));
  // Who does not read its input is not the one to fail for it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const timeoutMs = options.timeoutMs ?? commandMsDefault;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const ended = Promise.withResolvers<number>();
  child.on('error', (error) => ended.reject(error));
  child.on('close', (code, signal) => ended.resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
  try {
    result.code = await ended.promise;
  } finally {
    clearTimeout(timer);
  }
  if (isLate)
    throw new Error(`${argv.join(' ').slice(0, 300)}: not done within ${timeoutMs / 1000} s\n${result.stdout.slice(-2000)}${result.stderr.slice(-2000)}`);
  return result;
};

/** The standard output of a program that must succeed. */
export const outputOf = async (argv: readonly string[], options: CommandOptions = {}): Promise<string> => {
  const result = await runCommand(argv, options);
  if (result.code === 0) return result.stdout;
  throw new Error(`${argv.join(' ').slice(0, 300)} ended with ${result.code}\n${result.stdout.slice(-3000)}${result.stderr.slice(-3000)}`);
};
