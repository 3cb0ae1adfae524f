import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { ok } from '@groundplane/protocol/failure';
import { buildAgentPackages } from '@groundplane/installer/package';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { here, keys, lacking } from './packages.ts';

const why = lacking(['zstd', 'openssl']);

/** A ticket that leads to nobody: the agent has to start and live without a hub. */
const ticket = `gpt1.${Buffer.from(
  JSON.stringify({ hubs: ['ws://127.0.0.1:9'], content: 'http://127.0.0.1:9', hub: 'none', root: `sha256:${'a'.repeat(64)}`, id: 'id', secret: 'secret' }),
).toString('base64url')}\n`;

describe.skipIf(why !== '')(`a package as it ships${why}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-real-package-'));
  const root = join(folder, 'root');
  const home = join(root, 'opt/groundplane');
  const data = join(root, 'var/lib/groundplane');
  beforeAll(async () => {
    mkdirSync(root);
    writeFileSync(join(folder, 'key.pem'), keys.publicPem);
    const made = await buildAgentPackages({
      archs: [here],
      out: join(folder, 'out'),
      version: '7.7.7',
      level: 1,
      keyPem: keys.privatePem,
      node: () => Promise.resolve(ok(readFileSync(process.execPath))),
    });
    expect(made.ok).toBe(true);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is installed by its own script, starts, and stops in good order; its version is the one that was built', async () => {
    const installed = spawnSync('sh', [join(folder, 'out/install.sh'), '--root', root, '--key', join(folder, 'key.pem'), '--ticket', '-'], {
      input: ticket,
      encoding: 'utf8',
    });
    expect(installed.stderr).toBe('');
    expect(installed.status).toBe(0);
    writeFileSync(join(data, 'slots/returned'), '7.7.8-bad 7.7.7-good\n');

    const child = spawn('sh', [join(home, 'launch.sh'), '--data', data, '--local-port', '0'], {
      env: { PATH: process.env['PATH'], GROUNDPLANE_HOME: home, GROUNDPLANE_MARKS: join(data, 'slots') },
    });
    const exited = Promise.withResolvers<number | null>();
    child.on('exit', (code) => exited.resolve(code));
    const ready = Promise.withResolvers<{ local: string }>();
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stdout.on('data', () => {
      const line = output.split('\n').find((each) => each.startsWith('{"ready":true'));
      if (line !== undefined && output.includes(`${line}\n`)) ready.resolve(JSON.parse(line) as { local: string });
    });
    void exited.promise.then(() => ready.reject(new Error(`the agent ended: ${output}`)));
    try {
      const { local } = await ready.promise;
      expect((await fetch(local)).status).toBe(200);
      expect(readFileSync(join(data, 'slots/started'), 'utf8')).toMatch(/^7\.7\.7-[0-9a-f]{12} 1\n$/);
      expect(existsSync(join(data, 'slots/healthy'))).toBe(false);
      // The return lies in the agent's outbox now, where it survives until the hub has it.
      expect(existsSync(join(data, 'slots/returned'))).toBe(false);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await exited.promise).toBe(0);
    const store = new Database(join(data, 'agent.db'), { readonly: true });
    const rows = JSON.stringify(store.prepare('select * from outbox').all());
    store.close();
    expect(rows).toContain('AgentRolledBack');
    expect(rows).toContain('7.7.8-bad');
    expect(rows).toContain('7.7.7');
  });
});
