import { hostname } from 'node:os';
import { createClient } from '@groundplane/protocol/api/client';
import type { WhoView } from '@groundplane/protocol/api/views';
import { checkSecure, parseHub, parseSetupLink } from '../address.ts';
import { connectTo, credentialHeaders, limitedFetch } from '../connect.ts';
import { notice, type Context } from '../io.ts';
import { printOne } from '../output/print.ts';
import { printable } from '../output/printable.ts';
import { readSettings, writeSettings, type Credential, type HubContext, type Settings } from '../settings.ts';
import { apiTrouble, done, exits, trouble, usage, type Attempt, type Outcome } from '../trouble.ts';

interface LoginOptions {
  setup?: string;
  name?: string;
  passwordStdin: boolean;
  contextName?: string;
}

const loginMs = 60_000;
const passwordBytesMax = 4_096;

interface Session {
  cookie: string;
  who: WhoView;
}

/** Sets up or logs in, and catches the session's cookie, which the typed client does not show. */
const openSession = async (
  context: Context,
  hub: string,
  send: { route: 'setup'; token: string; name: string; password: string } | { route: 'login'; name: string; password: string },
): Promise<Attempt<Session>> => {
  const inner = limitedFetch(context.io, loginMs);
  let cookie = '';
  const client = createClient({
    baseUrl: hub,
    headers: () => ({ ...credentialHeaders(hub, undefined), origin: hub, 'sec-fetch-site': 'same-origin' }),
    fetch: async (input, init) => {
      const response = await inner(input, init);
      cookie = response.headers
        .getSetCookie()
        .map((line) => line.split(';')[0] ?? '')
        .join('; ');
      return response;
    },
  });
  const { name, password } = send;
  const answer =
    send.route === 'setup'
      ? await client.call('setup', { body: { token: send.token, name, password } })
      : await client.call('login', { body: { name, password } });
  if (!answer.ok)
    return {
      ok: false,
      trouble: apiTrouble(
        answer.failure,
        answer.failure.status === 401 ? (send.route === 'setup' ? 'make a new set-up link on the hub' : 'gp login') : undefined,
      ),
    };
  if (cookie === '') return { ok: false, trouble: trouble(`hub ${hub}`, 'it let us in but began no session. Is this the hub?', 'gp login --token KEY') };
  return done({ cookie, who: answer.value });
};

/** A session ends after hours; a key of one's own lasts. Who may not make keys keeps the session. */
const keyFor = async (context: Context, hub: string, session: Session): Promise<{ credential: Credential; note?: string }> => {
  const connection = connectTo(context.io, { hub, credential: { kind: 'session', cookie: session.cookie }, project: 'default' });
  const kept: Credential = { kind: 'session', cookie: session.cookie };
  const note = 'no API key could be made for this user, so the login ends when the session does (about 12 hours)';
  const grant = session.who.grants.find((item) => item.role === 'TenantAdmin' && item.project === undefined) ?? session.who.grants[0];
  if (grant === undefined || !session.who.permissions.includes('access.set')) return { credential: kept, note };
  const machine = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 30);
  const keyName = ['gp', machine, Buffer.from(context.io.random(4)).toString('hex')].filter((part) => part !== '').join('-');
  const made = await connection.client.call('createApiKey', {
    body: { name: keyName, role: grant.role, ...(grant.project === undefined ? {} : { project: grant.project }) },
  });
  if (!made.ok) return { credential: kept, note: `${note}: ${made.failure.message}` };
  await connection.client.call('logout', {});
  return { credential: { kind: 'key', token: made.value.key, keyName } };
};

const readPassword = async (context: Context, options: LoginOptions, isNew: boolean): Promise<Attempt<string>> => {
  const { io } = context;
  if (options.passwordStdin) {
    const bytes = await io.stdin.read(passwordBytesMax);
    return done(new TextDecoder().decode(bytes).replace(/\r?\n$/, ''));
  }
  const given = io.env.GP_PASSWORD;
  if (given !== undefined && given !== '') return done(given);
  if (!io.stdin.isTTY)
    return { ok: false, trouble: usage('password', 'there is no terminal to ask for it', 'pipe it in with --password-stdin, or log in with --token KEY') };
  const first = await io.ask('Password: ', { hidden: true });
  if (isNew && (await io.ask('The same password again: ', { hidden: true })) !== first)
    return { ok: false, trouble: usage('password', 'the two are not the same', 'run the command again') };
  return done(first);
};

const store = async (context: Context, settings: Settings, item: HubContext, name: string): Promise<Attempt<void>> =>
  writeSettings(context.io, { version: 1, current: name, contexts: { ...settings.contexts, [name]: item } });

const loginWithToken = async (context: Context, hub: string, token: string): Promise<Attempt<{ credential: Credential; who: WhoView }>> => {
  const credential: Credential = { kind: 'key', token };
  const answer = await connectTo(context.io, { hub, credential, project: 'default' }).client.call('whoami', {});
  if (!answer.ok)
    return {
      ok: false,
      trouble: apiTrouble(
        answer.failure,
        answer.failure.status === 401 ? 'make a new key in the dashboard or with gp create api-key NAME, and log in with it' : undefined,
      ),
    };
  return done({ credential, who: answer.value });
};

