import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onEveryAddress } from '@groundplane/agent/doors';
import { takeTicket } from '@groundplane/agent/main';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const program = join(import.meta.dirname, '..', '..', 'agent', 'src', 'main.ts');
let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'gp-agent-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const fields = { hubs: ['ws://127.0.0.1:9/link'], content: 'http://127.0.0.1:9', hub: 'hub-1', root: `sha256:${'0'.repeat(64)}`, id: 'tic', secret: 's' };
const ticket = `gpt1.${Buffer.from(JSON.stringify(fields)).toString('base64url')}`;

describe('the ticket', () => {
  test('is kept for its owner, and one that cannot be read does not take its place', () => {
    const file = join(folder, 'ticket');
    expect(takeTicket(folder, undefined)).toMatchObject({ ok: false, failure: { code: 'ticket-missing', element: file } });
    expect(takeTicket(folder, ticket)).toMatchObject({ ok: true, value: { hub: 'hub-1' } });
    expect(statSync(file).mode & 0o077).toBe(0);
    for (const wrong of ['nonsense', ticket.slice(0, 40), `@${join(folder, 'nowhere')}`]) expect(takeTicket(folder, wrong).ok).toBe(false);
    expect(readFileSync(file, 'utf8')).toBe(ticket);
    expect(takeTicket(folder, undefined).ok).toBe(true);
  });

  test('comes from a file as well', () => {
    writeFileSync(join(folder, 'given'), `${ticket}\n`);
    expect(takeTicket(folder, `@${join(folder, 'given')}`).ok).toBe(true);
  });
});

describe('the command line of the agent', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [program, '--data', join(folder, 'data'), ...args], { encoding: 'utf8', input: '' });

  test.each([
    [['--bogus'], /Unknown option '--bogus'/],
    [['--local-port', 'x'], /--local-port is a port/],
    [['--mirror-port', '70000'], /--mirror-port is a port/],
    [['--ticket', '@/nowhere'], /cannot be read/],
    [[], /there is no ticket yet/],
  ])('%j is told in words', (args, words) => {
    const { status, stderr } = run(...args);
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(2);
  });

  test.each([['snapshots'], ['restore', '/nowhere']])('without an agent here, kubernetes %s says so and makes no database', (...words) => {
    const { status, stdout } = run('kubernetes', ...words);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, failure: { code: 'agent-missing' } });
    expect(status).toBe(1);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  test('a port that somebody else has costs a door and not the agent', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = String((taken.address() as AddressInfo).port);
    const args = ['--data', join(folder, 'data'), '--ticket', ticket, '--local-port', port, '--mirror-port', port, '--neighbour-port', 'off', '--root', folder];
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    try {
      const log: string[] = [];
      createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
      const [first] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      expect(JSON.parse(first)).toEqual({ ready: true });
      expect(log.join('\n')).toContain(`the local page cannot listen on port ${port}`);
    } finally {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      taken.close();
    }
  });

  test('a machine without IPv6 opens the door for neighbours on IPv4', async () => {
    const asked: string[] = [];
    const door = { port: 1, close: () => Promise.resolve() };
    const start = (address: string, code: string) => {
      asked.push(address);
      return address === '::' ? Promise.reject(Object.assign(new Error(code), { code })) : Promise.resolve(door);
    };
    expect(await onEveryAddress((address) => start(address, 'EAFNOSUPPORT'))).toBe(door);
    await expect(onEveryAddress((address) => start(address, 'EADDRINUSE'))).rejects.toThrow('EADDRINUSE');
    expect(asked).toEqual(['::', '0.0.0.0', '::']);
  });
});
