import { isRecord } from '@groundplane/protocol/record';
import { limits } from '@groundplane/protocol/limits';
import type { SignedReceipt } from '@groundplane/protocol/media';

/** More files than this are not taken at once; a medium of a large cluster has one for each host and visit. */
export const receiptFilesMax = 2_000;

export type ReadReceipt = { file: string } & ({ receipt: SignedReceipt } | { problem: string });

/** Enough to tell a receipt from other files; the hub checks every part of it, and the signature. */
const isReceipt = (value: unknown): value is SignedReceipt => {
  const receipt = isRecord(value) && typeof value['signature'] === 'string' ? value['receipt'] : undefined;
  return (
    isRecord(receipt) && receipt['schema'] === 'groundplane.dev/site-receipt/1' && typeof receipt['host'] === 'string' && Number.isSafeInteger(receipt['seq'])
  );
};

/** What a file says. */
export const readReceipt = (file: string, size: number, text: string): ReadReceipt => {
  if (size > limits.receiptBytes) return { file, problem: `has more than ${limits.receiptBytes / 1024 / 1024} MiB; no receipt is that long` };
  try {
    const value: unknown = JSON.parse(text);
    return isReceipt(value) ? { file, receipt: value } : { file, problem: 'is no receipt of a host' };
  } catch {
    return { file, problem: 'is not JSON, so it is no receipt' };
  }
};

/** Older ones first: a host's later receipt says more, and each counts once. */
export const inOrderOfSending = <T extends { receipt: SignedReceipt }>(receipts: readonly T[]): T[] =>
  receipts.toSorted((a, b) => a.receipt.receipt.seq - b.receipt.receipt.seq);
