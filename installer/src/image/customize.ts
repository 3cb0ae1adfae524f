import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { findingText, type Finding } from '@groundplane/protocol/finding';
import { userDataLimits } from '@groundplane/protocol/user-data/limits';
import { readUserData } from '@groundplane/protocol/user-data/read';
import { outputOf, runProgram, type Ran } from './command.ts';
import { espType, readGpt } from './gpt.ts';
import { imageCache, toolsAt } from './tools.ts';

export const customizeUsage = `npm run installer -- customize IMAGE
                              puts ticket and user data on the boot partition of a disk image, without mounting it
  --ticket TEXT|@FILE         what gp ticket create printed
  --user-data FILE            checked first, as by user-data check
  --hub URL                   refuses a ticket that is for another hub
  --out FILE                  a customised copy; by default IMAGE itself is changed
npm run installer -- user-data check FILE
                              says what a device would do with it, and what is wrong, by line`;

type Mtools = (program: string, args: readonly string[], folder: string, image: string) => Promise<Ran>;

/** mtools of this machine, or of the tools that build images. They edit FAT in a file; nothing is mounted. */
const findMtools = async (): Promise<Result<Mtools>> => {
  if ((await runProgram(['mcopy', '--version'])).code !== 127) return ok((program, args) => runProgram([program, ...args]));
  const name = existsSync(imageCache()) ? readdirSync(imageCache()).find((each) => each.startsWith('tools-')) : undefined;
  if (name === undefined || process.getuid?.() !== 0)
    return fail(
      'blocked',
      'tools-missing',
      'mtools',
      'the boot partition of an image is changed by mtools, which is not installed: apt install mtools (or dnf, zypper, brew install mtools)',
    );
  const tools = toolsAt(join(imageCache(), name));
  return ok((program, args, folder, image) =>
    tools.run(
      [program, ...args],
      [
        { from: folder, to: folder },
        { from: dirname(image), to: dirname(image) },
      ],
    ),
  );
};

/** Hub addresses of a ticket; the agent checks everything else of it. */
const hubsOf = (ticket: string): string[] => {
  try {
    const parsed = JSON.parse(Buffer.from(ticket.slice('gpt1.'.length), 'base64url').toString('utf8')) as { hubs?: unknown; content?: unknown };
    return [...(Array.isArray(parsed.hubs) ? parsed.hubs : []), parsed.content].filter((each) => typeof each === 'string');
  } catch {
    return [];
  }
};

const hostOf = (url: string): string | undefined => {
  try {
    return new URL(url).host;
  } catch {
    return undefined;
  }
};

export const readTicket = (given: string, hub: string | undefined): Result<string> => {
  let text = given;
  if (given.startsWith('@')) {
    try {
      text = readFileSync(given.slice(1), 'utf8');
    } catch {
      return fail('fatal', 'option-invalid', `--ticket ${given}`, 'the file cannot be read');
    }
  }
  const ticket = text.trim();
  const hubs = hubsOf(ticket);
  if (!/^gpt1\.[A-Za-z0-9_-]{1,32763}$/.test(ticket) || hubs.length === 0)
    return fail('fatal', 'ticket-invalid', '--ticket', 'this is no ticket, or it is cut off. Copy it again from: gp ticket create');
  if (hub !== undefined && (hostOf(hub) === undefined || !hubs.some((url) => hostOf(url) === hostOf(hub))))
    return fail('fatal', 'ticket-foreign', `--hub ${hub}`, `the ticket is for another hub: ${hubs.join(', ')}`);
  return ok(ticket);
};

