import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { dashboardApp } from '@groundplane/hub/web/dashboard';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildDashboard, type DashboardBuild } from '@groundplane/hub/dashboard/build';

let dir: string;
let built: DashboardBuild;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gp-dashboard-'));
  built = await buildDashboard(join(dir, 'out'), { compression: 'fast' });
}, 60_000);
afterAll(() => rm(dir, { recursive: true, force: true }));

const ready = async () => {
  const app = dashboardApp({ assetsDir: () => Promise.resolve(built.outDir) });
  await expect.poll(async () => (await app.request('/')).status).toBe(200);
  return app;
};
const script = (): string => Object.keys(built.manifest.files).find((path) => path.startsWith('/assets/main-')) ?? '';

describe('build', () => {
  test('the first load stays below 220 KiB, gzipped', () => {
    expect(built.manifest.firstLoadBytes).toBeGreaterThan(50_000);
    expect(built.manifest.firstLoadBytes).toBeLessThanOrEqual(220 * 1024);
  });
  test('equal sources make equal builds', async () => {
    const again = await buildDashboard(join(dir, 'again'), { compression: 'fast' });
    expect(again.manifest).toEqual(built.manifest);
  });
  test('nothing in it needs eval', async () => {
    const app = await ready();
    for (const path of Object.keys(built.manifest.files)) {
      const text = await (await app.request(path)).text();
      expect(text.includes('unsafe-eval'), path).toBe(false);
    }
  });
});

describe('page', () => {
  test('every path gives the page with a nonce of its own and the whole policy', async () => {
    const app = await ready();
    const [one, two] = await Promise.all([app.request('/p/retail/fleet'), app.request('/setup')]);
    const policies = [one, two].map((response) => response.headers.get('content-security-policy') ?? '');
    const nonces = policies.map((policy) => /'nonce-([^']+)'/.exec(policy)?.[1] ?? '');
    expect(new Set(nonces).size).toBe(2);
    expect(await one.text()).toContain(`nonce="${nonces[0]}"`);
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"])
      expect(policies[0]).toContain(part);
    expect(policies[0]).not.toMatch(/unsafe/);
    expect(one.headers.get('cache-control')).toBe('no-store');
    expect(one.headers.get('x-content-type-options')).toBe('nosniff');
    expect(one.headers.get('referrer-policy')).toBe('no-referrer');
    expect(one.headers.get('cross-origin-opener-policy')).toBe('same-origin');
  });
  test('it has no inline script and no style attribute', async () => {
    const app = await ready();
    const html = await (await app.request('/')).text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/);
    expect(html).not.toMatch(/\sstyle=|\son[a-z]+=/);
  });
  test('paths of the API that do not exist are no page', async () => {
    const app = await ready();
    const response = await app.request('/api/v1/nothing');
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'not-found' } });
  });
  test('other methods are refused', async () => {
    const app = await ready();
    expect((await app.request('/', { method: 'POST' })).status).toBe(405);
    expect((await app.request('/', { method: 'HEAD' })).status).toBe(200);
  });
});

describe('assets', () => {
  test('they are compressed, cached for ever, and answered with 304 when known', async () => {
    const app = await ready();
    const plain = new Uint8Array(await (await app.request(script())).arrayBuffer());
    const br = await app.request(script(), { headers: { 'accept-encoding': 'gzip, br;q=1.0' } });
    expect(br.headers.get('content-encoding')).toBe('br');
    expect(new Uint8Array(brotliDecompressSync(await br.arrayBuffer()))).toEqual(plain);
    const gzip = await app.request(script(), { headers: { 'accept-encoding': 'gzip, br;q=0' } });
    expect(gzip.headers.get('content-encoding')).toBe('gzip');
    expect(new Uint8Array(gunzipSync(await gzip.arrayBuffer()))).toEqual(plain);
    expect(gzip.headers.get('cache-control')).toContain('immutable');
    const known = await app.request(script(), { headers: { 'accept-encoding': 'br', 'if-none-match': br.headers.get('etag') ?? '' } });
    expect(known.status).toBe(304);
  });
  test.each(['/assets/..%2f..%2fetc%2fpasswd', '/assets/../manifest.json', '/assets/manifest.json', '/assets/__proto__', '/assets/main.js.br'])(
    '%s is not served',
    async (path) => {
      const app = await ready();
      const response = await app.request(path);
      expect([200, 404]).toContain(response.status);
      expect(await response.text()).not.toMatch(/root:x|"schema"/);
      if (path.startsWith('/assets/') && !path.includes('../')) expect(response.status).toBe(404);
    },
  );
});

describe('while it is being built', () => {
  test('the answer says so, and the page comes by itself', async () => {
    const gate = Promise.withResolvers<string>();
    const app = dashboardApp({ assetsDir: () => gate.promise });
    const waiting = await app.request('/');
    expect(waiting.status).toBe(503);
    expect(waiting.headers.get('retry-after')).toBe('1');
    expect(await waiting.text()).toContain('http-equiv="refresh"');
    gate.resolve(built.outDir);
    await expect.poll(async () => (await app.request('/')).status).toBe(200);
  });
  test('a failure is shown as text and tried again', async () => {
    let tries = 0;
    const app = dashboardApp({
      assetsDir: () => {
        tries += 1;
        return tries === 1 ? Promise.reject(new Error('<b>broken</b>')) : Promise.resolve(built.outDir);
      },
    });
    const failed = await vi.waitFor(
      async () => {
        const answer = await app.request('/');
        expect(answer.status).toBe(500);
        return answer;
      },
      { timeout: 20_000 },
    );
    expect(await failed.text()).toContain('&#60;b&#62;broken');
    await expect.poll(async () => (await app.request('/')).status).toBe(200);
  });
});
