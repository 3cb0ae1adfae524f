import { afterEach, describe, expect, test } from 'vitest';
import { registryLimits } from '@groundplane/hub/registry/limits';
import { parseChallenges, isSameOwner } from '@groundplane/hub/registry/oci-auth';
import { sha256Of } from '@groundplane/hub/registry/oci-client';
import { emptyDescriptor, manifestBytes, mediaTypes } from '@groundplane/hub/registry/oci-manifest';
import { retryAfterMs } from '@groundplane/hub/registry/oci-connection';
import { fakeContent } from '../fake/content.ts';
import { codeOf, value } from '../hub/world.ts';
import { answer, faultyProxy, type FaultyProxy } from './faulty-proxy.ts';
import { blobOf, clientFor, descriptorOf, noise, ref, type Rig } from './rig.ts';
import { reasonText, registryMissing, startRegistry } from './docker-registry.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
const proxyTo = async (target?: string): Promise<FaultyProxy> => {
  const proxy = await faultyProxy(target);
  closers.push(() => proxy.close());
  return proxy;
};
const rigFor = (...given: Parameters<typeof clientFor>): Rig => {
  const rig = clientFor(...given);
  closers.push(() => rig.close());
  return rig;
};

const manifest = manifestBytes({ config: emptyDescriptor, layers: [] });
const manifestHeaders = { 'content-type': mediaTypes.manifest, 'docker-content-digest': sha256Of(manifest) };
const login = { username: 'anna', password: 'secret' };

describe.skipIf(registryMissing !== '')(`faults before a real registry${reasonText}`, () => {
  test('a blob that is cut several times comes whole, by range', async () => {
    const registry = await startRegistry();
    closers.push(() => registry.remove());
    const proxy = await proxyTo(registry.host);
    const rig = rigFor();
    const bytes = noise(3_000_000);
    value(await rig.client.pushBlob(ref(`${registry.host}/cut`), blobOf(bytes)));
    let cuts = 0;
    proxy.fault = (request) => {
      if (!(request.url ?? '').includes('/blobs/sha256:') || request.method !== 'GET' || cuts >= 5) return undefined;
      cuts += 1;
      return { cutAfter: 500_000 };
    };
    const store = fakeContent();
    value(await rig.client.pullBlob(ref(`${proxy.host}/cut`), descriptorOf(bytes), store));
    expect((await store.read(sha256Of(bytes)))?.equals(bytes)).toBe(true);
    const ranges = proxy.seen.filter((item) => item.method === 'GET').map((item) => item.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=\d+-$/.test(range ?? ''))).toBe(true);
    expect(cuts).toBe(5);
  }, 20_000);

  test('an upload goes on after the registry was killed and started again', async () => {
    const registry = await startRegistry();
    closers.push(() => registry.remove());
    const proxy = await proxyTo(registry.host);
    const rig = rigFor();
    const bytes = noise(40 * 1024 * 1024);
    let patches = 0;
    let restarting: Promise<void> | undefined;
    proxy.fault = (request, response) => {
      if (request.method === 'PATCH' && (patches += 1) === 2) {
        restarting = registry.stop().then(() => registry.start());
        void restarting.then(() => response.destroy());
        return 'handled';
      }
      return undefined;
    };
    value(await rig.client.pushBlob(ref(`${proxy.host}/up`), blobOf(bytes)));
    await restarting;
    expect(patches).toBeGreaterThan(2);
    expect(value(await rig.client.readBlob(ref(`${registry.host}/up`), descriptorOf(bytes), bytes.length)).equals(bytes)).toBe(true);
  }, 30_000);
});

