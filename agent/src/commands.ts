import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { restoreDatastore, snapshotFolderOf } from './distribution/restore.ts';
import { memoryOf } from './observe/distribution.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { createState } from './store/state.ts';
import { systemClock } from './system/clock.ts';
import { systemTools } from './system/tools.ts';
import { passwordFile, readLocalToken } from './local/open.ts';
import { setPassword } from './system/password.ts';

export interface CommandOptions {
  data: string;
  localPort: number;
  stdin: () => Promise<string>;
  write: (text: string) => void;
}

/** Asks the agent that runs on this machine, as root does. A large medium takes long, so that no time is set. */
const ask = async (options: CommandOptions, path: string, form: Record<string, string>): Promise<Result<unknown>> => {
  const token = readLocalToken(options.data);
  if (token === undefined)
    return fail(
      'blocked',
      'agent-not-running',
      options.data,
      'no agent runs with this folder, or you are not root. Start it: systemctl start groundplane-agent',
    );
  const { promise, resolve: settle } = Promise.withResolvers<Result<unknown>>();
  const body = new URLSearchParams(form).toString();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) };
  const sent = request({ host: '127.0.0.1', port: options.localPort, path, method: 'POST', headers }, (response) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('end', () => {
      try {
        const answer = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Result<unknown>;
        settle(answer.ok ? ok(answer.value) : answer);
      } catch {
        settle(fail('retry', 'agent-not-running', 'agent', `answered ${response.statusCode ?? 0}. Is it the agent that listens on port ${options.localPort}?`));
      }
    });
    response.on('error', (error) => settle(fail('retry', 'agent-not-running', 'agent', error.message)));
  });
  sent.on('error', (error) => settle(fail('retry', 'agent-not-running', `port ${options.localPort}`, `the agent does not answer: ${error.message}`)));
  sent.end(body);
  return promise;
};

export const commandsUsage = `groundplane-agent media import FOLDER   takes content and desired state from a medium
groundplane-agent media receipt FOLDER  writes what this host reports, to be carried back
groundplane-agent kubernetes snapshots      lists what a control plane saved of its datastore
groundplane-agent kubernetes restore FILE   brings the datastore back to a snapshot; the other control planes join anew
groundplane-agent local-password        sets the password of the local page, from standard input`;

const runKubernetes = async (words: readonly string[], options: CommandOptions, finish: (done: Result<unknown>) => number): Promise<number | undefined> => {
  const [verb, file] = words;
  if (verb !== 'snapshots' && verb !== 'restore') return undefined;
  const database = join(options.data, 'agent.db');
  if (!existsSync(database))
    return finish(fail('blocked', 'agent-missing', options.data, 'holds no state of an agent, or you are not root. Name the folder of the agent: --data DIR'));
  const store = openSqliteStore(database);
  const memory = memoryOf(createState(store));
  store.close();
  if (verb === 'snapshots' && words.length === 1) {
    const folder = memory === undefined ? undefined : snapshotFolderOf(memory);
    const names = folder === undefined ? [] : await systemTools.list(folder);
    return finish(ok({ folder, snapshots: names.toSorted() }));
  }
  if (verb !== 'restore' || file === undefined || words.length !== 2) return undefined;
  return finish(await restoreDatastore({ tools: systemTools, clock: systemClock }, memory, resolve(file)));
};

/** Commands beside the agent itself; undefined when these words are none. Answers the exit code. */
export const runLocalCommand = async (words: readonly string[], options: CommandOptions): Promise<number | undefined> => {
  const [first, second, folder] = words;
  const finish = (done: Result<unknown>): number => {
    options.write(`${JSON.stringify(done.ok ? { ok: true, ...(done.value as object | undefined) } : { ok: false, failure: done.failure })}\n`);
    return done.ok ? 0 : 1;
  };
  if (first === 'local-password' && words.length === 1)
    return finish(await setPassword(passwordFile(options.data), (await options.stdin()).replace(/\r?\n$/, '')));
  if (first === 'kubernetes') return runKubernetes(words.slice(1), options, finish);
  if (first !== 'media' || folder === undefined || words.length !== 3) return undefined;
  if (second === 'import') return finish(await ask(options, '/media', { path: resolve(folder) }));
  if (second === 'receipt') {
    const done = await ask(options, '/receipt', { path: resolve(folder) });
    return finish(done.ok ? ok({ receipt: done.value }) : done);
  }
  return undefined;
};
