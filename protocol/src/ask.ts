import { z } from 'zod';
import { failureSchema } from './failure.ts';
import { limits } from './limits.ts';

/** A place on a disk that can run full, by the folder that it is seen from. */
export const diskVitalsSchema = z.object({ path: z.string().max(256), totalBytes: z.number().min(0), availableBytes: z.number().min(0) });

/** How a machine does right now. All of it is measured, so it is as old as the reading. */
export const vitalsSchema = z.object({
  /** Of all processors together, since the reading before. */
  cpuPercent: z.number().min(0).max(100),
  /** Processes that run or wait to run, over the last minute. */
  load1: z.number().min(0),
  memory: z.object({ totalBytes: z.number().min(0), /** Without what the kernel gives back when asked. */ availableBytes: z.number().min(0) }),
  disks: z.array(diskVitalsSchema).max(limits.vitalsDisks),
  uptimeMs: z.number().min(0),
  /** Of the processor, in degrees Celsius; absent where nothing measures it. */
  temperature: z.number().min(-100).max(300).optional(),
});
export type Vitals = z.infer<typeof vitalsSchema>;

export const journalStates = {
  intent: 'It was begun; the host has not written down how it ended.',
  done: 'It was done.',
  failed: 'It failed.',
} as const;
export type JournalState = keyof typeof journalStates;

/** One step that a host wrote down before it took it, and how it ended. */
export const journalEntrySchema = z.object({
  /** Counts the host's steps. */
  seq: z.int().min(1),
  atMs: z.number(),
  generation: z.int(),
  layer: z.string().max(63).optional(),
  step: z.string().max(64),
  text: z.string().max(limits.journalTextChars),
  state: z.enum(['intent', 'done', 'failed']),
  /** The how-manieth time it was tried for this generation, among the steps that the host looked through. */
  attempt: z.int().min(1),
  failure: z.object({ code: z.string().max(64), message: z.string().max(limits.journalTextChars) }).optional(),
});
export type JournalEntry = z.infer<typeof journalEntrySchema>;

export const wants = ['vitals', 'journal'] as const;
export type Want = (typeof wants)[number];

/** Hub: tell me now what nobody reports by itself. Sent only to agents with the capability `ask`. */
export const askSchema = z.object({
  t: z.literal('ask'),
  id: z.int().min(1),
  want: z.enum(wants),
  /** Of the journal: how many of the newest steps. */
  last: z.int().min(1).max(limits.journalAnswer).optional(),
});
export type Ask = z.infer<typeof askSchema>;

/** Agent: what was asked for, or why not. `id` 0 is vitals that nobody asked for, sent now and then when they changed notably. */
export const answerSchema = z.object({
  t: z.literal('answer'),
  id: z.int().min(0),
  vitals: vitalsSchema.optional(),
  /** Oldest first. */
  journal: z.array(journalEntrySchema).max(limits.journalAnswer).optional(),
  failure: failureSchema.optional(),
});
export type Answer = z.infer<typeof answerSchema>;

/** How full something is, in whole percent. */
export const usedPercent = (part: { totalBytes: number; availableBytes: number }): number =>
  part.totalBytes === 0 ? 0 : Math.round(100 * (1 - Math.min(1, part.availableBytes / part.totalBytes)));
