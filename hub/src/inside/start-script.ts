/**
 * What the pod's image runs: fetches the package of its architecture, checks the digest that the manifest gave, unpacks it and becomes the agent. It uses nothing
 * but Node (22.15 or newer, for zstd), so that any image with Node will do. A package that did not become healthy in three starts is left for the one before, if
 * there is one: the same rule as `launch.sh` has on hosts.
 */
export const startScript = String.raw`// Fetches the agent, checks its digest, and becomes it. Written by the hub; see docs/providers.md.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { get as plainGet } from 'node:http';
import { get as secureGet } from 'node:https';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createZstdDecompress } from 'node:zlib';

const { env } = process;
const home = env.GROUNDPLANE_HOME;
const marks = join(home, 'marks');
const arch = process.arch;
const say = (text) => process.stderr.write('groundplane: ' + text + '\n');
const hex = (digest) => digest.replace('sha256:', '');
const bytesMax = 256 * 1024 * 1024;

/** The package to start, and whether this is a return. Starts are counted in the volume, which outlives the container. */
const choose = () => {
  const wanted = JSON.parse(env.GROUNDPLANE_PACKAGE)[arch];
  const before = env.GROUNDPLANE_PACKAGE_BEFORE === undefined ? undefined : JSON.parse(env.GROUNDPLANE_PACKAGE_BEFORE)[arch];
  if (wanted === undefined) throw new Error('there is no agent for ' + arch + ' here. Upload one: gp agent upload FILE --inside');
  if (!/^sha256:[0-9a-f]{64}$/.test(wanted)) throw new Error('GROUNDPLANE_PACKAGE names no digest');
  fs.mkdirSync(marks, { recursive: true });
  const count = join(marks, 'starts-' + hex(wanted));
  const starts = fs.existsSync(count) ? Number(fs.readFileSync(count, 'utf8')) : 0;
  if (fs.existsSync(join(marks, 'healthy-' + hex(wanted)))) return wanted;
  if (before !== undefined && before !== wanted && starts >= 3) return before;
  // What was unpacked may be damaged, on a volume that outlives the node: it is fetched anew.
  if (starts > 0 && starts % 3 === 0) fs.rmSync(join(home, 'versions', hex(wanted)), { recursive: true, force: true });
  fs.writeFileSync(count, String(starts + 1));
  return wanted;
};

const caOf = () => {
  const [, body = ''] = fs.readFileSync(env.GROUNDPLANE_TICKET, 'utf8').trim().split('.');
  return JSON.parse(Buffer.from(body, 'base64url').toString('utf8')).caPem;
};

const answer = (url, ca) =>
  new Promise((done, failed) => {
    const get = url.startsWith('https:') ? secureGet : plainGet;
    const request = get(url, { timeout: 60_000, ...(ca === undefined ? {} : { ca }) }, done);
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', failed);
  });

const download = async (digest, file) => {
  const response = await answer(env.GROUNDPLANE_PACKAGES + '/' + digest, caOf());
  if (response.statusCode !== 200) {
    response.resume();
    throw new Error('the hub answered ' + response.statusCode);
  }
  const hash = createHash('sha256');
  let bytes = 0;
  const check = async function* (source) {
    for await (const piece of source) {
      bytes += piece.length;
      if (bytes > bytesMax) throw new Error('what came is larger than any agent');
      hash.update(piece);
      yield piece;
    }
  };
  await pipeline(response, check, fs.createWriteStream(file));
  if ('sha256:' + hash.digest('hex') !== digest) throw new Error('what came is not the agent: it has another digest');
};

/** A tar of plain files and folders (POSIX ustar), which is all that a package has. */
const untar = (file, folder) => {
  const handle = fs.openSync(file, 'r');
  const header = Buffer.alloc(512);
  const text = (from, to) => header.toString('utf8', from, to).replace(/\0.*$/s, '');
  for (let at = 0; fs.readSync(handle, header, 0, 512, at) === 512 && header[0] !== 0;) {
    const name = (text(345, 500) === '' ? '' : text(345, 500) + '/') + text(0, 100).replace(/\/$/, '');
    const size = Number.parseInt(text(124, 136).trim(), 8);
    const type = text(156, 157);
    at += 512;
    if (!/^[0-9A-Za-z._-]+(\/[0-9A-Za-z._-]+)*$/.test(name) || name.split('/').includes('..')) throw new Error('the package has an entry ' + name);
    const path = join(folder, name);
    if (type === '5') fs.mkdirSync(path, { recursive: true });
    else if (type === '0' || type === '') {
      fs.mkdirSync(dirname(path), { recursive: true });
      const out = fs.openSync(path, 'w', Number.parseInt(text(100, 108).trim(), 8) & 0o755);
      const piece = Buffer.alloc(1024 * 1024);
      for (let done = 0; done < size;) {
        const got = fs.readSync(handle, piece, 0, Math.min(piece.length, size - done), at + done);
        if (got === 0) throw new Error('the package is cut off');
        fs.writeSync(out, piece, 0, got);
        done += got;
      }
      // The folder gets its name after that, and whatever has the name is used.
      fs.fsyncSync(out);
      fs.closeSync(out);
    } else throw new Error('the package has an entry of type ' + type);
    at += Math.ceil(size / 512) * 512;
  }
  fs.closeSync(handle);
};

const unpacked = async (digest) => {
  const versions = join(home, 'versions');
  const folder = join(versions, hex(digest));
  if (fs.existsSync(folder)) return folder;
  fs.rmSync(versions, { recursive: true, force: true });
  const fresh = join(versions, 'new');
  fs.mkdirSync(fresh, { recursive: true });
  const [packed, plain] = [join(versions, 'package.zst'), join(versions, 'package.tar')];
  for (let pauseMs = 1_000; ; pauseMs = Math.min(pauseMs * 2, 60_000)) {
    try {
      await download(digest, packed);
      break;
    } catch (error) {
      say('the package could not be fetched: ' + error.message + '; trying again in ' + pauseMs / 1_000 + ' s');
      await delay(pauseMs);
    }
  }
  await pipeline(fs.createReadStream(packed), createZstdDecompress(), fs.createWriteStream(plain));
  untar(plain, fresh);
  for (const file of [packed, plain]) fs.rmSync(file);
  fs.renameSync(fresh, folder);
  return folder;
};

// The first process of a container is not ended by a signal that it does not ask for, and would be waited for.
const leave = () => process.exit(143);
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, leave);

try {
  const digest = choose();
  const folder = await unpacked(digest);
  const node = join(folder, 'bin', 'node');
  // After execve only the loader could say why it does not start.
  const tried = spawnSync(node, ['--version'], { encoding: 'utf8', timeout: 60_000 });
  if (tried.status !== 0) {
    const why = (tried.error?.message ?? tried.stderr).trim();
    throw new Error('the Node of the package does not run in this image: ' + why + '. If a library is missing, take an image that has libstdc++ and libatomic: gp cloud import NAME --image docker.io/library/node:26-slim');
  }
  const args = [join(folder, 'agent', 'inside.mjs')];
  const more = { ...env, GROUNDPLANE_RUNNING: digest };
  if (typeof process.execve === 'function') process.execve(node, [node, ...args], more);
  const child = spawn(node, args, { stdio: 'inherit', env: more });
  for (const signal of ['SIGTERM', 'SIGINT']) process.off(signal, leave).on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
`;
