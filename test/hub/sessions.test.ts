import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { apiBase, rawRoutes } from '@groundplane/protocol/api/routes';
import { virtualClock } from '../fake/clock.ts';
import { applyProfile, codeOf, enrolledHost, makeTenant, openHub, until, value, type HubWorld } from './world.ts';

let hub: HubWorld;
beforeEach(async () => {
  hub = await openHub();
});
afterEach(async () => hub.close());

const password = 'correct horse battery';
const post = (path: string, body: unknown, headers: Record<string, string> = {}, method = 'POST'): Promise<Response> =>
  hub.fetch(`${apiBase}${path}`, {
    method,
    headers: { 'content-type': 'application/json', host: 'hub.test', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const cookieOf = (response: Response): string => (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

const setUp = async (name = 'admin'): Promise<string> => {
  const response = await post('/setup', { token: await hub.auth.makeSetupToken(hub.tenant), name, password });
  expect(response.status).toBe(200);
  return cookieOf(response);
};

describe('the first administrator', () => {
  test('of fifty that redeem one set-up token at the same moment, exactly one is made', async () => {
    const token = await hub.auth.makeSetupToken(hub.tenant);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => post('/setup', { token, name: `admin${index}`, password })));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 401)).toHaveLength(49);
    expect(await hub.store.list('user', hub.tenant, { limit: 100 })).toHaveLength(1);
    expect((await post('/setup', { token, name: 'late', password })).status).toBe(401);
  });

  test('a new token makes the old one void; tokens of other forms are refused', async () => {
    const old = await hub.auth.makeSetupToken(hub.tenant);
    const token = await hub.auth.makeSetupToken(hub.tenant);
    for (const wrong of [old, '', 'setup_', token.slice(0, -1), `${token}a`, 'x'.repeat(128)])
      expect((await post('/setup', { token: wrong, name: 'a', password })).status).toBe(401);
    expect((await post('/setup', { token, name: 'a', password })).status).toBe(200);
  });

  test('a token of one tenant makes an administrator of that tenant, and nobody takes a name that is taken', async () => {
    await setUp('anna');
    const second = await makeTenant(hub.store, 'second');
    const token = await hub.auth.makeSetupToken(second);
    expect((await post('/setup', { token, name: 'anna', password })).status).toBe(409);
    const made = await post('/setup', { token, name: 'bert', password });
    expect(((await made.json()) as { tenant: { id: string } }).tenant.id).toBe(second);
  });

  test('a short password is refused before the token is used', async () => {
    const token = await hub.auth.makeSetupToken(hub.tenant);
    expect((await post('/setup', { token, name: 'a', password: 'short' })).status).toBe(400);
    expect((await post('/setup', { token, name: 'a', password })).status).toBe(200);
  });
});