describe('a busy registry', () => {
  test('429 with Retry-After is waited for, by the clock', async () => {
    const proxy = await proxyTo();
    let asked = 0;
    proxy.fault = (_, response) => {
      asked += 1;
      return asked <= 2 ? answer(response, 429, '{}', { 'retry-after': '7' }) : answer(response, 200, manifest, manifestHeaders);
    };
    const rig = rigFor();
    value(await rig.client.manifest(ref(`${proxy.host}/busy:1`)));
    expect(rig.clock.waits).toEqual([7_000, 7_000]);
  });

  test('whoever has somebody waiting does not wait for minutes', async () => {
    const proxy = await proxyTo();
    proxy.fault = (_, response) => answer(response, 429, '{}', { 'retry-after': '11' });
    const rig = rigFor({}, { private: ['127.0.0.0/8'] }, { waitMaxMs: 10_000 });
    expect(codeOf(await rig.client.manifest(ref(`${proxy.host}/busy:1`)))).toBe('registry-busy');
    expect([proxy.seen.length, rig.clock.waits]).toEqual([1, []]);
  });

  test('it gives up in the end, and says so', async () => {
    const proxy = await proxyTo();
    proxy.fault = (_, response) => answer(response, 503, '{"errors":[{"code":"UNAVAILABLE","message":"come\\nlater"}]}');
    const result = await rigFor().client.manifest(ref(`${proxy.host}/busy:1`));
    expect(codeOf(result)).toBe('registry-busy');
    expect(result.ok ? '' : result.failure.message).toContain('come later');
    expect(proxy.seen.length).toBe(registryLimits.tries);
  });

  test('Retry-After: seconds, dates, nonsense, a year', () => {
    const now = Date.UTC(2026, 0, 1);
    expect(retryAfterMs('3', now)).toBe(3_000);
    expect(retryAfterMs('Thu, 01 Jan 2026 00:00:10 GMT', now)).toBe(10_000);
    expect(retryAfterMs('Thu, 01 Jan 2020 00:00:10 GMT', now)).toBe(0);
    expect(retryAfterMs('soon', now)).toBeUndefined();
    expect(retryAfterMs('31536000', now)).toBe(registryLimits.retryAfterMs);
    expect(retryAfterMs(undefined, now)).toBeUndefined();
  });
});

