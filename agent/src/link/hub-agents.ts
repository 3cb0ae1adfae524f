import { Agent } from 'node:https';

/** As programs everywhere read it: `HTTPS_PROXY`, `NO_PROXY`, in either spelling. */
export type ProxyEnv = Readonly<Record<string, string | undefined>>;

export interface HubAgentsOptions {
  caPem?: string | undefined;
  /** Asked at each connection, so that a change needs no restart. Default: the environment of this process. */
  proxy?: (() => ProxyEnv) | undefined;
  sockets?: number;
}

/**
 * Agents for TLS connections to the hub: through a proxy where one is set (CONNECT; the proxy sees names and no content), and not for what `NO_PROXY` names.
 * Node does both. Plain `http` and `ws`, which are for laboratories, and MQTT go directly.
 */
export const hubAgents = ({ caPem, proxy = () => process.env, sockets = Number.POSITIVE_INFINITY }: HubAgentsOptions): (() => Agent) => {
  let known: { key: string; agent: Agent } | undefined;
  return () => {
    const env = proxy();
    const proxyEnv = Object.fromEntries(['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy'].map((name) => [name, env[name]]));
    const key = JSON.stringify(proxyEnv);
    if (known?.key !== key) {
      known?.agent.destroy();
      known = { key, agent: new Agent({ keepAlive: true, maxSockets: sockets, proxyEnv, ...(caPem === undefined ? {} : { ca: caPem }) }) };
    }
    return known.agent;
  };
};
