import { lookup } from 'node:dns/promises';
import { Agent as PlainAgent, request as plainRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { fail, ok, type Result } from '@groundplane/protocol/failure';
import { registryLimits } from './limits.ts';

export interface EgressRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  /** Opened once for each try. */
  body?: { size: number; open: () => Readable } | undefined;
  /** PEM of authorities that this server's certificate may come from, instead of the public ones. */
  ca?: string | undefined;
  /** Whatever certificate the server shows; only where its owner said so. */
  insecure?: boolean | undefined;
  /** Ends it, also while its answer is read. */
  signal?: AbortSignal | undefined;
}

export interface EgressAnswer {
  status: number;
  header(name: string): string | undefined;
  /** All of them, with names in lower case. */
  headers(): Record<string, string>;
  /** Must be read to its end or destroyed. */
  body: IncomingMessage;
}

/** Which addresses may be called besides public ones. `all`: on the machine of the person who typed the address. */
export type EgressPolicy = { private: 'all' } | { private: readonly string[] };

/** The only door to other people's servers. Redirects are not followed here: whoever calls decides what may travel on. */
export interface Egress {
  /** Failures: `egress-refused` (blocked), `registry-unreachable` (retry), `tls-untrusted` (blocked). */
  send(request: EgressRequest): Promise<Result<EgressAnswer>>;
  close(): void;
}

/** Special-purpose addresses of RFC 6890 and its registry; the clouds' metadata services are among the link-local ones. */
const privateRanges: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];
/** Never reachable, whatever is allowed by range: these hand out a machine's own credentials. */
const metadataAddresses: readonly string[] = ['169.254.169.254/32', '169.254.170.2/32', '100.100.100.200/32', 'fd00:ec2::254/128'];

export const addressList = (ranges: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family);
  }
  return list;
};
const specialList = addressList(privateRanges);
const metadataList = addressList(metadataAddresses);

const holds = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
/** `::ffff:10.0.0.1`, also in its hexadecimal spelling, is the IPv4 address behind it. */
const unmapped = (address: string): string => {
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address);
  if (mapped === null) return address;
  if (mapped[1] !== undefined) return mapped[1];
  const [high, low] = [Number.parseInt(mapped[2] ?? '0', 16), Number.parseInt(mapped[3] ?? '0', 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
};

/** Whether an address may be called. Pure; names were resolved before, so that a name cannot lead elsewhere between check and use. */
export const isAllowedAddress = (address: string, policy: EgressPolicy): boolean => {
  const plain = unmapped(address.replace(/^\[|\]$/g, '').replace(/%.*$/, ''));
  if (isIP(plain) === 0) return false;
  if (policy.private === 'all') return true;
  if (holds(metadataList, plain) && !policy.private.includes(plain)) return false;
  return !holds(specialList, plain) || holds(addressList(policy.private), plain);
};

/** For clients with connections of their own: resolves names to addresses that may be called, at each connect, so that a name cannot lead elsewhere later. */
export const allowedLookup =
  (policy: EgressPolicy, resolve: Resolve = systemResolve): LookupFunction =>
  (hostname, wanted, callback) => {
    const answer = async (): Promise<void> => {
      const found = await resolveAllowed(new URL(`https://${hostname}`), policy, resolve);
      if (!found.ok) return callback(Object.assign(new Error(found.failure.message), { code: 'EACCES' }), '', 4);
      const [first] = found.value;
      if (typeof wanted === 'object' && wanted.all === true) callback(null, found.value);
      else callback(null, first?.address ?? '', first?.family ?? 4);
    };
    answer().catch((error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), '', 4));
  };

export const isLoopbackHost = (hostname: string): boolean =>
  hostname === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(hostname) || hostname === '[::1]' || hostname === '::1';

type Resolve = (hostname: string) => Promise<{ address: string; family: number }[]>;
const systemResolve: Resolve = (hostname) => lookup(hostname, { all: true });

const resolveAllowed = async (url: URL, policy: EgressPolicy, resolve: Resolve): Promise<Result<{ address: string; family: number }[]>> => {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const element = `server ${url.host}`;
  let found: { address: string; family: number }[];
  try {
    found = isIP(hostname) === 0 ? await resolve(hostname) : [{ address: hostname, family: isIP(hostname) }];
  } catch (error) {
    return fail('retry', 'registry-unreachable', element, `its name cannot be resolved: ${error instanceof Error ? error.message : String(error)}`);
  }
  const allowed = found.filter((item) => isAllowedAddress(item.address, policy));
  if (allowed.length > 0) return ok(allowed);
  return fail(
    'blocked',
    'egress-refused',
    element,
    `it is at ${found[0]?.address ?? 'no address'}, which is private; the hub calls private addresses only when its operator allows them (--egress-allow CIDR)`,
  );
};

