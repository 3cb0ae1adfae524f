import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { open, realpath, rm, stat, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { lookAt, thisMachine, type Machine, type TargetFacts } from './target.ts';
import { judgeTarget } from './verdict.ts';

/** One line of progress. `total` is known from the first look on. */
export type FlashEvent =
  | { event: 'phase'; phase: 'check' | 'write' | 'verify'; target: string; total?: number }
  | { event: 'progress'; phase: 'write' | 'verify'; bytes: number; total: number; percent: number }
  | { event: 'done'; target: string; bytes: number; sha256: string };

export interface FlashOptions {
  image: string;
  target: string;
  /** Digest of the image file as it lies there (compressed, if it is). */
  sha256?: string | undefined;
  isSure: boolean;
  mayBePartition: boolean;
  machine?: Machine;
  onEvent: (event: FlashEvent) => void;
}

const chunkBytes = 4 * 1024 * 1024;
/** Partition table and boot sector; they are written last, so that a write that was cut leaves no disk that half boots. */
const headBytes = 1024 * 1024;

const magics = [
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], decompress: createZstdDecompress },
  { bytes: [0x1f, 0x8b], decompress: createGunzip },
] as const;

/** What people take for a disk image and what is none: written as it stands, it would destroy a disk and boot nothing. Offsets and bytes as `file` knows them. */
const notImages: readonly { at: number; bytes: string; name: string; advice: string }[] = [
  { at: 0, bytes: 'fd377a585a00', name: 'packed by xz', advice: 'Unpack it first: xz -dk IMAGE' },
  { at: 0, bytes: '425a68', name: 'packed by bzip2', advice: 'Unpack it first: bzip2 -dk IMAGE' },
  { at: 0, bytes: '04224d18', name: 'packed by lz4', advice: 'Unpack it first: lz4 -d IMAGE' },
  { at: 0, bytes: '504b0304', name: 'a zip archive', advice: 'Unpack it first' },
  { at: 0, bytes: '377abcaf271c', name: 'a 7z archive', advice: 'Unpack it first' },
  { at: 257, bytes: '7573746172', name: 'a tar archive', advice: 'Unpack it first' },
  { at: 0, bytes: '514649fb', name: 'a qcow2 disk of a virtual machine', advice: 'Convert it first: qemu-img convert -O raw IMAGE disk.img' },
  { at: 0, bytes: '4b444d56', name: 'a VMDK disk of a virtual machine', advice: 'Convert it first: qemu-img convert -O raw IMAGE disk.img' },
  { at: 0, bytes: '7668647866696c65', name: 'a VHDX disk of a virtual machine', advice: 'Convert it first: qemu-img convert -O raw IMAGE disk.img' },
  { at: 1024, bytes: 'e2e1f5e0', name: 'a root file system for updates', advice: 'The disk image of the same build ends with .img' },
  { at: 0, bytes: '7b', name: 'a text', advice: 'The disk image of the same build ends with .img' },
];

/** Says what the beginning of a content is, when it is no disk image. */
const kindOf = (head: Buffer): string | undefined => {
  const found = notImages.find(({ at, bytes }) => head.toString('hex', at, at + bytes.length / 2) === bytes);
  return found === undefined ? undefined : `it is ${found.name}, not a disk image. ${found.advice}`;
};
const kindBytes = 2048;

const firstBytes = async (path: string): Promise<Buffer> => {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};

const rawOf = async function* (path: string, onRaw: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes }) as AsyncIterable<Buffer>) {
    onRaw(chunk);
    yield chunk;
  }
};

/** The image's content as it has to be on the disk. `onRaw` sees the bytes of the file. */
const contentOf = async function* (path: string, onRaw: (chunk: Buffer) => void = () => undefined): AsyncGenerator<Buffer> {
  const head = await firstBytes(path);
  const magic = magics.find(({ bytes }) => bytes.every((byte, index) => head[index] === byte));
  if (magic === undefined) return yield* rawOf(path, onRaw);
  const raw = Readable.from(rawOf(path, onRaw), { objectMode: false });
  const unpack = magic.decompress();
  raw.on('error', (error) => unpack.destroy(error));
  try {
    yield* raw.pipe(unpack) as AsyncIterable<Buffer>;
  } finally {
    raw.destroy();
  }
};

interface ImageFacts {
  path: string;
  bytes: number;
  /** Of the content. */
  sha256: string;
  fileSha256: string;
}

