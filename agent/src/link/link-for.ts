import type { Link } from '../port/link.ts';
import type { ProxyEnv } from './hub-agents.ts';
import { mqttLink } from './mqtt.ts';
import { webSocketLink } from './websocket.ts';

/** The carrier that an address of the hub asks for. */
export const linkFor = (url: string, caPem: string | undefined, proxy?: () => ProxyEnv): Link =>
  url.startsWith('mqtt') ? mqttLink(url, { caPem }) : webSocketLink(url, { caPem, ...(proxy === undefined ? {} : { proxy }) });
