import { argon2, createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Grant } from '@groundplane/protocol/access';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { makeId } from '@groundplane/protocol/ids';
import type { Clock } from '../port/clock.ts';
import type { Random } from '../port/random.ts';
import type { Row, Store } from '../port/store.ts';

/** Who calls, as far as it was proven. */
export interface Principal {
  tenant: string;
  /** `user:anna`, `key:ci`. */
  subject: string;
  name: string;
  grants: readonly Grant[];
  /** It came by cookie, so the page it came from matters. */
  byCookie: boolean;
}

const argon = promisify(argon2);
/** OWASP's recommendation for Argon2id: 19 MiB, 2 passes. */
const cost = { parallelism: 1, tagLength: 32, memory: 19_456, passes: 2 };
const sessionHours = 12;
const triesMax = 5;
const lockMs = 30_000;

export const secretHash = (secret: string): string => createHash('sha256').update(secret).digest('hex');

export const hashPassword = async (password: string): Promise<string> => {
  const nonce = randomBytes(16);
  const tag = await argon('argon2id', { ...cost, message: password, nonce });
  return `argon2id$${nonce.toString('base64url')}$${tag.toString('base64url')}`;
};

const isPassword = async (password: string, hash: string): Promise<boolean> => {
  const [, nonce, tag] = hash.split('$');
  const expected = Buffer.from(tag ?? '', 'base64url');
  const given = await argon('argon2id', { ...cost, message: password, nonce: Buffer.from(nonce ?? '', 'base64url') });
  return given.length === expected.length && timingSafeEqual(given, expected);
};

/** Compared with when there is no such user, so that the answer takes as long either way. */
const nobody = hashPassword(randomBytes(16).toString('hex'));

/** Users, sessions, API keys, and the one-time set-up of a tenant's first administrator. Secrets are stored as hashes only. */
export const createAuth = (deps: { store: Store; clock: Clock; random: Random }) => {
  const { store, clock, random } = deps;
  const failures = new Map<string, { count: number; untilMs: number }>();

  const secret = (prefix: string): string => `${prefix}_${Buffer.from(random.bytes(32)).toString('base64url')}`;
  const newId = (kind: 'session' | 'user' | 'apiKey'): string => makeId(kind, (length) => random.bytes(length));

  const openSession = async (user: Row<'user'>): Promise<Result<{ principal: Principal; secret: string }>> => {
    const token = secret('gps');
    const done = await store.commit([
      {
        op: 'put',
        kind: 'session',
        tenant: user.tenant,
        id: newId('session'),
        project: '',
        name: '',
        lookup: secretHash(token),
        value: { user: user.id, expiresAtMs: clock.wallMs() + sessionHours * 3_600_000 },
      },
    ]);
    if (!done.ok) return done;
    return ok({ secret: token, principal: { tenant: user.tenant, subject: `user:${user.name}`, name: user.name, grants: user.value.grants, byCookie: true } });
  };

  const tooMany = (name: string): boolean => {
    const entry = failures.get(name);
    return entry !== undefined && entry.count >= triesMax && clock.monotonicMs() < entry.untilMs;
  };
  const noteFailure = (name: string): void => {
    if (failures.size > 10_000) failures.clear();
    failures.set(name, { count: (failures.get(name)?.count ?? 0) + 1, untilMs: clock.monotonicMs() + lockMs });
  };

  return {
    /** User names are unique over the whole hub, so that logging in needs no tenant. */
    login: async (name: string, password: string): Promise<Result<{ principal: Principal; secret: string }>> => {
      if (tooMany(name)) return fail('retry', 'too-many-tries', 'login', `too many failed tries; wait ${lockMs / 1000} seconds`);
      const user = await store.byLookup('user', name);
      const isRight = await isPassword(password, user?.value.passwordHash ?? (await nobody));
      if (user === undefined || !isRight) {
        noteFailure(name);
        return fail('fatal', 'unauthenticated', 'login', 'name or password is wrong');
      }
      failures.delete(name);
      return openSession(user);
    },
    logout: async (token: string): Promise<void> => {
      const row = await store.byLookup('session', secretHash(token));
      if (row !== undefined) await store.commit([{ op: 'delete', kind: 'session', tenant: row.tenant, id: row.id }]);
    },
    /** Makes the token of a tenant's first administrator; kept as a hash until it is used once. */
    makeSetupToken: async (tenant: string): Promise<string> => {
      const token = secret('setup');
      await store.commit([
        { op: 'put', kind: 'setting', tenant, id: 'setup', project: '', name: 'setup', lookup: secretHash(token), value: { value: 'first administrator' } },
      ]);
      return token;
    },
    /** Works once, however many ask at the same moment: the row is deleted under the version that was read. */
    setup: async (token: string, name: string, password: string): Promise<Result<{ principal: Principal; secret: string }>> => {
      const row = await store.byLookup('setting', secretHash(token));
      const used = fail(
        'fatal',
        'unauthenticated',
        'set-up link',
        'it was used already or never existed. To make a new one, run on the hub: npm start -- --new-setup-link',
      );
      if (row === undefined || row.id !== 'setup') return used;
      const passwordHash = await hashPassword(password);
      const done = await store.commit([
        { op: 'delete', kind: 'setting', tenant: row.tenant, id: 'setup', expect: row.version },
        {
          op: 'put',
          kind: 'user',
          tenant: row.tenant,
          id: newId('user'),
          project: '',
          name,
          lookup: name,
          expect: 'absent',
          value: { passwordHash, grants: [{ role: 'TenantAdmin' }] },
        },
        {
          op: 'event',
          event: {
            tenant: row.tenant,
            project: '',
            atMs: clock.wallMs(),
            type: 'normal',
            reason: 'AdministratorMade',
            actor: `user:${name}`,
            message: `${name} became the first administrator`,
          },
        },
      ]);
      if (!done.ok) return done.failure.code === 'name-taken' ? done : used;
      const user = await store.byLookup('user', name);
      return user === undefined ? used : openSession(user);
    },
    makeApiKey: async (
      tenant: string,
      name: string,
      grants: Grant[],
      expiresAtMs: number | undefined,
    ): Promise<Result<{ row: Row<'apiKey'>; key: string }>> => {
      const key = secret('gpk');
      const id = newId('apiKey');
      const done = await store.commit([
        {
          op: 'put',
          kind: 'apiKey',
          tenant,
          id,
          project: '',
          name,
          lookup: secretHash(key),
          expect: 'absent',
          value: { grants, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) },
        },
      ]);
      if (!done.ok) return done;
      const row = await store.get('apiKey', tenant, id);
      return row === undefined ? fail('retry', 'row-conflict', `API key ${name}`, 'was deleted at once') : ok({ row, key });
    },
    /** Checked at each request, so that a deleted key, user or session ends at once. */
    byBearer: async (token: string): Promise<Principal | undefined> => {
      const row = await store.byLookup('apiKey', secretHash(token));
      if (row === undefined || (row.value.expiresAtMs ?? Infinity) < clock.wallMs()) return undefined;
      return { tenant: row.tenant, subject: `key:${row.name}`, name: row.name, grants: row.value.grants, byCookie: false };
    },
    byCookie: async (token: string): Promise<Principal | undefined> => {
      const session = await store.byLookup('session', secretHash(token));
      if (session === undefined || session.value.expiresAtMs < clock.wallMs()) return undefined;
      const user = await store.get('user', session.tenant, session.value.user);
      return user === undefined ? undefined : { tenant: user.tenant, subject: `user:${user.name}`, name: user.name, grants: user.value.grants, byCookie: true };
    },
  };
};
export type Auth = ReturnType<typeof createAuth>;
