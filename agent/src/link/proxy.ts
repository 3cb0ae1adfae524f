import { Agent as SecureAgent } from 'node:https';

/**
 * Proxies count where somebody switched them on by `NODE_USE_ENV_PROXY=1`, as for Node itself: agents of our own have to be told. On hosts the variables may be
 * there for the container runtime, and the hub is reached without them.
 */
export const proxyEnv = (): { proxyEnv?: NodeJS.ProcessEnv } => (process.env['NODE_USE_ENV_PROXY'] === '1' ? { proxyEnv: process.env } : {});

/** For a WebSocket. Only `wss:` goes through a proxy, by CONNECT: a proxy answers a plain upgrade itself, so `ws:` stays direct. */
export const proxied = (url: string): { agent?: SecureAgent } => {
  const given = proxyEnv();
  return given.proxyEnv === undefined || !url.startsWith('wss:') ? {} : { agent: new SecureAgent(given) };
};
