import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { fail, FailureError, ok, type Result } from '@groundplane/protocol/failure';
import { extract, type Header } from 'tar-stream';

/** What an archive may cost. Sizes are those of the unpacked content. */
export interface ArchiveLimits {
  bytesMax: number;
  entriesMax: number;
  /** Of one file that is kept in memory. */
  fileBytesMax: number;
}

export interface ArchiveEntry {
  /** With `/`, without leading `./` and without trailing one; never absolute and never with `..`. */
  name: string;
  kind: 'file' | 'folder';
  /** Permission bits as the archive has them. */
  mode: number;
  /** Bytes. */
  size: number;
  /** The content, read at most once; not reading it skips the entry. */
  body: Readable;
}

export interface ArchiveFile {
  name: string;
  data: Buffer;
  mode: number;
}

/** An archive that unpacks to this many times its own size is meant to fill a disk; real ones stay below 1:200. Checked after the first 16 MiB. */
const ratioMax = 400;
const ratioFromBytes = 16 * 1024 * 1024;
const namesBytesMax = 4_096;

const refuse = (element: string, message: string): FailureError => new FailureError(fail('fatal', 'archive-invalid', element, message).failure);

const magics: readonly { bytes: readonly number[]; decompress: () => Transform }[] = [
  { bytes: [0x1f, 0x8b], decompress: createGunzip },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], decompress: createZstdDecompress },
];

/** Reads the first bytes to find out how the rest is compressed, and gives them back. */
const peek = async (source: AsyncIterator<Uint8Array>): Promise<Buffer> => {
  let head = Buffer.alloc(0);
  while (head.length < 4) {
    const next = await source.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return head;
};

const counted = (limits: ArchiveLimits, element: string, compressed: { bytes: number }): Transform => {
  let bytes = 0;
  return new Transform({
    transform: (chunk: Buffer, _, done) => {
      bytes += chunk.length;
      if (bytes > limits.bytesMax) done(refuse(element, `it unpacks to more than ${limits.bytesMax} bytes`));
      else if (bytes > ratioFromBytes && bytes > ratioMax * compressed.bytes)
        done(refuse(element, `it unpacks to more than ${ratioMax} times its own size, as only archives do that are meant to fill a disk`));
      else done(null, chunk);
    },
  });
};

/** The name of an entry as a plain relative path, or what is wrong with it. */
export const entryName = (raw: string): { ok: true; name: string } | { ok: false; why: string } => {
  const shown = JSON.stringify(raw.slice(0, 200));
  if (raw.length > namesBytesMax) return { ok: false, why: `it holds an entry whose name has more than ${namesBytesMax} bytes` };
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  if (/[\u0000-\u001f\u007f]/.test(raw)) return { ok: false, why: `it holds an entry with control characters in its name, ${shown}` };
  if (raw.startsWith('/') || /^[A-Za-z]:/.test(raw) || raw.includes('\\')) return { ok: false, why: `it holds the entry ${shown}, which is no relative path` };
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) return { ok: false, why: `it holds the entry ${shown}, which leads out of the archive` };
  return { ok: true, name: parts.join('/') };
};

/** Refuses names that are there twice, also those that differ in case only: unpacked on some disks, the second would replace the first. */
const createNames = (element: string) => {
  const seen = new Map<string, string>();
  return (name: string): void => {
    const key = name.normalize('NFC').toLowerCase();
    const other = seen.get(key);
    if (other === name) throw refuse(element, `it holds ${name} twice`);
    if (other !== undefined) throw refuse(element, `it holds both ${other} and ${name}, which are one file where case does not count`);
    seen.set(key, name);
  };
};

const entryOf = (header: Header, body: Readable, element: string): ArchiveEntry | undefined => {
  const named = entryName(header.name);
  if (!named.ok) throw refuse(element, named.why);
  if (named.name === '') return undefined;
  const { type } = header;
  if (type === 'symlink' || type === 'link')
    throw refuse(element, `${named.name} is a ${type === 'link' ? 'hard' : 'symbolic'} link; links are not followed, so pack the file itself`);
  if (type !== 'file' && type !== 'directory' && type !== 'contiguous-file') throw refuse(element, `${named.name} is a ${type}, not a file or folder`);
  return { name: named.name, kind: type === 'directory' ? 'folder' : 'file', mode: (header.mode ?? 0o644) & 0o777, size: header.size ?? 0, body };
};

