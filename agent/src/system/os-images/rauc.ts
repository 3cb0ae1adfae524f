import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { osImageLabel, type OsImageManifest } from '@groundplane/protocol/os-image';
import type { ImageSlotState } from '@groundplane/protocol/plan/os-image';
import type { ImagePaths, OsImages } from '../../port/os-images.ts';
import { lastWords, type CommandResult } from '../command.ts';
import { readDescription } from './description.ts';
import type { Run } from './disk.ts';

/** `rauc status --detailed --output-format=json`, as far as it is needed. Slots come as a list of objects with one key, the slot's name. */
const slotSchema = z.object({
  class: z.string(),
  bootname: z.string().nullish(),
  state: z.string(),
  boot_status: z.string().nullish(),
  slot_status: z
    .object({
      bundle: z.object({ version: z.string().nullish(), hash: z.string().nullish() }).nullish(),
      status: z.string().nullish(),
      checksum: z.object({ sha256: z.string().nullish() }).nullish(),
    })
    .nullish(),
});
const statusSchema = z.object({
  compatible: z.string(),
  booted: z.string().nullish(),
  boot_primary: z.string().nullish(),
  slots: z.array(z.record(z.string(), slotSchema)).max(64),
});

/** `rauc info --output-format=json`. */
const infoSchema = z.object({ hash: z.string().min(1) });

interface RaucSlot {
  name: string;
  version: string | undefined;
  /** Of the manifest in its bundle; RAUC before 1.9 does not say it. */
  hash: string | undefined;
  isBooted: boolean;
  isPrimary: boolean;
  isGood: boolean;
}

const installMs = 60 * 60_000;

/** Only slots that a boot loader knows by name hold a system; others belong to them, or hold data. */
const parseStatus = (text: string): Result<RaucSlot[]> => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const status = statusSchema.safeParse(json);
  if (!status.success) return fail('retry', 'host-error', 'rauc', `"rauc status" answers in a way that this agent does not know: ${text.slice(0, 200)}`);
  const { boot_primary: primary, slots } = status.data;
  return ok(
    slots
      .flatMap((item) => Object.entries(item))
      .filter(([, slot]) => (slot.bootname ?? '') !== '')
      .map(([name, slot]) => ({
        name,
        // What was only half written has no status "ok".
        version: slot.slot_status?.status === 'ok' ? (slot.slot_status.bundle?.version ?? undefined) : undefined,
        hash: slot.slot_status?.bundle?.hash ?? undefined,
        isBooted: slot.state === 'booted',
        isPrimary: name === primary,
        isGood: slot.boot_status !== 'bad',
      })),
  );
};

const parseInfo = (text: string): string | undefined => {
  try {
    return infoSchema.safeParse(JSON.parse(text)).data?.hash;
  } catch {
    return undefined;
  }
};

/** RAUC calls a slot bad while it is written, until it is made active, and when its tries are used up. */
const stateOf = (slot: RaucSlot, intended: string | undefined): ImageSlotState => {
  if (slot.isPrimary) return 'next';
  if (slot.isGood) return 'kept';
  return slot.version === intended ? 'failed' : 'staged';
};

export interface RaucOptions {
  root: string;
  run: Run;
  /** The version that the host was rebooted for, if that is not done with. */
  intended: () => string | undefined;
  /** Whether the health check of this boot was good. */
  isHealthy: () => Promise<boolean>;
}

/**
 * Slots by RAUC, which drives U-Boot, barebox, GRUB and EFI and checks its bundles by its own keyring as well. Its `system.conf` needs `activate-installed=false`,
 * so that an image is not booted before its time, and the image's health check ends with `rauc status mark-good`.
 */
