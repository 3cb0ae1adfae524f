import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runLocalCommand } from '@groundplane/agent/commands';
import type { Control } from '@groundplane/agent/local/control';
import { createGuard } from '@groundplane/agent/local/guard';
import { createNetworkTrials } from '@groundplane/agent/local/network';
import { networkFile, networkPath, parseNetworkForm, type NetworkSettings } from '@groundplane/agent/local/network-settings';
import { startLocalPage } from '@groundplane/agent/local/page';
import { createUploads } from '@groundplane/agent/media/upload';
import { createImporter, mountPoints } from '@groundplane/agent/media/job';
import { makeDeviceKey, verifySignature } from '@groundplane/agent/identity/key';
import { writes } from '@groundplane/agent/store/state';
import { hashPassword, isPassword, passwordCharsMax, passwordCharsMin, setPassword } from '@groundplane/agent/system/password';
import { createProxySettings, type ProxyStore } from '@groundplane/agent/local/proxy-settings';
import { parseGateway } from '@groundplane/agent/system/network';
import { ok } from '@groundplane/protocol/failure';
import { receiptText, signedReceiptSchema } from '@groundplane/protocol/media';
import { fakeAgentStore } from '../fake/agent-store.ts';
import { virtualClock } from '../fake/clock.ts';
import { fakeHost } from '../fake/host.ts';
import { seededRandom } from '../fake/random.ts';
import { createState } from '@groundplane/agent/store/state';
import { startRig, type Rig } from './rig.ts';

const password = 'four plain words here';
const hash = await hashPassword(password);

