import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { ensureVirtualenv, missingForVirtualenv } from '../virtualenv.ts';

export const motoVersion = '5.2.5';
const startMsMax = 60_000;

export const missingForMoto = (): Promise<string[]> => missingForVirtualenv('moto server', [3, 10]);

const freePort = async (): Promise<number> => {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  const port = await promise;
  await new Promise<void>((done) => void server.close(() => done()));
  return port;
};

export interface Moto {
  url: string;
  stop(): Promise<void>;
}

/** moto's own start, beside a thread that ends it with its standard input: also when this process is killed. */
const untilInputEnds = `
import os, sys, threading
def watch():
    while os.read(0, 4096):
        pass
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from moto.server import main
main()
`;

/** moto server from PyPI on a free port of the loopback. It ends with this process, however that ends. */
export const startMoto = async (): Promise<Result<Moto>> => {
  const missing = await missingForMoto();
  if (missing.length > 0) return fail('blocked', 'counterpart-unavailable', 'moto server', missing.join(' '));
  const folder = await ensureVirtualenv('moto', join(import.meta.dirname, 'requirements.txt'));
  if (!folder.ok) return folder;
  // It cannot be told to take any port and say which.
  const port = await freePort();
  const child = spawn(join(folder.value, 'bin/python'), ['-c', untilInputEnds, '-H', '127.0.0.1', '-p', String(port)], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', MOTO_IAM_LOAD_MANAGED_POLICIES: 'true' },
  });
  let words = '';
  let isGone = false;
  const gone = new Promise<void>((resolve) => void child.once('close', () => ((isGone = true), resolve())));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-4_096)));
  child.stdin.on('error', () => undefined);
  child.on('error', (error) => (words = error.message));
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const stop = async (): Promise<void> => {
    process.off('exit', onExit);
    child.kill('SIGKILL');
    await gone;
  };
  const url = `http://127.0.0.1:${port}`;
  for (let waitedMs = 0; waitedMs < startMsMax && !isGone; waitedMs += 100) {
    const answer = await fetch(`${url}/moto-api/`).catch(() => undefined);
    if (answer?.ok === true) return ok({ url, stop });
    await sleep(100);
  }
  await stop();
  return fail('retry', 'counterpart-not-started', 'moto server', `it did not start: ${words.trim().split('\n').slice(-4).join('\n')}`);
};
