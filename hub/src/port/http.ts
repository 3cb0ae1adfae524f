import type { Result } from '@groundplane/protocol/failure';

export interface HttpRequest {
  method: string;
  /** Whole address, with its query. */
  url: string;
  headers: Record<string, string>;
  body?: string | Uint8Array | undefined;
}

export interface HttpResponse {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: Buffer;
}

/**
 * One call to an environment's API, whole in memory and bounded. Every client of a provider goes through this one door, so that time limits, rate budgets,
 * private addresses, and the tests' power cuts are in one place. Failures: `unreachable` (retry), `egress-refused` (blocked), `tls-untrusted` (blocked),
 * `answer-too-large` (fatal). A status of 400 and above is an answer, not a failure.
 */
export type Http = (request: HttpRequest) => Promise<Result<HttpResponse>>;