describe('credentials stay where they belong', () => {
  test('a redirect to another host carries no password (CVE-2020-15157 and its kind)', async () => {
    const thief = await proxyTo();
    const bytes = noise(1_000);
    thief.fault = (_, response) => answer(response, 200, bytes, { 'content-type': 'application/octet-stream' });
    const proxy = await proxyTo();
    proxy.fault = (request, response) => {
      if (request.headers.authorization === undefined) return answer(response, 401, '{}', { 'www-authenticate': 'Basic realm="test"' });
      response.writeHead(307, { location: `http://${thief.host}/storage/blob?signature=abc` }).end();
      return 'handled';
    };
    const rig = rigFor({ [proxy.host]: { credentials: login } });
    value(await rig.client.pullBlob(ref(`${proxy.host}/x`), descriptorOf(bytes), fakeContent()));
    expect(proxy.seen.at(-1)?.authorization).toBe(`Basic ${Buffer.from('anna:secret').toString('base64')}`);
    expect(thief.seen.map((item) => item.authorization)).toEqual([undefined]);
  });

  test('a place that we were sent to gets no password by asking for one', async () => {
    const thief = await proxyTo();
    thief.fault = (_, response) => answer(response, 401, '{}', { 'www-authenticate': 'Basic realm="mine"' });
    const proxy = await proxyTo();
    proxy.fault = (_, response) => {
      response.writeHead(302, { location: `http://${thief.host}/x` }).end();
      return 'handled';
    };
    const rig = rigFor({ [proxy.host]: { credentials: login } });
    expect(codeOf(await rig.client.manifest(ref(`${proxy.host}/x:1`)))).toBe('registry-denied');
    expect(thief.seen.map((item) => item.authorization)).toEqual([undefined]);
  });

  test('back home from a detour, the password does not travel again', async () => {
    const proxy = await proxyTo();
    const detour = await proxyTo();
    detour.fault = (_, response) => {
      response.writeHead(302, { location: `http://${proxy.host}/v2/second` }).end();
      return 'handled';
    };
    proxy.fault = (request, response) => {
      if (request.url?.includes('second') === true) return answer(response, 200, manifest, manifestHeaders);
      if (request.headers.authorization === undefined) return answer(response, 401, '{}', { 'www-authenticate': 'Basic realm="test"' });
      response.writeHead(302, { location: `http://${detour.host}/` }).end();
      return 'handled';
    };
    const rig = rigFor({ [proxy.host]: { credentials: login } });
    value(await rig.client.manifest(ref(`${proxy.host}/x:1`)));
    expect(proxy.seen.at(-1)).toMatchObject({ path: '/v2/second', authorization: undefined });
  });

  test('a token server of somebody else does not get the password; without one, tokens come from anywhere', async () => {
    const proxy = await proxyTo();
    proxy.fault = (_, response) => answer(response, 401, '{}', { 'www-authenticate': 'Bearer realm="http://localhost:1/token",service="x"' });
    const with_ = rigFor({ [proxy.host]: { credentials: login } });
    const result = await with_.client.manifest(ref(`${proxy.host}/x:1`));
    expect(codeOf(result)).toBe('registry-foreign-realm');
    expect(result.ok ? '' : result.failure.message).toContain('--token-host localhost');
  });

  test('nothing is sent before the registry asks', async () => {
    const proxy = await proxyTo();
    proxy.fault = (_, response) => answer(response, 200, manifest, manifestHeaders);
    value(await rigFor({ [proxy.host]: { credentials: login } }).client.manifest(ref(`${proxy.host}/x:1`)));
    expect(proxy.seen.map((item) => item.authorization)).toEqual([undefined]);
  });

  test('redirects without end, to nowhere, to other schemes and to private addresses end', async () => {
    const proxy = await proxyTo();
    let location: string | undefined = `http://${proxy.host}/again`;
    proxy.fault = (_, response) => {
      response.writeHead(302, location === undefined ? {} : { location }).end();
      return 'handled';
    };
    const rig = rigFor();
    expect(codeOf(await rig.client.manifest(ref(`${proxy.host}/x:1`)))).toBe('registry-malformed');
    expect(proxy.seen.length).toBe(registryLimits.redirects + 1);
    location = undefined;
    expect(codeOf(await rig.client.manifest(ref(`${proxy.host}/x:1`)))).toBe('registry-malformed');
    location = 'file:///etc/passwd';
    expect(codeOf(await rig.client.manifest(ref(`${proxy.host}/x:1`)))).toBe('registry-insecure');
    location = 'https://169.254.169.254/latest/meta-data';
    expect(codeOf(await rig.client.manifest(ref(`${proxy.host}/x:1`)))).toBe('egress-refused');
  });

  test('unencrypted only to this machine, or when asked for', async () => {
    const { endpointsOf } = await import('@groundplane/hub/registry/endpoints');
    expect(value(endpointsOf('registry.example', {}, undefined))[0]?.origin).toBe('https://registry.example');
    expect(value(endpointsOf('127.0.0.1:5000', {}, undefined))[0]?.origin).toBe('http://127.0.0.1:5000');
    expect(value(endpointsOf('registry.example', { insecure: true }, undefined))[0]?.origin).toBe('http://registry.example');
    expect(codeOf(endpointsOf('registry.example', { mirrors: [{ url: 'http://mirror.example' }] }, undefined))).toBe('registry-insecure');
    expect(codeOf(endpointsOf('registry.example', { mirrors: [{ url: 'https://user:pass@mirror.example' }] }, undefined))).toBe('registry-malformed');
  });
});

