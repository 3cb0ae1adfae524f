import { readFile, stat } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { kubeconfigBytesMax, kubeconfigFolder, parseKubeconfig, type ConnectionSources, type Source } from './kubeconfig.ts';

/** A token that may change under our feet: service account tokens are rewritten on disk every hour. */
export interface TokenSource {
  /** The token to send now; undefined for none. */
  current(): Promise<Result<string | undefined>>;
  /** Forgets what was read, because the server refused it. True when another read may give another token. */
  forget(): boolean;
}

/** Everything needed to open a connection; holds secrets, so never print it. */
export interface Connection {
  server: string;
  ca?: string;
  clientCertificate?: string;
  clientKey?: string;
  serverName?: string;
  insecure: boolean;
  token: TokenSource;
  /** How the server's name becomes an address, for those who may not call every address. */
  lookup?: LookupFunction;
}

const unreadable = (what: string, file: string, reason: string): ReturnType<typeof fail> =>
  fail('blocked', 'kubeconfig-invalid', `${what} ${file}`, `The file cannot be read: ${reason}. Check that it exists and that the agent may read it.`);

const readBounded = async (what: string, file: string): Promise<Result<string>> => {
  try {
    const { size } = await stat(file);
    if (size > kubeconfigBytesMax) return unreadable(what, file, 'it is larger than 1 MiB');
    return ok(await readFile(file, 'utf8'));
  } catch (error) {
    return unreadable(what, file, (error as NodeJS.ErrnoException).code ?? 'unknown reason');
  }
};

const readSource = async (what: string, source: Source | undefined): Promise<Result<string | undefined>> => {
  if (source === undefined) return ok(undefined);
  return 'text' in source ? ok(source.text) : await readBounded(what, source.file);
};

/** Never changes. */
export const fixedToken = (token: string | undefined): TokenSource => ({ current: async () => ok(token), forget: () => false });

/** Reads the file again when its time, size or inode differ from the last read. */
export const fileToken = (file: string): TokenSource => {
  let known: { stamp: string; token: string } | undefined;
  return {
    current: async () => {
      const info = await stat(file).catch((error: NodeJS.ErrnoException) => error);
      if (info instanceof Error) return unreadable('token', file, info.code ?? 'unknown reason');
      const stamp = `${info.mtimeMs}/${info.size}/${info.ino}`;
      if (known?.stamp === stamp) return ok(known.token);
      const text = await readBounded('token', file);
      if (!text.ok) return text;
      const token = text.value.trim();
      if (token === '' || /[^\x21-\x7e]/.test(token)) return unreadable('token', file, 'it holds no token (visible ASCII characters only)');
      known = { stamp, token };
      return ok(token);
    },
    forget: () => {
      known = undefined;
      return true;
    },
  };
};

/** Reads the files that the sources name. Failures: `kubeconfig-invalid` (blocked). */
export const openConnection = async (sources: ConnectionSources): Promise<Result<Connection>> => {
  const ca = await readSource('certificate-authority', sources.ca);
  if (!ca.ok) return ca;
  const clientCertificate = await readSource('client-certificate', sources.clientCertificate);
  if (!clientCertificate.ok) return clientCertificate;
  const clientKey = await readSource('client-key', sources.clientKey);
  if (!clientKey.ok) return clientKey;
  const token = sources.token;
  return ok({
    server: sources.server,
    insecure: sources.insecure,
    token: token === undefined ? fixedToken(undefined) : 'file' in token ? fileToken(token.file) : fixedToken(token.text),
    ...(ca.value === undefined ? {} : { ca: ca.value }),
    ...(clientCertificate.value === undefined ? {} : { clientCertificate: clientCertificate.value }),
    ...(clientKey.value === undefined ? {} : { clientKey: clientKey.value }),
    ...(sources.serverName === undefined ? {} : { serverName: sources.serverName }),
  });
};

/** Reads a kubeconfig file and everything it names. */
export const loadKubeconfig = async (path: string, context?: string): Promise<Result<Connection>> => {
  const text = await readBounded('kubeconfig', path);
  if (!text.ok) return text;
  const sources = parseKubeconfig(text.value, { folder: kubeconfigFolder(path), ...(context === undefined ? {} : { context }) });
  return sources.ok ? await openConnection(sources.value) : sources;
};
