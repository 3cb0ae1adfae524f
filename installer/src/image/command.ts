import { spawn } from 'node:child_process';
import { fail, ok, type Result } from '@groundplane/protocol/failure';

export interface Ran {
  /** 127 when the program is not there, 128 when it was stopped. */
  code: number;
  stdout: string;
  stderr: string;
}

const outputCharsMax = 4 * 2 ** 20;

/** Runs a program to its end with a list of arguments; nothing goes through a shell. */
export const runProgram = (argv: readonly string[], options: { timeoutMs?: number; input?: string } = {}): Promise<Ran> => {
  const [program = '', ...args] = argv;
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  });
  const ran: Ran = { code: 0, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.stdout = (ran.stdout + text).slice(-outputCharsMax)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.stderr = (ran.stderr + text).slice(-outputCharsMax)));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const timeoutMs = options.timeoutMs ?? 600_000;
  const timer = setTimeout(() => {
    ran.stderr += `\nit did not end within ${Math.round(timeoutMs / 1_000)} s and was stopped`;
    child.kill('SIGKILL');
  }, timeoutMs);
  child.on('error', (error) => {
    clearTimeout(timer);
    resolve({ ...ran, code: 127, stderr: error.message });
  });
  child.on('close', (code) => {
    clearTimeout(timer);
    resolve({ ...ran, code: code ?? 128 });
  });
  return promise;
};

const lastLines = (ran: Ran): string =>
  (ran.stderr.trim() || ran.stdout.trim())
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-6)
    .join('\n')
    .slice(0, 2_000);

/** Standard output of a program that has to succeed. */
export const outputOf = async (ran: Promise<Ran>, code: string, element: string): Promise<Result<string>> => {
  const done = await ran;
  return done.code === 0 ? ok(done.stdout) : fail('blocked', code, element, `it ended with ${done.code}:\n${lastLines(done)}`);
};
