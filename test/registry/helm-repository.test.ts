import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { createHelmRepository, chooseVersion, parseIndex, type HelmRepository } from '@groundplane/hub/registry/helm-repository';
import { registryLimits } from '@groundplane/hub/registry/limits';
import { createEgress } from '@groundplane/hub/registry/egress';
import { codeOf, value } from '../hub/world.ts';
import { answer, faultyProxy, type FaultyProxy } from './faulty-proxy.ts';
import { hurriedClock, noise } from './rig.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
const server = async (): Promise<FaultyProxy> => {
  const proxy = await faultyProxy();
  closers.push(() => proxy.close());
  return proxy;
};
const open = (repository: HelmRepository) => {
  const egress = createEgress({ private: ['127.0.0.0/8'] });
  closers.push(() => egress.close());
  return createHelmRepository({ egress, clock: hurriedClock() }, repository);
};
const chart = noise(500);
const hex = createHash('sha256').update(chart).digest('hex');
const indexOf = (url: string, digest = hex): string =>
  `apiVersion: v1\nentries:\n  web:\n  - {name: web, version: 1.2.0, urls: ["${url}"], digest: ${digest}}\n  - {name: web, version: 1.10.0, urls: ["${url}"]}\n  - {name: web, version: 2.0.0-rc.1, urls: ["${url}"]}\n`;
const login = { username: 'anna', password: 'secret' };

describe('index', () => {
  const versions = ['1.2.0', '1.10.0', '1.10.0-beta', 'v2.0.0', '2.1.0-rc.1', '0.9.0', 'latest-build'].map((version) => ({ name: 'web', version }));
  const listed = value(parseIndex(Buffer.from(JSON.stringify({ entries: { web: versions } })), 'index')).get('web') ?? [];

  test('newest first; what is no version comes last', () => {
    expect(listed.map((item) => item.version)).toEqual(['2.1.0-rc.1', 'v2.0.0', '1.10.0', '1.10.0-beta', '1.2.0', '0.9.0', 'latest-build']);
  });
  test.each([
    [undefined, 'v2.0.0'],
    ['', 'v2.0.0'],
    ['^1.2', '1.10.0'],
    ['~1.2.0', '1.2.0'],
    ['<1', '0.9.0'],
    ['2.0.0', 'v2.0.0'],
    ['v1.2.0', '1.2.0'],
    ['2.1.0-rc.1', '2.1.0-rc.1'],
    ['>=2.1.0-0', '2.1.0-rc.1'],
    ['latest-build', 'latest-build'],
    ['^9', undefined],
    ['nonsense', undefined],
  ])('%s chooses %s', (wanted, version) => expect(chooseVersion(listed, wanted)?.version).toBe(version));

  test('entries that are broken, foreign or no list are left out', () => {
    const index = value(
      parseIndex(Buffer.from('entries:\n  web:\n  - {name: web, version: 1.0.0}\n  - {name: other, version: 9.9.9}\n  - 3\n  bad: yes\n'), 'index'),
    );
    expect([...index].map(([name, entries]) => [name, entries.length])).toEqual([['web', 1]]);
  });
  test.each([
    ['', 'index-invalid'],
    ['[]', 'index-invalid'],
    ['entries: 3', 'index-invalid'],
    ['<html><body>not found', 'index-invalid'],
    [`entries:\n  a: &a [${'1,'.repeat(10)}]\n${Array.from({ length: 101 }, (_, index) => `  b${index}: *a\n`).join('')}`, 'index-invalid'],
  ])('%j is no index', (text, code) => expect(codeOf(parseIndex(Buffer.from(text), 'index'))).toBe(code));

  test('30 MB of JSON is read in a second or so; the limit is a limit', () => {
    const many = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, index) => [
        `c${index}`,
        Array.from({ length: 40 }, (_, at) => ({ name: `c${index}`, version: `1.${at}.0`, description: 'x'.repeat(300) })),
      ]),
    );
    const bytes = Buffer.from(JSON.stringify({ entries: many }));
    expect(bytes.length).toBeGreaterThan(25_000_000);
    expect(value(parseIndex(bytes, 'index')).size).toBe(2_000);
    expect(codeOf(parseIndex(Buffer.alloc(registryLimits.helmIndexBytes + 1), 'index'))).toBe('index-too-large');
  });
});

