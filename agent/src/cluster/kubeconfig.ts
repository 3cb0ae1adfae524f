import { dirname, resolve } from 'node:path';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { parseDocument } from 'yaml';
import { z } from 'zod';

/** A value given in the file itself or by the path of another file. */
export type Source = { text: string } | { file: string };

/** What a kubeconfig says about one context, before any file it names was read. */
export interface ConnectionSources {
  /** `https://host:port/prefix` without a trailing slash. */
  server: string;
  ca?: Source;
  clientCertificate?: Source;
  clientKey?: Source;
  token?: Source;
  /** Name to verify in the server's certificate instead of the host name. */
  serverName?: string;
  /** True only when the file itself asks not to verify the server. */
  insecure: boolean;
}

/** Larger files are no kubeconfig; the limit keeps a wrong path (a log, an image) out of memory. */
export const kubeconfigBytesMax = 1024 * 1024;
const aliasesMax = 100;

const text = z.string().max(kubeconfigBytesMax);
const named = <T extends z.ZodType>(field: string, inner: T): z.ZodType<{ name: string } & Record<string, z.infer<T>>> =>
  z.looseObject({ name: text, [field]: inner }) as unknown as z.ZodType<{ name: string } & Record<string, z.infer<T>>>;

const clusterSchema = z.looseObject({
  server: text,
  'certificate-authority': text.optional(),
  'certificate-authority-data': text.optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': text.optional(),
  'proxy-url': text.optional(),
});

const userSchema = z.looseObject({
  'client-certificate': text.optional(),
  'client-certificate-data': text.optional(),
  'client-key': text.optional(),
  'client-key-data': text.optional(),
  token: text.optional(),
  tokenFile: text.optional(),
  username: text.optional(),
  password: text.optional(),
  as: text.optional(),
  exec: z.unknown().optional(),
  'auth-provider': z.unknown().optional(),
});

const contextSchema = z.looseObject({ cluster: text, user: text.optional() });

// kubectl writes `null` for an empty list.
const listOf = <T extends z.ZodType>(item: T): z.ZodType<z.infer<T>[]> =>
  z.preprocess((value) => value ?? [], z.array(item).max(1000)) as z.ZodType<z.infer<T>[]>;

const kubeconfigSchema = z.looseObject({
  'current-context': text.nullish(),
  clusters: listOf(named('cluster', clusterSchema)),
  users: listOf(named('user', userSchema.nullish())),
  contexts: listOf(named('context', contextSchema)),
});

type ClusterEntry = z.infer<typeof clusterSchema>;
type UserEntry = z.infer<typeof userSchema>;

const wrong = (path: string, message: string): ReturnType<typeof fail> => fail('blocked', 'kubeconfig-invalid', `kubeconfig ${path}`.trimEnd(), message);

/** `clusters[0].cluster.server`, the way people write paths. */
const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((sofar, part) => (typeof part === 'number' ? `${sofar}[${part}]` : `${sofar}${sofar === '' ? '' : '.'}${String(part)}`), '');

