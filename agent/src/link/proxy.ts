import { Agent as PlainAgent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';

/**
 * Proxies count where somebody switched them on by `NODE_USE_ENV_PROXY=1`, as for Node itself: agents of our own have to be told. On hosts the variables may be
 * there for the container runtime, and the hub is reached without them.
 */
export const proxyEnv = (): { proxyEnv?: NodeJS.ProcessEnv } => (process.env['NODE_USE_ENV_PROXY'] === '1' ? { proxyEnv: process.env } : {});

/** For a connection of a library that takes an agent; nothing where no proxy is switched on. */
export const proxied = (url: string): { agent?: PlainAgent } => {
  const given = proxyEnv();
  if (given.proxyEnv === undefined) return {};
  return { agent: url.startsWith('wss:') || url.startsWith('https:') ? new SecureAgent(given) : new PlainAgent(given) };
};
