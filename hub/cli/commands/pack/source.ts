import { resolve } from 'node:path';
import { findingText, type Finding } from '@groundplane/protocol/finding';
import type { Failure } from '@groundplane/protocol/failure';
import { packLimits } from '@groundplane/protocol/pack/limits';
import { readPack, textOf, type PackFiles } from '../../../src/pack/read.ts';
import { readInputs } from '../../authoring/read.ts';
import type { Context } from '../../io.ts';
import { printable, safeData } from '../../output/printable.ts';
import { painter } from '../../output/style.ts';
import { done, trouble, type Attempt, type Trouble } from '../../trouble.ts';

export const failureTrouble = (failure: Failure, next?: string): Trouble => trouble(failure.element, failure.message, next);

/** The pack that a command line names. */
export const openPack = async (context: Context, name: string): Promise<Attempt<PackFiles>> => {
  const read = await readPack(resolve(context.io.cwd, name));
  return read.ok
    ? done({ ...read.value, from: name })
    : { ok: false, trouble: failureTrouble(read.failure, 'name the folder of a pack, with its pack.json, or a .tgz of it') };
};

/** values.yaml of the pack, or the file that `-f` names; `-` is standard input. */
export const openValues = async (context: Context, pack: PackFiles, file: string | undefined): Promise<Attempt<string>> => {
  if (file === undefined) return done(textOf(pack, 'values.yaml') ?? '');
  const inputs = await readInputs(context.io, [file]);
  if (!inputs.ok) return inputs;
  const [first, ...more] = inputs.value;
  if (first === undefined || more.length > 0) return { ok: false, trouble: trouble(file, 'is a folder with several files', 'name one file: -f values.yaml') };
  if (first.text.length > packLimits.textBytes) return { ok: false, trouble: trouble(file, `has more than ${packLimits.textBytes} characters`) };
  return done(first.text);
};

/** One line for each finding; they come from files that somebody else wrote. */
export const findingLines = (context: Context, findings: readonly Finding[], isStderr: boolean): string => {
  const paint = painter(context, isStderr ? context.io.stderr : context.io.stdout);
  const tones = { error: 'bad', warning: 'warn', info: 'dim' } as const;
  return findings.map((finding) => `${paint(tones[finding.severity], printable(findingText(finding)))}\n`).join('');
};

/** YAML that goes on into a file is printed as it is; on a terminal nothing in it may steer the terminal. */
export const writeYaml = async (context: Context, text: string): Promise<void> => {
  const ended = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  await context.io.stdout.write(context.io.stdout.isTTY ? safeData(ended) : ended);
};