const decode = (path: string, base64: string): Result<string> => {
  const compact = base64.replace(/\s+/g, '');
  if (compact === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return wrong(path, 'This is not base64.');
  return ok(Buffer.from(compact, 'base64').toString('utf8'));
};

/** Data wins over a file of the same meaning, as in kubectl. */
const pemSource = (place: string, field: string, entry: Record<string, unknown>, folder: string): Result<Source | undefined> => {
  const data = entry[`${field}-data`];
  if (typeof data === 'string' && data !== '') {
    const pem = decode(`${place}.${field}-data`, data);
    if (!pem.ok) return pem;
    return pem.value.includes('-----BEGIN ')
      ? ok({ text: pem.value })
      : wrong(`${place}.${field}-data`, 'The decoded value is not PEM ("-----BEGIN ..." is missing).');
  }
  const file = entry[field];
  return ok(typeof file === 'string' && file !== '' ? { file: resolve(folder, file) } : undefined);
};

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || host.startsWith('127.');

const parseServer = (path: string, server: string, hasToken: boolean): Result<string> => {
  if (!URL.canParse(server)) return wrong(path, `"${server.slice(0, 200)}" is not a URL; write it like https://192.0.2.10:6443.`);
  const url = new URL(server);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return wrong(path, `The scheme "${url.protocol}" is not supported; use https.`);
  if (url.username !== '' || url.password !== '')
    return wrong(path, 'User name and password in the URL are not supported; use a token or a client certificate.');
  if (url.search !== '' || url.hash !== '') return wrong(path, 'A query or fragment has no meaning here; remove it.');
  if (url.protocol === 'http:' && hasToken && !isLoopback(url.hostname)) return wrong(path, 'A token would cross the network unprotected; use https.');
  return ok(url.href.replace(/\/+$/, ''));
};

const parseCluster = (
  place: string,
  entry: ClusterEntry,
  hasToken: boolean,
  folder: string,
): Result<Pick<ConnectionSources, 'server' | 'ca' | 'serverName' | 'insecure'>> => {
  if ((entry['proxy-url'] ?? '') !== '') return wrong(`${place}.proxy-url`, 'Proxies are not supported; the agent must reach the API server directly.');
  const server = parseServer(`${place}.server`, entry.server, hasToken);
  if (!server.ok) return server;
  const ca = pemSource(place, 'certificate-authority', entry, folder);
  if (!ca.ok) return ca;
  const insecure = entry['insecure-skip-tls-verify'] === true;
  if (insecure && ca.value !== undefined) return wrong(`${place}.insecure-skip-tls-verify`, 'A certificate authority is given as well; remove one of the two.');
  const serverName = entry['tls-server-name'];
  return ok({
    server: server.value,
    insecure,
    ...(ca.value === undefined ? {} : { ca: ca.value }),
    ...(serverName === undefined || serverName === '' ? {} : { serverName }),
  });
};

const refusedUserFields: readonly [keyof UserEntry & string, string][] = [
  ['exec', 'Credential plugins (exec) are not run by the agent; give it a service account token or a client certificate.'],
  ['auth-provider', 'Credential providers (auth-provider) are not supported; give a token or a client certificate.'],
  ['username', 'Basic authentication no longer exists in Kubernetes; give a token or a client certificate.'],
  ['password', 'Basic authentication no longer exists in Kubernetes; give a token or a client certificate.'],
  ['as', 'Impersonation is not supported; give the credentials of the identity itself.'],
];

const parseUser = (place: string, entry: UserEntry, folder: string): Result<Pick<ConnectionSources, 'clientCertificate' | 'clientKey' | 'token'>> => {
  for (const [field, reason] of refusedUserFields) {
    const value = entry[field];
    if (value !== undefined && value !== null && value !== '') return wrong(`${place}.${field}`, reason);
  }
  const certificate = pemSource(place, 'client-certificate', entry, folder);
  if (!certificate.ok) return certificate;
  const key = pemSource(place, 'client-key', entry, folder);
  if (!key.ok) return key;
  if ((certificate.value === undefined) !== (key.value === undefined))
    return wrong(place, 'A client certificate needs its key, and the other way round; one of the two is missing.');
  // The file wins: client-go prefers tokenFile too, because files are rotated.
  const file = entry.tokenFile;
  const token = entry.token?.trim();
  const source: Source | undefined =
    file !== undefined && file !== '' ? { file: resolve(folder, file) } : token !== undefined && token !== '' ? { text: token } : undefined;
  if (source !== undefined && 'text' in source && /[^\x21-\x7e]/.test(source.text))
    return wrong(`${place}.token`, 'A token has visible ASCII characters only.');
  return ok({
    ...(certificate.value === undefined ? {} : { clientCertificate: certificate.value }),
    ...(key.value === undefined ? {} : { clientKey: key.value }),
    ...(source === undefined ? {} : { token: source }),
  });
};

const find = <T extends { name: string }>(items: T[], name: string): number => items.findIndex((item) => item.name === name);

const names = (items: { name: string }[]): string =>
  items.length === 0
    ? 'none'
    : items
        .map((item) => item.name)
        .slice(0, 20)
        .join(', ');

const readYaml = (source: string): Result<unknown> => {
  if (Buffer.byteLength(source) > kubeconfigBytesMax) return wrong('', 'The file is larger than 1 MiB; this is no kubeconfig.');
  const document = parseDocument(source, { logLevel: 'silent' });
  const error = document.errors[0];
  // Only the first line: the rest of the message quotes the file, which holds credentials.
  if (error !== undefined) return wrong('', `Not valid YAML: ${error.message.split('\n')[0] ?? ''}`);
  try {
    return ok(document.toJS({ maxAliasCount: aliasesMax }));
  } catch {
    return wrong('', 'The file uses YAML aliases in a way that is not accepted.');
  }
};

/**
 * Reads a kubeconfig and picks one context: the named one, or `current-context`. Relative paths are taken from `folder`.
 * Every failure is `kubeconfig-invalid` (blocked), its element ends with the path of the field.
 */
export const parseKubeconfig = (source: string, options: { folder: string; context?: string }): Result<ConnectionSources> => {
  const yaml = readYaml(source);
  if (!yaml.ok) return yaml;
  const parsed = kubeconfigSchema.safeParse(yaml.value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return wrong(pathText(issue?.path ?? []), issue?.message ?? 'This is no kubeconfig.');
  }
  const config = parsed.data;
  const wanted = options.context ?? config['current-context'] ?? '';
  if (wanted === '') return wrong('current-context', `No context is chosen. Known contexts: ${names(config.contexts)}.`);
  const at = find(config.contexts, wanted);
  const context = config.contexts[at]?.['context'];
  if (context === undefined) return wrong('contexts', `There is no context "${wanted}". Known contexts: ${names(config.contexts)}.`);
  const clusterAt = find(config.clusters, context.cluster);
  const cluster = config.clusters[clusterAt]?.['cluster'];
  if (cluster === undefined)
    return wrong(`contexts[${at}].context.cluster`, `There is no cluster "${context.cluster}". Known clusters: ${names(config.clusters)}.`);
  const userName = context.user ?? '';
  const userAt = find(config.users, userName);
  if (userName !== '' && userAt < 0) return wrong(`contexts[${at}].context.user`, `There is no user "${userName}". Known users: ${names(config.users)}.`);
  const user = parseUser(`users[${userAt}].user`, config.users[userAt]?.['user'] ?? {}, options.folder);
  if (!user.ok) return user;
  const target = parseCluster(`clusters[${clusterAt}].cluster`, cluster, user.value.token !== undefined, options.folder);
  return target.ok ? ok({ ...target.value, ...user.value }) : target;
};

/** Where Kubernetes puts a pod's service account. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Connection of a pod to its own cluster (Kubernetes: "Accessing the Kubernetes API from a Pod"). */
export const inClusterSources = (environment: Record<string, string | undefined>, folder: string = serviceAccountFolder): Result<ConnectionSources> => {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '';
  if (host === '' || !/^\d{1,5}$/.test(port)) {
    return fail(
      'blocked',
      'kubeconfig-invalid',
      'in-cluster configuration',
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; this process does not run in a pod.',
    );
  }
  return ok({
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: { file: `${folder}/ca.crt` },
    token: { file: `${folder}/token` },
    insecure: false,
  });
};

/** Folder that relative paths in a kubeconfig refer to. */
export const kubeconfigFolder = (path: string): string => dirname(resolve(path));
