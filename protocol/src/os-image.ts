import { z } from 'zod';
import { agentArchs, type AgentArch } from './agent-package.ts';
import { digestSchema } from './digest.ts';
import { limits } from './limits.ts';
import { signedSchema, type Signed } from './trust.ts';

/**
 * An image of a whole operating system, as `installer build` writes it: one root file system and what boots it, for one architecture. Its manifest is signed by
 * whoever builds images, and hosts take it when a key that their running image names has signed it. Everything else is named by digest.
 */
const imageFileSchema = z.object({ digest: digestSchema, size: z.int().min(1).max(limits.osImageBytes) });

/** Becomes part of partition labels and of file names on the boot partition, where `_` ends the name and `+` begins the count of tries. */
export const osImageNameSchema = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,30}$/, 'the name of an image has small letters, digits, "." and "-"');
export const osImageVersionSchema = z
  .string()
  .regex(/^[0-9][0-9A-Za-z.~^-]{0,30}$/, 'the version of an image begins with a digit and has letters, digits, ".", "~", "^" and "-"');

const contentSchema = z.discriminatedUnion('driver', [
  /** systemd-sysupdate: a root file system for a partition, a unified kernel image for the boot partition. */
  z.object({ driver: z.literal('sysupdate'), root: imageFileSchema, uki: imageFileSchema }),
  /** RAUC: its own bundle, for boards whose boot loader it drives. */
  z.object({ driver: z.literal('rauc'), bundle: imageFileSchema }),
]);

/** A GPT partition label has at most 36 characters. */
const labelCharsMax = 36;

export const osImageManifestSchema = z
  .object({
    schema: z.literal('groundplane.dev/os-image/1'),
    name: osImageNameSchema,
    version: osImageVersionSchema,
    architecture: z.enum(agentArchs),
    content: contentSchema,
  })
  .refine((manifest) => osImageLabel(manifest).length <= labelCharsMax, `name and version have at most ${labelCharsMax - 1} characters together`);
export type OsImageManifest = z.infer<typeof osImageManifestSchema>;

export const signedOsImageSchema = signedSchema(osImageManifestSchema);
export type SignedOsImage = Signed<OsImageManifest>;

/** The files of an image by the name that they have in every version, so that an older one is found as base of a patch. */
export const osImageFiles = (manifest: OsImageManifest): { name: string; digest: OsImageFile['digest']; size: number }[] =>
  manifest.content.driver === 'sysupdate'
    ? [
        { name: 'root.erofs', ...manifest.content.root },
        { name: 'uki.efi', ...manifest.content.uki },
      ]
    : [{ name: 'image.raucb', ...manifest.content.bundle }];
export type OsImageFile = z.infer<typeof imageFileSchema>;

/** What names the content of an image among all others. */
export const osImageDigest = (manifest: OsImageManifest): OsImageFile['digest'] =>
  manifest.content.driver === 'sysupdate' ? manifest.content.root.digest : manifest.content.bundle.digest;

/** `NAME_VERSION`: the label of its root partition, and the beginning of the names of its files. */
export const osImageLabel = ({ name, version }: { name: string; version: string }): string => `${name}_${version}`;

export const osImageFor = (images: readonly SignedOsImage[], architecture: AgentArch): SignedOsImage | undefined =>
  images.find((image) => image.signed.architecture === architecture);

const rank = (char: string | undefined): number => {
  if (char === '~') return -1;
  if (char === undefined) return 0;
  if (char === '^') return 1;
  if (char === '-') return 2;
  return char === '.' ? 3 : 4;
};

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= '0' && char <= '9';

/**
 * Order of versions as systemd-boot and systemd-sysupdate have it (UAPI.10 Version Format Specification): `~` before the end before `^` before `-` before `.`,
 * numbers by value, capitals before small letters.
 */
export const compareImageVersions = (a: string, b: string): number => {
  const [left, right] = [a, b].map((text) => text.replaceAll(/[^A-Za-z0-9~^.-]/g, '')) as [string, string];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    const [x, y] = [left[i], right[j]];
    if (rank(x) !== 4 || rank(y) !== 4) {
      // Letters and digits come after every separator that stands on the other side, and after the end.
      if (rank(x) !== rank(y)) return rank(x) - rank(y);
      i += 1;
      j += 1;
      continue;
    }
    if (isDigit(x) || isDigit(y)) {
      const [m, n] = [/^[0-9]*/.exec(left.slice(i))?.[0] ?? '', /^[0-9]*/.exec(right.slice(j))?.[0] ?? ''];
      // A part without a number comes before one with a number.
      if (m === '' || n === '') return m === n ? 0 : m === '' ? -1 : 1;
      const [p, q] = [m.replace(/^0+(?=.)/, ''), n.replace(/^0+(?=.)/, '')];
      if (p !== q) return p.length - q.length || (p < q ? -1 : 1);
      i += m.length;
      j += n.length;
      continue;
    }
    const [m, n] = [/^[A-Za-z]*/.exec(left.slice(i))?.[0] ?? '', /^[A-Za-z]*/.exec(right.slice(j))?.[0] ?? ''];
    if (m !== n) return m < n ? -1 : 1;
    i += m.length;
    j += n.length;
  }
  return 0;
};
