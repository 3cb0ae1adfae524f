import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isRequired } from '../lab/prerequisite.ts';
import { startPart, type Part } from '../lab/process.ts';

const find = (name: string): string | undefined =>
  ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path));

const lacking = (): string | undefined => {
  const missing = [find('docker-registry') === undefined ? 'docker-registry' : '', find('htpasswd') === undefined ? 'apache2-utils' : ''].filter(
    (name) => name !== '',
  );
  return missing.length === 0 ? undefined : `needs ${missing.join(' and ')}: apt-get install docker-registry apache2-utils`;
};

/** Why the tests against Debian's registry are left out here; empty when they run. Required (`docker-registry`), they run and fail instead. */
export const registryMissing = isRequired('docker-registry') ? '' : (lacking() ?? '');
export const reasonText = registryMissing === '' ? '' : ` (skipped: ${registryMissing})`;

export const login = { username: 'anna', password: 'correct horse: battery' };

const freePort = async (): Promise<number> => {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
  return typeof address === 'object' && address !== null ? address.port : 0;
};

export interface DockerRegistry {
  /** `127.0.0.1:41235` */
  host: string;
  folder: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export interface DockerRegistryOptions {
  auth?: boolean;
  tls?: { certificate: string; key: string };
}

/** Debian's docker-registry on a free port of the loopback interface, storing into a temporary folder. */
export const startRegistry = async (options: DockerRegistryOptions = {}): Promise<DockerRegistry> => {
  const folder = mkdtempSync(join(tmpdir(), 'gp-registry-'));
  mkdirSync(join(folder, 'data'));
  const port = await freePort();
  if (options.auth === true)
    writeFileSync(
      join(folder, 'htpasswd'),
      execFileSync(find('htpasswd') ?? 'htpasswd', ['-Bbn', '-C', '4', login.username, login.password], { encoding: 'utf8' }),
    );
  const lines = [
    'version: 0.1',
    'log: {level: error, accesslog: {disabled: true}}',
    `storage: {filesystem: {rootdirectory: ${join(folder, 'data')}}, delete: {enabled: true}}`,
    `http: {addr: "127.0.0.1:${port}", secret: test${options.tls === undefined ? '' : `, tls: {certificate: ${options.tls.certificate}, key: ${options.tls.key}}`}}`,
    ...(options.auth === true ? [`auth: {htpasswd: {realm: test, path: ${join(folder, 'htpasswd')}}}`] : []),
  ];
  writeFileSync(join(folder, 'config.yml'), `${lines.join('\n')}\n`);
  let part: Part | undefined;

  const start = async (): Promise<void> => {
    part = await startPart('docker-registry', join(folder, 'log'), find('docker-registry') ?? 'docker-registry', ['serve', join(folder, 'config.yml')]);
    const end = performance.now() + 15_000;
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const { connect } = await import('node:net');
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      const isUp = await promise;
      socket.destroy();
      if (isUp) return;
      if (performance.now() > end || !part.isAlive()) throw new Error('docker-registry did not start');
      await delay(30);
    }
  };
  const stop = async (): Promise<void> => void (await part?.end('SIGKILL'));
  await start();
  return {
    host: `127.0.0.1:${port}`,
    folder,
    start,
    stop,
    remove: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
