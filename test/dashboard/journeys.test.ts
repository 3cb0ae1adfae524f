import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDashboard } from '@groundplane/hub/dashboard/build';
import { isBrowserRequired, logIn, openBrowser, openPage, whyNoBrowser, type Watched } from './browser.ts';
import { startFixture, type FixtureOptions, type FixtureServer } from './fixture-server.ts';

const reason = isBrowserRequired() ? undefined : whyNoBrowser();

describe.skipIf(reason !== undefined)(`journeys in Chromium${reason === undefined ? '' : `, skipped: ${reason}`}`, () => {
  let dir: string;
  let browser: Browser;
  const open: { server: FixtureServer; watched: Watched }[] = [];
  const visit = async (options: Partial<FixtureOptions> = {}): Promise<Watched & { server: FixtureServer }> => {
    const server = await startFixture({ hosts: 60, ...options, assetsDir: join(dir, 'out') });
    const watched = await openPage(browser, server.url);
    open.push({ server, watched });
    return { ...watched, server };
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gp-journeys-'));
    await buildDashboard(join(dir, 'out'), { compression: 'fast' });
    browser = await openBrowser();
  }, 120_000);
  afterAll(async () => {
    for (const { server, watched } of open) {
      await watched.context.close();
      await server.close();
    }
    await browser.close();
    await rm(dir, { recursive: true, force: true });
  });

  test('set up, approve a host, create a profile, preview the plan, apply', { timeout: 120_000 }, async () => {
    const { page, complaints, server } = await visit({ needsSetup: true });
    await page.goto(`/setup#${server.setupToken}`);
    await page.getByLabel('Password', { exact: true }).fill('four quiet words here');
    await page.getByLabel('Password again').fill('four quiet words here');
    await page.getByRole('button', { name: 'Make the administrator' }).click();
    await page.getByRole('heading', { name: 'Your first project' }).waitFor();
    expect(page.url()).not.toContain(server.setupToken);
    await page.getByLabel('Name').fill('retail');
    await page.getByRole('button', { name: 'Create the project' }).click();
    await page.getByRole('link', { name: /Lobby/ }).first().click();

    await page.getByRole('listitem').filter({ hasText: 'new-1' }).getByRole('button', { name: 'Approve' }).click();
    const dialog = page.getByRole('dialog', { name: 'Approve host' });
    await dialog.getByText('tiger maple anchor quiet').waitFor();
    await dialog.getByRole('button', { name: 'The words match: approve' }).click();
    await expect.poll(() => server.fixture.world.hosts.get('new-1')?.state).toBe('approved');
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('new-1', { exact: true }).waitFor({ state: 'detached' });

    await page.getByRole('link', { name: 'Profiles' }).click();
    await page.getByRole('link', { name: 'Create profile' }).click();
    await page.getByText('No problems.').waitFor();
    await page.getByRole('button', { name: 'Save as draft' }).click();
    await page.getByText('hello 1.0.0 is saved as a draft').waitFor();
    await page.getByRole('button', { name: 'Release', exact: true }).click();
    await page.getByRole('button', { name: 'Release it' }).click();
    await expect.poll(() => server.fixture.world.profiles.get('hello@1.0.0')?.state).toBe('released');

    await page.getByRole('link', { name: 'Clusters' }).click();
    await page.getByRole('link', { name: 'Create cluster' }).click();
    const apply = page.getByRole('button', { name: 'Apply' });
    await page.getByRole('button', { name: 'Add profile hello' }).click();
    await page.getByRole('button', { name: 'Add host new-1' }).click();
    expect(await apply.getAttribute('aria-disabled')).toBe('true');
    expect(await apply.getAttribute('title')).toContain('Preview the plan');
    await page.getByRole('button', { name: 'Preview plan' }).click();
    await page.getByRole('region', { name: 'Plan', exact: true }).getByText('apply layer hello').waitFor();
    expect(server.fixture.world.clusters.has('first')).toBe(false);
    await apply.click();
    await page.getByRole('heading', { name: /first/ }).waitFor();
    expect(server.fixture.world.clusters.get('first')?.spec).toEqual({ profiles: [{ name: 'hello', version: '1.0.0' }], variables: {}, hosts: ['new-1'] });
    // Before the set-up nobody is logged in, which the browser notes as a failed request.
    expect(complaints.filter((line) => !line.includes('401'))).toEqual([]);
  });

  test('a set-up link works once', { timeout: 60_000 }, async () => {
    const { page } = await visit();
    await page.goto('/setup#old');
    await page.getByLabel('Password', { exact: true }).fill('four quiet words here');
    await page.getByLabel('Password again').fill('four quiet words here');
    await page.getByRole('button', { name: 'Make the administrator' }).click();
    await page.getByRole('alert').getByText('is not valid any more').waitFor();
  });

  test('a wrong password is told, and the login returns to where one was going', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await page.goto('/p/retail/clusters/store-001');
    await page.waitForURL(/\/login\?next=/);
    await page.getByLabel('Name').fill('admin');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText('name or password is wrong').waitFor();
    await page.getByLabel('Password').fill(server.credentials.password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL('**/p/retail/clusters/store-001');
    await page.getByRole('button', { name: /^Account/ }).click();
    await page.getByRole('menuitem', { name: /Log out/ }).click();
    await page.waitForURL(/\/login/);
    await page.goto('/login?next=//evil.example/');
    await page.getByLabel('Name').fill('admin');
    await page.getByLabel('Password').fill(server.credentials.password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL(/\/p\/retail\/fleet/);
  });

  test('many hosts are approved together, and a changed key is refused', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/lobby');
    await page.getByText('pencil cloud harbor nine').waitFor();
    const changed = server.fixture.world.hosts.get('new-3');
    await page.getByText(/Choose all/).click();
    await page.getByRole('button', { name: 'Approve chosen' }).click();
    await page.getByRole('dialog').getByText('pencil cloud harbor nine').waitFor();
    if (changed !== undefined) changed.words = 'other words came now';
    await page.getByRole('button', { name: 'The words match: approve' }).click();
    await page.getByRole('alert').getByText('has other words now').waitFor();
    expect([...server.fixture.world.hosts.values()].filter((host) => host.state === 'lobby').map((host) => host.name)).toEqual(['new-3']);
  });

  test('changes show without reloading; a lost stream is said and mended', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/clusters');
    await page.getByText('live', { exact: true }).waitFor();
    const cluster = server.fixture.world.clusters.get('store-000');
    if (cluster === undefined) throw new Error('the fixture lost its cluster');
    cluster.message = 'something new happened';
    server.fixture.changed({ kind: 'cluster', name: 'store-000' });
    await page.getByText('something new happened').waitFor();
    server.dropStreams(true);
    await page.getByText('Disconnected from the hub').waitFor();
    cluster.message = 'it went on meanwhile';
    server.dropStreams(false);
    await page.getByText('it went on meanwhile').waitFor({ timeout: 15_000 });
    await page.getByText('Disconnected from the hub').waitFor({ state: 'detached' });
  });

  test('a failed cluster is retried and deleted only by its typed name', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/clusters/store-001');
    await page.getByRole('button', { name: 'Retry' }).click();
    await expect.poll(() => server.fixture.world.clusters.get('store-001')?.failure).toBeUndefined();
    await page.getByText('Rolled back').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete' }).click();
    const confirm = page.getByRole('button', { name: 'Delete cluster' });
    expect(await confirm.getAttribute('aria-disabled')).toBe('true');
    await page.getByLabel(/to confirm/).fill('store-00');
    await page.keyboard.press('Enter');
    expect(server.fixture.world.clusters.has('store-001')).toBe(true);
    await page.getByLabel(/to confirm/).fill('store-001');
    await confirm.click();
    await page.waitForURL('**/clusters');
    expect(server.fixture.world.clusters.has('store-001')).toBe(false);
    // Its own page read it once more before leaving.
    expect(complaints.filter((line) => !line.includes('404'))).toEqual([]);
  });

  test('an update that was overtaken is refused with the reason', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/clusters/store-000/edit');
    await page.getByRole('button', { name: 'Preview plan' }).click();
    await page.getByRole('region', { name: 'Plan', exact: true }).waitFor();
    const cluster = server.fixture.world.clusters.get('store-000');
    if (cluster !== undefined) cluster.rowVersion += 1;
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByRole('alert').getByText('was changed by somebody else').waitFor();
  });

  test('a ticket is shown once and can be copied', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/lobby?tab=tickets');
    await page.getByRole('button', { name: 'Create ticket' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('one-machine');
    await dialog.getByLabel('Labels').fill('ring=canary');
    await dialog.getByRole('button', { name: 'Create ticket' }).click();
    await dialog.getByRole('button', { name: 'Copy the ticket' }).click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^gp1\./);
    await dialog.getByRole('button', { name: 'I have it' }).click();
    await page.getByText('one-machine').waitFor();
    expect(await page.content()).not.toContain('gp1.');
    expect(server.fixture.world.tickets.get('one-machine')?.labels).toEqual({ ring: 'canary' });
  });

  test('without the right, a button says which one is missing', { timeout: 60_000 }, async () => {
    const { page, server } = await visit({ grants: [{ role: 'Viewer', project: 'retail' }] });
    await logIn(page, server.credentials);
    await page.goto('/p/retail/clusters/store-001');
    const remove = page.getByRole('button', { name: 'Delete' });
    expect(await remove.getAttribute('title')).toContain('Needs the permission cluster.delete in project retail. You are Viewer');
    await remove.click({ force: true });
    expect(await page.getByRole('dialog').count()).toBe(0);
  });

  test('the editor marks mistakes by line and explains a released version', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/profiles/edge-base/1.2.0?tab=yaml');
    await expect.poll(() => page.getByRole('button', { name: 'Release', exact: true }).getAttribute('title')).toContain('is released and never changes');
    await page.getByRole('button', { name: 'Continue as 1.3.0' }).click();
    await page.getByText('is released and never changes').first().waitFor({ state: 'detached' });
    await page.getByRole('textbox', { name: 'Profile as YAML' }).click();
    await page.keyboard.press('Control+Home');
    await page.keyboard.type('nonsense: true\n');
    await page.getByText(/Unrecognized key/).waitFor();
    await page.getByRole('button', { name: /^Line/ }).first().click();
    expect(await page.locator('.cm-lint-marker-error').count()).toBeGreaterThan(0);
    expect(complaints).toEqual([]);
  });

  test('the keyboard reaches every screen, and the theme is kept', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await logIn(page, server.credentials);
    for (const [key, part] of [
      ['h', 'hosts'],
      ['c', 'clusters'],
      ['p', 'profiles'],
      ['l', 'lobby'],
      ['r', 'registries'],
      ['m', 'macros'],
      ['f', 'fleet'],
      ['e', 'events'],
    ] as const) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL(`**/p/retail/${part}`);
    }
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('store-003');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/clusters/store-003');
    await page.getByRole('button', { name: 'Theme' }).click();
    await page.getByRole('menuitem', { name: 'Dark' }).click();
    await page.reload();
    expect(await page.evaluate(() => document.documentElement.dataset['theme'])).toBe('dark');
    await page.getByRole('button', { name: /^Project/ }).click();
    await page.getByRole('menuitem', { name: 'lab' }).click();
    await page.waitForURL('**/p/lab/fleet');
  });

  test('a screen can be copied as a command and as a document', { timeout: 60_000 }, async () => {
    const { page, server } = await visit();
    await logIn(page, server.credentials);
    await page.goto('/p/retail/clusters/store-000');
    const copied = async (item: RegExp): Promise<string> => {
      await page.getByRole('button', { name: 'Copy as CLI or YAML' }).click();
      await page.getByRole('menuitem', { name: item }).click();
      await page
        .getByRole('status')
        .getByText(/^Copied/)
        .last()
        .waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    expect(await copied(/CLI/)).toBe('gp get cluster store-000 --project retail');
    await expect.poll(() => copied(/YAML/)).toMatch(/^apiVersion: groundplane.dev\/v1\nkind: Cluster\nmetadata:\n {2}name: store-000/);
  });
});
