import { createHash } from 'node:crypto';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { ticketLine } from '@groundplane/hub/gateway/ticket-line';
import { makeHubKeys } from '@groundplane/hub/trust/keys';
import { startScript } from '@groundplane/hub/inside/start-script';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';

const cannotUnshare = spawnSync('unshare', ['--pid', '--fork', 'true']).status !== 0;

/** The program that a pod starts from, as Node runs it: with packages that are right, wrong and hostile. */
let folder: string;
let server: Server;
const served = new Map<string, Buffer>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gp-start-'));
  mkdirSync(join(folder, 'home'));
  writeFileSync(join(folder, 'start.mjs'), startScript);
  writeFileSync(join(folder, 'ticket'), `gpt1.${Buffer.from(JSON.stringify({ hubs: [] })).toString('base64url')}\n`);
  served.clear();
  server = createServer((request, response) => {
    const found = served.get(request.url ?? '');
    if (found === undefined) response.writeHead(404).end();
    else response.end(found);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
afterEach(async () => {
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true, force: true });
});

/** Node itself in a package is what `bin/node` runs: a script, so that it says what it was given. */
const makePackage = async (
  says: string,
  extra: { name: string; type?: 'symlink'; linkname?: string }[] = [],
  first = '[ "$1" != --version ] || exit 0',
): Promise<Buffer> => {
  const tar = pack();
  tar.entry({ name: 'bin', type: 'directory' });
  tar.entry({ name: 'bin/node', mode: 0o755 }, `#!/bin/sh\n${first}\necho "${says} $GROUNDPLANE_RUNNING $(basename "$1")"\n`);
  tar.entry({ name: 'agent/inside.mjs', mode: 0o644 }, '');
  for (const item of extra) tar.entry({ ...item, mode: 0o644 }, item.type === undefined ? 'x' : '');
  tar.finalize();
  return zstdCompressSync(await buffer(tar));
};
const serve = (bytes: Buffer, under?: string): string => {
  const digest = under ?? `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  served.set(`/p/${digest}`, bytes);
  return digest;
};
const text = (digest: string): string => JSON.stringify({ version: '1.0.0', [process.arch]: digest });
const environmentOf = (wanted: string, before?: string): Record<string, string | undefined> => ({
  PATH: process.env['PATH'],
  GROUNDPLANE_HOME: join(folder, 'home'),
  GROUNDPLANE_TICKET: join(folder, 'ticket'),
  GROUNDPLANE_PACKAGES: `${'key' in server ? 'https://localhost' : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}/p`,
  GROUNDPLANE_PACKAGE: wanted,
  ...(before === undefined ? {} : { GROUNDPLANE_PACKAGE_BEFORE: before }),
});
const run = async (wanted: string, before?: string, last?: string): Promise<{ code: number | null; out: string }> => {
  const child = spawn(process.execPath, [join(folder, 'start.mjs')], { stdio: ['ignore', 'pipe', 'pipe'], env: environmentOf(wanted, before) });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      out += piece;
      // It would go on for ever.
      if (last !== undefined && out.includes(last)) child.kill();
    });
  const code = await new Promise<number | null>((done) => child.on('close', done));
  return { code, out };
};

test('it becomes the agent of the package, and fetches it once', async () => {
  const digest = serve(await makePackage('agent'));
  expect(await run(text(digest))).toEqual({ code: 0, out: `agent ${digest} inside.mjs\n` });
  served.clear();
  expect((await run(text(digest))).out).toBe(`agent ${digest} inside.mjs\n`);
});

test('a hub of a private authority is believed by what the ticket says, and nobody else', async () => {
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const names = ['-subj', '/CN=hub', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' }); // prettier-ignore
  await new Promise((done) => server.close(done));
  server = createSecure({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => void response.end(served.get(request.url ?? '')));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const digest = serve(await makePackage('agent'));
  expect((await run(text(digest), undefined, 'trying again')).out).toContain('self-signed');
  writeFileSync(join(folder, 'ticket'), ticketLine({ links: [], content: '', ca: readFileSync(cert, 'utf8') }, makeHubKeys('hub'), { id: 't', secret: 's' }));
  expect((await run(text(digest))).out).toContain(`agent ${digest}`);
});

test('other bytes than the digest says are never unpacked', async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  serve(await makePackage('evil'), digest);
  const { out } = await run(text(digest), undefined, 'another digest');
  expect(out).toContain('it has another digest');
  expect(out).not.toContain('evil');
  expect(existsSync(join(folder, 'home', 'versions', 'a'.repeat(64)))).toBe(false);
});

test.each([
  ['a way out of its folder', { name: '../../outside' }],
  ['a link', { name: 'bin/link', type: 'symlink' as const, linkname: '/etc/passwd' }],
])('a package with %s is refused', async (_what, extra) => {
  const digest = serve(await makePackage('evil', [extra]));
  const { code, out } = await run(text(digest));
  expect([code, out]).toEqual([1, expect.stringContaining('the package has an entry')]);
  expect(existsSync(join(folder, 'outside'))).toBe(false);
});

test('three starts that did not become healthy lead back to the package before; one that did is kept', async () => {
  const [next, before] = [serve(await makePackage('next')), serve(await makePackage('before'))];
  const said = async (): Promise<string> => (await run(text(next), text(before))).out.split(' ')[0] ?? '';
  expect([await said(), await said(), await said(), await said(), await said()]).toEqual(['next', 'next', 'next', 'before', 'before']);
  writeFileSync(join(folder, 'home', 'marks', `healthy-${next.slice('sha256:'.length)}`), '');
  expect([await said(), await said()]).toEqual(['next', 'next']);
  // Without one to go back to, it goes on trying.
  rmSync(join(folder, 'home'), { recursive: true });
  mkdirSync(join(folder, 'home'));
  for (let start = 0; start < 5; start += 1) expect((await run(text(next))).out).toContain('next');
});

test('a package that was damaged on its volume is fetched anew after three bad starts', async () => {
  const digest = serve(await makePackage('agent'));
  await run(text(digest));
  writeFileSync(join(folder, 'home', 'versions', digest.slice('sha256:'.length), 'bin', 'node'), '#!/nowhere\n');
  const said: boolean[] = [];
  for (let start = 0; start < 3; start += 1) said.push((await run(text(digest))).out.startsWith(`agent ${digest}`));
  expect(said).toEqual([false, false, true]);
});

test('a Node that the image has no libraries for says so, and what to do, before anything becomes it', async () => {
  const digest = serve(await makePackage('never', [], 'echo "error while loading shared libraries: libatomic.so.1" >&2; exit 127'));
  const { code, out } = await run(text(digest));
  expect([code, out]).toEqual([1, expect.stringMatching(/does not run in this image: error while .*libatomic\.so\.1\. If .*--image/)]);
  expect(out).not.toContain('never');
});

// Nobody ends the first process of a process namespace by a signal that it has no handler for.
test.skipIf(cannotUnshare)(
  `as the first process of a container it leaves when it is told to, also while it waits for the hub${cannotUnshare ? ' (skipped: no process namespaces here)' : ''}`,
  async () => {
    const child = spawn('unshare', ['--pid', '--fork', process.execPath, join(folder, 'start.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environmentOf(text(`sha256:${'a'.repeat(64)}`)),
    });
    let out = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (out += piece));
    await expect.poll(() => out, { timeout: 20_000 }).toContain('trying again');
    // Of those that unshare has made there is one.
    const first = Number(readFileSync(`/proc/${child.pid ?? 0}/task/${child.pid ?? 0}/children`, 'utf8').trim());
    process.kill(first, 'SIGTERM');
    try {
      expect(await Promise.race([new Promise<number | null>((done) => child.on('close', done)), delay(5_000).then(() => 'still there')])).toBe(143);
    } finally {
      child.kill('SIGKILL');
      if (existsSync(`/proc/${first}`)) process.kill(first, 'SIGKILL');
    }
  },
);

test('a node of another architecture says so', async () => {
  const { code, out } = await run(JSON.stringify({ version: '1.0.0', other: `sha256:${'a'.repeat(64)}` }));
  expect([code, out]).toEqual([1, expect.stringContaining(`there is no agent for ${process.arch}`)]);
});

test('it uses nothing but Node', () => {
  const imports = [...readFileSync(join(folder, 'start.mjs'), 'utf8').matchAll(/from '([^']+)'/g)].map((found) => found[1] ?? '');
  expect(imports.filter((name) => !name.startsWith('node:'))).toEqual([]);
});
