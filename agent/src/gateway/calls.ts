import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { fail } from '@groundplane/protocol/failure';
import { gatewayAnswerBytes, gatewayCallMs, gatewayPartBytes, type GatewayCall, type GatewayPart } from '@groundplane/protocol/site-gateway';

/** `10.20.0.10:443` of an address; the port is written out, so that nobody has to know defaults. */
const targetOf = (url: URL): string => `${url.hostname}:${url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port}`;

/** Whether whoever started this agent lets the hub call this server. Redirects are not followed, so that a server cannot send us elsewhere. */
export const mayCall = (url: string, allowed: readonly string[]): boolean => {
  const parsed = URL.parse(url);
  return parsed !== null && allowed.includes(targetOf(parsed));
};

/** Makes one call of the hub here and tells the answer in parts; always ends with a last one. */
export const makeCall = async (call: GatewayCall, allowed: readonly string[], tell: (part: GatewayPart) => void): Promise<void> => {
  const end = (code: string, message: string): void =>
    tell({
      t: 'part',
      id: call.id,
      last: true,
      failure: fail(code === 'cloud-unreachable' ? 'retry' : 'blocked', code, `server ${call.url.slice(0, 200)}`, message).failure,
    });
  if (!mayCall(call.url, allowed))
    return end('gateway-refused', 'this gateway does not call it. Start its agent with --gateway HOST:PORT for each server that it may call');
  const url = new URL(call.url);
  const { promise, resolve } = Promise.withResolvers<void>();
  const send = url.protocol === 'https:' ? secureRequest : plainRequest;
  const body = call.body === undefined ? undefined : Buffer.from(call.body, 'base64');
  const sent = send(
    url,
    {
      method: call.method,
      headers: { ...call.headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }) },
      timeout: gatewayCallMs,
      ...(call.ca === undefined ? {} : { ca: call.ca }),
      ...(call.insecure === true ? { rejectUnauthorized: false } : {}),
    },
    (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > gatewayAnswerBytes) response.destroy(new Error(`the answer has more than ${gatewayAnswerBytes} bytes`));
        else parts.push(part);
      });
      response.on('error', (error) => {
        end('cloud-unreachable', error.message);
        resolve();
      });
      response.on('end', () => {
        const whole = Buffer.concat(parts);
        const headers = Object.fromEntries(
          Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
        );
        for (let start = 0; start === 0 || start < whole.length; start += gatewayPartBytes)
          tell({
            t: 'part',
            id: call.id,
            ...(start === 0 ? { status: response.statusCode ?? 502, headers } : {}),
            data: whole.subarray(start, start + gatewayPartBytes).toString('base64'),
            last: start + gatewayPartBytes >= whole.length,
          });
        resolve();
      });
    },
  );
  sent.on('timeout', () => sent.destroy(new Error(`no answer within ${gatewayCallMs} ms`)));
  sent.on('error', (error) => {
    end('cloud-unreachable', error.message);
    resolve();
  });
  sent.end(body);
  return promise;
};
