import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createZstdDecompress } from 'node:zlib';
import { agentManifestSchema, type AgentArch, type AgentManifest } from '@groundplane/protocol/agent-package';
import { fail, FailureError } from '@groundplane/protocol/failure';
import { limits } from '@groundplane/protocol/limits';
import { extract } from 'tar-stream';

const manifestBytesMax = 1024 * 1024;

export const invalid = (file: string, why: string): FailureError =>
  new FailureError(fail('fatal', 'agent-package-invalid', `package ${file}`, `${why}. Build it anew: npm run installer -- agent`).failure);

/** One entry of the archive into one file, hashed on the way and durable when this ends. */
const writeEntry = async (file: string, body: AsyncIterable<Buffer>, mode: number): Promise<{ sha256: string; bytes: number }> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  const handle = await open(file, 'wx', mode);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const piece of body) {
      hash.update(piece);
      for (let at = 0; at < piece.length;) at += (await handle.write(piece, at, piece.length - at)).bytesWritten;
      bytes += piece.length;
    }
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { sha256: hash.digest('hex'), bytes };
};

const readAll = async (body: AsyncIterable<Buffer>, max: number, file: string): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > max) throw invalid(file, 'its manifest is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
};

const readManifest = (text: string, file: string): AgentManifest => {
  try {
    return agentManifestSchema.parse(JSON.parse(text));
  } catch {
    throw invalid(file, 'its manifest.json cannot be read');
  }
};

/** Unpacks what the manifest names and nothing else. The manifest comes first, so that no byte is written that nobody vouches for. */
export const unpackAgent = async (packageFile: string, folder: string, arch: AgentArch): Promise<AgentManifest> => {
  const tar = extract();
  const source = createReadStream(packageFile);
  const plain = createZstdDecompress();
  for (const stream of [source, plain]) stream.on('error', (error) => tar.destroy(error));
  source.pipe(plain).pipe(tar);
  let manifest: AgentManifest | undefined;
  const written = new Set<string>();
  try {
    for await (const entry of tar) {
      const { name, type, size } = entry.header;
      if (type === 'directory') {
        entry.resume();
        continue;
      }
      if (type !== 'file') throw invalid(packageFile, `${name} is neither file nor folder`);
      if (manifest === undefined) {
        if (name !== 'manifest.json') throw invalid(packageFile, 'it does not begin with manifest.json');
        const text = await readAll(entry as AsyncIterable<Buffer>, manifestBytesMax, packageFile);
        manifest = readManifest(text.toString('utf8'), packageFile);
        if (manifest.arch !== arch) throw invalid(packageFile, `it is for ${manifest.arch}, and this machine is ${arch}`);
        await writeEntry(
          join(folder, 'manifest.json'),
          (async function* () {
            yield text;
          })(),
          0o644,
        );
        continue;
      }
      const known = manifest.files.find((item) => item.path === name);
      if (known === undefined || written.has(name) || size !== known.bytes || size > limits.agentFileBytes)
        throw invalid(packageFile, `${name} is not what its manifest says`);
      const made = await writeEntry(join(folder, name), entry as AsyncIterable<Buffer>, known.executable ? 0o755 : 0o644);
      if (made.sha256 !== known.sha256 || made.bytes !== known.bytes) throw invalid(packageFile, `${name} has other bytes than its manifest says`);
      written.add(name);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (error instanceof FailureError || /^E[A-Z]+$/.test(code)) throw error;
    throw invalid(packageFile, `it cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`);
  }
  const lost = manifest?.files.find((item) => !written.has(item.path));
  if (manifest === undefined || lost !== undefined) throw invalid(packageFile, lost === undefined ? 'it is empty' : `it lacks ${lost.path}`);
  for (const needed of ['bin/node', 'agent/agent.mjs']) if (!written.has(needed)) throw invalid(packageFile, `it lacks ${needed}`);
  return manifest;
};
