import process from 'node:process';
import { CommanderError } from 'commander';
import type { Io } from './io.ts';
import { processIo } from './process-io.ts';
import { createProgram, type Program } from './program.ts';
import { exits, trouble, troubleText, type Outcome, type Trouble } from './trouble.ts';
import { painter } from './output/style.ts';

export type { Io } from './io.ts';
export { processIo } from './process-io.ts';

const codeOf = (error: unknown): unknown => (typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined);

/** What the file system refused, wherever it came up: the file, and the reason in words. */
const fileTrouble = (error: unknown): Trouble | undefined => {
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string' || path === undefined || syscall === undefined) return undefined;
  const why = {
    ENOENT: 'there is no such file or folder',
    ENOTDIR: 'a part of it is a file, where a folder has to be',
    EISDIR: 'is a folder, not a file',
    EEXIST: 'is there already',
    EACCES: 'you may not read or write it',
    EPERM: 'you may not read or write it',
    EROFS: 'lies on a file system that is read-only',
    ENOSPC: 'the disk is full',
  }[code];
  return trouble(path, why ?? `cannot be used (${code})`);
};

/** Help that was asked for ends with 0; help that is shown because something is missing is a mistake. */
const commanderExit = (error: CommanderError): number => (error.exitCode === 0 ? exits.ok : exits.usage);

const perform = async (program: Program, argv: readonly string[]): Promise<Outcome> => {
  try {
    await program.command.parseAsync([...argv], { from: 'user' });
    return program.outcome();
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error);
    throw error;
  }
};

/** Whether colours are off has to be known before the options are parsed, since parsing itself can fail. */
const plainContext = (argv: readonly string[], io: Io) => ({ io, globals: { color: !argv.includes('--no-color'), quiet: false, insecure: false } });

/**
 * Runs one command line, without the program's name, and answers its exit code: 0 ok, 1 error, 2 usage, 3 differences, 4 partly applied, 5 denied. Never ends
 * the process. When the reader of stdout goes away (`gp … | head`), it stops quietly with 0.
 */
export const run = async (argv: readonly string[], io: Io): Promise<number> => {
  const program = createProgram(io);
  try {
    const outcome = await perform(program, argv);
    if (program.text.out !== '') await io.stdout.write(program.text.out);
    if (program.text.error !== '') await io.stderr.write(program.text.error);
    if (typeof outcome === 'number') return outcome;
    const paint = painter(plainContext(argv, io), io.stderr);
    await io.stderr.write(troubleText(outcome, (text) => paint('bad', text)));
    return outcome.exit;
  } catch (error) {
    if (codeOf(error) === 'EPIPE') return exits.ok;
    if (codeOf(error) === 'EOF') return exits.usage;
    const refused = io.env.GP_DEBUG === undefined ? fileTrouble(error) : undefined;
    if (refused !== undefined) {
      await io.stderr.write(troubleText(refused, (item) => item)).catch(() => {});
      return refused.exit;
    }
    const text = error instanceof Error ? (io.env.GP_DEBUG === undefined ? error.message : (error.stack ?? error.message)) : String(error);
    await io.stderr
      .write(
        troubleText(
          { what: 'gp', why: `this is a bug: ${text}`, next: 'run it again with GP_DEBUG=1 and report what it prints', exit: exits.error },
          (item) => item,
        ),
      )
      .catch(() => {});
    return exits.error;
  }
};

if (import.meta.main) process.exitCode = await run(process.argv.slice(2), processIo());
