import { describe, expect, test } from 'vitest';
import { canned, cluster, plan, readyCluster, refusal, type Views } from './canned.ts';
import { gp, type FakeOptions } from './fake-io.ts';

const show = (argv: readonly string[], views: Views, options?: FakeOptions) => gp(argv, canned(views, options));

describe('tables', () => {
  test('a cluster shows each layer desired beside observed, and that it is simulated', async () => {
    const ran = await show(['get', 'cluster', 'store-1'], { getCluster: cluster() });
    expect(ran.out).toMatchInlineSnapshot(`
      "cluster store-1: applying (simulated)  retail@1.1.0  Kubernetes v1.34.2  bundle ffffffffffff
      A change is on its way to its hosts.

      LAYER      KIND   PACK       VERSION             DESIRED       OBSERVED      STATE                 OBJECTS  DRIFT     MESSAGE
      base-os    os     debian     13.1.0              111111111111  111111111111  ready (simulated)     0/0      3 healed
      shop       addon  shop       2.0.0 (runs 1.0.0)  222222222222  333333333333  applying (simulated)  3/4      -         Deployment web: 1 of 2 pods ready
      metrics    addon  metrics    3.0.0               444444444444  -             pending (simulated)   -        -
      telemetry  addon  telemetry  2.1.0 (leaving)     -             555555555555  removing (simulated)  1/1      -
      "
    `);
  });

  test('wide adds columns, name is one word a line, json and yaml are the view itself', async () => {
    const views = { getCluster: cluster() };
    expect((await show(['get', 'cluster', 'store-1', '-o', 'wide'], views)).out).toContain('PROFILE');
    expect((await show(['get', 'cluster', 'store-1', '-o', 'name'], views)).out).toBe('cluster/store-1\n');
    expect(JSON.parse((await show(['get', 'cluster', 'store-1', '-o', 'json'], views)).out)).toEqual(cluster());
    expect((await show(['get', 'cluster', 'store-1', '-o', 'yaml'], views)).out).toContain('name: store-1\n');
    expect(JSON.parse((await show(['get', 'cluster', 'store-1'], views, { isTTY: false })).out)).toEqual(cluster());
  });

  test('describe names what a layer’s state means', async () => {
    const ran = await show(['describe', 'cluster', 'store-1'], {
      getCluster: cluster(),
      listEvents: { items: [{ seq: 1, atMs: 0, type: 'warning', reason: 'DriftHealed', message: '/etc/motd was put back', host: 'store-1' }] },
    });
    expect(ran.out).toContain('shop: Its objects, files or settings are being written.');
    expect(ran.out).toContain('offline, seen 3h ago');
    expect(ran.out).toContain('3 → 4');
    expect(ran.out).toContain('1970-01-01T00:00:00Z  warning  DriftHealed  store-1  /etc/motd was put back');
  });

  test('a host of the lobby shows its words', async () => {
    const host = {
      ...cluster().hosts[0],
      cluster: undefined,
      state: 'lobby',
      createdAtMs: 0,
      key: 'ed25519:x',
      words: 'grass pyramid model hat',
      id: 'hos_1',
      name: 'till-7',
      project: 'default',
      online: true,
      simulated: false,
      generation: 0,
      drifted: 0,
      labels: {},
    } as const;
    expect((await show(['get', 'host', 'till-7'], { getHost: host })).out).toContain('words: grass pyramid model hat');
    expect((await show(['describe', 'host', 'till-7'], { getHost: host })).out).toContain('gp approve till-7 --words');
    const claimant = { ...host, replaces: 'till-1' } as const;
    expect((await show(['get', 'host', 'till-7'], { getHost: claimant })).out).toContain('replaces till-1, which has the same serial number');
    expect((await show(['describe', 'host', 'till-7'], { getHost: claimant })).out).toMatch(/Replaces:\s+till-1/);
    const approved = { ...host, state: 'approved' } as const;
    const views: Views = { getHost: host, approveHost: approved, listHosts: ({ query }) => ({ items: query.get('state') === 'lobby' ? [host] : [] }) };
    expect(await show(['approve', 'till-7'], views, { answers: ['y'] })).toMatchObject({
      code: 0,
      out: 'host till-7 let in\n',
      error: expect.stringContaining('grass pyramid model hat'),
    });
    expect(await show(['approve', 'till-7'], views, { answers: ['n'] })).toMatchObject({ code: 2, out: '' });
    expect(await show(['approve', 'till-7'], views, { isTTY: false })).toMatchObject({
      code: 0,
      error: expect.stringContaining('the words were not compared'),
    });
    expect(await show(['approve', '--all', '-o', 'name'], views, { answers: ['yes'] })).toMatchObject({ code: 0, out: 'host/till-7\n' });
    expect((await show(['approve', '--all', 'till-7'], views)).code).toBe(2);
    expect((await show(['approve'], views)).code).toBe(2);
    expect((await show(['approve', '--all', '--words', 'a'], views)).code).toBe(2);
  });

  test('approving many answers 4 when some are refused, 5 when all are denied', async () => {
    const host = (name: string) => ({
      id: name,
      name,
      project: 'default',
      state: 'lobby' as const,
      online: true,
      simulated: true,
      generation: 0,
      drifted: 0,
      labels: {},
    });
    const approved = (name: string) => ({ ...host(name), state: 'approved' as const, createdAtMs: 0, key: 'k', words: 'w' });
    const listHosts = { items: [host('a'), host('b')] };
    expect(
      (
        await show(['approve', '--all', '-y'], {
          listHosts,
          approveHost: ({ params }) => (params['name'] === 'a' ? approved('a') : refusal(409, 'host-revoked', 'was revoked')),
        })
      ).code,
    ).toBe(4);
    expect((await show(['approve', '--all', '-y'], { listHosts, approveHost: () => refusal(403, 'denied', 'no') })).code).toBe(5);
  });

  test('approving many leaves those who claim the place of another, or are two, to a person', async () => {
    const host = (name: string, question?: 'replaces' | 'clone') => ({
      id: name,
      name,
      project: 'default',
      state: 'lobby' as const,
      online: true,
      simulated: false,
      generation: 0,
      drifted: 0,
      labels: {},
      ...(question === undefined ? {} : { question }),
    });
    const asked: string[] = [];
    const views: Views = {
      listHosts: { items: [host('a'), host('b', 'replaces'), host('c', 'clone')] },
      approveHost: ({ params }) => {
        asked.push(params['name'] ?? '');
        return { ...host('a'), state: 'approved', createdAtMs: 0, key: 'k', words: 'w' } as const;
      },
    };
    const ran = await show(['approve', '--all', '-y', '-o', 'name'], views);
    expect(ran).toMatchObject({ code: 4, out: 'host/a\n' });
    expect(ran.error).toMatch(/host b has the serial number of a known host[\s\S]*host c has a key that two machines use/);
    expect(asked).toEqual(['a']);
  });

  test('of hosts that share the duty to apply it is said who does, who would, and who cannot', async () => {
    const host = { id: 'x', project: 'default', state: 'approved' as const, online: true, simulated: false, generation: 1, drifted: 0, labels: {} };
    const items = (['holds', 'waits', 'cannot', 'held'] as const).map((applier) => ({ ...host, name: applier, applier }));
    const { out } = await show(['get', 'hosts', '-o', 'wide'], { listHosts: { items: [...items, { ...host, name: 'alone' }] } });
    const nodes = ['applies', 'would take over', 'cannot take over', 'applied when last heard of', ' - '];
    for (const [index, line] of out.trimEnd().split('\n').slice(1).entries()) expect(line).toContain(nodes[index]);
  });

  test('hostile names and messages cannot steer the terminal', async () => {
    const evil = '\u001b]0;owned\u0007\u009b31m\u202egnp\nnext line\t';
    const views: Views = {
      listHosts: {
        items: [{ id: 'x', name: evil, project: 'default', state: 'lobby', online: true, simulated: false, generation: 0, drifted: 0, labels: {} }],
      },
      listEvents: { items: [{ seq: 1, atMs: 1e300, type: 'normal', reason: evil, message: evil }] },
    };
    for (const argv of [
      ['get', 'hosts'],
      ['get', 'hosts', '-o', 'wide'],
      ['get', 'hosts', '-o', 'name'],
      ['get', 'hosts', '-o', 'json'],
      ['get', 'hosts', '-o', 'yaml'],
      ['get', 'events'],
      ['logs'],
      ['logs', '-o', 'json'],
      ['logs', '-o', 'yaml'],
    ]) {
      const ran = await show(argv, views);
      expect(ran.error, argv.join(' ')).toBe('');
      expect(ran.out, argv.join(' ')).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
    }
    const table = await show(['get', 'hosts'], views);
    expect(table.out.trimEnd().split('\n')).toHaveLength(2);
    expect(JSON.parse((await show(['get', 'hosts', '-o', 'json'], views)).out)).toMatchObject([{ name: evil }]);
    const refused = await show(['get', 'cluster', 'a'], { getCluster: () => refusal(409, 'x', evil) });
    expect(refused.error).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
    for (const name of ['../../whoami', 'a/b', 'a?b', 'A', 'a'.repeat(64), '%2e%2e'])
      expect((await show(['get', 'cluster', name], { getCluster: cluster() })).code, name).toBe(2);
  });

  test('colours on terminals only, and never against NO_COLOR or --no-color', async () => {
    const views = { getCluster: cluster() };
    const argv = ['get', 'cluster', 'store-1', '-o', 'table'];
    expect((await show(argv, views, { env: { NO_COLOR: '' } })).out).toContain('\u001b[33mapplying\u001b[0m');
    expect((await show(argv, views)).out).not.toContain('\u001b');
    expect((await show([...argv, '--no-color'], views, { env: { NO_COLOR: '' } })).out).not.toContain('\u001b');
    expect((await show(argv, views, { env: { NO_COLOR: '', TERM: 'dumb' } })).out).not.toContain('\u001b');
    expect((await show(argv, views, { env: { NO_COLOR: '' }, isTTY: false })).out).not.toContain('\u001b');
  });

  test('an empty list says so on stderr, and nothing with --quiet', async () => {
    expect(await show(['get', 'clusters'], { listClusters: { items: [] } })).toEqual({
      code: 0,
      out: '',
      error: 'no clusters yet. Make one: gp apply -f FILE\n',
    });
    expect(await show(['get', 'clusters', '-q'], { listClusters: { items: [] } })).toEqual({ code: 0, out: '', error: '' });
    expect((await show(['get', 'clusters', '-o', 'json'], { listClusters: { items: [] } })).out).toBe('[]\n');
  });

  test('status', async () => {
    const fleet = { hosts: 200, online: 190, lobby: 2, simulated: 200, clusters: 66, byState: { ready: 60, failed: 6, blocked: 0 }, drifted: 4, profiles: 3 };
    const ran = await show(['status'], { fleet });
    expect(ran.out).toContain('190 of 200 online, 200 simulated');
    expect(ran.out).toContain('66: 60 ready, 6 failed');
    expect(ran.out).not.toContain('blocked');
  });
});

