import { Readable } from 'node:stream';
import { HttpResponse, type HttpRequest } from '@smithy/protocol-http';
import { FailureError } from '@groundplane/protocol/failure';
import type { Http } from '../../port/http.ts';

const textOf = (name: string, value: string | null): string =>
  value === null ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;

export const urlOf = (request: Pick<HttpRequest, 'protocol' | 'hostname' | 'port' | 'path'> & { query?: HttpRequest['query'] | undefined }): string => {
  const query = Object.entries(request.query ?? {})
    .flatMap(([name, value]) => (Array.isArray(value) ? value.map((item) => textOf(name, item)) : [textOf(name, value)]))
    .join('&');
  const port = request.port === undefined ? '' : `:${request.port}`;
  return `${request.protocol}//${request.hostname}${port}${request.path}${query === '' ? '' : `?${query}`}`;
};

/** The SDK's way out is our one door. A failure of the door leaves the SDK as it came in, and is taken out again by `failureOf`. */
export const transportOf = (http: Http) => ({
  metadata: { handlerProtocol: 'http/1.1' },
  handle: async (request: HttpRequest): Promise<{ response: HttpResponse }> => {
    const { body } = request as { body?: unknown };
    if (body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) throw new TypeError('AWS: the body of a request is a stream');
    // The SDK's own kind of bytes acts as a text too, and complains when somebody takes it for one.
    const plain = body instanceof Uint8Array ? new Uint8Array(body.buffer, body.byteOffset, body.byteLength) : body;
    // The door sets the length by itself.
    const { host: _host, 'content-length': _length, ...headers } = request.headers;
    const answer = await http({ method: request.method, url: urlOf(request), headers, body: plain });
    if (!answer.ok) throw new FailureError(answer.failure);
    const { status, headers: answered, body: bytes } = answer.value;
    return { response: new HttpResponse({ statusCode: status, headers: answered, body: Readable.from([bytes]) }) };
  },
});
