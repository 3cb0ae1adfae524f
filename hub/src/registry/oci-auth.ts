import { Readable } from 'node:stream';
import { z } from 'zod';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import type { Clock } from '../port/clock.ts';
import type { Credentials } from './docker-config.ts';
import { isLoopbackHost, readAnswer, type Egress } from './egress.ts';
import { registryLimits } from './limits.ts';

/** One server that speaks the OCI API for a registry: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** `https://registry.example:5000`, without path. */
  origin: string;
  /** Repositories lie below this path here: a mirror that keeps many registries apart. Without slashes at its ends. */
  prefix?: string;
  credentials?: Credentials;
  /** Plain http to another machine was asked for. */
  insecure?: boolean;
  ca?: string;
  /** Hosts besides the endpoint's own domain that may see its credentials when it sends us there for a token. */
  tokenHosts?: readonly string[];
}

export interface Challenge {
  scheme: 'basic' | 'bearer';
  params: Readonly<Record<string, string>>;
}

/** Reads `WWW-Authenticate` (RFC 9110, section 11.6.1): schemes with comma-separated, perhaps quoted parameters. */
export const parseChallenges = (header: string): Challenge[] => {
  const found: { scheme: string; params: Record<string, string> }[] = [];
  const token = /\s*(?:([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))|([A-Za-z0-9!#$%&'*+.^_`|~-]+))\s*,?/y;
  const text = header.slice(0, 8_192);
  for (let match = token.exec(text); match !== null && match[0] !== ''; match = token.exec(text)) {
    const [, key, quoted, plain, scheme] = match;
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), params: {} });
    else if (key !== undefined) {
      const last = found.at(-1);
      if (last !== undefined) last.params[key.toLowerCase()] = quoted === undefined ? (plain ?? '') : quoted.replaceAll(/\\(.)/g, '$1');
    }
  }
  return found.filter((item): item is Challenge => item.scheme === 'basic' || item.scheme === 'bearer');
};