describe('tokens', () => {
  const tokenRegistry = async (expiresIn = 300): Promise<{ proxy: FaultyProxy; tokens: () => number; revoke: () => void }> => {
    const proxy = await proxyTo();
    let issued = 0;
    let valid = '';
    proxy.fault = (request, response) => {
      const url = new URL(request.url ?? '', `http://${proxy.host}`);
      if (url.pathname === '/token') {
        if (request.headers.authorization !== `Basic ${Buffer.from('anna:secret').toString('base64')}`) return answer(response, 401, '{}');
        issued += 1;
        valid = `t${issued}`;
        return answer(response, 200, JSON.stringify({ token: valid, expires_in: expiresIn, asked: url.searchParams.get('scope') }));
      }
      if (request.headers.authorization !== `Bearer ${valid}`)
        return answer(response, 401, '{}', {
          'www-authenticate': `Bearer realm="http://${proxy.host}/token",service="registry, with comma",scope="repository:x:pull"`,
        });
      return answer(response, 200, manifest, manifestHeaders);
    };
    return { proxy, tokens: () => issued, revoke: () => (valid = 'gone') };
  };

  test('a token is asked for with service and scope, used again, and renewed when it is refused', async () => {
    const { proxy, tokens, revoke } = await tokenRegistry();
    const rig = rigFor({ [proxy.host]: { credentials: login } });
    for (let turn = 0; turn < 3; turn += 1) value(await rig.client.manifest(ref(`${proxy.host}/x:1`)));
    expect(tokens()).toBe(1);
    const asked = proxy.seen.find((item) => item.path.startsWith('/token'));
    expect(new URL(asked?.path ?? '', 'http://x').searchParams.get('scope')).toBe('repository:x:pull');
    expect(new URL(asked?.path ?? '', 'http://x').searchParams.get('service')).toBe('registry, with comma');
    revoke();
    value(await rig.client.manifest(ref(`${proxy.host}/x:1`)));
    expect(tokens()).toBe(2);
  });

  test('a wrong password is said once, without retrying', async () => {
    const { proxy } = await tokenRegistry();
    const rig = rigFor({ [proxy.host]: { credentials: { username: 'anna', password: 'wrong' } } });
    const result = await rig.client.manifest(ref(`${proxy.host}/x:1`));
    expect(codeOf(result)).toBe('registry-denied');
    expect(JSON.stringify(result)).not.toContain('wrong');
    expect(proxy.seen.length).toBe(2);
  });

  test('a token that would end the header is refused', async () => {
    const proxy = await proxyTo();
    proxy.fault = (request, response) =>
      request.url?.startsWith('/token') === true
        ? answer(response, 200, JSON.stringify({ token: 'a\r\nx: y' }))
        : answer(response, 401, '{}', { 'www-authenticate': `Bearer realm="http://${proxy.host}/token"` });
    expect(codeOf(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)))).toBe('registry-malformed');
  });

  test('challenges as servers write them', () => {
    expect(parseChallenges('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"')).toEqual([
      { scheme: 'bearer', params: { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' } },
    ]);
    expect(parseChallenges('Basic realm="a \\"b\\"", Bearer realm=x').map((item) => [item.scheme, item.params['realm']])).toEqual([
      ['basic', 'a "b"'],
      ['bearer', 'x'],
    ]);
    expect(parseChallenges('Negotiate, basic')).toEqual([{ scheme: 'basic', params: {} }]);
    expect(parseChallenges('')).toEqual([]);
    expect(parseChallenges('"'.repeat(100_000))).toEqual([]);
  });

  test('whose host is whose', () => {
    expect(isSameOwner('registry-1.docker.io', 'auth.docker.io')).toBe(true);
    expect(isSameOwner('registry.gitlab.example', 'gitlab.example')).toBe(true);
    expect(isSameOwner('registry.example.co.uk', 'auth.example.co.uk')).toBe(true);
    expect(isSameOwner('registry.example.co.uk', 'evil.co.uk')).toBe(false);
    expect(isSameOwner('registry.example', 'registry.example.evil')).toBe(false);
    expect(isSameOwner('a.notexample.org', 'b.example.org')).toBe(false);
    expect(isSameOwner('10.0.0.1', '10.0.0.2')).toBe(false);
    expect(isSameOwner('localhost', '127.0.0.1')).toBe(false);
  });
});

