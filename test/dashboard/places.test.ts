import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildDashboard } from '@groundplane/hub/dashboard/build';
import { digestOf } from '@groundplane/protocol/digest';
import type { SignedReceipt } from '@groundplane/protocol/media';
import { isBrowserRequired, logIn, openBrowser, openPage, whyNoBrowser, type Watched } from './browser.ts';
import { startFixture, type FixtureServer } from './fixture-server.ts';

const reason = isBrowserRequired() ? undefined : whyNoBrowser();
const skipped = reason === undefined ? '' : `, skipped: ${reason}`;

const receiptOf = (host: string, seq: number): SignedReceipt => ({
  receipt: {
    schema: 'groundplane.dev/site-receipt/1',
    hub: 'hub',
    host,
    key: `ed25519:${'A'.repeat(43)}`,
    seq,
    atMs: 1,
    status: { phase: 'converged', layers: [], kubernetes: { state: 'reachable' } },
    events: [],
    digests: [digestOf('x')],
  },
  signature: 'x',
});
const file = (name: string, text: string) => ({ name, mimeType: 'application/json', buffer: Buffer.from(text) });

describe.skipIf(reason !== undefined)(`hosts that are asked, sites and media in Chromium${skipped}`, () => {
  let dir: string;
  let browser: Browser;
  const open: { server: FixtureServer; watched: Watched }[] = [];
  const visit = async (grants?: Parameters<typeof startFixture>[0]['grants']): Promise<Watched & { server: FixtureServer }> => {
    const server = await startFixture({ hosts: 24, assetsDir: join(dir, 'out'), ...(grants === undefined ? {} : { grants }) });
    const watched = await openPage(browser, server.url, 'light');
    open.push({ server, watched });
    await logIn(watched.page, server.credentials);
    return { ...watched, server };
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gp-places-'));
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

  test('vitals of a host are live while it is online, and say how old they are when it is away', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit();
    await page.goto('/p/retail/hosts/till-0001');
    const card = page.getByRole('region', { name: 'Vitals' });
    await card.getByText('38 % of 8.0 GiB').waitFor();
    await card.getByText('Up for 5 d, 51.5 °C').waitFor();
    expect(await card.getByRole('progressbar', { name: 'Disk /', exact: true }).getAttribute('value')).toBe('40');
    expect(await card.getByText('is offline').count()).toBe(0);
    await page.goto('/p/retail/hosts/till-0005');
    await card.getByText(/: the host is offline/).waitFor();
    await card.getByText('96 % of 100 GiB').waitFor();
    expect(await card.locator('.gauge.high').count()).toBe(1);
    const asked = server.requests.filter((line) => line.includes('/till-0005/vitals')).length;
    server.fixture.changed({ kind: 'host', name: 'till-0005' });
    await expect.poll(() => server.requests.filter((line) => line.endsWith('/hosts/till-0005')).length).toBeGreaterThan(1);
    expect(server.requests.filter((line) => line.includes('/till-0005/vitals')).length, 'a change asks the host nothing').toBe(asked);
    expect(complaints).toEqual([]);
  });

  test('a timeline joins what a host said and what it did; tries of one step are one line', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit();
    await page.goto('/p/retail/hosts/till-0001');
    const card = page.getByRole('region', { name: 'Timeline' });
    const lines = card.getByRole('listitem');
    await card.getByText('try 3').waitFor();
    expect(await lines.filter({ hasText: 'install package curl' }).count()).toBe(1);
    await card.getByRole('button', { name: 'Steps' }).click();
    await expect.poll(() => lines.count()).toBe(3);
    expect(await lines.first().textContent()).toContain('has not written down how it ended');
    await page.waitForURL(/show=steps/);
    const asked = (): number => server.requests.filter((line) => line.includes('/journal')).length;
    const before = asked();
    await card.getByRole('button', { name: 'Read again' }).click();
    await expect.poll(asked).toBe(before + 1);
    await page.goto('/p/retail/hosts/till-0005');
    await card.getByRole('status').getByText('are not known here').waitFor();
    expect(await card.getByRole('button', { name: 'Read again' }).getAttribute('title')).toContain('offline');
    expect(complaints).toEqual([]);
  });

  test('sites lead to their hosts and clusters; who is away stands first', { timeout: 60_000 }, async () => {
    const { page, complaints } = await visit();
    await page.goto('/p/retail/fleet');
    await page.getByRole('navigation', { name: 'Screens' }).getByText('Sites').click();
    await page.getByRole('table', { name: 'Sites' }).getByText('south').waitFor();
    await page.getByText('1 host is at no site').waitFor();
    await page.getByRole('searchbox').or(page.locator('[data-filter]')).first().fill('is:offline');
    await page.getByRole('link', { name: 'west' }).first().click();
    const hosts = page.getByRole('table', { name: 'Hosts of the site' });
    await hosts
      .getByRole('row')
      .nth(1)
      .getByText(/offline, as of/)
      .waitFor();
    await page.getByText('give large content to their neighbours').waitFor();
    await hosts.getByRole('link').first().click();
    await page.getByRole('region', { name: 'Vitals' }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('a medium: what lies on it, the archive, the command; and receipts come back by upload, each once', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit();
    await page.goto('/p/retail/media');
    await page.getByLabel('Cluster').selectOption('store-000');
    const link = page.getByRole('link', { name: 'Download the archive' });
    expect(await link.getAttribute('href')).toBe('/api/v1/projects/retail/clusters/store-000/media.tar');
    expect(await link.getAttribute('download')).not.toBeNull();
    await page.getByText('gp media export store-000 store-000.tar --project retail').waitFor();
    await page.getByLabel('Cluster').selectOption('store-001');
    await page.getByText('1 lies in its registry only').waitFor();

    const take = page.getByRole('button', { name: /^Take/ });
    expect(await take.getAttribute('title')).toContain('Choose the files first');
    const till = server.fixture.world.hosts.get('till-0005');
    const files = page.getByLabel('Files of receipts');
    await files.setInputFiles([
      file('2.json', JSON.stringify(receiptOf(till?.id ?? '', 2))),
      file('1.json', JSON.stringify(receiptOf(till?.id ?? '', 1))),
      file('notes.json', 'not JSON'),
      file('other.json', '{"a":1}'),
      file('stranger.json', JSON.stringify(receiptOf('hos_99999999999999999999', 1))),
    ]);
    await page.getByRole('button', { name: 'Take 5 receipts' }).click();
    const told = page.getByRole('status', { name: 'What became of them' });
    await told.getByText('is not JSON').waitFor();
    expect(await told.getByRole('listitem').allTextContents()).toEqual([
      expect.stringContaining('notes.json: is not JSON'),
      expect.stringContaining('other.json: is no receipt of a host'),
      expect.stringContaining('1.json: receipt 1 of till-0005'),
      expect.stringContaining('stranger.json: host hos_99999999999999999999'),
      expect.stringContaining('2.json: receipt 2 of till-0005'),
    ]);
    const row = page.getByRole('region', { name: 'Last receipt of each host' }).getByRole('row').nth(1);
    await row.getByText('till-0005').waitFor();
    await row.getByText('needs a newer medium').click();
    await page.waitForURL(/cluster=store-000/);
    await page.goto('/p/retail/hosts/till-0005');
    await page.getByText(/^receipt 2/).waitFor();
    // The browser itself writes a line for the 404 of the stranger.
    expect(complaints.filter((line) => !line.includes('404'))).toEqual([]);
  });

  test('whoever may not make media or take receipts is told so, and nothing is asked', { timeout: 60_000 }, async () => {
    const { page, server } = await visit([{ role: 'Viewer' }]);
    await page.goto('/p/retail/media?cluster=store-000');
    await page.getByText('Needs the permission content.get').waitFor();
    await page.getByLabel('Files of receipts').setInputFiles([file('1.json', '{}')]);
    const take = page.getByRole('button', { name: 'Take one receipt' });
    expect(await take.getAttribute('title')).toContain('Needs the permission host.approve');
    await take.click({ force: true });
    expect(server.requests.filter((line) => line.includes('/media') && !line.startsWith('GET /api/v1/projects/retail/media/receipts'))).toEqual([]);
  });
});
