import WebSocket from 'ws';
import { limits } from '@groundplane/protocol/limits';
import { gatewayCallSchema, gatewayCallsOpen, gatewayPath } from '@groundplane/protocol/site-gateway';
import { hubAgents, type ProxyEnv } from '../link/hub-agents.ts';
import type { Clock } from '../port/clock.ts';
import { makeCall } from './calls.ts';

export interface GatewayDoorDeps {
  /** `https://hub…`: the hub's address for content. */
  hub: string;
  caPem: string | undefined;
  proxy?: () => ProxyEnv;
  /** Of the session that is open; empty while there is none. */
  token: () => string;
  /** `HOST:PORT` that the hub may have called from here. */
  allowed: readonly string[];
  clock: Clock;
  log: (text: string) => void;
}

const retryMs = 5_000;

/** Keeps a connection to the hub on which it can call this site's servers. Comes back by itself, also with the token of a new session. */
export const openGatewayDoor = (deps: GatewayDoorDeps): { close: () => void } => {
  const agent = hubAgents(deps);
  let socket: WebSocket | undefined;
  let isClosed = false;
  let cancel = (): void => undefined;
  let open = 0;

  const onText = (text: string): void => {
    const parsed = gatewayCallSchema.safeParse(JSON.parse(text));
    if (!parsed.success || open >= gatewayCallsOpen) return;
    open += 1;
    void makeCall(parsed.data, deps.allowed, (part) => socket?.send(JSON.stringify(part))).finally(() => (open -= 1));
  };

  const connect = (): void => {
    if (isClosed) return;
    const token = deps.token();
    if (token === '') return void (cancel = deps.clock.after(retryMs, connect));
    const now = new WebSocket(new URL(gatewayPath, deps.hub.replace(/^http/, 'ws')), 'groundplane.1', {
      perMessageDeflate: false,
      maxPayload: limits.frameBytes,
      handshakeTimeout: limits.handshakeMs,
      followRedirects: false,
      headers: { authorization: `Bearer ${token}` },
      ...(deps.caPem === undefined ? {} : { ca: deps.caPem }),
      ...(deps.hub.startsWith('https:') ? { agent: agent() } : {}),
    });
    socket = now;
    now.on('message', (data: Buffer, isBinary) => {
      try {
        if (!isBinary) onText(data.toString('utf8'));
      } catch {
        now.terminate();
      }
    });
    now.on('error', (error) => deps.log(`gateway: ${error.message}`));
    now.on('close', () => (cancel = deps.clock.after(retryMs, connect)));
  };
  connect();
  return {
    close: () => {
      isClosed = true;
      cancel();
      socket?.terminate();
    },
  };
};
