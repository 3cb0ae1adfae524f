import type { Result } from '@groundplane/protocol/failure';

/** Seals secrets of one tenant for the store: who has the database alone reads nothing. */
export interface Sealer {
  seal(text: string): string;
  /** Failures: `seal-broken` (fatal): other bytes, another tenant's, or sealed with another key. */
  open(sealed: string): Result<string>;
}

/** Every tenant has a key of its own, so that a row copied to another tenant opens nothing there. */
export type SealerFor = (tenant: string) => Sealer;