export const raucImages = (options: RaucOptions): OsImages => {
  const { run } = options;
  const rauc = (...args: string[]): Promise<CommandResult> => run('rauc', args, { timeoutMs: installMs });

  const slots = async (): Promise<Result<RaucSlot[]>> => {
    const status = await rauc('status', '--detailed', '--output-format=json');
    if (status.code === 127) return fail('blocked', 'host-error', 'rauc', 'the image is one for RAUC, and there is no "rauc" on this host');
    return status.code === 0 ? parseStatus(status.stdout) : fail('retry', 'host-error', 'rauc', lastWords(status));
  };

  /** Undefined: RAUC does not say, or does not like the bundle, which it will tell when it is to install it. */
  const hashOf = async (bundle: string): Promise<string | undefined> => {
    const info = await rauc('info', '--output-format=json', bundle);
    return info.code === 0 ? parseInfo(info.stdout) : undefined;
  };

  /** The slot that holds the image. Another bundle may have the same version. */
  const find = async ({ version }: OsImageManifest, paths: ImagePaths): Promise<Result<RaucSlot | undefined>> => {
    const all = await slots();
    if (!all.ok) return all;
    const slot = all.value.find((item) => item.version === version && !item.isBooted);
    const bundle = paths.get('image.raucb');
    if (slot?.hash === undefined || bundle === undefined) return ok(slot);
    const hash = await hashOf(bundle);
    return ok(hash === undefined || hash === slot.hash ? slot : undefined);
  };

  const did = async (manifest: OsImageManifest, ...args: string[]): Promise<Result<void>> => {
    const done = await rauc(...args);
    if (done.code === 0) return ok(undefined);
    // Why an installation failed stands among its progress; standard error says only that it did.
    const words = /^LastError: (.+)$/m.exec(done.stdout)?.[1] ?? lastWords(done);
    if (/already processing|busy/i.test(words)) return fail('retry', 'image-busy', osImageLabel(manifest), words);
    if (/signature verification failed|failed to verify signature/i.test(words)) return fail('fatal', 'image-untrusted', osImageLabel(manifest), words);
    if (/no space left|too large|image size/i.test(words)) return fail('blocked', 'image-space', osImageLabel(manifest), words);
    return fail('retry', 'image-write', osImageLabel(manifest), `rauc ${args[0] ?? ''} failed: ${words}`);
  };

  return {
    status: async () => {
      const description = await readDescription(options.root);
      if (!description.ok || description.value === undefined || description.value.driver !== 'rauc') return description.ok ? ok(undefined) : description;
      const all = await slots();
      if (!all.ok) return all;
      const booted = all.value.find((slot) => slot.isBooted);
      const { name, version, architecture } = description.value;
      // GRUB's backend calls a slot bad from its start until it is marked good, U-Boot's on its last try: neither says that a check has failed.
      const isTrial = booted?.isGood === false || (options.intended() === version && !(await options.isHealthy()));
      return ok({
        architecture,
        name,
        driver: 'rauc',
        running: version,
        health: isTrial ? 'trial' : 'good',
        slots: all.value.flatMap((slot) =>
          slot.isBooted || slot.version === undefined ? [] : [{ version: slot.version, state: stateOf(slot, options.intended()) }],
        ),
      });
    },
    keys: async () => {
      const description = await readDescription(options.root);
      return description.ok ? ok(description.value?.keys ?? []) : description;
    },
    files: () => Promise.resolve(new Map()),
    digest: () => Promise.resolve(undefined),
    stage: async (manifest, paths) => {
      const path = paths.get('image.raucb');
      const description = await readDescription(options.root);
      if (!description.ok) return description;
      if (description.value?.version === manifest.version)
        return fail('fatal', 'image-running', osImageLabel(manifest), 'it runs from this slot, which is never written to');
      if (path === undefined) return fail('retry', 'content-missing', osImageLabel(manifest), 'its bundle is not here');
      const there = await find(manifest, paths);
      if (!there.ok) return there;
      return there.value === undefined ? did(manifest, 'install', path) : ok(undefined);
    },
    activate: async (manifest, paths) => {
      const slot = await find(manifest, paths);
      if (!slot.ok) return slot;
      return slot.value === undefined
        ? fail('retry', 'image-wrong', osImageLabel(manifest), 'it is in no slot; another one may have its version')
        : did(manifest, 'status', 'mark-active', slot.value.name);
    },
  };
};
