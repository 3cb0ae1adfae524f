import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { buildDashboard } from '@groundplane/hub/dashboard/build';
import { isBrowserRequired, logIn, openBrowser, openPage, whyNoBrowser, type Watched } from './browser.ts';
import { startFixture, type FixtureOptions, type FixtureServer } from './fixture-server.ts';

const reason = isBrowserRequired() ? undefined : whyNoBrowser();

const paletteJson = JSON.stringify({
  metadata: { name: 'Edge Shop', description: 'From elsewhere' },
  spec: {
    version: '1.2.0',
    template: {
      type: 'add-on',
      packs: [
        {
          name: 'web-shop',
          type: 'spectro',
          layer: 'addon',
          version: '2.1.0',
          values: 'pack:\n  namespace: shop # kept\n',
          registry: { metadata: { name: 'packs' } },
        },
        { name: 'unknown-pack', type: 'spectro', layer: 'addon', version: '1.0.0', values: 'a: 1\n', registry: { metadata: { name: 'elsewhere' } } },
      ],
    },
    variables: [{ name: 'size', defaultValue: 'small' }],
  },
});

describe.skipIf(reason !== undefined)(`profile journeys in Chromium${reason === undefined ? '' : `, skipped: ${reason}`}`, () => {
  let dir: string;
  let browser: Browser;
  const open: { server: FixtureServer; watched: Watched }[] = [];
  const visit = async (path: string, options: Partial<FixtureOptions> = {}): Promise<Watched & { server: FixtureServer }> => {
    const server = await startFixture({ hosts: 24, ...options, assetsDir: join(dir, 'out') });
    const watched = await openPage(browser, server.url, 'light', { width: 1280, height: 860 });
    open.push({ server, watched });
    await logIn(watched.page, server.credentials);
    await watched.page.goto(path);
    return { ...watched, server };
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gp-profile-journeys-'));
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

  test('a profile of Palette comes in; what the hub lacks is told and swapped in', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit('/p/retail/profiles');
    await page.getByRole('link', { name: 'Import' }).click();
    const dialog = page.getByRole('dialog', { name: 'Import profile' });
    await dialog.getByLabel('Or paste it').fill('{"not": "a profile"}');
    expect(await dialog.getByRole('button', { name: 'Put into the editor' }).getAttribute('title')).toContain('is no profile exported by Palette');
    await dialog.getByLabel('Or paste it').fill(paletteJson);
    await dialog.getByText(/unknown-pack 1\.0\.0 of registry elsewhere is not in the hub/).waitFor();
    await dialog.getByText('the profile is called edge-shop here').waitFor();
    await dialog.getByRole('button', { name: 'Put into the editor' }).click();
    await page.getByRole('button', { name: /pack web-shop/ }).click();
    await page.getByText('namespace: shop # kept').waitFor();
    await page.getByRole('button', { name: /unknown-pack/ }).click();
    await page.getByText('is not in the hub yet. Press Swap').waitFor();
    expect(await page.getByRole('button', { name: 'Release', exact: true }).getAttribute('title')).toMatch(/Fix the .*problems? first/);
    await page.getByRole('button', { name: 'Swap', exact: true }).click();
    const swap = page.getByRole('dialog', { name: 'Swap layer unknown-pack' });
    await swap.getByRole('button', { name: 'Registry', exact: true }).click();
    await swap.getByLabel('Registry').selectOption('stable');
    await swap.getByLabel('Artifact').fill('cache');
    await page.keyboard.press('Enter');
    await swap.getByRole('button', { name: 'Import cache 2.1.0' }).click();
    await swap.getByText('The values of this layer go.').waitFor();
    await swap.getByRole('button', { name: 'Swap', exact: true }).click();
    await page.getByText('No problems.').waitFor();
    await page.getByRole('button', { name: 'Save as draft' }).click();
    await expect
      .poll(() => server.fixture.world.profiles.get('edge-shop@1.2.0')?.spec.layers.map((layer) => layer.helm?.chart.name ?? layer.pack?.name))
      .toEqual(['web-shop', 'cache']);
    expect(server.fixture.world.profiles.get('edge-shop@1.2.0')?.spec.layers[0]?.pack?.digest).toMatch(/^sha256:/);
    expect(complaints).toEqual([]);
  });

  test('layers are moved, doubled, renamed and removed; comments of the document stay', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit('/p/retail/profiles/shop/0.9.0?tab=yaml');
    await page.getByRole('textbox', { name: 'Profile as YAML' }).click();
    await page.keyboard.press('Control+Home');
    await page.keyboard.type('# written by hand\n');
    await page.getByRole('button', { name: 'Layers', exact: true }).click();
    const names = (): Promise<string[]> => page.getByRole('list', { name: 'Layers in install order' }).first().locator('.name').allTextContents();
    await expect.poll(names).toEqual(['cache', 'web', 'banner']);
    await page.getByRole('button', { name: /banner/ }).click();
    await page.getByRole('button', { name: 'Install earlier' }).click();
    await expect.poll(names).toEqual(['cache', 'banner', 'web']);
    expect(await page.getByRole('button', { name: /^Add-on priority 0/ }).count()).toBe(0);
    await page.getByRole('button', { name: /web-shop/ }).click();
    await page.getByRole('button', { name: 'Duplicate', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Duplicate' }).click();
    await expect.poll(names).toEqual(['cache', 'banner', 'web', 'web-2']);
    const layer = page.getByRole('region', { name: 'Layer web-2' });
    await layer.getByText('spectrocloud.com/display-name: web-2').waitFor();
    await layer.getByRole('button', { name: 'Settings' }).click();
    await layer.getByLabel('Name', { exact: true }).fill('web');
    await layer.getByText('There is a layer web already.').waitFor();
    await layer.getByLabel('Name', { exact: true }).fill('shop-north');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Layer shop-north' }).waitFor();
    await page.getByRole('button', { name: /cache/ }).click();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await expect.poll(names).toEqual(['banner', 'shop-north', 'web']);
    await page.getByRole('button', { name: 'YAML', exact: true }).first().click();
    await page.getByText('# written by hand').waitFor();
    await page.getByRole('button', { name: 'Save as draft' }).click();
    await expect.poll(() => server.fixture.world.profiles.get('shop@0.9.0')?.spec.layers.map((each) => each.name)).toEqual(['web', 'banner', 'shop-north']);
    expect(complaints).toEqual([]);
  });

  test('what was typed a moment ago is saved too', { timeout: 60_000 }, async () => {
    const { page, server } = await visit('/p/retail/profiles/shop/0.9.0?layer=web');
    await page.getByRole('textbox', { name: 'Values of web' }).click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('# the last word');
    // At once: the button is off until the press takes the focus out of the editor.
    await page.getByRole('button', { name: 'Save as draft' }).click({ force: true });
    await expect.poll(() => server.fixture.world.profiles.get('shop@0.9.0')?.spec.layers[0]?.pack?.values).toContain('# the last word');
  });

  test('completion offers the keys of the pack', { timeout: 60_000 }, async () => {
    const { page, complaints } = await visit('/p/retail/profiles/shop/0.9.0?layer=web');
    await page.getByRole('textbox', { name: 'Values of web' }).click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('    ingr');
    await page.getByRole('option', { name: 'ingress' }).click();
    await page.getByText(/the key ingress is here twice/).waitFor();
    expect(complaints).toEqual([]);
  });

  test('a profile is cloned, and goes out as JSON', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit('/p/retail/profiles/shop/0.9.0');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: /^More/ }).click();
    await page.getByRole('menuitem', { name: 'Download as Palette JSON' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('shop-0.9.0.json');
    const json = parse(await readFile(await file.path(), 'utf8')) as { spec: { template: { packs: { name: string }[] } } };
    expect(json.spec.template.packs.map((each) => each.name)).toEqual(['web-shop', 'cache', 'banner']);
    await page.getByRole('button', { name: /^More/ }).click();
    await page.getByRole('menuitem', { name: /Clone/ }).click();
    const dialog = page.getByRole('dialog', { name: 'Clone shop 0.9.0' });
    await dialog.getByLabel('Name').fill('shop-copy');
    await dialog.getByRole('button', { name: 'Clone' }).click();
    await page.waitForURL('**/profiles/shop-copy/0.9.1');
    expect(server.fixture.world.profiles.get('shop-copy@0.9.1')?.state).toBe('draft');
    expect(complaints).toEqual([]);
  });

  test('values of one cluster are applied only after their plan was seen', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit('/p/retail/clusters/store-000?tab=values&layer=till');
    const apply = page.getByRole('button', { name: 'Apply' });
    await page.getByText('The profile lets clusters set: everything').waitFor();
    await page.getByRole('textbox', { name: 'Override for till' }).click();
    await page.keyboard.type('replicas: 4');
    await expect.poll(() => apply.getAttribute('title')).toContain('Preview the plan');
    await page.getByRole('button', { name: 'Preview plan' }).click();
    await page.getByRole('region', { name: 'Plan', exact: true }).getByText('apply layer till').waitFor();
    expect(server.fixture.world.clusters.get('store-000')?.spec.overrides).toBeUndefined();
    await apply.click();
    await expect.poll(() => server.fixture.world.clusters.get('store-000')?.spec.overrides).toEqual({ till: { values: 'replicas: 4' } });
    await page.getByRole('button', { name: /ingress/ }).click();
    await page.getByText('lets clusters set nothing of this layer').waitFor();
    expect(complaints).toEqual([]);
  });

  test('a sensitive macro is set and never shown; it goes only by its typed name', { timeout: 60_000 }, async () => {
    const { page, server, complaints } = await visit('/p/retail/macros');
    await page.getByRole('button', { name: 'Add macro' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add macro' });
    await dialog.getByLabel('Name').fill('api_token');
    await dialog.getByLabel(/^Sensitive/).check();
    await dialog.getByLabel('Value').fill('hunter2');
    await dialog.getByRole('button', { name: 'Set macro' }).click();
    const row = page.getByRole('row').filter({ hasText: 'api_token' });
    await row.getByText('sensitive, sealed').waitFor();
    expect(await page.content()).not.toContain('hunter2');
    await row.getByRole('button', { name: 'Delete' }).click();
    await page.getByLabel(/to confirm/).fill('api_token');
    await page.getByRole('button', { name: 'Delete macro' }).click();
    await expect.poll(() => server.fixture.world.macros.has('api_token')).toBe(false);
    expect(complaints).toEqual([]);
  });

  test('without the right, buttons say which one is missing', { timeout: 60_000 }, async () => {
    const { page, complaints } = await visit('/p/retail/registries', { grants: [{ role: 'Viewer', project: 'retail' }] });
    for (const [path, button, permission] of [
      ['registries', 'Add registry', 'registry.set'],
      ['macros', 'Add macro', 'macro.set'],
      ['macros?of=tenant', 'Add macro', 'macro.set in this tenant'],
      ['profiles/shop/0.9.0', 'Make preview', 'profile.create'],
    ] as const) {
      await page.goto(`/p/retail/${path}`);
      await expect.poll(() => page.getByRole('button', { name: button }).first().getAttribute('title')).toContain(`Needs the permission ${permission}`);
    }
    expect(complaints).toEqual([]);
  });
});