describe('the password', () => {
  test('is kept as a hash that only it fits, in a file of its owner', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gp-password-'));
    try {
      const file = join(folder, 'local-password');
      expect(await setPassword(file, password)).toEqual({ ok: true, value: undefined });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const text = readFileSync(file, 'utf8');
      expect(text).not.toContain(password);
      expect([await isPassword(password, text), await isPassword(`${password}!`, text), await isPassword('', text)]).toEqual([true, false, false]);
      for (const [length, fits] of [
        [passwordCharsMin - 1, false],
        [passwordCharsMin, true],
        [passwordCharsMax, true],
        [passwordCharsMax + 1, false],
      ] as const)
        expect([length, (await setPassword(file, 'x'.repeat(length))).ok]).toEqual([length, fits]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each(['', 'x', 'scrypt$1$1$1$$', 'scrypt$1048576$64$64$AAAA$AAAA', 'bcrypt$1$1$1$a$b', hash.replace('scrypt', 'script'), hash.slice(0, -2)])(
    'is fitted by no hash like %j',
    async (text) => expect(await isPassword(password, text)).toBe(false),
  );
});

describe('the local page with a password', () => {
  let rig: Rig;
  let page: Awaited<ReturnType<typeof startLocalPage>>;
  let folder: string;
  let proxy: ProxyStore;
  const clock = virtualClock();
  const token = 't'.repeat(43);
  const key = makeDeviceKey();
  const done: string[] = [];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gp-local-'));
    rig = startRig();
    rig.store.commit([writes.kv('host', { host: 'hos_00000000000000000000', tenant: 'ten_00000000000000000000', epoch: 'e' })]);
    const network = createNetworkTrials({
      host: rig.host,
      state: rig.engine.state,
      clock,
      reload: async () => ok(undefined),
      isReachable: async () => false,
      log: (text) => void done.push(text),
    });
    const importer = createImporter({
      media: { engine: rig.engine, blobs: rig.large, architecture: 'x64', ticket: { root: 'sha256:x', hub: 'hub' }, verify: verifySignature },
      receipt: { engine: rig.engine, store: rig.store, key, hub: 'hub', clock },
      mounts: () => Promise.resolve(`/dev/sdb1 ${folder.replace(tmpdir(), '/media')} vfat rw 0 0\n`),
    });
    proxy = createProxySettings(folder, { HTTPS_PROXY: 'http://of.the.environment:1' });
    const control: Control = {
      guard: createGuard({ clock, random: seededRandom('guard'), token, passwordHash: () => hash }),
      importer,
      uploads: createUploads({ folder: join(folder, 'upload'), importer, bounds: { bytesMax: 1_000_000, entriesMax: 20 } }),
      network,
      proxy,
      interfaces: () => [{ name: 'eth0', addresses: ['10.0.0.1/24'] }],
      logs: (unit) => Promise.resolve(`log of ${unit} <script>`),
    };
    page = await startLocalPage({ name: 'till-1', simulated: false, engine: rig.engine, session: () => ({ state: 'connecting' }), control }, 0);
  });
  afterEach(async () => {
    await page.close();
    await rig.close();
    rmSync(folder, { recursive: true, force: true });
    await clock.advance(3_600_000);
  });

  const base = (): string => `http://127.0.0.1:${page.port}`;
  const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${base()}${path}`, { method: 'POST', redirect: 'manual', body: new URLSearchParams(form), headers });
  const login = async (): Promise<{ cookie: string; csrf: string }> => {
    const answer = await post('/login', { password });
    const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const html = await (await fetch(`${base()}/media`, { headers: { cookie } })).text();
    return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? '' };
  };

  test('can be read by anybody; everything else sends to the login', async () => {
    expect((await fetch(`${base()}/`)).status).toBe(200);
    expect((await fetch(`${base()}/status.json`)).status).toBe(200);
    for (const path of ['/media', '/network', '/logs']) {
      const answer = await fetch(`${base()}${path}`, { redirect: 'manual' });
      expect([path, answer.status, answer.headers.get('location')]).toEqual([path, 303, '/login']);
    }
    for (const path of ['/media', '/network', '/network/confirm', '/receipt'])
      expect((await post(path, { path: folder })).headers.get('location')).toBe('/login');
    expect((await fetch(`${base()}/media`, { headers: { authorization: `Bearer ${'x'.repeat(43)}` } })).status).toBe(401);
  });

  test('takes a proxy to the hub, shows it without its password, and takes it off again', async () => {
    const { cookie, csrf } = await login();
    const { env } = proxy;
    expect(env()).toEqual({ HTTPS_PROXY: 'http://of.the.environment:1' });
    const wrong = await post('/network/proxy', { csrf, proxy: 'ftp://x' }, { cookie });
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining('proxy, url: must be like')]);
    expect((await post('/network/proxy', { csrf, proxy: 'http://me:secret@proxy.site:3128', except: '10.0.0.0/8, .site' }, { cookie })).status).toBe(303);
    expect(env()).toEqual({ HTTPS_PROXY: 'http://me:secret@proxy.site:3128', NO_PROXY: '10.0.0.0/8,.site' });
    expect(createProxySettings(folder).env(), 'also after a restart').toEqual(env());
    const html = await (await fetch(`${base()}/network`, { headers: { cookie } })).text();
    expect(html).toContain('http://me@proxy.site:3128/, but not for 10.0.0.0/8, .site');
    expect(html).not.toContain('secret');
    await post('/network/proxy', { csrf, proxy: '' }, { cookie });
    expect(env(), 'directly, whatever the environment says').toEqual({ HTTPS_PROXY: undefined, NO_PROXY: '' });
    expect((await post('/network/proxy', { proxy: '' }, { cookie })).status).toBe(403);
  });

  test('lets in who knows the password, by a cookie that no script and no other site gets', async () => {
    const answer = await post('/login', { password });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
    expect(answer.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Strict; Path=\//);
    const { cookie, csrf } = await login();
    const media = await (await fetch(`${base()}/media`, { headers: { cookie } })).text();
    expect(media).not.toContain('<script');
    const logs = await fetch(`${base()}/logs?unit=kubelet`, { headers: { cookie } });
    expect(await logs.text()).toContain('log of kubelet &#60;script&#62;');
    expect(logs.headers.get('content-security-policy')).toMatch(/default-src 'none'.*form-action 'self'/);
    for (const unit of ['k3s-agent', 'rke2-server', 'rke2-agent'])
      expect((await fetch(`${base()}/logs?unit=${unit}`, { headers: { cookie } })).status, unit).toBe(200);
    expect((await fetch(`${base()}/logs?unit=../../etc`, { headers: { cookie } })).status).toBe(404);
    await post('/logout', { csrf }, { cookie });
    expect((await fetch(`${base()}/media`, { headers: { cookie }, redirect: 'manual' })).status).toBe(303);
  });

  test('forgets who does nothing for half an hour', async () => {
    const { cookie } = await login();
    await clock.advance(29 * 60_000);
    expect((await fetch(`${base()}/media`, { headers: { cookie }, redirect: 'manual' })).status).toBe(200);
    await clock.advance(31 * 60_000);
    expect((await fetch(`${base()}/media`, { headers: { cookie }, redirect: 'manual' })).status).toBe(303);
  });

  test('slows down who guesses', async () => {
    for (let turn = 0; turn < 3; turn += 1) expect((await post('/login', { password: `wrong ${turn}` })).status).toBe(401);
    expect((await post('/login', { password })).status, 'also the right one waits').toBe(429);
    await clock.advance(8_000);
    expect((await post('/login', { password })).status).toBe(303);
  });

  test('does nothing for forms of other pages, and none for names that somebody made up', async () => {
    const { cookie, csrf } = await login();
    expect((await post('/receipt', { path: folder }, { cookie })).status).toBe(403);
    expect((await post('/receipt', { path: folder, csrf: `${csrf}x` }, { cookie })).status).toBe(403);
    expect((await post('/receipt', { path: folder, csrf }, { cookie, origin: 'http://evil.example' })).status).toBe(403);
    expect((await post('/login', { password }, { origin: 'http://evil.example' })).status).toBe(403);
    expect((await post('/receipt', { path: folder, csrf }, { cookie })).status).toBe(303);
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(page.port, '127.0.0.1', () => socket.end('GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n'));
    socket.on('data', (bytes) => resolve(bytes.toString()));
    expect(await promise).toContain(' 403 ');
    expect(
      (
        await fetch(`${base()}/login`, {
          method: 'POST',
          body: `password=${'x'.repeat(20_000)}`,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        })
      ).status,
    ).toBe(413);
  });

  const archive = async (files: Record<string, string>): Promise<Buffer> => {
    const made = pack();
    for (const [name, text] of Object.entries(files)) made.entry({ name }, text);
    made.finalize();
    return buffer(made);
  };
  const upload = (bytes: Uint8Array, { cookie, csrf }: { cookie: string; csrf: string }, order: 'token first' | 'file first' = 'token first') => {
    const form = new FormData();
    const file = (): void => form.append('medium', new Blob([new Uint8Array(bytes)]), 'medium.tar');
    if (order === 'file first') file();
    form.append('csrf', csrf);
    if (order === 'token first') file();
    return fetch(`${base()}/media/upload`, { method: 'POST', redirect: 'manual', body: form, headers: { cookie } });
  };

  test('takes a medium from the browser: only its own files, and what is wrong with it is told', async () => {
    const who = await login();
    const mediaPage = async () => (await fetch(`${base()}/media`, { headers: { cookie: who.cookie } })).text();
    expect(await mediaPage()).toContain('enctype="multipart/form-data"');
    const odd = { '../evil': 'x', '/etc/evil': 'x', 'blobs/sha256/../../evil': 'x', 'notes.txt': 'x', './index.json': '{"manifests":[]}' };
    expect((await upload(await archive(odd), who)).status).toBe(303);
    await expect.poll(mediaPage, { timeout: 20_000 }).toContain('has no list of contents of ours');
    expect(existsSync(join(folder, 'evil')) || existsSync(join(folder, 'upload', 'notes.txt')) || existsSync(join(folder, 'upload', 'evil'))).toBe(false);
    expect((await fetch(`${base()}/media/receipt`, { headers: { cookie: who.cookie } })).status, 'there is none').toBe(404);
    for (const [bytes, why] of [
      [Buffer.from('age-encryption.org/v1 and so on, which is no archive'.padEnd(2_048, 'x')), 'is no whole archive'],
      [(await archive({ 'index.json': 'x'.repeat(4_000) })).subarray(0, 1_500), 'is no whole archive'],
      [await archive({ 'index.json': 'x'.repeat(1_000_001) }), 'more than 1000000 bytes'],
      [await archive(Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`f${index}`, '']))), 'more than 20 files'],
      [Buffer.concat([(await archive({ 'index.json': 'x' })).subarray(0, 1_024), await archive({ 'index.json': 'y' })]), 'holds a file twice'],
    ] as const) {
      const answer = await upload(bytes, who);
      expect([why, answer.status]).toEqual([why, 400]);
      expect(await answer.text()).toContain(why);
      expect(existsSync(join(folder, 'upload')), 'nothing is left').toBe(false);
    }
  });

  test('takes no medium from other pages, before its token, or from nobody', async () => {
    const who = await login();
    const bytes = await archive({ 'index.json': '{}' });
    expect((await upload(bytes, { ...who, csrf: 'x'.repeat(43) })).status).toBe(403);
    expect((await upload(bytes, who, 'file first')).status).toBe(403);
    const stranger = await upload(bytes, { cookie: '', csrf: who.csrf });
    expect([stranger.status, stranger.headers.get('location')]).toEqual([303, '/login']);
    expect((await post('/media/upload', { csrf: who.csrf }, { cookie: who.cookie })).status, 'no form of a file').toBe(400);
    const empty = new FormData();
    empty.append('csrf', who.csrf);
    const none = await fetch(`${base()}/media/upload`, { method: 'POST', redirect: 'manual', body: empty, headers: { cookie: who.cookie } });
    expect([none.status, await none.text()]).toEqual([400, expect.stringContaining('holds no file')]);
    expect(existsSync(join(folder, 'upload'))).toBe(false);
  });

  test('an upload that is cut leaves nothing, and the next one is taken', { timeout: 30_000 }, async () => {
    const who = await login();
    const boundary = 'b'.repeat(20);
    const part = (head: string, text: string): string => `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${text}\r\n`;
    const whole = await archive({ 'index.json': 'x'.repeat(100_000) });
    const socket = connect(page.port, '127.0.0.1');
    const head = `POST /media/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: ${who.cookie}\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: 900000\r\n\r\n`;
    socket.write(head + part('name="csrf"', who.csrf) + `--${boundary}\r\nContent-Disposition: form-data; name="medium"; filename="m.tar"\r\n\r\n`);
    socket.write(whole.subarray(0, 50_000));
    const mediaPage = async () => (await fetch(`${base()}/media`, { headers: { cookie: who.cookie } })).text();
    await expect.poll(mediaPage, { timeout: 10_000 }).toContain('Receiving');
    expect((await upload(whole, who)).status, 'one at a time').toBe(409);
    socket.destroy();
    await expect.poll(mediaPage, { timeout: 10_000 }).toContain('the line broke');
    expect(existsSync(join(folder, 'upload'))).toBe(false);
    expect((await upload(await archive({ 'index.json': '{"manifests":[]}' }), who)).status).toBe(303);
    await expect.poll(mediaPage, { timeout: 20_000 }).toContain('has no list of contents of ours');
  });

  test('an import that fails says why; a receipt is signed and numbered', async () => {
    const { cookie, csrf } = await login();
    await post('/media', { path: folder, csrf }, { cookie });
    const mediaPage = async () => (await fetch(`${base()}/media`, { headers: { cookie } })).text();
    await expect.poll(mediaPage, { timeout: 20_000 }).toContain('no index.json');
    expect((await post('/media', { path: 'relative', csrf }, { cookie })).status).toBe(400);
    const data = join(folder, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'local.token'), token);
    const written: string[] = [];
    const options = { data, localPort: page.port, stdin: () => Promise.resolve('a very long password\n'), write: (text: string) => void written.push(text) };
    for (const seq of [1, 2]) {
      expect(await runLocalCommand(['media', 'receipt', folder], options)).toBe(0);
      const signed = signedReceiptSchema.parse(JSON.parse(readFileSync(join(folder, 'receipts', `hos_00000000000000000000-${seq}.json`), 'utf8')));
      expect(signed.receipt.seq).toBe(seq);
      expect(verifySignature(key.publicKey, receiptText(signed.receipt), signed.signature)).toBe(true);
    }
    expect(await runLocalCommand(['media', 'import', folder], options)).toBe(1);
    expect(written.at(-1)).toContain('media-invalid');
    expect(await runLocalCommand(['local-password'], options)).toBe(0);
    expect(await isPassword('a very long password', readFileSync(join(data, 'local-password'), 'utf8'))).toBe(true);
    writeFileSync(join(data, 'local.token'), 'old');
    expect(await runLocalCommand(['media', 'receipt', folder], options)).toBe(1);
    expect(await runLocalCommand(['nonsense'], options)).toBeUndefined();
  });
});

describe('network settings', () => {
  const settings: NetworkSettings = { mode: 'static', interface: 'eth0', address: '10.0.0.2/24', gateway: '10.0.0.1', dns: ['10.0.0.1'] };
  const before = '[Match]\nName=eth0\n';
  const setUp = (options: { reachable?: () => boolean; store?: ReturnType<typeof fakeAgentStore> } = {}) => {
    const clock = virtualClock();
    const store = options.store ?? fakeAgentStore();
    const host = fakeHost();
    host.state.files[networkPath('eth0')] = { path: networkPath('eth0'), content: before, mode: '0644', owner: 'root', group: 'root' };
    const reloads: string[] = [];
    const trials = createNetworkTrials({
      host,
      state: createState(store),
      clock,
      reload: (name) => {
        reloads.push(name);
        return Promise.resolve(ok(undefined));
      },
      isReachable: () => Promise.resolve(options.reachable?.() ?? false),
      log: () => undefined,
    });
    return { clock, store, host, trials, reloads, now: () => host.state.files[networkPath('eth0')]?.content };
  };

  test('are taken back when nobody answers, and stay when somebody does or a person says so', async () => {
    const lost = setUp();
    expect((await lost.trials.apply(settings)).ok).toBe(true);
    expect(lost.now()).toBe(networkFile(settings));
    expect(await lost.trials.apply(settings)).toMatchObject({ ok: false, failure: { code: 'network-busy' } });
    await lost.clock.advance(115_000);
    expect(lost.now()).toBe(networkFile(settings));
    await lost.clock.advance(10_000);
    expect([lost.now(), lost.reloads.length]).toEqual([before, 2]);
    expect(lost.trials.status()).toMatchObject({ trying: undefined, last: expect.stringContaining('the settings before are back') as string });

    const found = setUp({ reachable: () => true });
    await found.trials.apply(settings);
    await found.clock.advance(300_000);
    expect(found.now()).toBe(networkFile(settings));

    const told = setUp();
    await told.trials.apply(settings);
    await told.clock.advance(1_000);
    told.trials.confirm();
    await told.clock.advance(300_000);
    expect(told.now()).toBe(networkFile(settings));
  });

  test('that a power cut left unproven are taken back at the next start', async () => {
    const first = setUp();
    await first.trials.apply(settings);
    const second = setUp({ store: first.store.reopen() });
    second.host.state.files = first.host.state.files;
    await second.trials.recover();
    expect(second.now()).toBe(before);
    await second.trials.recover();
    expect(second.reloads.length).toBe(1);
  });

  test('are read from the form, and what is none is refused', () => {
    const form = (fields: Record<string, string>) => parseNetworkForm(new URLSearchParams(fields));
    expect(form({ mode: 'static', interface: 'eth0', address: '10.0.0.2/24', gateway: '10.0.0.1', dns: '10.0.0.1' })).toEqual({ ok: true, value: settings });
    expect(form({ mode: 'dhcp', interface: 'eth0', address: 'whatever', dns: '' })).toEqual({ ok: true, value: { mode: 'dhcp', interface: 'eth0', dns: [] } });
    for (const wrong of [
      { mode: 'static', interface: 'eth0', address: '10.0.0.2' },
      { mode: 'static', interface: 'eth0\n[Network]', address: '10.0.0.2/24' },
      { mode: 'static', interface: '../x', address: '10.0.0.2/24' },
      { mode: 'static', interface: 'eth0', address: '10.0.0.2/24', gateway: 'router' },
      { mode: 'dhcp', interface: 'eth0', dns: '1.1.1.1 2.2.2.2 3.3.3.3 4.4.4.4 5.5.5.5' },
      { mode: 'dhcp', interface: 'a'.repeat(16) },
    ])
      expect(form(wrong).ok, JSON.stringify(wrong)).toBe(false);
  });

  test('mount points and the gateway are read as the kernel writes them', () => {
    expect(mountPoints('/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /media/my\\040stick vfat rw 0 0\n/dev/sdc1 /mnt ext4 rw 0 0\n\n')).toEqual([
      '/media/my stick',
      '/mnt',
    ]);
    expect(parseGateway('Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0100000A\t0003\n')).toBe('10.0.0.1');
    expect(parseGateway('Iface\tDestination\tGateway\tFlags\neth0\t0000000A\t00000000\t0001\n')).toBeUndefined();
  });
});
