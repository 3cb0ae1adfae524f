import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { password, startTestHub, type TestHub } from './hub.ts';

const example = join(import.meta.dirname, '../../examples/retail-store');
let hub: TestHub;

beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(async () => {
  await hub.close();
  expect(hub.log()).toBe('');
});

const json = (text: string): unknown => JSON.parse(text) as unknown;
const profile = (name: string, version: string, message: string): string =>
  `apiVersion: groundplane.dev/v1
kind: Profile
metadata: {name: ${name}, version: ${version}}
spec:
  type: addon
  layers:
    - name: app
      kind: addon
      manifests:
        - {name: app, content: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {message: ${message}}\n'}
`.replace(/content: '(.*?)'\}/s, (_, text: string) => `content: ${JSON.stringify(text)}}`);

describe('logging in', () => {
  test('the set-up link made a key of its own, kept in a file that only its owner reads', async () => {
    const path = join(hub.folder, 'config/groundplane/gp.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const stored = json(await readFile(path, 'utf8')) as { contexts: Record<string, { hub: string; credential: { kind: string; keyName: string } }> };
    expect(Object.values(stored.contexts)[0]).toMatchObject({
      hub: hub.url,
      name: 'anna',
      credential: { kind: 'key', keyName: expect.stringMatching(/^gp-/) },
    });
    expect(await hub.gp(['whoami', '-o', 'json'])).toMatchObject({ code: 0, out: expect.stringContaining('"subject": "key:gp-') });
  });

  test('a used set-up link, a wrong key and a wrong password are denied', async () => {
    const env = { XDG_CONFIG_HOME: join(hub.folder, 'other') };
    const link = await hub.setupLink();
    expect((await hub.gp(['login', link, '--name', 'berta', '--password-stdin'], { env, stdin: password })).code).toBe(0);
    expect(await hub.gp(['login', '--setup', link, '--name', 'carla', '--password-stdin'], { env, stdin: password })).toMatchObject({
      code: 5,
      error: expect.stringContaining('was used already'),
    });
    expect(await hub.gp(['login', hub.url, '--token', 'gpk_wrong'], { env })).toMatchObject({ code: 5 });
    expect(await hub.gp(['login', hub.url, '--name', 'anna'], { env: { ...env, GP_PASSWORD: 'not the password' } })).toMatchObject({
      code: 5,
      error: expect.stringContaining('name or password is wrong'),
    });
  });

  test('asks for name and password on a terminal only', async () => {
    const env = { XDG_CONFIG_HOME: join(hub.folder, 'asked') };
    expect(await hub.gp(['login', hub.url], { env })).toMatchObject({ code: 2, error: expect.stringContaining('no terminal') });
    const asked = await hub.gp(['login', hub.url, '--context', 'mine'], { env, answers: ['anna', password], isTTY: true });
    expect(asked).toMatchObject({ code: 0, out: expect.stringContaining('as user:anna') });
    expect((await hub.gp(['context', '-o', 'name'], { env })).out).toBe('mine\n');
    expect((await hub.gp(['context', 'use', 'mine', '--project', 'lab', '-o', 'json'], { env })).out).toContain('"project": "lab"');
    expect((await hub.gp(['context', 'use', 'nothing'], { env })).code).toBe(1);
    const before = json((await hub.gp(['get', 'api-keys'], {})).out) as unknown[];
    expect((await hub.gp(['logout'], { env })).code).toBe(0);
    const after = json((await hub.gp(['get', 'api-keys'], {})).out) as unknown[];
    expect(after.length).toBe(before.length - 1);
    expect((await hub.gp(['whoami'], { env })).code).toBe(1);
  });

  test('a user who may not make keys keeps a session', async () => {
    // The only way to a user is a set-up link, so a tenant's administrator stands in; the key is refused by taking the name away.
    const env = { XDG_CONFIG_HOME: join(hub.folder, 'session') };
    const refusing: typeof fetch = (input, init) =>
      (input as string).endsWith('/api-keys')
        ? Promise.resolve(Response.json({ error: { kind: 'fatal', code: 'denied', element: 'key', message: 'no' } }, { status: 403 }))
        : fetch(input, init);
    expect(await hub.gp(['login', hub.url, '--name', 'anna'], { env: { ...env, GP_PASSWORD: password }, fetch: refusing })).toMatchObject({
      code: 0,
      error: expect.stringContaining('ends when the session does'),
    });
    expect((await hub.gp(['whoami'], { env })).out).toContain('"subject": "user:anna"');
    expect((await hub.gp(['macro', 'set', 'by_cookie', 'x'], { env })).code).toBe(0);
    expect((await hub.gp(['logout'], { env })).code).toBe(0);
  });

  test('the stored key goes to its own hub only', async () => {
    const seen: (string | null)[] = [];
    const other: typeof fetch = (_input, init) => {
      seen.push(new Headers(init?.headers).get('authorization'));
      return Promise.resolve(Response.json({}));
    };
    expect(await hub.gp(['status', '--hub', 'http://127.0.0.1:9'], { fetch: other })).toMatchObject({
      code: 1,
      error: expect.stringContaining('not logged in'),
    });
    await hub.gp(['status', '--hub', 'http://127.0.0.1:9', '--token', 'mine'], { fetch: other });
    expect(seen).toEqual(['Bearer mine']);
  });

  test('flags win over the environment, which wins over the file', async () => {
    const env = { GP_PROJECT: 'from-env' };
    expect((await hub.gp(['get', 'clusters'], { env })).error).toContain('project from-env');
    expect((await hub.gp(['get', 'clusters', '--project', 'default'], { env })).code).toBe(0);
    expect((await hub.gp(['whoami'], { env: { GP_TOKEN: 'gpk_x' } })).code).toBe(5);
    expect((await hub.gp(['whoami', '--token', 'gpk_y'], { env: { GP_TOKEN: 'gpk_x' } })).code).toBe(5);
  });

  test('plain http to another machine is refused before anything is sent', async () => {
    const never: typeof fetch = () => Promise.reject(new Error('sent'));
    for (const argv of [
      ['login', 'http://hub.example', '--token', 'x'],
      ['status', '--hub', 'http://10.0.0.1:7600', '--token', 'x'],
      ['login', '--setup', 'http://hub.example/setup#t', '--name', 'x'],
    ]) {
      expect(await hub.gp(argv, { fetch: never })).toMatchObject({ code: 2, error: expect.stringContaining('--insecure') });
    }
    expect((await hub.gp(['status', '--hub', 'http://10.0.0.1:7600', '--token', 'x', '--insecure'], { fetch: never })).error).toContain('sent');
    expect((await hub.gp(['login', 'ftp://x', '--token', 'x'])).code).toBe(2);
    expect((await hub.gp(['login', 'http://a:b@127.0.0.1', '--token', 'x'])).code).toBe(2);
    expect((await hub.gp(['login', '--setup', 'http://127.0.0.1/other', '--name', 'x'])).code).toBe(2);
  });
});

describe('profiles', () => {
  test('apply, apply again, change a draft, release it, and leave a released one alone', async () => {
    const apply = async (version: string, message: string, ...flags: string[]) =>
      hub.gp(['apply', '-f', '-', '-o', 'table', ...flags], { stdin: profile('demo', version, message) });
    expect(await apply('1.0.0', 'one')).toMatchObject({ code: 0, out: 'profile demo@1.0.0 created (released)\n' });
    expect(await apply('1.0.0', 'one')).toMatchObject({ code: 0, out: 'profile demo@1.0.0 unchanged (released)\n' });
    expect(await apply('1.0.0', 'two')).toMatchObject({ code: 1, error: expect.stringContaining('released and cannot change. Raise metadata.version') });
    expect(await apply('1.1.0', 'two', '--draft')).toMatchObject({ code: 0, out: 'profile demo@1.1.0 created (draft)\n' });
    expect(await apply('1.1.0', 'three', '--draft')).toMatchObject({ code: 0, out: 'profile demo@1.1.0 changed (draft)\n' });
    expect(await apply('1.2.0', 'x', '--dry-run')).toMatchObject({ code: 0, out: 'profile demo@1.2.0 would be created (released)\n' });
    expect((await hub.gp(['get', 'profile', 'demo@1.2.0'])).code).toBe(1);
    expect((await hub.gp(['release', 'profile', 'demo@1.1.0', '-o', 'name'])).out).toBe('profile/demo@1.1.0\n');
    expect((await hub.gp(['get', 'profiles', '-o', 'name'])).out).toContain('profile/demo@1.0.0\nprofile/demo@1.1.0\n');
    expect((await hub.gp(['get', 'profile', 'demo', '-o', 'table'])).out).toMatch(/^NAME +VERSION/);
    expect((await hub.gp(['get', 'profile', 'demo@1.0.0', '-o', 'table'])).out).toContain('used by no cluster');
    expect((await hub.gp(['describe', 'profile', 'demo', '-o', 'table'])).out).toContain('demo@1.1.0');
  });

  test('diff of two versions answers 3, of equal ones 0', async () => {
    const differ = await hub.gp(['diff', 'profile', 'demo', '1.0.0', '1.1.0', '-o', 'table']);
    expect(differ.code).toBe(3);
    expect(differ.out).toContain('~ layer app');
    expect(differ.out).toMatch(/- +data: \{message: one\}/);
    expect(differ.out).toMatch(/\+ +data: \{message: three\}/);
    expect((await hub.gp(['diff', 'profile', 'demo', '1.0.0', '1.0.0'])).code).toBe(0);
    expect((await hub.gp(['plan', 'profile', 'demo', '1.0.0', '9.0.0'])).code).toBe(1);
    expect((await hub.gp(['diff', 'profile', 'demo', '1.0.0'])).code).toBe(2);
    expect((await hub.gp(['diff'])).code).toBe(2);
  });

  test('diff of a file: new, same, changed', async () => {
    const diff = (version: string, message: string) => hub.gp(['diff', '-f', '-', '-o', 'table'], { stdin: profile('demo', version, message) });
    expect(await diff('1.0.0', 'one')).toMatchObject({ code: 0, out: 'profile demo@1.0.0: no changes\n' });
    expect(await diff('1.0.0', 'changed')).toMatchObject({ code: 3, out: expect.stringContaining('raise metadata.version') });
    expect(await diff('2.0.0', 'three')).toMatchObject({ code: 3, out: expect.stringContaining('a new version; compared with 1.1.0') });
  });

  test('an exported version can be applied again', async () => {
    const exported = await hub.gp(['get', 'profile', 'demo@1.0.0', '--export']);
    expect(parse(exported.out)).toMatchObject({ kind: 'Profile', metadata: { name: 'demo', version: '1.0.0' } });
    expect((await hub.gp(['apply', '-f', '-', '-o', 'table'], { stdin: exported.out })).out).toContain('unchanged');
    expect((await hub.gp(['get', 'profiles', '--export'])).code).toBe(2);
  });

  test('a chart goes up once', async () => {
    const first = await hub.gp(['apply', '-f', join(example, 'profile-1.0.0.yaml')]);
    expect(first).toMatchObject({ code: 0, error: expect.stringContaining('uploading chart shop 1.0.0') });
    const second = await hub.gp(['apply', '-f', join(example, 'profile-1.1.0.yaml')]);
    expect(second).toMatchObject({ code: 0 });
    expect(second.error).not.toContain('uploading');
    expect(json(second.out)).toEqual({ results: [{ kind: 'Profile', name: 'retail-store@1.1.0', project: 'default', result: 'created', state: 'released' }] });
  });

  test('delete', async () => {
    expect((await hub.gp(['delete', 'profile', 'demo', '--yes'])).error).toContain('demo@VERSION');
    expect((await hub.gp(['delete', 'profile', 'demo@1.0.0'])).code).toBe(2);
    expect((await hub.gp(['delete', 'profile', 'demo@1.0.0'], { answers: ['n'], isTTY: true })).code).toBe(2);
    expect((await hub.gp(['delete', 'profile', 'demo@1.0.0'], { answers: ['y'], isTTY: true })).out).toBe('profile demo@1.0.0 deleted\n');
    expect(await hub.gp(['delete', 'profile', 'demo@1.0.0', '--yes'])).toMatchObject({ code: 1, error: expect.stringContaining('gp get profiles') });
  });
});

describe('clusters without hosts', () => {
  const cluster = (name: string, version: string, hosts = '[]'): string =>
    `apiVersion: groundplane.dev/v1\nkind: Cluster\nmetadata: {name: ${name}}\nspec:\n  profiles: [{name: demo, version: ${version}}]\n  hosts: ${hosts}\n`;

  test('apply, plan, show, list, wait in vain, delete', async () => {
    expect(await hub.gp(['diff', '-f', '-', '-o', 'table'], { stdin: cluster('shop', '1.1.0') })).toMatchObject({
      code: 3,
      out: expect.stringContaining('+ layer app (addon)'),
    });
    expect(await hub.gp(['apply', '-f', '-', '--dry-run', '-o', 'table'], { stdin: cluster('shop', '1.1.0') })).toMatchObject({
      code: 0,
      out: expect.stringContaining('cluster shop would be changed'),
    });
    expect(await hub.gp(['apply', '-f', '-', '-o', 'table'], { stdin: cluster('shop', '1.1.0') })).toMatchObject({ code: 0, out: 'cluster shop created\n' });
    expect(await hub.gp(['apply', '-f', '-', '-o', 'table'], { stdin: cluster('shop', '1.1.0') })).toMatchObject({ code: 0, out: 'cluster shop unchanged\n' });
    expect((await hub.gp(['get', 'clusters', '-o', 'table'])).out).toMatch(/shop +waiting +demo@1\.1\.0/);
    expect((await hub.gp(['get', 'cluster', 'shop', '-o', 'table'])).out).toMatch(/app +addon +app +1\.1\.0/);
    expect((await hub.gp(['describe', 'cluster', 'shop', '-o', 'table'])).out).toContain('Conditions');
    expect(await hub.gp(['wait', 'cluster', 'shop', '--timeout', '5s'])).toMatchObject({
      code: 1,
      error: expect.stringContaining('is not ready in the time given'),
    });
    expect(await hub.gp(['retry', 'cluster', 'shop'])).toMatchObject({ code: 1, error: expect.stringContaining('nothing to retry') });
    expect((await hub.gp(['delete', 'cluster', 'shop', '--yes', '--force', '-o', 'table'])).out).toBe('cluster shop deleted\n');
    expect((await hub.gp(['wait', 'cluster', 'shop', '--for', 'deleted'])).code).toBe(0);
    expect((await hub.gp(['get', 'cluster', 'shop'])).code).toBe(1);
  });

  test('some work and some do not: 4; all denied: 5', async () => {
    const both = `${cluster('good', '1.1.0')}---\n${cluster('bad', '1.1.0', '[nowhere]')}`;
    const partly = await hub.gp(['apply', '-f', '-'], { stdin: both });
    expect(partly).toMatchObject({ code: 4, error: expect.stringContaining('host nowhere') });
    expect((json(partly.out) as { results: { result: string }[] }).results.map((item) => item.result)).toEqual(['created', 'failed']);
    expect((await hub.gp(['apply', '-f', '-'], { stdin: cluster('bad', '1.1.0', '[nowhere]') })).code).toBe(1);
    const key = json((await hub.gp(['create', 'api-key', 'looker', '--role', 'viewer'])).out) as { key: string };
    const viewer = { env: { GP_TOKEN: key.key } };
    expect(await hub.gp(['apply', '-f', '-'], { stdin: cluster('mine', '1.1.0'), ...viewer })).toMatchObject({
      code: 5,
      error: expect.stringContaining('gp whoami'),
    });
    expect((await hub.gp(['delete', 'cluster', 'good', '--yes'], viewer)).code).toBe(5);
    expect((await hub.gp(['get', 'api-keys'], viewer)).code).toBe(5);
    expect((await hub.gp(['get', 'clusters'], viewer)).code).toBe(0);
  });

  test('a cluster waits for its failed profile', async () => {
    const text = `${profile('demo', '1.1.0', 'cannot change')}---\n${cluster('later', '1.1.0')}`;
    const ran = await hub.gp(['apply', '-f', '-'], { stdin: text });
    expect(ran.code).toBe(1);
    expect(ran.error).toContain('cluster later skipped: its profile demo@1.1.0 was not applied');
  });
});

describe('everything else', () => {
  test('projects, tickets, macros, keys, tenants', async () => {
    expect((await hub.gp(['create', 'project', 'stores', '-o', 'table'])).out).toBe('project stores created\n');
    expect((await hub.gp(['create', 'project', 'stores'])).code).toBe(1);
    expect((await hub.gp(['get', 'projects', '-o', 'name'])).out).toBe('project/default\nproject/stores\n');
    const ticket = await hub.gp([
      'ticket',
      'create',
      'batch',
      '--uses',
      '20',
      '--ttl',
      '2h',
      '--label',
      'site=a',
      '--label',
      'ring=b',
      '--auto-approve',
      '--project',
      'stores',
    ]);
    expect(json(ticket.out)).toMatchObject({ ticket: expect.stringMatching(/^gpt1\./), usesLeft: 20, labels: { site: 'a', ring: 'b' }, autoApprove: true });
    expect((await hub.gp(['ticket', 'list', '-o', 'table', '--project', 'stores'])).out).toMatch(/batch +20 +in 1h +by itself +site=a,ring=b/);
    expect((await hub.gp(['ticket', 'create', 'batch', '--project', 'stores'])).error).toContain('gp ticket delete batch');
    const list = join(hub.folder, 'serials.csv');
    await writeFile(list, '\uFEFFserial,name\r\n# by the door\r\n"SN-1","till-1"\r\nSN-2\r\n');
    const listed = ['ticket', 'create', 'listed', '--serials', list, '--project', 'stores', '-o', 'json'];
    expect(json((await hub.gp(listed)).out)).toMatchObject({ serials: 2, serialsToCome: 2, usesLeft: 2 });
    await writeFile(list, 'SN-1,till-1\nSN-2,Till_2\nSN-1\n');
    const wrong = await hub.gp(['ticket', 'create', 'wrong', '--serials', list, '--project', 'stores']);
    expect(wrong).toMatchObject({ code: 1, error: expect.stringMatching(/serials\.csv:2.*Till_2 is not a possible name.*; 1 more line is wrong/s) });
    const file = join(hub.folder, 'ticket');
    const kept = await hub.gp(['ticket', 'create', 'kept', '--out', file, '--project', 'stores']);
    expect(kept).toMatchObject({ code: 0, out: expect.not.stringContaining('gpt1.') });
    expect(await readFile(file, 'utf8')).toMatch(/^gpt1\.\S+\n$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await hub.gp(['ticket', 'create', 'more', '--out', file, '--project', 'stores'])).toMatchObject({
      code: 1,
      error: expect.stringContaining('is there already'),
    });
    expect((await hub.gp(['ticket', 'create', 'kept', '--out', `${file}-2`, '--project', 'stores'])).code).toBe(1);
    await expect(stat(`${file}-2`)).rejects.toThrow('ENOENT');
    expect((await hub.gp(['ticket', 'list', '-o', 'json', '--project', 'stores'])).out).not.toContain('"more"');
    expect((await hub.gp(['ticket', 'delete', 'kept', '--yes', '--project', 'stores'])).code).toBe(0);
    expect((await hub.gp(['ticket', 'delete', 'listed', '--yes', '--project', 'stores'])).code).toBe(0);
    expect((await hub.gp(['delete', 'project', 'stores', '--yes'])).error).toContain('still has ticket batch');
    expect((await hub.gp(['ticket', 'delete', 'batch', '--yes', '--project', 'stores'])).code).toBe(0);
    expect((await hub.gp(['delete', 'project', 'stores', '--yes', '-o', 'name'])).out).toBe('project/stores\n');
    expect((await hub.gp(['macro', 'set', 'registry', '-o', 'table', '--', '--odd value'])).out).toContain('macro registry set');
    expect((await hub.gp(['get', 'macros', '-o', 'yaml'])).out).toContain('value: --odd value');
    expect((await hub.gp(['delete', 'macro', 'registry', '-y'])).code).toBe(0);
    expect((await hub.gp(['macro', 'set', 'not-a-name', 'x'])).code).toBe(2);
    expect((await hub.gp(['create', 'api-key', 'k', '--role', 'King'])).error).toContain('TenantAdmin');
    expect((await hub.gp(['create', 'api-key', 'k', '--role', 'operator', '--ttl', '1h', '-o', 'table'])).out).toMatch(/until 20/);
    expect((await hub.gp(['delete', 'api-key', 'k', '-y'])).code).toBe(0);
    expect((await hub.gp(['create', 'tenant', 'other', '-o', 'table'])).out).toContain(`${hub.url}/setup#`);
  });

  test('status, events, logs', async () => {
    expect((await hub.gp(['status', '-o', 'table'])).out).toContain('0 of 0 online');
    expect(json((await hub.gp(['status', '--project', 'default'])).out)).toMatchObject({ hosts: 0 });
    expect((await hub.gp(['get', 'events', '-o', 'table', '--last', '1'])).out.split('\n')).toHaveLength(3);
    const lines = (await hub.gp(['logs', '--tail', '3'])).out.trim().split('\n');
    expect(lines.map((line) => (json(line) as { seq: number }).seq)).toHaveLength(3);
    expect((await hub.gp(['logs', 'cluster', 'good', '-o', 'table'])).out).toContain('ClusterCreated good: cluster good shall run');
    expect((await hub.gp(['logs', 'cluster'])).code).toBe(2);
    expect((await hub.gp(['logs', 'planet', 'x'])).code).toBe(2);
  });

  test('logs -f shows what comes, once, and ends with its time', async () => {
    let turns = 0;
    const waiting: Promise<unknown>[] = [];
    const onSleep = (): void => {
      turns += 1;
      if (turns === 2) waiting.push(hub.gp(['macro', 'set', 'seen_by_follow', 'x']));
    };
    const slow: typeof fetch = async (input, init) => {
      await Promise.all(waiting);
      return fetch(input, init);
    };
    const ran = await hub.gp(['logs', '-f', '--tail', '1', '--timeout', '6s', '-o', 'table'], { onSleep, fetch: slow });
    expect(ran.code).toBe(0);
    expect(ran.out.match(/seen_by_follow/g)).toHaveLength(1);
  });

  test('a list of many pages comes whole', async () => {
    const names = Array.from({ length: 505 }, (_, index) => `m${String(index).padStart(4, '0')}`);
    for (let at = 0; at < names.length; at += 101) await Promise.all(names.slice(at, at + 101).map((name) => hub.gp(['macro', 'set', name, 'x', '--quiet'])));
    const listed = (await hub.gp(['get', 'macros', '-o', 'name'])).out.split('\n').filter((line) => /^macro\/m\d{4}$/.test(line));
    expect(listed).toEqual(names.map((name) => `macro/${name}`));
  });

  test('folders: only their own YAML files, in order', async () => {
    await writeFile(join(hub.folder, 'one.yml'), profile('folder-one', '1.0.0', 'x'));
    await writeFile(join(hub.folder, 'two.yaml'), profile('folder-two', '1.0.0', 'x'));
    await writeFile(join(hub.folder, 'notes.txt'), 'not: yaml: at: all');
    expect((await hub.gp(['apply', '-f', '.', '-o', 'name'])).out).toBe('profile/folder-one@1.0.0\nprofile/folder-two@1.0.0\n');
    expect((await hub.gp(['apply', '-f', 'one.yml', '-f', 'two.yaml', '-o', 'name'])).out).toBe('profile/folder-one@1.0.0\nprofile/folder-two@1.0.0\n');
  });
});
