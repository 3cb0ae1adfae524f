import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '@groundplane/protocol/digest';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { largeBlobs } from '@groundplane/protocol/bundle';
import { limits } from '@groundplane/protocol/limits';
import { receiptFile, receiptsFolder, receiptText, type SignedReceipt, type SiteReceipt } from '@groundplane/protocol/media';
import type { HostEvent } from '@groundplane/protocol/observed';
import type { Engine } from '../engine.ts';
import type { DeviceKey } from '../identity/key.ts';
import type { Clock } from '../port/clock.ts';
import type { AgentStore } from '../port/store.ts';
import { diskFailure } from '../system/disk-failure.ts';
import { neededLayers, writes } from '../store/state.ts';

export interface ReceiptDeps {
  engine: Pick<Engine, 'status' | 'state'>;
  store: AgentStore;
  key: DeviceKey;
  hub: string;
  clock: Pick<Clock, 'wallMs'>;
}

/** Events that the hub has not confirmed, the newest ones, as many as fit. */
const unsentEvents = (store: AgentStore): HostEvent[] => {
  let room = limits.receiptBytes / 2;
  return store
    .entries('outbox')
    .filter((row) => row.key.startsWith('event/'))
    .toReversed()
    .filter((row) => (room -= Buffer.byteLength(row.value)) > 0)
    .toReversed()
    .map((row) => JSON.parse(row.value) as HostEvent);
};

/** What this host has to say to its hub, signed. Each has a number of its own, which is on disk before the receipt leaves. */
export const makeReceipt = (deps: ReceiptDeps, medium: Digest | undefined): Result<SignedReceipt> => {
  const { state } = deps.engine;
  const self = state.kv<{ host: SiteReceipt['host'] }>('host');
  if (self === undefined) return fail('blocked', 'host-unknown', 'this host', 'was never let in by its hub, so there is nothing to report');
  const seq = (state.kv<number>('receiptSeq') ?? 0) + 1;
  const kept = state.commit([writes.kv('receiptSeq', seq)]);
  if (!kept.ok) return kept;
  const status = deps.engine.status();
  const large = largeBlobs({ layers: neededLayers(state) }).keys();
  const receipt: SiteReceipt = {
    schema: 'groundplane.dev/site-receipt/1',
    hub: deps.hub,
    host: self.host,
    key: deps.key.publicKey,
    seq,
    atMs: deps.clock.wallMs(),
    ...(medium === undefined ? {} : { medium: { index: medium } }),
    ...(status.version === undefined ? {} : { version: status.version }),
    status,
    events: unsentEvents(deps.store),
    digests: [...new Set([...(state.contentKeys() as Digest[]), ...large])].slice(0, Math.min(limits.receiptDigests, limits.receiptBytes / 4 / 80)),
  };
  return ok({ receipt, signature: deps.key.sign(receiptText(receipt)) });
};

/**
 * Puts a receipt on a medium, durably: it may be pulled out right after. Never through a link: whoever wrote the medium must not choose which file of this host is
 * overwritten.
 */
export const writeReceipt = async (folder: string, signed: SignedReceipt): Promise<Result<string>> => {
  const receipts = join(folder, receiptsFolder);
  const target = join(receipts, receiptFile(signed.receipt));
  try {
    await mkdir(receipts, { recursive: true });
    if (!(await lstat(receipts)).isDirectory()) return fail('fatal', 'media-invalid', receipts, 'is a link; remove it from the medium');
    await rm(`${target}.new`, { force: true });
    // With `x` the system itself refuses what stands there, links too.
    const handle = await open(`${target}.new`, 'wx', 0o644);
    try {
      await handle.writeFile(JSON.stringify(signed));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${target}.new`, target);
    return ok(target);
  } catch (error) {
    return diskFailure(error, target);
  }
};
