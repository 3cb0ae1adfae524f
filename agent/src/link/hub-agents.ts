import { Agent } from 'node:https';
import { isIPv4 } from 'node:net';

/** As programs everywhere read it: `HTTPS_PROXY`, `NO_PROXY`, in either spelling. */
export type ProxyEnv = Readonly<Record<string, string | undefined>>;

export interface HubAgentsOptions {
  caPem?: string | undefined;
  /** Asked at each connection, so that a change needs no restart. Default: the environment of this process. */
  proxy?: (() => ProxyEnv) | undefined;
  sockets?: number;
}

const isDecodable = (text: string): boolean => {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
};

/** Whether Node takes it; over a password like `50%` it would throw at each connection. */
export const isProxyUrl = (text: string): boolean => {
  const url = URL.parse(text);
  return url !== null && ['http:', 'https:'].includes(url.protocol) && isDecodable(url.username) && isDecodable(url.password);
};

/** `proxy.example:3128`, as curl takes it. What is no address of a proxy at all is as none, since a host that is not reached cannot be mended from afar. */
const proxyUrl = (text: string | undefined): string | undefined => {
  if (text === undefined || text === '') return undefined;
  const url = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  return isProxyUrl(url) ? url : undefined;
};

/** Node knows ranges of addresses (`10.0.0.0-10.255.255.255`) and not `10.0.0.0/8`, which is what people write. */
const exception = (part: string): string => {
  const [, address = '', bits = ''] = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(part) ?? [];
  if (!isIPv4(address) || Number(bits) > 32) return part;
  const size = 2 ** (32 - Number(bits));
  const number = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const first = Math.floor(number / size) * size;
  const text = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
  return `${text(first)}-${text(first + size - 1)}`;
};

/** What Node is given of an environment that was written for every program. */
export const proxyEnvOf = (env: ProxyEnv): ProxyEnv => {
  const except = env['no_proxy'] ?? env['NO_PROXY'];
  return {
    HTTPS_PROXY: proxyUrl(env['https_proxy'] ?? env['HTTPS_PROXY']),
    NO_PROXY: except
      ?.split(/[\s,]+/)
      .map(exception)
      .join(','),
  };
};

/**
 * Agents for TLS connections to the hub: through a proxy where one is set (CONNECT; the proxy sees names and no content), and not for what `NO_PROXY` names.
 * Node does both. Plain `http` and `ws`, which are for laboratories, and MQTT go directly.
 */
export const hubAgents = ({ caPem, proxy = () => process.env, sockets = Number.POSITIVE_INFINITY }: HubAgentsOptions): (() => Agent) => {
  let known: { key: string; agent: Agent } | undefined;
  return () => {
    const proxyEnv = proxyEnvOf(proxy());
    const key = JSON.stringify(proxyEnv);
    if (known?.key !== key) {
      known?.agent.destroy();
      known = { key, agent: new Agent({ keepAlive: true, maxSockets: sockets, proxyEnv, ...(caPem === undefined ? {} : { ca: caPem }) }) };
    }
    return known.agent;
  };
};
