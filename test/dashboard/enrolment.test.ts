import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { approvalAddress } from '@groundplane/agent/local/approval';
import { webSocketLink } from '@groundplane/agent/link/websocket';
import { buildDashboard } from '@groundplane/hub/dashboard/build';
import { startHub, type Hub } from '@groundplane/hub/main';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import { limits } from '@groundplane/protocol/limits';
import type { Hello, HubMessage } from '@groundplane/protocol/messages';
import { makeDevice, makeHello, until, value, type Device } from '../hub/world.ts';
import { isBrowserRequired, logIn, openBrowser, openPage, whyNoBrowser, type Watched } from './browser.ts';
import { addDoubts } from './fixture-data.ts';
import { startFixture, type FixtureServer } from './fixture-server.ts';

const reason = isBrowserRequired() ? undefined : whyNoBrowser();
const skipped = reason === undefined ? '' : `, skipped: ${reason}`;

/** A small phone in one hand. */
const phone = { width: 360, height: 640 };

const overflow = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

describe.skipIf(reason !== undefined)(`enrolment in Chromium${skipped}`, () => {
  let dir: string;
  let browser: Browser;
  const open: { server: FixtureServer; watched: Watched }[] = [];
  const visit = async (viewport?: { width: number; height: number }): Promise<Watched & { server: FixtureServer }> => {
    const server = await startFixture({ hosts: 24, assetsDir: join(dir, 'out') });
    addDoubts(server.fixture.world, Date.now());
    const watched = await openPage(browser, server.url, 'light', viewport);
    open.push({ server, watched });
    await logIn(watched.page, server.credentials);
    return { ...watched, server };
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gp-enrol-'));
    await buildDashboard(join(dir, 'out'), { compression: 'fast' });
    browser = await openBrowser();
  }, 120_000);
  afterEach(async () => {
    for (const { server, watched } of open.splice(0)) {
      await watched.context.close();
      await server.close();
    }
  });
  afterAll(async () => {
    await browser.close();
    await rm(dir, { recursive: true, force: true });
  });

  test('ten thousand serial numbers are pasted, counted and sent', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit();
    await page.goto('/p/retail/lobby?tab=tickets');
    await page.getByText('12 of 40 listed still to come').waitFor();
    await page.getByRole('button', { name: 'Create ticket' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create ticket' });
    await dialog.getByLabel('Name', { exact: true }).fill('big');
    await dialog.getByText('Only listed devices').click();
    const lines = Array.from({ length: limits.ticketSerials }, (_, index) => `SN-${index},till-${index}`);
    const field = dialog.getByLabel(/^Serial numbers/);
    const paste = async (text: string): Promise<void> => {
      await page.evaluate((copied) => navigator.clipboard.writeText(copied), text);
      await field.press('Control+a');
      await field.press('Control+v');
    };
    await paste(`${lines.join('\n')}\nSN-5`);
    await dialog.getByText('Line 10001').waitFor();
    expect(await dialog.getByRole('button', { name: 'Create ticket' }).getAttribute('title')).toContain('a wrong line');
    await paste(lines.join('\n'));
    await dialog.getByText(`${limits.ticketSerials} devices, ${limits.ticketSerials} with a name`).waitFor();
    expect(await dialog.getByLabel('Hosts that may use it').inputValue()).toBe(String(limits.ticketSerials));
    await dialog.getByRole('button', { name: 'Create ticket' }).click();
    await dialog.getByLabel('Ticket', { exact: true }).waitFor();
    expect(server.fixture.world.tickets.get('big')).toMatchObject({ serials: limits.ticketSerials, usesLeft: limits.ticketSerials });
    expect(complaints).toEqual([]);
  });

  test('a file is read like pasted text, and one that is too long is refused before it is read', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await page.goto('/p/retail/lobby?tab=tickets');
    await page.getByRole('button', { name: 'Create ticket' }).click();
    const dialog = page.getByRole('dialog', { name: 'Create ticket' });
    await dialog.getByLabel('Name', { exact: true }).fill('filed');
    await dialog.getByText('Only listed devices').click();
    const file = dialog.getByLabel('Or a file of them');
    await file.setInputFiles({ name: 'long.csv', mimeType: 'text/csv', buffer: Buffer.alloc(limits.serialListBytes + 1, 'x') });
    await dialog.getByRole('alert').getByText('no list is that long').waitFor();
    await file.setInputFiles({ name: 'batch.csv', mimeType: 'text/csv', buffer: Buffer.from('serial,name\r\nSN-1,till-1\r\nSN-2\r\n') });
    await dialog.getByText('2 devices, 1 with a name').waitFor();
    expect(await dialog.getByRole('alert').count()).toBe(0);
    await dialog.getByLabel('Hosts that may use it').fill('1');
    await dialog.getByText('It is for 1 of them').waitFor();
    await dialog.getByRole('button', { name: 'Create ticket' }).click();
    await dialog.getByLabel('Ticket', { exact: true }).waitFor();
    expect(server.fixture.world.tickets.get('filed')).toMatchObject({ serials: 2, usesLeft: 1 });
  });

  test('in a bulk, a replacement waits for a choice, and a suspected copy is told', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await page.goto('/p/retail/lobby');
    await page.getByRole('listitem').filter({ hasText: 'copied' }).getByText('remove /var/lib/groundplane').waitFor();
    await page.getByRole('listitem').filter({ hasText: 'fresh-board' }).getByText('replacement').waitFor();
    await page.getByText(/Choose all/).click();
    await page.getByRole('button', { name: 'Approve chosen' }).click();
    const dialog = page.getByRole('dialog', { name: 'Approve 5 hosts' });
    await dialog.getByText('Put back from approved').waitFor();
    const approve = dialog.getByRole('button', { name: 'The words match: approve' });
    expect(await dialog.getByRole('radio', { checked: true }).count()).toBe(0);
    await expect.poll(() => approve.getAttribute('title')).toContain('Choose for fresh-board');
    await approve.click({ force: true });
    expect(server.fixture.world.hosts.get('new-1')?.state).toBe('lobby');
    await dialog.getByRole('radio', { name: /^Be a new host/ }).check();
    await approve.click();
    await dialog.waitFor({ state: 'detached' });
    expect([...server.fixture.world.hosts.values()].filter((host) => host.state === 'lobby')).toEqual([]);
    expect(server.fixture.world.hosts.get('till-0001')?.words).toBe('crane orbit velvet lemon');
  });

  test('a technician approves by phone: three taps, nothing beside the screen', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit(phone);
    await page.goto('/p/retail/approve/fresh-board');
    await page.getByRole('group', { name: 'Four words: violin harbor sudden moss' }).waitFor();
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    const approve = page.getByRole('button', { name: 'The words match: approve' });
    expect((await approve.boundingBox())?.height).toBeGreaterThanOrEqual(48);
    expect(await approve.getAttribute('title')).toContain('Choose for fresh-board');
    await page.getByRole('button', { name: 'They differ' }).click();
    await page.getByRole('alert').getByText('Do not let it in.').waitFor();
    await page.getByRole('button', { name: 'Compare again' }).click();
    await page.getByRole('radio', { name: /^Take the place of/ }).check();
    await approve.click();
    await page.getByRole('status').getByText('till-0001').waitFor();
    expect(server.fixture.world.hosts.get('till-0001')?.words).toBe('violin harbor sudden moss');
    expect(server.fixture.world.hosts.has('fresh-board')).toBe(false);
    await page.goto('/p/retail/lobby');
    await page.getByText('tiger maple anchor quiet').waitFor();
    await page.getByRole('button', { name: 'Approve', exact: true }).first().click();
    await page.getByRole('dialog').waitFor();
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    expect(complaints).toEqual([]);
  });
});

