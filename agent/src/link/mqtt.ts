import { randomUUID } from 'node:crypto';
import { limits } from '@groundplane/protocol/limits';
import type { Link } from '../port/link.ts';

/**
 * MQTT 5 carrier. Each connection has a random client id of its own, so that nobody can push another one off by taking its name; who speaks is settled by the
 * same hello as on WebSocket. Up and down are one topic each. The library is loaded only when this carrier is used.
 */
export const mqttLink = (url: string, options: { caPem?: string | undefined }): Link => ({
  connect: (events) => {
    let closed = false;
    let stop = (): void => undefined;
    let publish: (text: string) => void = () => undefined;
    const close = (reason: string): void => {
      if (closed) return;
      closed = true;
      stop();
      events.onClose(reason);
    };
    const start = async (): Promise<void> => {
      const { connect } = await import('./mqtt-client.ts');
      if (closed) return;
      const clientId = `gp-${randomUUID()}`;
      const client = connect(url, {
        clientId,
        protocolVersion: 5,
        clean: true,
        reconnectPeriod: 0,
        connectTimeout: limits.handshakeMs,
        keepalive: 300,
        properties: { maximumPacketSize: limits.frameBytes + 1024 },
        ...(options.caPem === undefined ? {} : { ca: options.caPem }),
      });
      stop = () => void client.end(true);
      publish = (text) => void client.publish(`gp/${clientId}/up`, text, { qos: 1 });
      client.on('connect', () => {
        client.subscribe(`gp/${clientId}/down`, { qos: 1 }, (error) => (error === null ? events.onOpen() : close(error.message)));
      });
      client.on('message', (_, payload) => (closed ? undefined : events.onFrame(payload.toString('utf8'))));
      client.on('error', (error) => close(error.message));
      client.on('close', () => close('the connection to the broker closed'));
    };
    start().catch((error: unknown) => close(error instanceof Error ? error.message : String(error)));
    return {
      // The library throws when it is used after its end.
      send: (text) => (closed ? undefined : publish(text)),
      close: () => {
        closed = true;
        stop();
      },
    };
  },
});
