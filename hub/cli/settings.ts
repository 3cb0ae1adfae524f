import { isRecord } from '@groundplane/protocol/record';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Io } from './io.ts';
import { done, trouble, type Attempt } from './trouble.ts';

/** How this command line proves who it is: an API key, or a browser-like session where the user may not make keys. */
export type Credential = { kind: 'key'; token: string; keyName?: string } | { kind: 'session'; cookie: string };

export interface HubContext {
  hub: string;
  credential: Credential;
  /** Who logged in, for people. */
  name: string;
  project?: string;
  /** Plain http to another machine was asked for by hand. */
  insecure?: boolean;
}

export interface Settings {
  version: 1;
  current?: string;
  contexts: Record<string, HubContext>;
}

const fileBytesMax = 1024 * 1024;

/** `gp.json` under the XDG base directory. */
export const settingsPath = (env: Io['env']): string => {
  const base = env.XDG_CONFIG_HOME;
  // The XDG specification: a relative path in the variable is to be ignored.
  const folder = base !== undefined && base.startsWith('/') ? base : join(env.HOME ?? homedir(), '.config');
  return join(folder, 'groundplane', 'gp.json');
};

const parseCredential = (value: unknown): Credential | undefined => {
  if (!isRecord(value)) return undefined;
  if (value.kind === 'key' && typeof value.token === 'string')
    return { kind: 'key', token: value.token, ...(typeof value.keyName === 'string' ? { keyName: value.keyName } : {}) };
  return value.kind === 'session' && typeof value.cookie === 'string' ? { kind: 'session', cookie: value.cookie } : undefined;
};

const parseContext = (value: unknown): HubContext | undefined => {
  if (!isRecord(value) || typeof value.hub !== 'string') return undefined;
  const credential = parseCredential(value.credential);
  if (credential === undefined) return undefined;
  return {
    hub: value.hub,
    credential,
    name: typeof value.name === 'string' ? value.name : '',
    ...(typeof value.project === 'string' ? { project: value.project } : {}),
    ...(value.insecure === true ? { insecure: true } : {}),
  };
};

/** Reads the stored contexts; none when the file does not exist. A damaged file is an error, since writing would lose what is in it. */
export const readSettings = async (io: Io): Promise<Attempt<Settings>> => {
  const path = settingsPath(io.env);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return done({ version: 1, contexts: {} });
    return { ok: false, trouble: trouble(path, `cannot be read: ${message}`, 'make it readable, or set GP_HUB and GP_TOKEN') };
  }
  const damaged = {
    ok: false as const,
    trouble: trouble(path, 'is not a context file of gp', `move it away and log in again: mv ${path} ${path}.old && gp login`),
  };
  if (text.length > fileBytesMax) return damaged;
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || value.version !== 1 || !isRecord(value.contexts)) return damaged;
    const contexts = Object.entries(value.contexts).flatMap(([name, raw]) => {
      const context = parseContext(raw);
      return context === undefined ? [] : [[name, context] as const];
    });
    return done({ version: 1, ...(typeof value.current === 'string' ? { current: value.current } : {}), contexts: Object.fromEntries(contexts) });
  } catch {
    return damaged;
  }
};

/** Writes the file whole and readable for its owner only; a reader sees the old or the new one, also after a power cut. */
export const writeSettings = async (io: Io, settings: Settings): Promise<Attempt<void>> => {
  const path = settingsPath(io.env);
  const next = `${path}.${Buffer.from(io.random(6)).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(next, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(settings, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
    return done(undefined);
  } catch (error) {
    await rm(next, { force: true }).catch(() => {});
    return {
      ok: false,
      trouble: trouble(path, `cannot be written: ${(error as Error).message}`, 'set XDG_CONFIG_HOME to a folder of yours, or use GP_HUB and GP_TOKEN'),
    };
  }
};
