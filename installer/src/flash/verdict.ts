import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { TargetFacts } from './target.ts';

export interface FlashWish {
  image: { path: string; bytes: number };
  /** The person has said that the content of a device may be lost. */
  isSure: boolean;
  mayBePartition: boolean;
}

const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** May this image be written there? A decision on facts alone; everything that would destroy what is in use is refused, whatever was asked for. */
export const judgeTarget = (facts: TargetFacts, wish: FlashWish): Result<void> => {
  const no = (code: string, message: string): Result<void> => fail('fatal', code, facts.path, message);
  if (facts.kind === 'other')
    return no('target-unknown', 'it is neither a disk nor a file; nothing was written. Which disks are there: lsblk -o NAME,SIZE,MODEL,MOUNTPOINTS');
  if (facts.path === wish.image.path) return no('target-is-image', 'it is the image itself');
  if (facts.uses.length > 0) {
    const isSystem = facts.uses.some((use) => ['/', '/boot', '/boot/efi', '/usr', '/var'].includes(use));
    return isSystem
      ? no('target-system', `this system runs from it (${facts.uses.slice(0, 5).join(', ')}). Choose another disk`)
      : no('target-in-use', `it is in use: ${facts.uses.slice(0, 5).join(', ')}. Unmount that first, if this is the right disk`);
  }
  if (facts.isReadOnly) return no('target-read-only', 'it is read-only. Does a card have its lock set?');
  if (facts.kind === 'partition' && !wish.mayBePartition)
    return no('target-partition', 'it is a partition, and an image is for a whole disk. If you mean it, add --yes-partition');
  const isDevice = facts.kind === 'disk' || facts.kind === 'partition';
  // An empty file grows; a file with a size is the disk of a virtual machine and keeps it.
  const room = facts.sizeBytes === undefined || (facts.kind === 'file' && facts.sizeBytes === 0) ? undefined : facts.sizeBytes;
  if (room !== undefined && room < wish.image.bytes)
    return no('target-too-small', `it has ${room} bytes (${size(room)}), and the image needs ${wish.image.bytes} (${size(wish.image.bytes)})`);
  if (isDevice && !wish.isSure)
    return no(
      'target-not-confirmed',
      `everything on it would be lost: ${facts.model === '' ? 'unknown model' : facts.model}, ${size(facts.sizeBytes ?? 0)}. Nothing was written; if it is the right one, add --yes`,
    );
  return ok(undefined);
};
