import type { Connection, TokenSource } from '@groundplane/agent/cluster/connection';
import { parseKubeconfig } from '@groundplane/agent/cluster/kubeconfig';
import { isIP } from 'node:net';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { allowedLookup, isAllowedAddress, type EgressPolicy } from '../registry/egress.ts';
import type { Clock } from '../port/clock.ts';
import type { ClusterCredentials } from '../port/provider.ts';

/** New ones are asked for this long before the old ones end; for those of a short life, in its last quarter. */
const marginMs = 120_000;
/** What the server refuses so soon after it was made is kept: another one would fare no better, and the environment would be asked at every call. */
const quietMs = 10_000;

/** `refused`: a token of before that the API server did not take. */
export type AskCredentials = (refused?: string) => Promise<Result<ClusterCredentials>>;

interface Known {
  credentials: ClusterCredentials;
  /** Monotonic. */
  atMs: number;
  /** Wall clock, as the end that the environment tells; undefined: it stays good. */
  renewAtMs: number | undefined;
  /** It was over when it came. */
  isOver: boolean;
}

/** A token that is asked for anew before it ends, and when the server refuses it. Those who ask at the same moment share one request. */
export const refreshedToken = (ask: AskCredentials, clock: Clock, first?: ClusterCredentials): TokenSource => {
  const note = (credentials: ClusterCredentials): Known => {
    const leftMs = credentials.expiresAtMs === undefined ? undefined : credentials.expiresAtMs - clock.wallMs();
    const isOver = leftMs !== undefined && leftMs <= 0;
    return {
      credentials,
      atMs: clock.monotonicMs(),
      isOver,
      renewAtMs: leftMs === undefined ? undefined : leftMs - Math.min(marginMs, leftMs / 4) + clock.wallMs(),
    };
  };
  let known = first === undefined ? undefined : note(first);
  let refused: string | undefined;
  let asking: Promise<Result<ClusterCredentials>> | undefined;
  const asked = async (): Promise<Result<ClusterCredentials>> => {
    const answer = await ask(refused);
    if (answer.ok) [known, refused] = [note(answer.value), undefined];
    return answer;
  };
  return {
    current: async () => {
      // One that is over when it comes is of a wrong clock, ours or theirs: the API server decides, and nobody is asked at every call.
      const isNew = known !== undefined && clock.monotonicMs() - known.atMs < quietMs && known.isOver;
      if (known !== undefined && (isNew || known.renewAtMs === undefined || known.renewAtMs > clock.wallMs())) return ok(known.credentials.token);
      asking ??= asked().finally(() => (asking = undefined));
      const answer = await asking;
      return answer.ok ? ok(answer.value.token) : answer;
    },
    // Calls that were refused together come here one after the other: the first one has a new token made, the others get that one.
    forget: () => {
      if (known !== undefined && clock.monotonicMs() - known.atMs >= quietMs) {
        refused = known.credentials.token;
        known = undefined;
      }
      return true;
    },
  };
};

/** The way to a managed cluster's API server. Where it is and who it is, is as of now; only the token is renewed. Failures: `server-invalid`, `egress-refused` (blocked), those of `ask`. */
export const managedConnection = async (ask: AskCredentials, clock: Clock, policy: EgressPolicy): Promise<Result<Connection>> => {
  const first = await ask();
  if (!first.ok) return first;
  const { server, ca, clientCertificate, clientKey } = first.value;
  if (URL.parse(server)?.protocol !== 'https:')
    return fail(
      'blocked',
      'server-invalid',
      `server ${server.slice(0, 200)}`,
      'is what the environment gave as address of the API server, and begins not with https://',
    );
  const certificate = clientCertificate === undefined || clientKey === undefined ? {} : { clientCertificate, clientKey };
  const token = refreshedToken(ask, clock, first.value);
  return guarded({ server, insecure: false, token, ...certificate, ...(ca === undefined ? {} : { ca }) }, policy);
};

/** The hub calls private addresses only where its operator allows them; an API server is no exception. Failures: `egress-refused` (blocked). */
export const guarded = (connection: Connection, policy: EgressPolicy): Result<Connection> => {
  const hostname = new URL(connection.server).hostname.replace(/^\[|\]$/g, '');
  if (isIP(hostname) !== 0 && !isAllowedAddress(hostname, policy))
    return fail(
      'blocked',
      'egress-refused',
      `server ${hostname}`,
      'is a private address; the hub calls private addresses only when its operator allows them (--egress-allow CIDR). A gateway or an agent inside the cluster needs no way in',
    );
  return ok({ ...connection, lookup: allowedLookup(policy) });
};

/**
 * A kubeconfig that somebody gave to the hub. What it names on disk would be the hub's own files, and what it would run would run on the hub: both are
 * refused.
 */
export const givenConnection = (kubeconfig: string, context: string | undefined, policy: EgressPolicy): Result<Connection> => {
  const parsed = parseKubeconfig(kubeconfig, { folder: '/nonexistent', ...(context === undefined ? {} : { context }) });
  if (!parsed.ok) return parsed;
  const { server, insecure, serverName, ca, clientCertificate, clientKey, token } = parsed.value;
  const isFile = [ca, clientCertificate, clientKey, token].some((source) => source !== undefined && 'file' in source);
  if (isFile)
    return fail(
      'fatal',
      'kubeconfig-invalid',
      'kubeconfig',
      'names files on disk. Give one that has everything in it: kubectl config view --raw --flatten --minify',
    );
  const text = (source: typeof ca): string | undefined => (source !== undefined && 'text' in source ? source.text : undefined);
  const [authority, certificate, key, bearer] = [text(ca), text(clientCertificate), text(clientKey), text(token)];
  return guarded(
    {
      server,
      insecure,
      token: { current: () => Promise.resolve(ok(bearer)), forget: () => false },
      ...(authority === undefined ? {} : { ca: authority }),
      ...(certificate === undefined ? {} : { clientCertificate: certificate }),
      ...(key === undefined ? {} : { clientKey: key }),
      ...(serverName === undefined ? {} : { serverName }),
    },
    policy,
  );
};