describe('a hub in trouble', () => {
  test('refusals keep their exit codes and name the next command', async () => {
    const answer = (status: number) => show(['status'], { fleet: () => refusal(status, 'x', 'something') });
    expect(await answer(401)).toMatchObject({ code: 5, error: expect.stringContaining('next: gp login') });
    expect(await answer(403)).toMatchObject({ code: 5, error: expect.stringContaining('next: gp whoami') });
    expect(await answer(404)).toMatchObject({ code: 1 });
    expect(await answer(503)).toMatchObject({ code: 1, error: expect.stringContaining('next: try again') });
  });

  test('unreachable, another program, a page that never ends, an answer cut short', async () => {
    const broken = (fetch: typeof globalThis.fetch) => gp(['get', 'macros'], { ...canned({}), fetch });
    expect(
      await broken(() => Promise.reject(new TypeError('fetch failed', { cause: new AggregateError([new Error('connect ECONNREFUSED ::1:7600')]) }))),
    ).toMatchObject({ code: 1, error: expect.stringContaining('connect ECONNREFUSED ::1:7600') });
    expect(await broken(() => Promise.resolve(new Response('<html>', { headers: { 'content-type': 'text/html' } })))).toMatchObject({
      code: 1,
      error: expect.stringContaining('Is this the hub?'),
    });
    expect(await broken(() => Promise.resolve(new Response('<html>', { status: 502 })))).toMatchObject({
      code: 1,
      error: expect.stringContaining('the hub answered 502'),
    });
    expect(await show(['get', 'macros'], { listMacros: { items: [], next: 'same' } })).toMatchObject({
      code: 1,
      error: expect.stringContaining('does not come to an end'),
    });
    expect(await broken(() => Promise.reject(Object.assign(new Error('x'), { name: 'TimeoutError' })))).toMatchObject({
      code: 1,
      error: expect.stringContaining('--timeout'),
    });
  });

  test('a reader that goes away ends it quietly', async () => {
    expect(await show(['get', 'cluster', 'store-1'], { getCluster: cluster() }, { writesMax: 0 })).toEqual({ code: 0, out: '', error: '' });
    expect(await show(['--help'], {}, { writesMax: 0 })).toMatchObject({ code: 0, error: '' });
    const items = Array.from({ length: 20 }, (_, seq) => ({ seq, atMs: 0, type: 'normal' as const, reason: 'R', message: 'm' }));
    expect((await show(['logs', '-f'], { listEvents: { items } }, { writesMax: 3 })).code).toBe(0);
  });
});