const loginWithPassword = async (
  context: Context,
  hub: string,
  options: LoginOptions,
  setupToken: string | undefined,
): Promise<Attempt<{ credential: Credential; who: WhoView }>> => {
  const { io } = context;
  if (options.name === undefined && (setupToken !== undefined || !io.stdin.isTTY)) {
    return {
      ok: false,
      trouble: usage(
        'login',
        setupToken === undefined ? 'there is no terminal to ask for name and password' : 'say what the first administrator is called',
        setupToken === undefined ? 'gp login URL --token KEY' : 'gp login --setup LINK --name NAME',
      ),
    };
  }
  const name = options.name ?? (await io.ask('Name: ')).trim();
  const password = await readPassword(context, options, setupToken !== undefined);
  if (!password.ok) return password;
  const session = await openSession(
    context,
    hub,
    setupToken === undefined ? { route: 'login', name, password: password.value } : { route: 'setup', token: setupToken, name, password: password.value },
  );
  if (!session.ok) return session;
  const { credential, note } = await keyFor(context, hub, session.value);
  if (note !== undefined) await notice(context, printable(note));
  return done({ credential, who: session.value.who });
};

/** Which hub to log in to, and the token of a set-up link if there is one. */
const whereTo = async (
  context: Context,
  url: string | undefined,
  options: LoginOptions,
  settings: Settings,
): Promise<Attempt<{ hub: string; setupToken?: string }>> => {
  const link = options.setup ?? (url?.includes('/setup#') === true ? url : undefined);
  if (link !== undefined) {
    const parsed = parseSetupLink(link);
    return parsed.ok ? done({ hub: parsed.value.hub, setupToken: parsed.value.token }) : parsed;
  }
  const stored = settings.current === undefined ? undefined : settings.contexts[settings.current]?.hub;
  const text = url ?? context.globals.hub ?? context.io.env.GP_HUB ?? stored;
  if (text === undefined || text === '') return { ok: false, trouble: usage('login', 'say which hub', 'gp login http://127.0.0.1:7600') };
  const hub = parseHub(text);
  return hub.ok ? done({ hub: hub.value }) : hub;
};

/** `gp login`: with a key, a set-up link, or name and password; what works is stored. */
export const login = async (context: Context, url: string | undefined, options: LoginOptions): Promise<Outcome> => {
  const settings = await readSettings(context.io);
  if (!settings.ok) return settings.trouble;
  const where = await whereTo(context, url, options, settings.value);
  if (!where.ok) return where.trouble;
  const { hub, setupToken } = where.value;
  const secure = checkSecure(hub, context.globals.insecure);
  if (!secure.ok) return secure.trouble;
  const { token } = context.globals;
  const proven =
    token !== undefined && setupToken === undefined ? await loginWithToken(context, hub, token) : await loginWithPassword(context, hub, options, setupToken);
  if (!proven.ok) return proven.trouble;
  const { who, credential } = proven.value;
  const contextName = options.contextName ?? new URL(hub).host;
  const project =
    context.globals.project ?? who.grants.find((grant) => grant.project !== undefined && !who.grants.some((item) => item.project === undefined))?.project;
  const item: HubContext = {
    hub,
    credential,
    name: who.name,
    ...(project === undefined ? {} : { project }),
    ...(context.globals.insecure ? { insecure: true } : {}),
  };
  const written = await store(context, settings.value, item, contextName);
  if (!written.ok) return written.trouble;
  await printOne(
    context,
    { context: contextName, hub, subject: who.subject, tenant: who.tenant.name },
    `context/${contextName}`,
    () => `logged in to ${hub} as ${printable(who.subject)} (tenant ${printable(who.tenant.name)})\n`,
  );
  return exits.ok;
};

/** `gp logout`: deletes what was stored, and the key at the hub when this command line made it. */
export const logout = async (context: Context): Promise<Outcome> => {
  const settings = await readSettings(context.io);
  if (!settings.ok) return settings.trouble;
  const name = settings.value.current;
  const item = name === undefined ? undefined : settings.value.contexts[name];
  if (name === undefined || item === undefined) {
    await notice(context, 'nobody is logged in');
    return exits.ok;
  }
  const { client } = connectTo(context.io, { hub: item.hub, credential: item.credential, project: 'default' }, 10_000);
  const { credential } = item;
  const ended =
    credential.kind === 'session'
      ? await client.call('logout', {})
      : credential.keyName === undefined
        ? undefined
        : await client.call('deleteApiKey', { params: { name: credential.keyName } });
  const later = credential.kind === 'key' && credential.keyName !== undefined ? `. Delete the key there later: gp delete api-key ${credential.keyName}` : '';
  if (ended?.ok === false) await notice(context, printable(`the hub was not told: ${ended.failure.message}${later}`));
  const { [name]: _gone, ...contexts } = settings.value.contexts;
  const next = Object.keys(contexts)[0];
  const written = await writeSettings(context.io, { version: 1, ...(next === undefined ? {} : { current: next }), contexts });
  if (!written.ok) return written.trouble;
  await printOne(context, { context: name, hub: item.hub, result: 'logged out' }, `context/${name}`, () => `logged out of ${item.hub}\n`);
  return exits.ok;
};