describe('charts', () => {
  test('by relative address, checked against the digest; one without digest is taken', async () => {
    const proxy = await server();
    proxy.fault = (request, response) =>
      request.url === '/stable/index.yaml' ? answer(response, 200, indexOf('charts/web.tgz')) : answer(response, 200, chart);
    const repository = open({ url: `http://${proxy.host}/stable` });
    expect(value(await repository.fetch('web', '1.2.0'))).toEqual({ name: 'web', version: '1.2.0', bytes: chart, digest: `sha256:${hex}` });
    expect(value(await repository.fetch('web', '^1.2')).version).toBe('1.10.0');
    expect(proxy.seen.at(-1)?.path).toBe('/stable/charts/web.tgz');
    const missing = await repository.fetch('wob', undefined);
    expect(missing.ok ? '' : missing.failure.message).toContain('it has web');
    const none = await repository.fetch('web', '^7');
    expect(none.ok ? '' : none.failure.message).toContain('there are 2.0.0-rc.1, 1.10.0');
  });

  test('another digest than the index says is refused', async () => {
    const proxy = await server();
    proxy.fault = (request, response) =>
      request.url === '/index.yaml' ? answer(response, 200, indexOf('web.tgz', 'a'.repeat(64))) : answer(response, 200, chart);
    expect(codeOf(await open({ url: `http://${proxy.host}` }).fetch('web', '1.2.0'))).toBe('content-wrong');
  });

  test('the password goes to the repository, and to another host only when told so', async () => {
    const other = await server();
    other.fault = (_, response) => answer(response, 200, chart);
    const proxy = await server();
    proxy.fault = (request, response) => {
      if (request.headers.authorization === undefined) return answer(response, 401, '{}');
      return answer(response, 200, indexOf(`http://${other.host}/web.tgz`));
    };
    value(await open({ url: `http://${proxy.host}`, credentials: login }).fetch('web', '1.2.0'));
    expect(other.seen.at(-1)?.authorization).toBeUndefined();
    value(await open({ url: `http://${proxy.host}`, credentials: login, passCredentials: true }).fetch('web', '1.2.0'));
    expect(other.seen.at(-1)?.authorization).toMatch(/^Basic/);
    expect(codeOf(await open({ url: `http://${proxy.host}` }).fetch('web', '1.2.0'))).toBe('registry-denied');
  });

  test('a redirect carries no password and ends somewhere', async () => {
    const other = await server();
    const proxy = await server();
    proxy.fault = (_, response) => {
      response.writeHead(302, { location: `http://${other.host}/index.yaml` }).end();
      return 'handled';
    };
    other.fault = (_, response) => answer(response, 200, indexOf('web.tgz'));
    value(await open({ url: `http://${proxy.host}`, credentials: login }).index());
    expect(other.seen.map((item) => item.authorization)).toEqual([undefined]);
    other.fault = proxy.fault;
    expect(codeOf(await open({ url: `http://${proxy.host}`, credentials: login }).index())).toBe('registry-malformed');
  });

  test('429 is waited for; a cut is tried again; addresses of other kinds are not followed', async () => {
    const proxy = await server();
    let turn = 0;
    proxy.fault = (_, response) => {
      turn += 1;
      if (turn === 1) return answer(response, 429, '', { 'retry-after': '1' });
      if (turn === 2) {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('entries', () => response.destroy());
        return 'handled';
      }
      return answer(response, 200, indexOf('file:///etc/passwd'));
    };
    expect(codeOf(await open({ url: `http://${proxy.host}` }).fetch('web', '1.2.0'))).toBe('registry-insecure');
    expect(turn).toBe(3);
    expect(codeOf(await open({ url: 'http://charts.example' }).index())).toBe('registry-insecure');
    expect(codeOf(await open({ url: 'https://a:b@charts.example' }).index())).toBe('registry-malformed');
    expect(codeOf(await open({ url: 'ftp://charts.example' }).index())).toBe('registry-malformed');
  });
});
