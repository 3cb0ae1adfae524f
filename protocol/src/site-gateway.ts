import { z } from 'zod';
import { failureSchema } from './failure.ts';
import { limits } from './limits.ts';

/**
 * A site gateway: an agent inside a data centre that the hub cannot reach makes the hub's calls to the environment's API there. It opens the connection, and calls
 * only the servers that whoever runs it named. One WebSocket, many calls; answers come in parts, so that none is larger than a frame.
 */
export const gatewayPath = '/gateway';

const headers = z.record(z.string().max(128), z.string().max(16_384)).refine((all) => Object.keys(all).length <= 100, 'too many headers');
const base64 = z
  .string()
  .max(limits.frameBytes)
  .regex(/^[A-Za-z0-9+/]*=*$/, 'not base64');

/** Hub. */
export const gatewayCallSchema = z.object({
  t: z.literal('call'),
  id: z.int().min(1),
  method: z.string().regex(/^[A-Z]{1,16}$/),
  url: z.url({ protocol: /^https?$/ }).max(8_192),
  headers,
  body: base64.optional(),
  ca: z.string().max(65_536).optional(),
  insecure: z.boolean().optional(),
});
export type GatewayCall = z.infer<typeof gatewayCallSchema>;

/** Agent. The first part has status and headers; the last one says so. */
export const gatewayPartSchema = z.object({
  t: z.literal('part'),
  id: z.int().min(1),
  status: z.int().min(100).max(599).optional(),
  headers: headers.optional(),
  data: base64.optional(),
  last: z.boolean(),
  failure: failureSchema.optional(),
});
export type GatewayPart = z.infer<typeof gatewayPartSchema>;

/** Bytes of a body in one part, so that its base64 fits into a frame with room for the rest. */
export const gatewayPartBytes = 512 * 1024;
export const gatewayAnswerBytes = 16 * 1024 * 1024;
export const gatewayCallMs = 90_000;
export const gatewayCallsOpen = 64;
