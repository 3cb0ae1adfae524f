import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestBytes } from '@groundplane/protocol/digest';
import { gp as run, type FakeOptions } from '../cli/fake-io.ts';
import { answer, faultyProxy, type FaultyProxy } from '../registry/faulty-proxy.ts';
import { chartOf, plainPack, type PackTexts } from './packs.ts';

const chart = chartOf('web');
const digest = digestBytes(chart);
let folder = '';
let server: FaultyProxy;
let served: Uint8Array = chart;
const index = (version = '1.0.0'): string => `apiVersion: v1\nentries:\n  web:\n  - {name: web, version: ${version}, urls: [web.tgz]}\n`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gp-fetch-'));
  served = chart;
  server = await faultyProxy();
  server.fault = (incoming, response) => {
    const body = incoming.url === '/index.yaml' ? Buffer.from(index()) : incoming.url === '/web.tgz' ? Buffer.from(served) : undefined;
    if (body === undefined) return answer(response, 404, '');
    response.writeHead(200).end(body);
    return 'handled';
  };
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const upstream = (more = '', repository = `http://${server.host}`): string =>
  `# Where our chart is.\ncharts:\n  - name: web # ours\n    version: 1.0.0\n    repository: ${repository}\n${more}`;
const make = async (text: string, more: PackTexts = {}): Promise<void> => {
  const { 'charts/web-1.0.0.tgz': _gone, ...thin } = plainPack();
  for (const [file, data] of Object.entries({ ...thin, 'upstream.yaml': text, ...more })) {
    await mkdir(dirname(join(folder, 'thin', file)), { recursive: true });
    await writeFile(join(folder, 'thin', file), data);
  }
};
const fetch = (line: readonly string[] = [], options: FakeOptions = {}) => run(['pack', 'fetch', 'thin', ...line], { cwd: folder, ...options });
const charts = (): Promise<string[]> => readdir(join(folder, 'thin', 'charts')).catch(() => []);

describe('gp pack fetch', () => {
  test('puts the chart where pack.json lists it; the second time there is nothing to do', async () => {
    await make(upstream(`    digest: ${digest}\n`));
    expect((await run(['pack', 'build', 'thin', '--out', 'a.tgz'], { cwd: folder })).error).toContain('gp pack fetch thin');
    const ran = await fetch(['-o', 'json']);
    expect([ran.code, JSON.parse(ran.out)]).toMatchObject([0, [{ chart: 'web', digest, isNew: true, isPinned: true }]]);
    expect(digestBytes(await readFile(join(folder, 'thin', 'charts', 'web-1.0.0.tgz')))).toBe(digest);
    expect((await run(['pack', 'build', 'thin', '--out', 'a.tgz'], { cwd: folder })).code).toBe(0);
    server.seen.length = 0;
    expect(JSON.parse((await fetch(['-o', 'json'])).out)).toMatchObject([{ isNew: false }]);
    expect(server.seen).toEqual([]);
  });

  test('without a digest it says which one to add, or adds it where comments stay', async () => {
    await make(upstream());
    const ran = await fetch();
    expect([ran.code, ran.error]).toEqual([0, expect.stringContaining(`    digest: ${digest}\n`)]);
    expect((await fetch(['--pin'])).code).toBe(0);
    const text = await readFile(join(folder, 'thin', 'upstream.yaml'), 'utf8');
    expect(text).toContain('# Where our chart is.\ncharts:\n  - name: web # ours\n');
    expect(text).toContain(`digest: ${digest}`);
    expect((await run(['pack', 'lint', 'thin', '-o', 'json'], { cwd: folder })).out).not.toContain('upstream-unpinned');
  });

  test.each([
    ['another digest', (): Uint8Array => chartOf('web', '1.0.0', 'evil: true\n'), `    digest: ${digest}\n`, 'upstream.yaml pins'],
    ['another chart', (): Uint8Array => chartOf('other'), '', 'says other 1.0.0'],
    ['another version', (): Uint8Array => chartOf('web', '1.0.1'), '', 'says web 1.0.1'],
    ['no chart', (): Uint8Array => Buffer.from('hello'), '', 'says nothing'],
  ])('refuses %s, and writes nothing', async (_, bytes, more, told) => {
    served = bytes();
    await make(upstream(more));
    const ran = await fetch(['--pin']);
    expect([ran.code, ran.error, await charts()]).toEqual([1, expect.stringContaining(told), []]);
    expect(await readFile(join(folder, 'thin', 'upstream.yaml'), 'utf8')).toBe(upstream(more));
  });

  test('an archive that lies there with another digest is neither taken nor overwritten', async () => {
    await make(upstream(`    digest: ${digest}\n`), { 'charts/web-1.0.0.tgz': chartOf('web', '1.0.0', 'mine: true\n') });
    const ran = await fetch();
    expect([ran.code, ran.error, server.seen]).toEqual([1, expect.stringContaining('remove it'), []]);
  });

  test('a password is for one host, and only sent there', async () => {
    const both = `${upstream()}  - {name: b, version: 1.0.0, repository: "https://charts.example"}\n`;
    await make(both);
    const refused = await fetch(['--username', 'anna', '--password-stdin'], { stdin: 'secret\n' });
    expect([refused.code, refused.error, server.seen]).toEqual([2, expect.stringContaining('charts.example'), []]);
    await make(upstream());
    expect((await fetch(['--username', 'anna', '--password-stdin'], { stdin: 'secret\n' })).code).toBe(0);
    expect(server.seen.map((item) => item.authorization)).toEqual(Array.from({ length: 2 }, () => `Basic ${Buffer.from('anna:secret').toString('base64')}`));
  });

  test('what cannot be had, or read, is told before anything is asked for', async () => {
    await make(upstream('', `http://${server.host}/nowhere`));
    expect((await fetch()).error).toContain('does not have it');
    await make(upstream('    file: ../../x.tgz\n'));
    server.seen.length = 0;
    const ran = await fetch();
    expect([ran.code, ran.error, server.seen]).toEqual([1, expect.stringContaining('nothing was fetched'), []]);
    await make(upstream('', 'http://charts.example/stable'));
    expect((await fetch()).error).toContain('--insecure');
  });
});