/** `registry.example.com` and `auth.example.com` have one owner; for short second levels (`co.uk`) three labels count. Addresses only match themselves. */
export const isSameOwner = (a: string, b: string): boolean => {
  if (a === b) return true;
  if (/^[\d.]+$|:|^\[/.test(a) || /^[\d.]+$|:|^\[/.test(b)) return false;
  const ownerOf = (host: string): string => {
    const labels = host.split('.');
    const second = labels.at(-2) ?? '';
    return labels.slice(second.length <= 3 && labels.length > 2 ? -3 : -2).join('.');
  };
  const owner = ownerOf(a);
  return owner.includes('.') && owner === ownerOf(b);
};

const tokenSchema = z.looseObject({ token: z.string().optional(), access_token: z.string().optional(), expires_in: z.number().optional() });

interface Held {
  authorization: string;
  untilMs: number;
}

export const basicText = (credentials: Credentials): string =>
  `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, 'utf8').toString('base64')}`;

/** What a token is good for when the server does not say (distribution specification: 60 seconds), and how much earlier we get a new one. */
const defaultTokenSeconds = 60;
const marginMs = 5_000;

const realmOf = (endpoint: Endpoint, text: string, element: string): Result<URL> => {
  const realm = URL.parse(text);
  const home = new URL(endpoint.origin);
  if (realm === null || (realm.protocol !== 'https:' && realm.protocol !== 'http:'))
    return fail('fatal', 'registry-malformed', element, `it names ${JSON.stringify(text.slice(0, 200))} as the place of its tokens, which is no address`);
  if (realm.protocol === 'http:' && !(home.protocol === 'http:' && (endpoint.insecure === true || isLoopbackHost(realm.hostname))))
    return fail('blocked', 'registry-insecure', element, `it sends us to ${realm.origin} for a token, which is not encrypted`);
  return ok(realm);
};

/** Answers challenges and keeps tokens by endpoint and scope. A password goes to the endpoint that it belongs to, or to a token server of the same owner. */
export const createAuthorizer = (deps: { egress: Egress; clock: Clock }) => {
  const held = new Map<string, Held>();
  const keyOf = (endpoint: Endpoint, scope: string): string => `${endpoint.origin} ${endpoint.credentials?.username ?? ''} ${scope}`;

  const keep = (key: string, entry: Held): string => {
    if (held.size > 1_000) held.clear();
    held.set(key, entry);
    return entry.authorization;
  };

  const fetchToken = async (
    endpoint: Endpoint,
    realm: URL,
    challenge: Challenge,
    scope: string,
    element: string,
  ): Promise<Result<{ token: string; seconds: number }>> => {
    const { credentials } = endpoint;
    const service = challenge.params['service'];
    const url = new URL(realm);
    const identity = credentials?.identityToken;
    let body: string | undefined;
    const headers: Record<string, string> = { accept: 'application/json' };
    if (identity === undefined) {
      if (service !== undefined) url.searchParams.set('service', service);
      if (scope !== '') for (const part of scope.split(' ')) url.searchParams.append('scope', part);
      if (credentials !== undefined) headers['authorization'] = basicText(credentials);
    } else {
      body = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: identity,
        client_id: 'groundplane',
        ...(service === undefined ? {} : { service }),
        scope,
      }).toString();
      headers['content-type'] = 'application/x-www-form-urlencoded';
    }
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const answer = await deps.egress.send({
      method: bytes === undefined ? 'GET' : 'POST',
      url,
      headers,
      ca: endpoint.ca,
      ...(bytes === undefined ? {} : { body: { size: bytes.length, open: () => Readable.from([bytes]) } }),
    });
    if (!answer.ok) return answer;
    const read = await readAnswer(answer.value, registryLimits.tokenBytes, element);
    if (!read.ok) return read;
    const { status } = answer.value;
    if (status === 401 || status === 403 || status === 400)
      return fail(
        'blocked',
        'registry-denied',
        element,
        credentials === undefined ? 'it wants a login. Give a user name and a password' : 'it does not take these credentials',
      );
    if (status !== 200) return fail('retry', 'registry-unreachable', element, `its token server ${realm.host} answered ${status}`);
    let parsed: ReturnType<typeof tokenSchema.safeParse>;
    try {
      parsed = tokenSchema.safeParse(JSON.parse(read.value.toString('utf8')));
    } catch {
      return fail('fatal', 'registry-malformed', element, `its token server ${realm.host} answered something that is not JSON`);
    }
    const token = parsed.data?.token ?? parsed.data?.access_token;
    // What goes into a header must not be able to end it.
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token))
      return fail('fatal', 'registry-malformed', element, `its token server ${realm.host} gave no token`);
    return ok({ token, seconds: Math.max(defaultTokenSeconds, parsed.data?.expires_in ?? 0) });
  };

  return {
    /** The header to send, when one is known already. */
    known: (endpoint: Endpoint, scope: string): string | undefined => {
      const entry = held.get(keyOf(endpoint, scope)) ?? held.get(keyOf(endpoint, 'basic'));
      return entry === undefined || entry.untilMs < deps.clock.monotonicMs() ? undefined : entry.authorization;
    },
    forget: (endpoint: Endpoint, scope: string): void => {
      held.delete(keyOf(endpoint, scope));
      held.delete(keyOf(endpoint, 'basic'));
    },
    /** Answers a 401 of this endpoint itself; never one of a place that it redirected to. */
    answer: async (endpoint: Endpoint, header: string, scope: string): Promise<Result<string>> => {
      const element = `registry ${new URL(endpoint.origin).host}`;
      const challenges = parseChallenges(header);
      const bearer = challenges.find((item) => item.scheme === 'bearer');
      if (bearer === undefined) {
        if (!challenges.some((item) => item.scheme === 'basic'))
          return fail('blocked', 'registry-denied', element, 'it refuses us and names no way to log in that we know (bearer, basic)');
        if (endpoint.credentials === undefined) return fail('blocked', 'registry-denied', element, 'it wants a login. Give a user name and a password');
        return ok(keep(keyOf(endpoint, 'basic'), { authorization: basicText(endpoint.credentials), untilMs: Number.POSITIVE_INFINITY }));
      }
      const realm = realmOf(endpoint, bearer.params['realm'] ?? '', element);
      if (!realm.ok) return realm;
      const home = new URL(endpoint.origin);
      const isOwn = isSameOwner(home.hostname, realm.value.hostname) || endpoint.tokenHosts?.includes(realm.value.hostname) === true;
      if (endpoint.credentials !== undefined && !isOwn)
        return fail(
          'blocked',
          'registry-foreign-realm',
          element,
          `it wants our password sent to ${realm.value.hostname}, which belongs to somebody else. If that is right, allow it with --token-host ${realm.value.hostname}`,
        );
      const wanted = scope === '' ? (bearer.params['scope'] ?? '') : scope;
      const made = await fetchToken(endpoint, realm.value, bearer, wanted, element);
      if (!made.ok) return made;
      const untilMs = deps.clock.monotonicMs() + made.value.seconds * 1_000 - marginMs;
      return ok(keep(keyOf(endpoint, scope), { authorization: `Bearer ${made.value.token}`, untilMs }));
    },
  };
};
export type Authorizer = ReturnType<typeof createAuthorizer>;