/** Reads and checks user data; findings go to `tell`. */
export const checkUserData = (path: string, tell: (finding: Finding) => void): Result<string> => {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) return fail('fatal', 'option-invalid', path, 'there is no such file');
  if (bytes > 4 * userDataLimits.textBytes) return fail('fatal', 'user-data-large', path, `has more than ${userDataLimits.textBytes} characters`);
  const text = readFileSync(path, 'utf8');
  const read = readUserData(text, path);
  for (const finding of read.findings) tell(finding);
  const errors = read.findings.filter((finding) => finding.severity === 'error');
  const [first] = errors;
  return first === undefined
    ? ok(text)
    : fail('fatal', 'user-data-invalid', path, `${errors.length} ${errors.length === 1 ? 'error' : 'errors'}. The first: ${findingText(first)}`);
};

/** Puts files into the folder `groundplane` of an image's boot partition, over what is there. */
export const writeToBoot = async (image: string, files: Readonly<Record<string, string>>): Promise<Result<void>> => {
  const partitions = await readGpt(image);
  if (!partitions.ok) return partitions;
  const esp = partitions.value.find((item) => item.type === espType);
  if (esp === undefined) return fail('fatal', 'image-no-esp', image, 'it has no boot partition (ESP)');
  const mtools = await findMtools();
  if (!mtools.ok) return mtools;
  const folder = await mkdtemp(join(tmpdir(), 'gp-customize-'));
  const at = `${image}@@${esp.offset}`;
  const run = (program: string, ...args: string[]): Promise<Result<string>> => outputOf(mtools.value(program, args, folder, image), 'image-write', image);
  try {
    // Fails when it is there already, which is as good.
    await mtools.value('mmd', ['-i', at, '::/groundplane'], folder, image);
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(folder, name), text);
      const copied = await run('mcopy', '-o', '-i', at, join(folder, name), `::/groundplane/${name}`);
      if (!copied.ok) return copied;
      const back = await run('mtype', '-i', at, `::/groundplane/${name}`);
      if (!back.ok) return back;
      if (back.value !== text) return fail('retry', 'image-write', image, `${name} does not read back as it was written`);
    }
    return ok(undefined);
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** `installer customize`. Everything is checked before the image is touched. */
export const customizeCommand = async (args: readonly string[], line: (value: object) => void): Promise<Result<void>> => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ticket: { type: 'string' }, 'user-data': { type: 'string' }, hub: { type: 'string' }, out: { type: 'string' } },
  });
  const [given] = positionals;
  if (given === undefined || positionals.length > 1 || (values.ticket === undefined && values['user-data'] === undefined))
    return fail('fatal', 'option-missing', 'customize', `needs an image, and a ticket or user data\n${customizeUsage}`);
  const files: Record<string, string> = {};
  if (values.ticket !== undefined) {
    const ticket = readTicket(values.ticket, values.hub);
    if (!ticket.ok) return ticket;
    files['ticket'] = `${ticket.value}\n`;
  }
  if (values['user-data'] !== undefined) {
    const text = checkUserData(values['user-data'], (finding) => line({ event: 'finding', ...finding }));
    if (!text.ok) return text;
    files['user-data'] = text.value;
  }
  const readable = await readGpt(resolve(given));
  if (!readable.ok) return readable;
  const image = resolve(values.out ?? given);
  if (values.out !== undefined) {
    line({ event: 'phase', phase: 'copy', target: image });
    const copied = await outputOf(runProgram(['cp', '--reflink=auto', '--sparse=always', resolve(given), image]), 'image-write', image);
    if (!copied.ok) return copied;
  }
  const written = await writeToBoot(image, files);
  if (written.ok) line({ event: 'done', image, files: Object.keys(files) });
  return written;
};

/** `installer user-data check FILE`: findings as sentences, and then what they come to. */
export const userDataCommand = (args: readonly string[], print: (text: string) => void): Result<void> => {
  const [action, file] = args;
  if (action !== 'check' || file === undefined || args.length > 2) return fail('fatal', 'option-missing', 'user-data', `knows: user-data check FILE`);
  const checked = checkUserData(file, (finding) => print(findingText(finding)));
  if (!checked.ok) return checked;
  print(`${file} is good`);
  return ok(undefined);
};