/** Reads the whole image once before anything is written: it is whole, it is the right one, and its size is known. */
const inspectImage = async (given: string, roomBytes: number): Promise<Result<ImageFacts>> => {
  const isFile = await stat(given).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (!isFile) return fail('fatal', 'image-missing', given, 'there is no such file');
  const path = await realpath(given);
  const content = createHash('sha256');
  const file = createHash('sha256');
  let bytes = 0;
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of contentOf(path, (raw) => file.update(raw))) {
      if (head.length < kindBytes) {
        head = Buffer.concat([head, chunk.subarray(0, kindBytes)]);
        const kind = head.length < kindBytes ? undefined : kindOf(head);
        if (kind !== undefined) return fail('fatal', 'image-format', given, kind);
      }
      content.update(chunk);
      bytes += chunk.length;
      // A small file can unpack to more than any disk holds.
      if (bytes > roomBytes)
        return fail('fatal', 'target-too-small', given, `it needs more than the ${roomBytes} bytes that the target has. Nothing was written`);
    }
  } catch (error) {
    return fail('fatal', 'image-damaged', given, `it cannot be read to its end: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (bytes === 0) return fail('fatal', 'image-damaged', given, 'it is empty');
  const kind = kindOf(head);
  if (kind !== undefined) return fail('fatal', 'image-format', given, kind);
  return ok({ path, bytes, sha256: content.digest('hex'), fileSha256: file.digest('hex') });
};

const writeAll = async (file: FileHandle, data: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < data.length;) done += (await file.write(data, done, data.length - done, at + done)).bytesWritten;
};

/** Reports each whole percent once. */
const progressOf = (phase: 'write' | 'verify', total: number, onEvent: FlashOptions['onEvent']) => {
  let last = -1;
  return (bytes: number): void => {
    const percent = Math.floor((bytes / total) * 100);
    if (percent === last) return;
    last = percent;
    onEvent({ event: 'progress', phase, bytes, total, percent });
  };
};

const writeImage = async (file: FileHandle, image: ImageFacts, facts: TargetFacts, onEvent: FlashOptions['onEvent']): Promise<void> => {
  const tell = progressOf('write', image.bytes, onEvent);
  const head = Buffer.alloc(Math.min(headBytes, image.bytes));
  await writeAll(file, head, 0);
  await file.sync();
  let at = 0;
  for await (const chunk of contentOf(image.path)) {
    if (at + chunk.length > image.bytes) throw new Error('the image has grown since it was checked');
    const inHead = Math.max(0, Math.min(head.length - at, chunk.length));
    if (inHead > 0) chunk.copy(head, at, 0, inHead);
    if (inHead < chunk.length) await writeAll(file, chunk.subarray(inHead), at + inHead);
    at += chunk.length;
    tell(at);
  }
  // The second partition table of whatever was there before lies at the end; left alone, it could be taken for this disk's.
  const end = facts.kind === 'disk' ? (facts.sizeBytes ?? 0) : 0;
  const tail = Math.min(headBytes, Math.max(0, end - image.bytes));
  if (tail > 0) await writeAll(file, Buffer.alloc(tail), end - tail);
  await file.sync();
  await writeAll(file, head, 0);
  await file.sync();
};

const readBack = async (path: string, bytes: number, onEvent: FlashOptions['onEvent']): Promise<string> => {
  const tell = progressOf('verify', bytes, onEvent);
  const hash = createHash('sha256');
  let at = 0;
  for await (const chunk of createReadStream(path, { start: 0, end: bytes - 1, highWaterMark: chunkBytes }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    at += chunk.length;
    tell(at);
  }
  return hash.digest('hex');
};

const isBusy = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EBUSY';

/** Writes an image to a disk or a file, and reads it back. Nothing is written before image and target have been judged. */
export const flash = async (options: FlashOptions): Promise<Result<{ bytes: number; sha256: string }>> => {
  const { onEvent } = options;
  onEvent({ event: 'phase', phase: 'check', target: options.target });
  // What is refused whatever the image is needs no reading of it, which takes minutes.
  const first = lookAt(options.target, options.machine ?? thisMachine);
  const path = await realpath(options.image).catch(() => options.image);
  const early = judgeTarget(first, { image: { path, bytes: 0 }, isSure: options.isSure, mayBePartition: options.mayBePartition });
  if (!early.ok) return early;
  const room = first.kind === 'nothing' || first.sizeBytes === undefined || first.sizeBytes === 0 ? Number.POSITIVE_INFINITY : first.sizeBytes;
  const image = await inspectImage(options.image, room);
  if (!image.ok) return image;
  if (options.sha256 !== undefined && options.sha256 !== image.value.fileSha256)
    return fail('fatal', 'image-digest', options.image, `it has the digest ${image.value.fileSha256}, and ${options.sha256} is expected. Nothing was written`);
  const facts = lookAt(options.target, options.machine ?? thisMachine);
  const judged = judgeTarget(facts, { image: image.value, isSure: options.isSure, mayBePartition: options.mayBePartition });
  if (!judged.ok) return judged;
  const { bytes, sha256 } = image.value;
  const isDevice = facts.kind === 'disk' || facts.kind === 'partition';
  let isOpen = false;
  try {
    // With O_EXCL and without O_CREAT the kernel itself refuses a block device that is mounted or held (open(2)).
    const flags = constants.O_WRONLY | (isDevice ? constants.O_EXCL : constants.O_CREAT);
    const file = await open(facts.path, flags, 0o644);
    isOpen = true;
    try {
      onEvent({ event: 'phase', phase: 'write', target: facts.path, total: bytes });
      await writeImage(file, image.value, facts, onEvent);
    } finally {
      await file.close();
    }
    // The last close of a block device drops what the kernel remembers of it, so this comes from the device.
    onEvent({ event: 'phase', phase: 'verify', target: facts.path, total: bytes });
    const found = await readBack(facts.path, bytes, onEvent);
    if (found !== sha256)
      return fail(
        'fatal',
        'target-differs',
        facts.path,
        `what was read back has the digest ${found}, and ${sha256} was written. The disk is bad, or it is smaller than it says`,
      );
  } catch (error) {
    if (isBusy(error)) return fail('fatal', 'target-in-use', facts.path, 'the kernel says that it is in use. Unmount it first, if this is the right disk');
    const message = error instanceof Error ? error.message : String(error);
    if (!isOpen) return fail('blocked', 'target-error', facts.path, `${message}. Nothing was written`);
    // A new file that holds half an image helps nobody.
    if (facts.kind === 'nothing') await rm(facts.path, { force: true });
    return fail(
      'blocked',
      'target-error',
      facts.path,
      `${message}. What was written is not complete${facts.kind === 'nothing' ? ', and the file is removed' : ''}`,
    );
  }
  onEvent({ event: 'done', target: facts.path, bytes, sha256 });
  return ok({ bytes, sha256 });
};
