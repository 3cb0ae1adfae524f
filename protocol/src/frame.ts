import { fail, ok, type Result } from './failure.ts';
import { limits } from './limits.ts';
import { agentMessageSchema, hubMessageSchema, type AgentMessage, type HubMessage } from './messages.ts';
import type { z } from 'zod';

/**
 * Deepest nesting of brackets in a JSON text, counted without parsing it and without recursion, so that a hostile text cannot exhaust the stack.
 * Stops counting past `max`.
 */
export const jsonDepth = (text: string, max: number): number => {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      if (deepest > max) return deepest;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return deepest;
};

const problem = (error: z.ZodError): string =>
  error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.length === 0 ? 'message' : issue.path.map(String).join('.')}: ${issue.message}`)
    .join('; ');

const encoder = new TextEncoder();

const parseFrame = <T>(text: string, bytesMax: number, schema: z.ZodType<T>, from: string): Result<T> => {
  // Counting characters first keeps a huge text from being encoded only to be refused.
  if (text.length > bytesMax || (text.length * 3 > bytesMax && encoder.encode(text).length > bytesMax)) {
    return fail('fatal', 'frame-too-large', from, `a message has more than ${bytesMax} bytes`);
  }
  if (jsonDepth(text, limits.jsonDepth) > limits.jsonDepth)
    return fail('fatal', 'frame-too-deep', from, `a message is nested deeper than ${limits.jsonDepth} levels`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('fatal', 'frame-malformed', from, 'a message is not JSON');
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? ok(parsed.data) : fail('fatal', 'frame-invalid', from, problem(parsed.error));
};

/** Text from an agent, as a message. Before the handshake a frame is one small hello. */
export const parseAgentFrame = (text: string, isAuthenticated: boolean): Result<AgentMessage> =>
  parseFrame(text, isAuthenticated ? limits.frameBytes : limits.frameBytesBeforeAuth, agentMessageSchema, 'agent');

/** Text from the hub, as a message. */
export const parseHubFrame = (text: string): Result<HubMessage> => parseFrame(text, limits.frameBytes, hubMessageSchema, 'hub');

export const writeFrame = (message: AgentMessage | HubMessage): string => JSON.stringify(message);