describe('browser sessions', () => {
  test('the cookie is out of reach of scripts and other sites, and ends with the session', async () => {
    await setUp();
    const response = await post('/login', { name: 'admin', password });
    const header = response.headers.get('set-cookie') ?? '';
    for (const part of ['HttpOnly', 'SameSite=Strict', 'Path=/']) expect(header).toContain(part);
    const cookie = cookieOf(response);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie } })).status).toBe(200);
    expect((await post('/logout', undefined, { cookie })).status).toBe(204);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie } })).status).toBe(401);
  });

  test('over https the cookie is bound to the host and secure, and one without that mark is none', async () => {
    await hub.close();
    hub = await openHub({ isSecure: true });
    const cookie = await setUp();
    const response = await post('/login', { name: 'admin', password });
    expect(response.headers.get('set-cookie')).toMatch(/^__Host-gp=.*Secure/);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie } })).status).toBe(200);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie: cookie.replace('__Host-gp', 'gp-session') } })).status).toBe(401);
  });

  test.each([
    ['another origin', { origin: 'https://evil.test' }],
    ['another port', { origin: 'http://hub.test:81' }],
    ['a name that begins with ours', { origin: 'http://hub.test.evil.test' }],
    ['no origin at all, but from another site', { 'sec-fetch-site': 'cross-site' }],
    ['the null origin of a sandbox', { origin: 'null' }],
    ['an origin that is none', { origin: '%%%' }],
  ])('with a cookie, a write from %s is refused', async (_, headers) => {
    const cookie = await setUp();
    const extra = headers as Record<string, string>;
    expect((await post('/projects', { name: 'new' }, { cookie, ...extra })).status).toBe(403);
    expect((await post('/projects/default/macros/a', { value: 'v' }, { cookie, ...extra }, 'PUT')).status).toBe(403);
    expect((await post('/projects/default', undefined, { cookie, ...extra }, 'DELETE')).status).toBe(403);
    expect((await post('/logout', undefined, { cookie, ...extra })).status).toBe(403);
    expect((await post('/login', { name: 'admin', password }, extra)).status).toBe(403);
    expect(
      (
        await hub.fetch(rawRoutes.content.replace('{digest}', `sha256:${'a'.repeat(64)}`), {
          method: 'PUT',
          body: 'x',
          headers: { cookie, host: 'hub.test', ...extra },
        })
      ).status,
    ).toBe(403);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie } })).status).toBe(200);
  });

  test('the same from our own page works, and an API key needs no page', async () => {
    const cookie = await setUp();
    expect((await post('/projects', { name: 'one' }, { cookie, origin: 'http://hub.test' })).status).toBe(201);
    expect((await post('/projects', { name: 'two' }, { authorization: `Bearer ${hub.admin.key}`, origin: 'https://evil.test' })).status).toBe(201);
  });

  test('after five wrong passwords the name is locked for a while; the answer for an unknown name is the same', async () => {
    await hub.close();
    const clock = virtualClock();
    hub = await openHub({ clock });
    await setUp();
    const wrong = await post('/login', { name: 'admin', password: 'wrong' });
    const unknown = await post('/login', { name: 'nobody', password: 'wrong' });
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expect(await wrong.text()).toBe(await unknown.text());
    for (let turn = 0; turn < 4; turn += 1) await post('/login', { name: 'admin', password: 'wrong' });
    expect((await post('/login', { name: 'admin', password })).status).toBe(429);
    await clock.advance(30_001);
    expect((await post('/login', { name: 'admin', password })).status).toBe(200);
  });

  test('a session ends after twelve hours', async () => {
    await hub.close();
    const clock = virtualClock();
    hub = await openHub({ clock });
    const cookie = await setUp();
    clock.setWall(clock.wallMs() + 12 * 3_600_000 - 1_000);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie } })).status).toBe(200);
    clock.setWall(clock.wallMs() + 2_000);
    expect((await hub.fetch(`${apiBase}/whoami`, { headers: { cookie } })).status).toBe(401);
  });

  test('secrets lie in the store as hashes only', async () => {
    const cookie = await setUp();
    const secret = cookie.split('=')[1] ?? 'none';
    const rows: string[] = [];
    for (const kind of ['session', 'user', 'apiKey', 'setting'] as const) for await (const row of hub.store.scan(kind)) rows.push(JSON.stringify(row));
    for (const each of [secret, password, hub.admin.key]) expect(rows.join('\n')).not.toContain(each);
  });
});

describe('API keys', () => {
  test('a deleted key ends at once; an expired one too', async () => {
    const made = value(await hub.admin.call('createApiKey', { body: { name: 'ci', role: 'Viewer', ttlSeconds: 60 } }));
    const who = async (): Promise<number> => (await hub.fetch(`${apiBase}/whoami`, { headers: { authorization: `Bearer ${made.key}` } })).status;
    expect(await who()).toBe(200);
    value(await hub.admin.call('deleteApiKey', { params: { name: 'ci' } }));
    expect(await who()).toBe(401);
    expect(codeOf(await hub.admin.call('createApiKey', { body: { name: 'ci', role: 'Viewer' } }))).toBe('ok');
    expect(await who(), 'a new key of the same name is another key').toBe(401);
  });
});