/**
 * Walks a tar archive (plain, gzip or zstd) as a stream, entry by entry, without writing anything. `visit` may read the body; what it leaves is skipped.
 * Refused as `archive-invalid`: absolute names, `..`, links, devices, names twice (also by case), too many entries, too many bytes, bombs, damaged or cut
 * archives. `element` names the archive in messages. A failure of `visit` ends the walk and is passed on.
 */
export const walkArchive = async (
  source: Readable | Uint8Array,
  limits: ArchiveLimits,
  element: string,
  visit: (entry: ArchiveEntry) => Promise<Result<void>>,
): Promise<Result<{ entries: number }>> => {
  const input = (source instanceof Readable ? source : Readable.from([source]))[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const compressed = { bytes: 0 };
  let entries = 0;
  try {
    const head = await peek(input);
    if (head.length === 0) return fail('fatal', 'archive-invalid', element, 'it is empty');
    const all = Readable.from(
      (async function* () {
        compressed.bytes += head.length;
        yield head;
        for (let next = await input.next(); next.done !== true; next = await input.next()) {
          compressed.bytes += next.value.length;
          yield next.value;
        }
      })(),
    );
    const decompress = magics.find((magic) => magic.bytes.every((byte, index) => head[index] === byte))?.decompress();
    const unpack = extract();
    const piped =
      decompress === undefined
        ? pipeline(all, counted(limits, element, compressed), unpack)
        : pipeline(all, decompress, counted(limits, element, compressed), unpack);
    // Read below; a rejection is seen there too, and this one must not count as unhandled meanwhile.
    piped.catch(() => undefined);
    const addName = createNames(element);
    for await (const item of unpack) {
      const body = item as unknown as Readable & { header: Header };
      entries += 1;
      if (entries > limits.entriesMax) throw refuse(element, `it holds more than ${limits.entriesMax} entries`);
      const entry = entryOf(body.header, body, element);
      if (entry !== undefined) {
        // Folders may be listed twice; many tools do that.
        if (entry.kind === 'file') addName(entry.name);
        const visited = await visit(entry);
        if (!visited.ok) throw new FailureError(visited.failure);
      }
      body.resume();
    }
    await piped;
    return entries === 0 ? fail('fatal', 'archive-invalid', element, 'it is not a tar archive, or an empty one') : ok({ entries });
  } catch (error) {
    if (error instanceof FailureError) return { ok: false, failure: error.failure };
    const said = error instanceof Error ? error.message : String(error);
    return fail('fatal', 'archive-invalid', element, `it is damaged, cut short or no tar archive (${said})`);
  }
};

/** Reads a body whose size was announced; at most `bytesMax`. */
export const readBody = async (body: Readable, bytesMax: number, element: string): Promise<Result<Buffer>> => {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) return fail('fatal', 'archive-invalid', element, `has more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return ok(Buffer.concat(parts));
};

/** All files of an archive in memory, in the order of the archive. For small ones: packs, charts. `take` chooses by name; the others are skipped. */
export const readArchive = async (
  source: Readable | Uint8Array,
  limits: ArchiveLimits,
  element: string,
  take: (name: string) => boolean = () => true,
): Promise<Result<ArchiveFile[]>> => {
  const files: ArchiveFile[] = [];
  const walked = await walkArchive(source, limits, element, async (entry) => {
    if (entry.kind !== 'file' || !take(entry.name)) return ok(undefined);
    const data = await readBody(entry.body, limits.fileBytesMax, `${element}, ${entry.name}`);
    if (!data.ok) return data;
    files.push({ name: entry.name, data: data.value, mode: entry.mode });
    return ok(undefined);
  });
  return walked.ok ? ok(files) : walked;
};
