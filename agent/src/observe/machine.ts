import type { AgentArch } from '@groundplane/protocol/agent-package';
import type { BundleLayer } from '@groundplane/protocol/bundle';
import type { Digest } from '@groundplane/protocol/digest';
import { ok, type Result } from '@groundplane/protocol/failure';
import type { MachineFacts, ObservedOs, OwnedOs } from '@groundplane/protocol/plan/facts';
import { wantedExtensions } from '@groundplane/protocol/plan/os-extensions';
import type { ObservedImage } from '@groundplane/protocol/plan/os-image';
import { isFulfilled, type RebootIntent } from '@groundplane/protocol/plan/reboot';
import { mergedKey, type Merged } from '../execute/os-extensions.ts';
import { rebootKey } from '../execute/reboot.ts';
import type { Blobs } from '../port/blobs.ts';
import type { Clock } from '../port/clock.ts';
import type { Extensions } from '../port/extensions.ts';
import type { Machine } from '../port/machine.ts';
import type { OsImages } from '../port/os-images.ts';
import type { State } from '../store/state.ts';
import type { RunningImage } from './running-image.ts';

/** What looks after the machine as a whole; each is absent where there is nothing of the kind. */
export interface OsParts {
  machine?: Machine | undefined;
  images?: OsImages | undefined;
  runningImage?: RunningImage | undefined;
  extensions?: Extensions | undefined;
}

export interface ObservedMachine {
  architecture: AgentArch | undefined;
  machine: MachineFacts | undefined;
  image: ObservedImage | undefined;
  extensions: NonNullable<ObservedOs['extensions']>;
}

interface Sources {
  parts: OsParts;
  state: State;
  clock: Clock;
  architecture: AgentArch | undefined;
  blobs: Pick<Blobs, 'path'>;
}

/** Links by what they point at: a link to the file of the wanted digest is that digest. */
const observeExtensions = async (
  { parts, state, architecture, blobs }: Sources,
  layers: readonly BundleLayer[],
  owned: readonly OwnedOs[],
): Promise<Result<ObservedMachine['extensions']>> => {
  const seen = new Map<string, { linked: Digest | 'other'; merged: Digest | undefined } | 'absent'>();
  const wanted = layers.flatMap(({ os }) => (os === undefined ? [] : wantedExtensions(os, architecture)));
  const names = new Set([...wanted.map((item) => item.name), ...owned.filter((item) => item.kind === 'extension').map((item) => item.key)]);
  if (parts.extensions === undefined || names.size === 0) return ok(seen);
  const merged = state.kv<Merged>(mergedKey) ?? {};
  for (const name of names) {
    const read = await parts.extensions.read(name);
    if (!read.ok) return read;
    if (read.value === 'absent') seen.set(name, 'absent');
    else {
      const digest = wanted.find((item) => item.name === name)?.digest;
      const path = digest === undefined ? undefined : await blobs.path(digest);
      const isRight = read.value !== 'other' && path !== undefined && read.value.path === path;
      seen.set(name, { linked: isRight && digest !== undefined ? digest : 'other', merged: merged[name] as Digest | undefined });
    }
  }
  return ok(seen);
};

/** Reads boots, images and extensions, and forgets a reboot that has come true. */
export const observeMachine = async (sources: Sources, layers: readonly BundleLayer[], owned: readonly OwnedOs[]): Promise<Result<ObservedMachine>> => {
  const { parts, state, clock, architecture } = sources;
  const extensions = await observeExtensions(sources, layers, owned);
  if (!extensions.ok) return extensions;
  if (parts.machine === undefined) return ok({ architecture, machine: undefined, image: undefined, extensions: extensions.value });
  const bootId = await parts.machine.bootId();
  if (!bootId.ok) return bootId;
  const needed = await parts.machine.rebootNeeded();
  if (!needed.ok) return needed;
  const isAllowed = await parts.machine.isRebootAllowed();
  if (!isAllowed.ok) return isAllowed;
  const intent = state.kv<RebootIntent | null>(rebootKey) ?? undefined;
  const asksForImage = intent?.cause.kind === 'image' || layers.some((layer) => layer.os?.image !== undefined);
  const image = asksForImage && parts.images !== undefined ? await parts.images.status() : ok(undefined);
  if (!image.ok) return image;
  const machine = { bootId: bootId.value, needed: needed.value, isAllowed: isAllowed.value, wallMs: clock.wallMs() };
  if (intent === undefined || !isFulfilled(intent, machine, image.value))
    return ok({ architecture, machine: { ...machine, intent }, image: image.value, extensions: extensions.value });
  const forgotten = state.commit([{ table: 'kv', key: rebootKey, value: null }]);
  return forgotten.ok ? ok({ architecture, machine: { ...machine, intent: undefined }, image: image.value, extensions: extensions.value }) : forgotten;
};

/** A person wants what failed to be tried again: that it was tried is forgotten. */
export const forgetReboot = { table: 'kv', key: rebootKey, value: null } as const;

/** The reboot that led to this start, if one of ours did. */
export const lastReboot = (state: State): RebootIntent | undefined => state.kv<RebootIntent | null>(rebootKey) ?? undefined;
