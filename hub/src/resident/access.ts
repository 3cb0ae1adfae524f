import type { Connection, TokenSource } from '@groundplane/agent/cluster/connection';
import { parseKubeconfig } from '@groundplane/agent/cluster/kubeconfig';
import { isIP } from 'node:net';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { allowedLookup, isAllowedAddress, type EgressPolicy } from '../registry/egress.ts';
import type { Clock } from '../port/clock.ts';
import type { ClusterCredentials } from '../port/provider.ts';

/** New ones are asked for this long before the old ones end; EKS' last 14 minutes. */
const marginMs = 120_000;

/** A token that is asked for anew before it ends, and when the server refuses it. Those who ask at the same moment share one request. */
export const refreshedToken = (ask: () => Promise<Result<ClusterCredentials>>, clock: Clock): TokenSource => {
  let known: ClusterCredentials | undefined;
  let asking: Promise<Result<ClusterCredentials>> | undefined;
  const isGood = (): boolean => known !== undefined && (known.expiresAtMs === undefined || known.expiresAtMs - marginMs > clock.wallMs());
  return {
    current: async () => {
      if (isGood()) return ok(known?.token);
      asking ??= ask().finally(() => (asking = undefined));
      const asked = await asking;
      if (!asked.ok) return asked;
      known = asked.value;
      return ok(known.token);
    },
    forget: () => {
      known = undefined;
      return true;
    },
  };
};

/** The way to a managed cluster's API server. */
export const managedConnection = async (ask: () => Promise<Result<ClusterCredentials>>, clock: Clock, policy: EgressPolicy): Promise<Result<Connection>> => {
  const first = await ask();
  if (!first.ok) return first;
  let waiting: Result<ClusterCredentials> | undefined = first;
  const token = refreshedToken(async () => {
    const next = waiting ?? (await ask());
    waiting = undefined;
    return next;
  }, clock);
  const { server, ca, clientCertificate, clientKey } = first.value;
  const certificate = clientCertificate === undefined || clientKey === undefined ? {} : { clientCertificate, clientKey };
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
