import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHub, type Hub } from '@groundplane/hub/main';
import { pushPack } from '@groundplane/hub/registry/units';
import { createClient, type Client } from '@groundplane/protocol/api/client';
import { digestBytes } from '@groundplane/protocol/digest';
import { packTgz } from '../../hub/src/archive/write.ts';
import { until, value } from '../hub/world.ts';
import { jsonOf, plainPack } from '../pack/packs.ts';
import { clientFor, ref } from '../registry/rig.ts';
import { isBrowserRequired, openBrowser, openPage, whyNoBrowser } from './browser.ts';

const reason = isBrowserRequired() ? undefined : whyNoBrowser();

const presets = `presets:
  - {name: small, displayName: Small site, group: Size, add: "charts: {web: {replicas: 1}}"}
  - {name: large, displayName: Large site, group: Size, add: "charts: {web: {replicas: 5}}"}
`;
const schema = 'charts.web.replicas:\n  schema: \'{{ required | format "${number:[1-10]}" | hints "How many pods" }}\'\n';
const packBytes = (version: string): Buffer =>
  Buffer.from(
    packTgz(
      Object.entries(plainPack({ 'pack.json': jsonOf({ version }), 'presets.yaml': presets, 'schema.yaml': schema })).map(([name, data]) => ({
        name,
        data: Buffer.from(data as string),
      })),
    ),
  );

