import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDashboard } from '@groundplane/hub/dashboard/build';
import { afterAll, beforeAll } from 'vitest';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

/** Debian's browser; none is downloaded. */
export const chromiumPath = '/usr/bin/chromium';

/** Why the browser tests cannot run here, or undefined. */
export const whyNoBrowser = (): string | undefined => (existsSync(chromiumPath) ? undefined : 'chromium is not installed (apt-get install chromium)');

/** Whether the caller insists on these tests. */
export const isBrowserRequired = (): boolean =>
  (process.env['GROUNDPLANE_TEST_REQUIRE'] ?? '').split(',').some((name) => ['chromium', 'all'].includes(name.trim()));

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

export interface Watched {
  context: BrowserContext;
  page: Page;
  /** Console errors, uncaught exceptions and violations of the page's policy. Must stay empty. */
  complaints: string[];
}

/** A page that writes down everything it complains about. */
export const openPage = async (
  browser: Browser,
  baseURL: string,
  theme: 'light' | 'dark' = 'light',
  viewport = { width: 1440, height: 900 },
): Promise<Watched> => {
  const context = await browser.newContext({ baseURL, colorScheme: theme, viewport, permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  await page.exposeFunction('groundplaneComplain', (text: string) => complaints.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      const complain = (globalThis as unknown as { groundplaneComplain: (text: string) => void }).groundplaneComplain;
      complain(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
    });
  });
  return { context, page, complaints };
};

export const logIn = async (page: Page, credentials: { name: string; password: string }): Promise<void> => {
  await page.goto('/login');
  await page.getByLabel('Name').fill(credentials.name);
  await page.getByLabel('Password').fill(credentials.password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(/\/p\//);
};

/** The built dashboard and a browser for the tests of one `describe`. */
export const useDashboard = (name: string): { assetsDir: () => string; browser: () => Browser } => {
  let dir: string;
  let browser: Browser;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), `gp-${name}-`));
    await buildDashboard(join(dir, 'out'), { compression: 'fast' });
    browser = await openBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser.close();
    await rm(dir, { recursive: true, force: true });
  });
  return { assetsDir: () => join(dir, 'out'), browser: () => browser };
};
