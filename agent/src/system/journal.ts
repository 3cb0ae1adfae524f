import { lastWords, runCommand } from './command.ts';

const linesMax = 300;
const charsMax = 64 * 1024;

/** The last lines of a unit from systemd's journal; never more than a page can show. */
export const readJournal = async (unit: string): Promise<string> => {
  const done = await runCommand('journalctl', ['--no-pager', '--output', 'short-iso', '--lines', String(linesMax), '--unit', unit], { timeoutMs: 10_000 });
  if (done.code !== 0) return `the journal cannot be read: ${lastWords(done)}`;
  return done.stdout.slice(-charsMax);
};