describe.skipIf(reason !== undefined)(`profiles, packs and registries with a real hub${reason === undefined ? '' : `, skipped: ${reason}`}`, () => {
  let folder: string;
  let hub: Hub;
  let browser: Browser;
  let page: Page;
  let complaints: string[];
  let client: Client;
  let key = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gp-real-'));
    hub = await startHub({
      data: folder,
      host: '127.0.0.1',
      port: 0,
      mqttPort: undefined,
      publicUrl: undefined,
      publicMqttUrl: undefined,
      egressAllow: ['127.0.0.0/8'],
      log: () => undefined,
    });
    key = value(await hub.auth.makeApiKey(hub.tenant, 'journey', [{ role: 'TenantAdmin' }], undefined)).key;
    client = createClient({ baseUrl: hub.url, fetch, headers: () => ({ authorization: `Bearer ${key}` }) });
    browser = await openBrowser();
    const watched = await openPage(browser, hub.url, 'light', { width: 1280, height: 860 });
    ({ page, complaints } = watched);
    // The page is built when it is first asked for; until then the hub says so.
    await until(async () => (await fetch(hub.url)).status === 200, 'the page is built', 60_000);
    await page.goto((await hub.setupLink()) ?? '/');
    await page.getByLabel('Password', { exact: true }).fill('four quiet words here');
    await page.getByLabel('Password again').fill('four quiet words here');
    await page.getByRole('button', { name: 'Make the administrator' }).click();
    await page.waitForURL('**/p/default/fleet');
    complaints.splice(0);
  }, 120_000);
  afterAll(async () => {
    await browser.close();
    await hub.close();
    await rm(folder, { recursive: true, force: true });
  });

  const profileOf = async (version: string) => value(await client.call('getProfile', { params: { project: 'default', name: 'hello', version } }));
  const upload = async (bytes: Buffer): Promise<string> => {
    const digest = digestBytes(bytes);
    const response = await fetch(`${hub.url}/api/v1/content/${digest}`, {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: { authorization: `Bearer ${key}` },
    });
    expect(response.status).toBe(204);
    return digest;
  };

  test('a pack becomes a layer; a preset and a form edit keep its comments; preview, release, used', { timeout: 120_000 }, async () => {
    const digest = await upload(packBytes('1.2.3'));
    await page.goto('/p/default/create/profile');
    await page.getByRole('button', { name: 'Add a layer' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add layer' });
    await dialog.getByLabel('Digest of an uploaded archive').fill(digest);
    await page.keyboard.press('Enter');
    await dialog.getByText('Shop 1.2.3').waitFor();
    await dialog.getByRole('button', { name: 'Add layer' }).click();

    const layer = page.getByRole('region', { name: 'Layer shop' });
    await layer.getByText('replicas: 2 # two').waitFor();
    await layer.getByRole('button', { name: 'Presets' }).click();
    await layer.getByLabel('Large site').check();
    await layer.getByRole('button', { name: 'Apply preset' }).click();
    await layer.getByText('enabled', { exact: true }).waitFor();
    await layer.getByRole('button', { name: 'Form' }).click();
    const replicas = layer.getByLabel('charts.web.replicas');
    expect(await replicas.inputValue()).toBe('5');
    await replicas.fill('11');
    await page.keyboard.press('Enter');
    await layer
      .getByText(/charts\.web\.replicas .*11/)
      .first()
      .waitFor();
    await replicas.fill('7');
    await page.keyboard.press('Enter');

    await page.getByRole('button', { name: 'Make preview' }).click();
    const preview = page.getByRole('region', { name: 'Preview' });
    await preview.getByText(/^3 layers, /).waitFor();
    await preview
      .getByText(/^Objects/)
      .last()
      .click();
    await preview.getByText('ConfigMap shop/shop-web').waitFor();

    await page.getByRole('button', { name: 'Release', exact: true }).click();
    await page.getByRole('dialog').getByText('No cluster uses an earlier version.').waitFor();
    await page.getByRole('button', { name: 'Release it' }).click();
    await page.getByText('hello 1.0.0 is released').waitFor();
    const saved = (await profileOf('1.0.0')).spec.layers.find((each) => each.name === 'shop');
    expect(saved?.pack).toMatchObject({ name: 'shop', version: '1.2.3', digest });
    expect(saved?.pack?.values).toContain('# spectrocloud.com/enabled-presets: Size:large');
    expect(saved?.pack?.values).toContain('replicas: 7 # two');

    value(
      await client.call('applyCluster', {
        params: { project: 'default', name: 'store' },
        body: { spec: { profiles: [{ name: 'hello', version: '1.0.0' }], hosts: [] } },
      }),
    );
    await page.reload();
    await page.getByRole('region', { name: 'Affects 1 cluster' }).getByRole('link', { name: 'store' }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('the next version says whom it affects, and its difference is seen rendered', { timeout: 120_000 }, async () => {
    await page.goto('/p/default/profiles/hello/1.0.0?layer=shop&part=form');
    await page.getByRole('button', { name: 'Continue as 1.0.1' }).click();
    await page.getByLabel('charts.web.replicas').fill('3');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Release', exact: true }).click();
    await page.getByRole('dialog').getByText('Affects 1 cluster:').waitFor();
    await page.getByRole('button', { name: 'Release it' }).click();
    await page.getByText('hello 1.0.1 is released').waitFor();
    await page.getByRole('link', { name: 'Diff' }).click();
    await page.getByText('1 of 3 layers differ').waitFor();
    await page.getByRole('button', { name: 'Rendered' }).click();
    await page.getByRole('button', { name: /changed ConfigMap shop\/shop-web/ }).waitFor();
    await page.getByRole('textbox', { name: 'ConfigMap shop/shop-web in hello 1.0.1, after' }).getByText('"replicas":3').waitFor();
    expect(complaints).toEqual([]);
  });

  test('values of a cluster say where they come from', { timeout: 60_000 }, async () => {
    await page.goto('/p/default/clusters/store?tab=values&layer=shop');
    const row = page.getByRole('row').filter({ hasText: 'charts.web.replicas' });
    await row.getByText('7', { exact: true }).waitFor();
    await row.getByText('profile', { exact: true }).waitFor();
    await page.getByText('lets clusters set nothing of this layer').waitFor();
    expect(complaints).toEqual([]);
  });

  test('a registry with a wrong password is told precisely; with the right one a pack is imported', { timeout: 120_000 }, async () => {
    const host = new URL(hub.url).host;
    const rig = clientFor({ [host]: { credentials: { username: 'any', password: key } } });
    value(await pushPack(rig.client, ref(`${host}/default/shop`), packBytes('2.0.0')));
    rig.close();

    await page.goto('/p/default/registries');
    await page.getByRole('button', { name: 'Add registry' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Add registry' });
    await dialog.getByLabel('Name').fill('own');
    await dialog.getByLabel('What it holds').selectOption('pack');
    await dialog.getByLabel('Address').fill(`oci://${host}/default`);
    await dialog.getByLabel('User').fill('any');
    await dialog.getByLabel('Password or token').fill('wrong');
    await dialog.getByRole('button', { name: 'Add registry' }).click();
    await dialog.getByRole('alert').getByText('registry-denied').waitFor();
    expect(value(await client.call('listRegistries', { params: { project: 'default' } })).items).toEqual([]);
    await dialog.getByLabel('Password or token').fill(key);
    await dialog.getByRole('button', { name: 'Add registry' }).click();
    await page.getByText('Registry own is added').waitFor();
    expect(await page.content()).not.toContain(key);

    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByText('reachable', { exact: true }).waitFor();
    await page.getByLabel('Artifact').fill('shop');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Import shop 2.0.0' }).click();
    await page.getByRole('region', { name: 'Imported' }).getByText('Shop 2.0.0', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Imported, and where used' }).click();
    const row = page.getByRole('row').filter({ hasText: '2.0.0' });
    await row.getByText('nothing yet').waitFor();
    // The hub refused the wrong password; the browser notes the answer.
    expect(complaints.filter((line) => !/status of 40\d/.test(line))).toEqual([]);
    complaints.splice(0);
  });

  test('a layer is swapped for the imported version and keeps its values', { timeout: 60_000 }, async () => {
    await page.goto('/p/default/profiles/hello/1.0.1?layer=shop');
    await page.getByRole('button', { name: 'Continue as 1.0.2' }).click();
    await page.getByRole('button', { name: 'Swap', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Swap layer shop' });
    await dialog.getByRole('button', { name: /shop 2\.0\.0/ }).click();
    await dialog.getByText('The edited values of this layer stay').waitFor();
    await dialog.getByRole('button', { name: 'Swap', exact: true }).click();
    await page.getByRole('button', { name: 'Save as draft' }).click();
    await page.getByText('hello 1.0.2 is saved as a draft').waitFor();
    const pack = (await profileOf('1.0.2')).spec.layers.find((each) => each.name === 'shop')?.pack;
    expect(pack).toMatchObject({ version: '2.0.0', registry: 'own' });
    expect(pack?.values).toContain('replicas: 3 # two');
    expect(complaints).toEqual([]);
  });
});
