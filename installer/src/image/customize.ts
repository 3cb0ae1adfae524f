import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { findingText, type Finding } from '@groundplane/protocol/finding';
import { userDataLimits } from '@groundplane/protocol/user-data/limits';
import { readUserData } from '@groundplane/protocol/user-data/read';
import type { UserData } from '@groundplane/protocol/user-data/schema';
import { summaryOf } from '@groundplane/protocol/user-data/summary';
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

/** The whole of a file or a pipe, when it is text and not too long. */
const readText = (path: string): Result<string> => {
  const bytesMax = 4 * userDataLimits.textBytes;
  const bytes = Buffer.alloc(bytesMax + 1);
  let length = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(file, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = { ENOENT: 'there is no such file', EISDIR: 'is a folder; name the file in it' }[code ?? ''];
    return fail('fatal', 'option-invalid', path, why ?? `cannot be read: ${message}`);
  }
  if (length > bytesMax) return fail('fatal', 'user-data-large', path, `has more than ${userDataLimits.textBytes} characters`);
  try {
    return ok(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, length)));
  } catch {
    return fail('fatal', 'user-data-invalid', path, 'is no text in UTF-8. Does it come from an editor that writes UTF-16? Save it as UTF-8');
  }
};

/** Reads and checks user data; findings go to `tell`. */
export const checkUserData = (path: string, tell: (finding: Finding) => void): Result<{ text: string; config: UserData | undefined }> => {
  const text = readText(path);
  if (!text.ok) return text;
  const read = readUserData(text.value, path);
  for (const finding of read.findings) tell(finding);
  const errors = read.findings.filter((finding) => finding.severity === 'error');
  const [first] = errors;
  return first === undefined
    ? ok({ text: text.value, config: read.config })
    : fail('fatal', 'user-data-invalid', path, `${errors.length} ${errors.length === 1 ? 'error' : 'errors'}. The first: ${findingText(first)}`);
};

/** Puts files into the folder `groundplane` of an image's boot partition, over what is there. */
export const writeToBoot = async (image: string, files: Readonly<Record<string, string>>): Promise<Result<void>> => {
  const partitions = await readGpt(image);
  if (!partitions.ok) return partitions;
  const esp = partitions.value.find((item) => item.type === espType);
  if (esp === undefined) return fail('fatal', 'image-no-esp', image, 'it has no boot partition (ESP)');
  const whole = statSync(image);
  if (whole.isFile() && whole.size < esp.offset + esp.size)
    return fail('fatal', 'image-cut', image, `it has ${whole.size} bytes and ends within its boot partition; fetch or build it again`);
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

/** What goes onto the boot partition, checked. A ticket may stand in the user data as well, where the device prefers it. */
const readFiles = (
  given: { ticket?: string | undefined; 'user-data'?: string | undefined; hub?: string | undefined },
  line: (value: object) => void,
): Result<Record<string, string>> => {
  const ticket = given.ticket === undefined ? undefined : readTicket(given.ticket, given.hub);
  if (ticket?.ok === false) return ticket;
  const userData = given['user-data'] === undefined ? undefined : checkUserData(given['user-data'], (finding) => line({ event: 'finding', ...finding }));
  if (userData?.ok === false) return userData;
  const inside = userData?.value.config?.ticket;
  const second = inside === undefined ? undefined : readTicket(inside, given.hub);
  if (second?.ok === false) return fail('fatal', second.failure.code, `${given['user-data'] ?? ''}, groundplane.ticket`, second.failure.message);
  if (ticket !== undefined && second !== undefined && ticket.value !== second.value)
    return fail('fatal', 'option-invalid', '--ticket', 'the user data have another ticket, which the device would prefer. Leave one of them out');
  return ok({ ...(ticket === undefined ? {} : { ticket: `${ticket.value}\n` }), ...(userData === undefined ? {} : { 'user-data': userData.value.text }) });
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
    return fail('fatal', 'option-missing', 'customize', 'needs one image, and a ticket or user data: customize IMAGE --ticket @FILE --user-data FILE');
  const files = readFiles(values, line);
  if (!files.ok) return files;
  const readable = await readGpt(resolve(given));
  if (!readable.ok) return readable;
  const image = resolve(values.out ?? given);
  // Beside, and renamed when it is done: a copy without what it was made for would look like a prepared image.
  const work = values.out === undefined ? image : `${image}.part`;
  try {
    if (work !== image) {
      line({ event: 'phase', phase: 'copy', target: image });
      const copied = await copyImage(resolve(given), work);
      if (!copied.ok) return copied;
    }
    const written = await writeToBoot(work, files.value);
    if (!written.ok) return { ok: false, failure: { ...written.failure, element: image } };
    if (work !== image) await rename(work, image);
    line({ event: 'done', image, files: Object.keys(files.value) });
    return ok(undefined);
  } finally {
    if (work !== image) await rm(work, { force: true });
  }
};

/** Only its owner reads the copy: the ticket in it lets a host in. */
const copyImage = async (from: string, to: string): Promise<Result<string>> => {
  await rm(to, { force: true });
  await writeFile(to, '', { mode: 0o600, flag: 'wx' });
  return outputOf(runProgram(['cp', '--reflink=auto', '--sparse=always', '--no-preserve=mode', from, to]), 'image-write', to);
};

/** `installer user-data check FILE`: findings as sentences, what a device takes, and what it comes to. */
export const userDataCommand = (args: readonly string[], print: (text: string) => void): Result<void> => {
  const [action, file] = args;
  if (action !== 'check' || file === undefined || args.length > 2)
    return fail('fatal', 'option-missing', 'user-data', 'knows one command: user-data check FILE');
  const checked = checkUserData(file, (finding) => print(findingText(finding)));
  if (!checked.ok) return checked;
  const taken = checked.value.config === undefined ? [] : summaryOf(checked.value.config);
  for (const text of taken) print(`takes ${text}`);
  print(taken.length === 0 ? `${file} has no errors, and there is nothing in it that a device takes` : `${file} is good`);
  return ok(undefined);
};
