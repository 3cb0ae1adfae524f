import { execFile } from 'node:child_process';

export interface CommandResult {
  /** 127 when the command is not there or was ended from outside. */
  code: number;
  stdout: string;
  stderr: string;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a program with an argument list; nothing goes through a shell, and nothing of the agent's environment goes along. */
export const runCommand = (
  file: string,
  args: readonly string[],
  options: { timeoutMs?: number; env?: Readonly<Record<string, string>> } = {},
): Promise<CommandResult> => {
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  execFile(
    file,
    [...args],
    { timeout: options.timeoutMs ?? 90_000, maxBuffer: 8 * 1024 * 1024, env: { PATH: path, LC_ALL: 'C', SYSTEMD_COLORS: '0', ...options.env } },
    (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127;
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message : stderr });
    },
  );
  return promise;
};

/** The last words of a command, for messages. */
export const lastWords = (result: CommandResult): string =>
  (result.stderr.trim() || result.stdout.trim())
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-5)
    .join(' / ')
    .slice(0, 1_000);