describe('waiting', () => {
  const wait = (views: Views, ...flags: string[]) => show(['wait', 'cluster', 'store-1', ...flags], views);

  test('a ready state of the version before is not believed', async () => {
    let plans = 0;
    const ran = await wait({ getCluster: readyCluster(), planCluster: () => plan((plans += 1) < 4) });
    expect(ran.code).toBe(0);
    expect(plans).toBe(4);
  });

  test('ready with a layer that is not current is not ready', async () => {
    const stale = { ...cluster(), state: 'ready' as const };
    expect(await wait({ getCluster: ({ count }) => (count < 3 ? stale : readyCluster()), planCluster: plan(false) })).toMatchObject({ code: 0 });
    expect(await wait({ getCluster: stale, planCluster: plan(false) }, '--timeout', '3s')).toMatchObject({
      code: 1,
      error: expect.stringContaining('is not ready in the time given'),
    });
  });

  test('progress is told once for each change', async () => {
    const ran = await wait({ getCluster: ({ count }) => (count < 20 ? cluster() : readyCluster()), planCluster: plan(false) });
    expect(ran.error).toBe(
      'cluster store-1 (simulated): applying, 2/5 layers ready; layer shop applying: Deployment web: 1 of 2 pods ready\n' +
        'cluster store-1 (simulated): ready, 1/1 layers ready\n',
    );
    expect((await show(['wait', 'cluster', 'store-1', '-q'], { getCluster: readyCluster(), planCluster: plan(false) })).error).toBe('');
  });

  test('a failure ends it with what failed; an old one has to last', async () => {
    const failed = {
      ...cluster(),
      state: 'failed' as const,
      failure: { kind: 'retry' as const, code: 'not-ready', element: 'layer shop', message: 'is not ready after 20 s' },
    };
    const ended = await wait({ getCluster: ({ count }) => (count < 3 ? cluster() : failed), planCluster: plan(false) });
    expect(ended).toMatchObject({ code: 1, error: expect.stringContaining('failed: layer shop: is not ready after 20 s') });
    expect(ended.error).toContain('  layer shop applying: Deployment web: 1 of 2 pods ready\n');
    expect(ended.error).toContain('next: gp describe cluster store-1');
    expect(await wait({ getCluster: ({ count }) => (count < 3 ? failed : readyCluster()), planCluster: plan(false) })).toMatchObject({ code: 0 });
    expect(await wait({ getCluster: failed, planCluster: plan(false) })).toMatchObject({ code: 1 });
    expect(await wait({ getCluster: failed, planCluster: plan(false) }, '--for', 'failed')).toMatchObject({ code: 0 });
    const unresolved = { ...cluster(), state: 'unresolved' as const };
    expect(await wait({ getCluster: unresolved })).toMatchObject({ code: 1 });
  });

  test('a hub that restarts is waited for; one that stays away is not', async () => {
    expect(await wait({ getCluster: ({ count }) => (count < 10 ? refusal(503, 'x', 'starting') : readyCluster()), planCluster: plan(false) })).toMatchObject({
      code: 0,
    });
    expect(await wait({ getCluster: () => refusal(503, 'x', 'starting') }, '--timeout', '1h')).toMatchObject({
      code: 1,
      error: expect.stringContaining('starting'),
    });
    expect(await wait({}, '--for', 'ready')).toMatchObject({ code: 1, error: expect.stringContaining('gp get clusters') });
    expect(await wait({}, '--for', 'deleted')).toMatchObject({ code: 0 });
    expect(await wait({ getCluster: () => refusal(403, 'denied', 'no') })).toMatchObject({ code: 5 });
  });

  test('deleting waits until it is gone', async () => {
    const gone: Views = {
      getCluster: ({ count }) => (count < 4 ? cluster({ state: 'deleting' }) : refusal(404, 'not-found', 'gone')),
    };
    const views: Views = { ...gone, deleteCluster: () => new Response(null, { status: 204 }) };
    expect(await show(['delete', 'cluster', 'store-1', '--wait', '--yes'], views)).toMatchObject({ code: 0, out: 'cluster store-1 deleted\n' });
    expect(await show(['delete', 'cluster', 'store-1', '--yes'], views)).toMatchObject({ code: 0, out: 'cluster store-1 is being deleted\n' });
    expect((await show(['delete', 'host', 'x', '--force', '--yes'], views)).code).toBe(2);
    expect((await show(['delete', 'event', 'x', '--yes'], views)).code).toBe(2);
  });
});

test('by force a cluster without a cloud is gone at once; what has things in a cloud is on its way, and --wait waits for it', async () => {
  const remove = (...more: string[]) => ['delete', 'cluster', 'store-1', '--yes', '--force', '-o', 'table', ...more];
  expect((await show(remove(), { deleteCluster: () => new Response(null, { status: 204 }) })).out).toBe('cluster store-1 deleted\n');
  const views = { deleteCluster: () => new Response(null, { status: 204 }), getCluster: { ...cluster(), state: 'deleting' as const } };
  expect((await show(remove(), views)).out).toBe('cluster store-1 is being deleted\n');
  const waited = await show(remove('--wait'), {
    ...views,
    getCluster: ({ count }) => (count < 3 ? { ...cluster(), state: 'deleting' as const } : refusal(404, 'not-found', 'there is no such thing here')),
  });
  expect(waited.out).toBe('cluster store-1 deleted\n');
});