interface Stream {
  frames: { changes: { kind: string; project: string; name: string }[]; events: boolean; fleet: { hosts: number } }[];
  isEnded(): boolean;
  stop(): Promise<void>;
}

const listen = async (key: string, query = ''): Promise<Stream> => {
  const response = await hub.fetch(`${rawRoutes.stream}${query}`, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status).toBe(200);
  const frames: Stream['frames'] = [];
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let ended = false;
  let text = '';
  const pump = async (): Promise<void> => {
    for (;;) {
      const { done, value: chunk } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(chunk);
      for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, at))?.[1];
        if (data !== undefined) frames.push(JSON.parse(data) as Stream['frames'][number]);
        text = text.slice(at + 2);
      }
    }
  };
  void pump().finally(() => (ended = true));
  return { frames, isEnded: () => ended, stop: () => reader.cancel() };
};
const namesIn = (stream: Stream): string[] =>
  [...new Set(stream.frames.flatMap((frame) => frame.changes.map((change) => `${change.kind} ${change.name}`)))].toSorted();

describe('the event stream', () => {
  test('tells what changed by name, together with the counters', async () => {
    const stream = await listen(hub.admin.key, '?project=default');
    await until(() => stream.frames.length > 0, 'a first frame');
    await applyProfile(hub.admin, 'web', '1.0.0');
    await enrolledHost(hub, 'edge');
    await until(() => stream.frames.some((frame) => frame.fleet.hosts === 1), 'the host is counted');
    expect(namesIn(stream)).toContain('profile web@1.0.0');
    expect(namesIn(stream)).toContain('host edge');
    await stream.stop();
  });

  test('tells nothing of other tenants, nor of projects that the caller does not see', async () => {
    value(await hub.admin.call('createProject', { body: { name: 'private' } }));
    const projects = value(await hub.admin.call('listProjects', {})).items;
    const viewer = await hub.client([{ role: 'Viewer', project: projects.find((project) => project.name === 'default')?.id ?? '' }]);
    const stranger = await hub.client([{ role: 'TenantAdmin' }], await makeTenant(hub.store, 'second'));
    expect((await hub.fetch(rawRoutes.stream, { headers: { authorization: `Bearer ${viewer.key}` } })).status).toBe(404);
    expect((await hub.fetch(`${rawRoutes.stream}?project=private`, { headers: { authorization: `Bearer ${viewer.key}` } })).status).toBe(404);
    const [mine, theirs] = [await listen(viewer.key, '?project=default'), await listen(stranger.key)];
    await applyProfile(hub.admin, 'secret', '1.0.0', 'x', 'private');
    await enrolledHost(hub, 'hidden', hub.admin, 'private');
    await applyProfile(hub.admin, 'open', '1.0.0');
    await until(() => namesIn(mine).includes('profile open@1.0.0'), 'the visible change');
    expect(JSON.stringify([mine.frames, theirs.frames])).not.toMatch(/secret|hidden/);
    expect(mine.frames.at(-1)?.fleet.hosts).toBe(0);
    expect(theirs.frames.at(-1)?.fleet.hosts).toBe(0);
    await Promise.all([mine.stop(), theirs.stop()]);
  });

  test('ends when its key is deleted, also while changes keep coming', async () => {
    const made = value(await hub.admin.call('createApiKey', { body: { name: 'page', role: 'Viewer' } }));
    const stream = await listen(made.key, '?project=default');
    await until(() => stream.frames.length > 0, 'a first frame');
    value(await hub.admin.call('deleteApiKey', { params: { name: 'page' } }));
    let turn = 0;
    await until(
      async () => {
        turn += 1;
        await hub.admin.call('setMacro', { params: { project: 'default', name: 'busy' }, body: { value: String(turn) } });
        return stream.isEnded();
      },
      'the stream ends',
      5_000,
    );
  });
});