describe.skipIf(reason !== undefined)(`enrolment with a real hub${skipped}`, () => {
  let folder: string;
  let hub: Hub;
  let browser: Browser;
  let page: Page;
  let client: Client;
  const hangUps: (() => void)[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gp-enrol-hub-'));
    hub = await startHub({
      data: folder,
      host: '127.0.0.1',
      port: 0,
      mqttPort: undefined,
      publicUrl: undefined,
      publicMqttUrl: undefined,
      egressAllow: [],
      log: () => undefined,
    });
    const { key } = value(await hub.auth.makeApiKey(hub.tenant, 'journey', [{ role: 'TenantAdmin' }], undefined));
    client = createClient({ baseUrl: hub.url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
    browser = await openBrowser();
    ({ page } = await openPage(browser, hub.url, 'light', { width: 1280, height: 860 }));
    await until(async () => (await fetch(hub.url)).status === 200, 'the page is built', 60_000);
    await page.goto((await hub.setupLink()) ?? '/');
    await page.getByLabel('Password', { exact: true }).fill('four quiet words here');
    await page.getByLabel('Password again').fill('four quiet words here');
    await page.getByRole('button', { name: 'Make the administrator' }).click();
    await page.waitForURL('**/p/default/fleet');
  }, 120_000);
  afterAll(async () => {
    for (const hangUp of hangUps) hangUp();
    await browser.close();
    await hub.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A device on the wire: says hello, and answers what it heard. */
  const greet = (device: Device, change: Partial<Hello>): { heard: HubMessage[]; isClosed: () => boolean } => {
    const heard: HubMessage[] = [];
    let closed = false;
    const connection = webSocketLink(device.ticket?.hubs[0] ?? '', {}).connect({
      onOpen: () => undefined,
      onFrame: (text) => {
        const message = JSON.parse(text) as HubMessage;
        heard.push(message);
        if (message.t === 'challenge') connection.send(JSON.stringify(makeHello(device, message, change)));
      },
      onClose: () => (closed = true),
    });
    hangUps.push(() => connection.close());
    return { heard, isClosed: () => closed };
  };
  const hears = (line: { heard: HubMessage[] }, t: HubMessage['t']) => until(() => line.heard.some((message) => message.t === t), `the hub says ${t}`);
  const hostsOf = async () => value(await client.call('listHosts', { params: { project: 'default' } })).items.map((host) => [host.name, host.state]);
  const hostsWith = async (key: string) =>
    value(await client.call('listHosts', { params: { project: 'default' }, query: { key } })).items.map((host) => host.name);
  const hostOf = async (name: string) => value(await client.call('getHost', { params: { project: 'default', name } }));

  let ticket = '';
  test(
    'a list of devices becomes a ticket, and a replaced board takes its place: the old one is gone, the new one has its name',
    { timeout: 120_000 },
    async () => {
      await page.goto('/p/default/lobby?tab=tickets');
      await page.getByRole('button', { name: 'Create ticket' }).click();
      const dialog = page.getByRole('dialog', { name: 'Create ticket' });
      await dialog.getByLabel('Name', { exact: true }).fill('batch-7');
      await dialog.getByText('Only listed devices').click();
      await dialog.getByLabel(/^Serial numbers/).fill('SN-1,till-1\nSN-2,till-2\nSN-3');
      await dialog.getByLabel('Hosts that may use it').fill('9');
      await dialog.getByLabel('Labels for its hosts').fill('ring=canary');
      await dialog.getByText(/^Let its hosts in/).click();
      await dialog.getByRole('button', { name: 'Create ticket' }).click();
      ticket = (await dialog.getByLabel('Ticket', { exact: true }).textContent()) ?? '';
      await dialog.getByRole('button', { name: 'I have it' }).click();

      const old = makeDevice(ticket);
      const oldLine = greet(old, { serial: 'SN-1' });
      await hears(oldLine, 'welcome');
      const before = await hostOf('till-1');
      const fresh = makeDevice(ticket);
      await hears(greet(fresh, { serial: 'SN-1' }), 'lobby');
      const waiting = (await hostsOf()).find(([, state]) => state === 'lobby')?.[0] ?? '';

      await page.getByText('2 of 3 listed still to come').waitFor();
      await page.goto('/p/default/lobby');
      const row = page.getByRole('listitem').filter({ hasText: waiting });
      await row.getByText('replacement', { exact: true }).waitFor();
      await row.getByRole('button', { name: 'Approve' }).click();
      const ask = page.getByRole('dialog', { name: 'Approve host' });
      await ask.getByText((await hostOf(waiting)).words).waitFor();
      await ask.getByRole('radio', { name: /^Take the place of till-1/ }).check();
      await ask.getByRole('button', { name: 'The words match: approve' }).click();
      await ask.waitFor({ state: 'detached' });

      await page.getByText('Nobody waits').waitFor();
      expect(await hostsOf()).toEqual([['till-1', 'approved']]);
      expect(await hostOf('till-1')).toMatchObject({ id: before.id, key: fresh.key.publicKey, labels: { ring: 'canary' } });
      await until(() => oldLine.isClosed(), 'the old device is sent away');
      const again = greet(fresh, { serial: 'SN-1' });
      await hears(again, 'welcome');
      // The old key is a stranger now.
      await hears(greet(old, { serial: 'SN-1' }), 'lobby');
    },
  );

  test('the address that a device shows as a QR code leads to its page, by way of the login', { timeout: 60_000 }, async () => {
    const device = makeDevice(ticket);
    // The second device with this serial number has to wait; the first one's place is one that it can take.
    await hears(greet(device, { serial: 'SN-1' }), 'lobby');
    const { words } = await hostOf((await hostsWith(device.key.publicKey))[0] ?? '');
    const address = new URL(approvalAddress('https://hub.example', device.key.publicKey) ?? '');
    const { page: other, context } = await openPage(browser, hub.url, 'light', phone);
    await other.goto(address.pathname + address.search);
    await other.getByLabel('Name').fill('admin');
    await other.getByLabel('Password').fill('four quiet words here');
    await other.getByRole('button', { name: 'Log in' }).click();
    await other.getByRole('group', { name: `Four words: ${words}` }).waitFor();
    expect(new URL(other.url()).pathname).toMatch(/^\/p\/default\/approve\//);
    await other.goto('/approve?key=ed25519:unknown');
    await other.getByText('No device with this key').waitFor();
    await context.close();
  });

  test('two machines with one key are told in the lobby, and let in by phone', { timeout: 120_000 }, async () => {
    const device = makeDevice(ticket);
    await hears(greet(device, { serial: 'SN-2', bootId: 'boot-a' }), 'welcome');
    await hears(greet(device, { serial: 'SN-2', bootId: 'boot-b' }), 'welcome');
    await hears(greet(device, { serial: 'SN-2', bootId: 'boot-a' }), 'lobby');
    await page.goto('/p/default/lobby');
    await page.getByRole('listitem').filter({ hasText: 'till-2' }).getByText('enrol that one anew').waitFor();
    await page.setViewportSize(phone);
    await page.getByRole('listitem').filter({ hasText: 'till-2' }).getByRole('link', { name: 'Page for a phone' }).click();
    await page.getByRole('group', { name: `Four words: ${(await hostOf('till-2')).words}` }).waitFor();
    await page.getByText('Put back from approved').waitFor();
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.getByRole('button', { name: 'The words match: approve' }).click();
    await page.getByText('till-2 is approved.').waitFor();
    expect(await hostOf('till-2')).toMatchObject({ state: 'approved' });
    expect((await hostOf('till-2')).suspected).toBeUndefined();
  });
});
