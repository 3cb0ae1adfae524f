import { describe, expect, test } from 'vitest';
import { isBrowserRequired, logIn, openPage, useDashboard, whyNoBrowser } from './browser.ts';
import { startFixture } from './fixture-server.ts';

const reason = isBrowserRequired() ? undefined : whyNoBrowser();

describe.skipIf(reason !== undefined)(`clouds in Chromium${reason === undefined ? '' : `, skipped: ${reason}`}`, () => {
  const dashboard = useDashboard('clouds');

  test('add an account, write a cluster from what the cloud offers, scale and replace its pools', { timeout: 120_000 }, async () => {
    const server = await startFixture({ hosts: 12, assetsDir: dashboard.assetsDir() });
    const { context, page, complaints } = await openPage(dashboard.browser(), server.url);
    await logIn(page, server.credentials);
    await page.getByRole('link', { name: 'Cloud accounts' }).click();
    await page.getByText('lacks permissions').waitFor();
    await page.getByRole('button', { name: 'Add account' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add cloud account' });
    await dialog.getByLabel('Name').fill('second');
    await dialog.getByLabel('Kind').selectOption('maas');
    await dialog.getByLabel(/^Settings and secret/).fill('settings: {url: https://maas.example}\nsecret: {type: key, key: "wrong:b:c"}\n');
    await dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await dialog.getByText('does not know this access key').waitFor();
    await dialog.getByLabel(/^Settings and secret/).fill('settings: {url: https://maas.example}\nsecret: {type: key, key: "a:b:c"}\n');
    await dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { name: 'second' }).waitFor();

    await page.goto('/p/retail/create/cluster');
    await page.getByRole('heading', { name: 'Environment' }).waitFor();
    await page.getByLabel('Environment and account').selectOption('aws production');
    await page.getByRole('button', { name: 'Write into the document' }).click();
    await page.getByText('Regions (2)').click();
    await page.getByRole('button', { name: 'Choose Regions eu-central-1' }).click();
    await page.getByText(/^Sizes, for every pool/).click();
    await page.getByRole('button', { name: /^Choose Sizes.* m6i\.large/ }).click();
    const text = await page.locator('.cm-content').innerText();
    expect(text).toContain('environment: aws');
    expect(text).toContain('region: eu-central-1');
    expect(text.match(/size: m6i\.large/g)).toHaveLength(2);

    await page.goto('/p/retail/clusters/store-000');
    await page.getByText('current limit allows').waitFor();
    await page.getByRole('button', { name: 'Replace them: machines of workers' }).click();
    await page.getByRole('button', { name: 'Replace them: machines of workers' }).waitFor({ state: 'detached' });
    const size = page.getByLabel('Machines of workers, 1 to 5');
    await size.fill('9');
    await page.getByText('A number from 1 to 5.').waitFor();
    await size.fill('4');
    await size.press('Enter');
    await page.getByText('1 of 4 ready').waitFor();
    // The browser notes the refused account by itself.
    expect(complaints.filter((text) => !text.includes('409 (Conflict)'))).toEqual([]);
    await context.close();
    await server.close();
  });

  test('import an existing cluster by an agent inside of it: the wizard writes it, and shows the one command', { timeout: 120_000 }, async () => {
    const server = await startFixture({ hosts: 12, assetsDir: dashboard.assetsDir() });
    const { context, page, complaints } = await openPage(dashboard.browser(), server.url);
    await logIn(page, server.credentials);
    await page.goto('/p/retail/create/cluster');
    await page.getByLabel('Environment and account').selectOption('Existing cluster, agent inside of it (needs no account)');
    await page.getByRole('button', { name: 'Write into the document' }).click();
    await page.getByText('When this is applied, one command for that cluster is shown.').waitFor();
    const text = await page.locator('.cm-content').innerText();
    expect(text).toContain('environment: existing');
    expect(text).toContain('agent: inside');
    expect(text).toContain('mode: read-only');
    expect(text).not.toContain('account');
    await page.getByRole('button', { name: 'Preview plan' }).click();
    await page.getByRole('button', { name: 'Apply', exact: true }).click();
    await page.getByRole('heading', { name: 'Import first' }).waitFor();
    await page.getByText('The cluster is noted, and waits for its agent.').waitFor();
    // It holds a secret: it is made when somebody asks.
    expect(await page.getByText('kubectl apply').count()).toBe(0);
    await page.getByRole('button', { name: 'Show the command' }).click();
    await expect.poll(() => page.getByLabel('Command for the cluster').innerText()).toBe('kubectl apply -f https://hub.example/v1/import/code-of-first');
    await page.getByRole('button', { name: 'Copy the command' }).waitFor();
    await page.getByRole('link', { name: 'To the cluster' }).click();
    await page.getByRole('heading', { name: 'first' }).waitFor();
    expect(complaints).toEqual([]);
    await context.close();
    await server.close();
  });
});