describe('what a registry may not do', () => {
  test('other bytes than the digest says', async () => {
    const proxy = await proxyTo();
    proxy.fault = (_, response) => answer(response, 200, manifest, { ...manifestHeaders, 'docker-content-digest': `sha256:${'0'.repeat(64)}` });
    expect(codeOf(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)))).toBe('content-wrong');
    expect(codeOf(await rigFor().client.manifest(ref(`${proxy.host}/x@sha256:${'1'.repeat(64)}`)))).toBe('content-wrong');
    const wrong = noise(100);
    proxy.fault = (_, response) => answer(response, 200, wrong);
    expect(codeOf(await rigFor().client.pullBlob(ref(`${proxy.host}/x`), descriptorOf(noise(100)), fakeContent()))).toBe('content-wrong');
    expect(codeOf(await rigFor().client.readBlob(ref(`${proxy.host}/x`), descriptorOf(noise(100)), 100))).toBe('content-wrong');
  });

  test('more or less bytes than announced', async () => {
    const proxy = await proxyTo();
    const bytes = noise(1_000);
    proxy.fault = (_, response) => answer(response, 200, bytes);
    for (const size of [999, 1_001]) {
      const result = await rigFor().client.pullBlob(ref(`${proxy.host}/x`), { digest: sha256Of(bytes), size }, fakeContent());
      expect(codeOf(result)).toBe('content-wrong');
    }
  });

  test('a manifest over the limit; the limit itself is fine', async () => {
    const proxy = await proxyTo();
    const sized = (size: number): Buffer => {
      const empty = manifestBytes({ config: emptyDescriptor, layers: [], annotations: {} }).length;
      const parts: Record<string, string> = {};
      let left = size - empty;
      for (let index = 0; left > 0; index += 1) {
        const key = `k${String(index).padStart(3, '0')}`;
        const overhead = index === 0 ? 9 : 10;
        const length = Math.min(60_000, left - overhead);
        const rest = left - overhead - length;
        const fitted = rest > 0 && rest < 20 ? length - 20 : length;
        parts[key] = 'v'.repeat(fitted);
        left -= overhead + fitted;
      }
      return manifestBytes({ config: emptyDescriptor, layers: [], annotations: parts });
    };
    let body = sized(registryLimits.manifestBytes);
    expect(body.length).toBe(registryLimits.manifestBytes);
    proxy.fault = (_, response) => answer(response, 200, body, { 'content-type': mediaTypes.manifest });
    value(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)));
    body = Buffer.concat([body, Buffer.from(' ')]);
    expect(codeOf(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)))).toBe('manifest-too-large');
  });

  test('tags without end, and pages in a circle', async () => {
    const proxy = await proxyTo();
    let page = 0;
    proxy.fault = (_, response) => {
      page += 1;
      return answer(response, 200, JSON.stringify({ tags: [`t${page}`] }), { link: `</v2/x/tags/list?n=1&last=t${page}>; rel="next"` });
    };
    const endless = await rigFor().client.tags(ref(`${proxy.host}/x`));
    expect(endless.ok ? '' : endless.failure.message).toContain(String(registryLimits.tagPages));
    proxy.fault = (_, response) => answer(response, 200, JSON.stringify({ tags: ['a'] }), { link: '</v2/x/tags/list?n=1&last=a>; rel="next"' });
    const circle = await rigFor().client.tags(ref(`${proxy.host}/x`));
    expect(circle.ok ? '' : circle.failure.message).toContain('circle');
  }, 20_000);

  test('null and missing tags are none; a list that is no list is refused', async () => {
    const proxy = await proxyTo();
    let body = '{"tags":null}';
    proxy.fault = (_, response) => answer(response, 200, body);
    expect(value(await rigFor().client.tags(ref(`${proxy.host}/x`)))).toEqual([]);
    body = '{"tags":"all"}';
    expect(codeOf(await rigFor().client.tags(ref(`${proxy.host}/x`)))).toBe('registry-malformed');
    body = '<html>';
    expect(codeOf(await rigFor().client.tags(ref(`${proxy.host}/x`)))).toBe('registry-malformed');
  });

  test('two readings of one manifest (CVE-2021-41190)', async () => {
    const proxy = await proxyTo();
    let body: Buffer = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [], layers: [], config: emptyDescriptor }));
    let type: string = mediaTypes.index;
    proxy.fault = (_, response) => answer(response, 200, body, { 'content-type': type });
    expect(codeOf(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)))).toBe('manifest-ambiguous');
    body = manifest;
    expect(codeOf(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)))).toBe('manifest-ambiguous');
    type = 'text/html';
    value(await rigFor().client.manifest(ref(`${proxy.host}/x:1`)));
  });
});
