import type { Context, Sink } from '../io.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'bold';
const codes: Readonly<Record<Tone, string>> = { good: '32', warn: '33', bad: '31', dim: '2', bold: '1' };

export type Paint = (tone: Tone | undefined, text: string) => string;

/** Colours go to terminals only, and only when nobody said no (no-color.org). */
export const painter = ({ io, globals }: Context, sink: Sink): Paint => {
  const isOn = sink.isTTY && globals.color && (io.env.NO_COLOR ?? '') === '' && io.env.TERM !== 'dumb';
  return (tone, text) => (isOn && tone !== undefined && text !== '' ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text);
};

const tones: Readonly<Record<string, Tone>> = {
  ready: 'good',
  converged: 'good',
  online: 'good',
  approved: 'good',
  released: 'good',
  True: 'good',
  applying: 'warn',
  staging: 'warn',
  waiting: 'warn',
  pending: 'warn',
  degraded: 'warn',
  blocked: 'warn',
  removing: 'warn',
  deleting: 'warn',
  lobby: 'warn',
  draft: 'warn',
  warning: 'warn',
  Unknown: 'warn',
  failed: 'bad',
  unresolved: 'bad',
  'rolled-back': 'bad',
  revoked: 'bad',
  offline: 'dim',
};

/** The tone of a state word; the same word has the same colour everywhere. */
export const toneOf = (text: string): Tone | undefined => tones[text.split(' ')[0] ?? ''];