const tlsCodes = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|DEPTH_ZERO/;

const failureOf = (error: Error & { code?: string }, element: string): Result<never> => {
  if (tlsCodes.test(error.code ?? ''))
    return fail('blocked', 'tls-untrusted', element, `its certificate is not trusted (${error.message}). Give the authority's certificate with --ca FILE`);
  return fail('retry', 'registry-unreachable', element, error.message === '' ? (error.code ?? 'the connection broke') : error.message);
};

export const createEgress = (policy: EgressPolicy, options: { resolve?: Resolve; idleTimeoutMs?: number } = {}): Egress => {
  const plain = new PlainAgent({ keepAlive: true, maxSockets: 8 });
  const secure = new Map<string, SecureAgent>();
  const idleMs = options.idleTimeoutMs ?? registryLimits.idleTimeoutMs;
  const agentFor = (request: EgressRequest): PlainAgent | SecureAgent => {
    if (request.url.protocol === 'http:') return plain;
    const isInsecure = request.insecure === true;
    const key = `${isInsecure} ${request.ca ?? ''}`;
    const trust = { ...(request.ca === undefined ? {} : { ca: request.ca }), ...(isInsecure ? { rejectUnauthorized: false } : {}) };
    const known = secure.get(key) ?? new SecureAgent({ keepAlive: true, maxSockets: 8, ...trust });
    secure.set(key, known);
    return known;
  };
  return {
    send: async (request) => {
      const element = `server ${request.url.host}`;
      if (request.url.protocol !== 'http:' && request.url.protocol !== 'https:')
        return fail('blocked', 'egress-refused', element, `${request.url.protocol} is not called; only https and http`);
      const addresses = await resolveAllowed(request.url, policy, options.resolve ?? systemResolve);
      if (!addresses.ok) return addresses;
      const { promise, resolve } = Promise.withResolvers<Result<EgressAnswer>>();
      const headers: OutgoingHttpHeaders = { ...request.headers, ...(request.body === undefined ? {} : { 'content-length': String(request.body.size) }) };
      const [first] = addresses.value;
      const sent = (request.url.protocol === 'http:' ? plainRequest : secureRequest)(
        request.url,
        {
          method: request.method,
          headers,
          agent: agentFor(request),
          timeout: idleMs,
          ...(request.signal === undefined ? {} : { signal: request.signal }),
          // The addresses that were checked, and no second look-up.
          lookup: (_hostname, wanted, callback) => {
            if (typeof wanted === 'object' && wanted.all === true)
              (callback as (error: null, found: { address: string; family: number }[]) => void)(null, addresses.value);
            else callback(null, first?.address ?? '', first?.family ?? 4);
          },
        },
        (response) => {
          // Cuts show themselves to whoever reads the body; without a listener here they would end the process before anybody reads.
          response.on('error', () => undefined);
          resolve(
            ok({
              status: response.statusCode ?? 0,
              header: (name) => {
                const value = response.headers[name.toLowerCase()];
                return Array.isArray(value) ? value.join(', ') : value;
              },
              headers: () =>
                Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')])),
              body: response,
            }),
          );
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${idleMs} ms`)));
      sent.on('error', (error) => resolve(failureOf(error, element)));
      if (request.body === undefined) sent.end();
      else {
        const source = request.body.open();
        source.on('error', (error) => sent.destroy(error));
        source.pipe(sent);
      }
      return promise;
    },
    close: () => {
      plain.destroy();
      for (const agent of secure.values()) agent.destroy();
    },
  };
};

/** A body in memory, at most `bytesMax`; a cut one is `registry-unreachable` (retry), a larger one `answer-too-large` (fatal). */
export const readAnswer = async (answer: EgressAnswer, bytesMax: number, element: string): Promise<Result<Buffer>> => {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of answer.body as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > bytesMax) {
        answer.body.destroy();
        return fail('fatal', 'answer-too-large', element, `the answer has more than ${bytesMax} bytes`);
      }
      parts.push(part);
    }
  } catch (error) {
    return fail('retry', 'registry-unreachable', element, `the answer broke off: ${error instanceof Error ? error.message : String(error)}`);
  }
  return answer.body.complete ? ok(Buffer.concat(parts)) : fail('retry', 'registry-unreachable', element, 'the answer broke off');
};
