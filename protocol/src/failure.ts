import { z } from 'zod';

/**
 * What went wrong, as a value. Exceptions are bugs; everything the world can do to us is a Failure.
 * - `retry`: the same action may succeed later without anybody changing anything (network, conflict, not ready yet).
 * - `blocked`: it will not succeed until something outside of us changes (missing permission, missing file, full disk).
 * - `fatal`: it can never succeed with this input (invalid object, bad signature).
 */
export const failureSchema = z.object({
  kind: z.enum(['retry', 'blocked', 'fatal']),
  /** Stable, machine-readable, kebab-case: `object-invalid`, `api-unreachable`. */
  code: z.string().max(64),
  /** The thing that failed, in the words of the user: `layer web, Deployment shop/web`. */
  element: z.string().max(512),
  /** What happened, why, and the next thing to try. */
  message: z.string().max(4096),
});
export type Failure = z.infer<typeof failureSchema>;

export type Result<T> = { ok: true; value: T } | { ok: false; failure: Failure };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });

/** Builds a failed result; over-long texts are cut so that a failure always fits its own schema. */
export const fail = (kind: Failure['kind'], code: string, element: string, message: string): { ok: false; failure: Failure } => ({
  ok: false,
  failure: { kind, code: code.slice(0, 64), element: element.slice(0, 512), message: message.slice(0, 4096) },
});

/** For the few places where a failure has to cross code that only knows exceptions (streams, HTTP handlers). */
export class FailureError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(`${failure.element}: ${failure.message}`);
    this.failure = failure;
  }
}
